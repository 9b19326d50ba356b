"""A pattern on disk: one change, or one patch, that was fitted for many images. ``pattern.json`` and PNG files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segeval.classes import ClassTable
from segeval.errors import DataError, FormatError
from segeval.files.encoding import decode
from segeval.files.images import load_png
from segeval.files.sets import CraftConfig, DeployedFile, FileRecord, ModelRecord, Setting, TaskRecord
from segeval.files.storage import MOST_BYTES, read_file
from segeval_runner.ownership import lacking

MANIFEST = "pattern.json"
ZERO = 128
"""Grey level that stands for no change in the picture of a universal perturbation."""

Kind = Literal["universal", "patch"]


@dataclass(frozen=True)
class PatternRecord:
    """A pattern and what it was fitted on (pattern.json).

    Attributes:
        kind: a change of the whole image, or a patch.
        config: the images, networks and seed it was fitted with.
        parameters: its settings.
        region: indices of the classes on which a patch lies; empty for anywhere.
        task: what it is to achieve.
        table: the classes of the images.
        height, width: of the images.
        images: ids of the images it was fitted on.
        digests: SHA-256 of their pixels, by which they are refused when it is scored.
        success: mean share of φ hit on these images.
        blank: the same of a pattern without content, no change or a grey patch at the same places: the control.
        file: a PNG; of a change 128 plus its levels, of a patch its texture.
    """

    kind: Kind
    config: CraftConfig
    parameters: Mapping[str, Setting]
    region: tuple[int, ...]
    task: TaskRecord
    table: ClassTable
    models: tuple[ModelRecord, ...]
    height: int
    width: int
    images: tuple[str, ...]
    digests: tuple[str, ...]
    success: float
    blank: float
    file: FileRecord
    versions: Mapping[str, str]
    revision: str
    deployed: tuple[DeployedFile, ...] = ()
    schema: Literal["segeval.pattern/1"] = field(default="segeval.pattern/1")


def is_pattern(name: str) -> bool:
    """Whether `name` is the folder of a pattern."""
    return (Path(name) / MANIFEST).is_file()


def read_pattern(folder: Path) -> tuple[PatternRecord, NDArray[np.uint8]]:
    """A pattern and its picture (H, W, 3).

    Raises DataError, FormatError, or IntegrityError for a picture that was changed.
    """
    path = folder / MANIFEST
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        what = f"{folder} is not a pattern: {lacking(folder, MANIFEST)}"
        raise DataError(what, "make one with segeval fit") from error
    record = decode(data, PatternRecord, str(path))
    picture = load_png(folder, record.file, "RGB")
    if record.kind == "universal" and picture.shape[:2] != (record.height, record.width):
        raise FormatError(f"{path}: its picture has another size than its images", "fit the pattern again")
    return record, picture
