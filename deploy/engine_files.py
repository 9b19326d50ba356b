"""One network at one precision: made, written, read back, checked, compared with PyTorch."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import onnx
from onnx import ModelProto

from segeval.errors import WeightsError
from segeval.files.engine_records import Calibration
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.contract import check_contract
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.mixed import to_int8_fp16
from segeval.graphs.qdq import check_qdq
from segeval.models import Segmenter
from segeval.models.soundness import predict
from segeval.precision import QUANTIZED, Precision

from .bundle import write_file
from .calibration_images import CalibrationImages
from .contents import Contents
from .parity import Agreement, Reference, evenly

Item = TypeVar("Item")

PARITY_IMAGES = 20
"""Clean images on which each file is compared with torch, spread evenly over the set."""

SAME_NETWORK = 0.995
"""Share of labels that a network shows again on another machine; roundings move fewer than one in a thousand."""

PARITY_IMAGES_OF_BLOCKS = 4
"""The same for each of the many files of attribution, whose cost on clean images the report measures on all of them."""

HALF_ADVERSARIAL_IMAGES = 4
"""Adversarial images on which the largest activation of half precision is looked for as well."""


def at_precision(fp32: ModelProto, precision: Precision, quantized: Callable[[], ModelProto]) -> ModelProto:
    """An exported file at another precision.

    Args:
        fp32: the exported file.
        precision: of the engine.
        quantized: makes the int8 file; called for those that begin with it.
    """
    if precision in QUANTIZED:
        return quantized() if precision == "int8" else to_int8_fp16(quantized())
    return to_fp16(fp32) if precision == "fp16" else fp32


def written_and_proved(
    root: Path,
    file: str,
    model: ModelProto,
    precision: Precision,
    spec: CalibrationSpec,
    nodes: Collection[str] | None = None,
) -> ModelProto:
    """Write an ONNX file below `root`, read it back and check its rules.

    Raises EngineError, StorageError.

    Args:
        root: the folder that paths are relative to.
        file: of the bundle, relative to its root.
        model: what to write.
        precision: of the engine.
        spec: of a quantized file.
        nodes: likewise.
    """
    write_file(root, file, model.SerializeToString())
    read = onnx.load(root / file)
    if precision in QUANTIZED:
        check_qdq(read, spec, precision, nodes)
    else:
        check_contract(read, precision)
    return read


def engine_name(model: str, precision: Precision, variant: str = "") -> str:
    """Name of an engine, of its file and of its folder in a replay.

    Args:
        model: name of the network.
        precision: of the engine.
        variant: name of its calibration.
    """
    name = re.sub(r"[^A-Za-z0-9_+-]+", "-", model).strip("-") + f".{precision}"
    return f"{name}-{variant}" if variant else name


def calibration_record(
    images: CalibrationImages,
    spec: CalibrationSpec,
    name: str = "",
    only: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    too_small: tuple[str, ...] = (),
    not_on_tensorrt_8: tuple[str, ...] = (),
) -> Calibration:
    """What a bundle says about how the int8 ranges were found, and what is quantized by them; see `Calibration`."""
    return Calibration(
        method=spec.method,
        percentile=spec.percentile if spec.method == "percentile" else None,
        source=images.source,
        seed=images.seed,
        images=images.images,
        op_types=spec.quantized_types,
        name=name,
        per_channel=spec.per_channel,
        activations=spec.activations,
        only=only,
        without=without,
        placement=spec.placement,
        too_small=too_small,
        not_on_tensorrt_8=not_on_tensorrt_8,
    )


def crafted_for(model: str, contents: Contents) -> Iterator[tuple[str, RgbImage]]:
    """Key and image of some of the adversarial images that a model was shown."""
    own = [crafted for crafted in contents.adversarial if model in crafted.models]
    for at in evenly(len(own), HALF_ADVERSARIAL_IMAGES):
        yield f"adversarial/{own[at].id}", contents.folder.image(own[at].file)


def references_of(segmenter: Segmenter, contents: Contents) -> list[Reference]:
    """Torch's label maps for some of the clean images."""
    ids = list(contents.clean)
    found = []
    for at in evenly(len(ids), PARITY_IMAGES):
        image = contents.image(ids[at])
        found.append(
            Reference(
                image, predict(segmenter, image, f"image {ids[at]}"), contents.ground_truth(ids[at]), f"clean/{ids[at]}"
            )
        )
    return found


def require_as_attacked(model: str, references: Sequence[Reference], contents: Contents) -> None:
    """Raise WeightsError for a network that does not show what it showed when it was attacked.

    The hash of its weights does not tell: code of the user's may read files of its own, or have changed.

    Args:
        model: its name.
        references: what it shows on clean images now.
        contents: of the set, with what it showed.
    """
    agreement = Agreement()
    for reference in references:
        saved = contents.prediction(reference.key.removeprefix("clean/"), model)
        if saved is not None:
            agreement.update(reference.labels, saved)
    if agreement.pixels and agreement.share < SAME_NETWORK:
        raise WeightsError(
            f"{model} is another network than when it was attacked: {agreement.share:.1%} of the labels "
            "on clean images of the set are those that were saved",
            "restore the code and files that were attacked, or craft again",
        )


def reporting(items: Iterable[Item], total: int, report: Callable[[int, int], None]) -> Iterator[Item]:
    """The items, reporting how many of `total` are done after each."""
    report(0, total)
    for done, item in enumerate(items, start=1):
        yield item
        report(done, total)
