"""A pattern that was fitted for many images, as an attack on one of them: nothing is left to optimise."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.classes import ClassTable, class_difference, same_classes
from segeval.errors import ConfigurationError, FormatError
from segeval.files.patterns import ZERO, Kind, PatternRecord, read_pattern
from segeval.files.sets import Setting, TaskRecord

from .patch import Patch
from .pixel_losses import Loss
from .problem import Candidate, Presets, Problem
from .universal import Universal


class Form(Protocol):
    """What is fitted; a frozen dataclass whose fields are its settings."""

    @property
    def loss(self) -> Loss:
        """What is descended, see `pixel_losses`."""
        ...

    @property
    def outside(self) -> float:
        """Weight of all pixels outside φ together, against 1 for φ."""
        ...

    @property
    def radius(self) -> float | None:
        """L-infinity budget in 0–255 levels, None for none."""
        ...

    def start(self, height: int, width: int) -> Tensor:
        """The values before the first step, without content."""
        ...

    def moved(self, values: Tensor, direction: Tensor, between: float) -> Tensor:
        """The values after a step against a direction; `between` is 0 for the first one and 1 for the last."""
        ...

    def applied(self, values: Tensor, problem: Problem, region: tuple[int, ...] = ()) -> Tensor:
        """(N, 3, H, W) a problem's images with the pattern, a patch on the classes of `region` where it can."""
        ...


FORMS: Mapping[Kind, type[Universal | Patch]] = {"universal": Universal, "patch": Patch}


def settings_of(form: Form) -> dict[str, Setting]:
    """Its settings for a record."""
    return asdict(form)  # type: ignore[call-overload, no-any-return]


@dataclass(frozen=True)
class Fitted:
    """A pattern and its values.

    Attributes:
        name: of its folder, by which tables call it.
        record: what it was fitted on.
        values: see `Form`.
    """

    presets: ClassVar[Presets] = {}

    name: str
    record: PatternRecord
    form: Form
    values: Tensor

    @property
    def radius(self) -> float | None:
        """L-infinity budget in 0–255 levels, None for a patch."""
        return self.form.radius

    @property
    def parameters(self) -> dict[str, Setting]:
        """What the record of a set says of it."""
        return {**self.record.parameters, "pattern": self.record.file.sha256, "images": len(self.record.images)}

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield the images with the pattern, once."""
        x = self.form.applied(self.values.to(problem.clean), problem, self.record.region)
        with torch.no_grad():
            yield Candidate(x, problem.logits(x))

    def require_made_for(self, table: ClassTable, tasks: Sequence[TaskRecord]) -> None:
        """Raise ConfigurationError if it was fitted for other classes or another task."""
        if not same_classes(self.record.table, table):
            raise ConfigurationError(
                f"pattern {self.name!r} was fitted for the classes of {self.record.table.name}: "
                f"{class_difference(self.record.table, table)}",
                "choose a dataset of the same classes, or fit one for these",
            )
        for task in tasks:
            if task != self.record.task:
                raise ConfigurationError(
                    f"pattern {self.name!r} was fitted for the task {self.record.task.name}, not for {task.name}",
                    f"give --task {self.record.task.name}, or fit one for the other task",
                )

    def require_fit(self, image: str, pixels: NDArray[np.uint8]) -> None:
        """Raise ConfigurationError for an image (H, W, 3) that it was fitted on, or that it does not fit."""
        if digest(pixels) in self.record.digests:
            raise ConfigurationError(
                f"pattern {self.name!r} was fitted on image {image}: its success there says nothing of other images",
                "score it on another split, or choose other images with --image",
            )
        if self.record.kind == "universal" and pixels.shape[:2] != (self.record.height, self.record.width):
            raise ConfigurationError(
                f"pattern {self.name!r} is for images of {self.record.height}x{self.record.width}, image {image} is "
                f"{pixels.shape[0]}x{pixels.shape[1]}",
                f"bring the images to that size with --size {self.record.height}x{self.record.width}",
            )


def digest(image: NDArray[np.uint8]) -> str:
    """SHA-256 of the pixels of an image, by which it is known again under any name."""
    return hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).hexdigest()


def load_fitted(folder: str) -> Fitted:
    """The pattern in a folder. Raises what `read_pattern` does, ConfigurationError for a name that no set can hold."""
    record, picture = read_pattern(Path(folder))
    name = Path(folder).resolve().name.lower()
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ConfigurationError(f"{folder}: its name becomes that of the attack", "use letters, digits, - and _ alone")
    try:
        form: Form = msgspec.convert(record.parameters, FORMS[record.kind])
    except msgspec.ValidationError as error:
        raise FormatError(
            f"{folder}: its settings are not those of a {record.kind}: {error}", "fit it again"
        ) from error
    return Fitted(name, record, form, from_picture(record.kind, picture))


def to_picture(kind: Kind, values: Tensor) -> NDArray[np.uint8]:
    """Values in whole levels as a picture (H, W, 3)."""
    levels = (values.cpu().double() * 255).round().permute(1, 2, 0) + (ZERO if kind == "universal" else 0)
    return levels.clamp(0, 255).byte().contiguous().numpy()


def from_picture(kind: Kind, picture: NDArray[np.uint8]) -> Tensor:
    """The values (3, H, W) in units of [0, 1] that a picture holds."""
    levels = torch.from_numpy(picture).permute(2, 0, 1).float() - (ZERO if kind == "universal" else 0)
    return levels / 255
