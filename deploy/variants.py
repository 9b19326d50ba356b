"""Which int8 files a network gets: one per calibration, and for attribution one per block of the network.

Attribution uses the ranges of the first calibration to quantize only one block (``only``) or everything except it
(``without``). What an attack loses between two such files is due to the block.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from onnx import ModelProto

from segeval.errors import ConfigurationError
from segeval.files.engine_records import AttributionMode, Calibration
from segeval.files.images import RgbImage
from segeval.graphs.blocks import blocks, quantizable
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import network_of
from segeval.graphs.mixed import takes_flags
from segeval.graphs.placement import Placement
from segeval.graphs.quantize import find_ranges, quantize
from segeval.precision import Precision

from .calibration_images import CalibrationImages
from .engine_files import PARITY_IMAGES, PARITY_IMAGES_OF_BLOCKS, calibration_record
from .targets import Target


@dataclass(frozen=True)
class Variant:
    """One int8 file of a network.

    Attributes:
        name: as in ``minmax`` or ``only-level1``; empty for the file that ships.
        nodes: names of those that are quantized, None for all of the calibration.
        only, without: the block that is quantized, or that is not.
    """

    spec: CalibrationSpec
    name: str = ""
    nodes: frozenset[str] | None = None
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def ships(self) -> bool:
        """Whether it is the network's first calibration, whole."""
        return not self.name

    @property
    def parity_images(self) -> int:
        """On how many clean images it is compared with torch."""
        return PARITY_IMAGES if self.nodes is None else PARITY_IMAGES_OF_BLOCKS

    def leaving_out(self, fp32: ModelProto, names: Collection[str]) -> "Variant":
        """The same with these operators of the network left exact as well."""
        if not names:
            return self
        chosen = frozenset(quantizable(fp32, self.spec.op_types)) if self.nodes is None else self.nodes
        return replace(self, nodes=chosen.difference(names))

    def record(self, images: CalibrationImages, fp32: ModelProto, not_on_tensorrt_8: tuple[str, ...]) -> Calibration:
        """What a bundle says about it."""
        too_small = Placement(network_of(fp32), self.spec).left_out()
        return calibration_record(images, self.spec, self.name, self.only, self.without, too_small, not_on_tensorrt_8)


def variants(
    fp32: ModelProto, specs: Sequence[CalibrationSpec], attribute: Sequence[AttributionMode]
) -> Iterator[Variant]:
    """The int8 files of a network, the one that ships first. Raises ConfigurationError for a network of one block."""
    yield Variant(specs[0])
    for spec in specs[1:]:
        yield Variant(spec, spec.name(specs[0].images))
    if not attribute:
        return
    found = blocks(fp32, specs[0].op_types)
    if len(found) < 2:
        what = f"the network has {len(found)} operator to quantize, so there is nothing to compare it with"
        raise ConfigurationError(f"--attribute: {what}", "leave out --attribute")
    every = frozenset().union(*found.values())
    for mode in attribute:
        for block, nodes in found.items():
            chosen = nodes if mode == "only" else every - nodes
            yield Variant(specs[0], f"{mode}-{block}", chosen, **{mode: (block,)})


def require_quantizable(fp32: ModelProto, specs: Iterable[CalibrationSpec], model: str) -> None:
    """Raise ConfigurationError for a calibration that would leave all of a network as it is."""
    for spec in specs:
        if not Placement(network_of(fp32), spec).names():
            lacking = "convolution that gains by int8" if spec.placement == "fused" else " or ".join(spec.op_types)
            what = f"{model} has no {lacking}, so the calibration {spec.text} would quantize nothing"
            raise ConfigurationError(what, "choose another calibration, or leave out int8: --precision fp32,fp16")


class Quantizer:
    """Makes the int8 files of one network, and finds ranges once for all files that share them.

    Attributes:
        images: chosen for a calibration, each (H, W, 3) RGB.
    """

    def __init__(
        self,
        fp32: ModelProto,
        images: Callable[[CalibrationSpec], Iterable[RgbImage]],
    ) -> None:
        self._fp32, self._images = fp32, images
        self._ranges: dict[CalibrationSpec, Any] = {}

    def file(self, variant: Variant) -> ModelProto:
        """An int8 file."""
        key = variant.spec.ranges
        if key not in self._ranges:
            self._ranges[key] = find_ranges(self._fp32, self._images(variant.spec), key)
        return quantize(self._fp32, self._ranges[key], variant.spec, variant.nodes)


def require_calibrations(
    target: Target,
    precisions: Sequence[Precision],
    specs: Sequence[CalibrationSpec],
    attribute: Sequence[AttributionMode],
) -> None:
    """Raise ConfigurationError for calibrations that the device cannot run, or that no file would be made with."""
    if (len(specs) > 1 or attribute) and "int8" not in precisions:
        made_by = "--attribute makes" if attribute else "several --calibration make"
        raise ConfigurationError(f"{made_by} int8 files, but int8 was not requested", "add --precision int8")
    unsigned = next((spec for spec in specs if spec.activations == "uint8"), None)
    if unsigned is not None and target.tensorrt_versions:
        what = f"TensorRT takes only symmetric int8, with zero-points of 0: target {target.name} cannot run"
        raise ConfigurationError(f"{what} {unsigned.text}", "leave out activations=uint8, or deploy to --target cpu")
    transposed = next((spec for spec in specs if "ConvTranspose" in spec.op_types and spec.per_channel), None)
    if transposed is not None and any(takes_flags(version) for version in target.tensorrt_versions):
        what = "TensorRT 8 takes the weights of ConvTranspose with a scale per input channel, and computes other values"
        what += f" from one per output channel: target {target.name} cannot run {transposed.text}"
        raise ConfigurationError(what, "add weights=per-tensor, or leave out ConvTranspose")
    if attribute and specs[0].placement != "accurate":
        what = "--attribute compares files with one block quantized, and in placement=fused blocks share their scales"
        raise ConfigurationError(what, "make placement=accurate the first calibration")
