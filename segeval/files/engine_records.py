"""The record of each engine in a bundle: its file, its calibration, and what was measured on the desktop."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from segeval.errors import FormatError
from segeval.files.own import OwnFile
from segeval.precision import EnginePrecision, own_name
from segeval_runner.strict import is_name

OWN_IMAGES = "the set's own clean images"
"""How the source of calibration images begins if they are those of the adversarial set."""

CalibrationMethod = Literal["percentile", "minmax", "entropy"]
Placement = Literal["accurate", "fused"]
"""Where values are rounded to int8: before convolutions alone, or as an engine needs it to join operators in one."""

AttributionMode = Literal["only", "without"]
"""Whether one block of a network is quantized, or everything without it."""


@dataclass(frozen=True)
class CalibrationImage:
    """One calibration image. sha256: of its (H, W, 3) RGB bytes."""

    id: str
    sha256: str


@dataclass(frozen=True)
class Calibration:
    """How the int8 ranges were found; survival can depend on it more than on anything else.

    Attributes:
        percentile: share of the absolute activations inside the range, in percent; None for the other methods.
        source: where the images come from, in words.
        op_types: the ONNX operators that were quantized.
        name: tells it from the others of its network, as in ``minmax``; empty for the first, which is the one that
            ships.
        per_channel: weights have a scale per output channel, else one in all.
        activations: their type.
        only: blocks of the network that are quantized, empty for all.
        without: blocks that are not.
        placement: where values are rounded.
        too_small: names of the convolutions that ``fused`` leaves exact.
        not_on_tensorrt_8: names of those that are exact in the file for TensorRT 8, which has no int8 kernel for them.
    """

    method: CalibrationMethod
    percentile: float | None
    source: str
    seed: int
    images: tuple[CalibrationImage, ...]
    op_types: tuple[str, ...]
    name: str = ""
    per_channel: bool = True
    activations: Literal["int8", "uint8"] = "int8"
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    placement: Placement = "accurate"
    too_small: tuple[str, ...] = ()
    not_on_tensorrt_8: tuple[str, ...] = ()

    @property
    def on_own_images(self) -> bool:
        """Whether the ranges were found on images of the adversarial set, for want of others."""
        return self.source.startswith(OWN_IMAGES)


@dataclass(frozen=True)
class HalfArithmetic:
    """An fp16 or int8-fp16 file in half arithmetic: the result of every operator is rounded to half precision.

    Attributes:
        images: clean ones.
        equal: share of their pixels with torch's label.
        miou: as in `Parity`.
        peak: largest absolute result of an operator on these and on so many `adversarial` images, before it is rounded.
            from 65,520 on it would become infinite, and above 65,504 a file is refused.
        layer: the operator that gave it.
        input: key of the image.
    """

    images: int
    equal: float
    miou: float | None
    adversarial: int
    peak: float
    layer: str
    input: str


@dataclass(frozen=True)
class Parity:
    """A deployed file, as ONNX Runtime runs it on a CPU, against torch on clean images.

    Attributes:
        images: how many.
        equal: share of pixels with torch's label.
        miou, torch_miou: on the images whose ground truth is known, None if there is none.
        unoptimised_equal: share of pixels with the label that the same file gives without graph optimisation (int8 and
            int8-fp16 only); what is missing to 1 was changed by the engine's own kernels.
        half: the same on a device that computes in half precision; None at other precisions.
    """

    images: int
    equal: float
    miou: float | None
    torch_miou: float | None
    unoptimised_equal: float | None
    half: HalfArithmetic | None = None

    @property
    def miou_difference(self) -> float | None:
        """mIoU of the file minus mIoU of torch, in 0..1; None without ground truth."""
        return None if self.miou is None or self.torch_miou is None else self.miou - self.torch_miou


@dataclass(frozen=True)
class Compilation:
    """What NVIDIA's own compiler made of a file, on the desktop and without a GPU.

    Attributes:
        library: as in ``TensorRT-RTX 1.7.1.116``.
        capability: of the GPUs that it was built for, as in ``8.6``; empty for all that the library builds for by
            itself.
        convolutions, conversions: how many layers by the types they read and write, as in ``int8 to fp32``; conversions
            are those that turn other types into int8.
        warnings: what the compiler said.
    """

    library: str
    capability: str
    layers: int
    convolutions: Mapping[str, int]
    conversions: Mapping[str, int]
    engine_bytes: int
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """An engine that was built on the desktop.

    Attributes:
        file: as the library wrote it.
        version: of the library that did.
    """

    file: str
    version: str


@dataclass(frozen=True)
class NoiseFloor:
    """How many labels of clean images another order of summation changes in a file: no effect is told below that.

    Attributes:
        images, pixels: compared.
        changed: pixels labelled otherwise than by the file as it is, by the other order; "runs of 4": each operator
            with weights as the sum of two, which four neighbouring products join in turn.
    """

    images: Annotated[int, Meta(ge=1)]
    pixels: Annotated[int, Meta(ge=1)]
    changed: Mapping[str, Annotated[int, Meta(ge=0)]]

    def __post_init__(self) -> None:
        """Raise ValueError for numbers that no measurement gives."""
        if not self.changed or max(self.changed.values()) > self.pixels:
            raise ValueError(f"a noise floor of {dict(self.changed)} in {self.pixels} pixels")

    @property
    def share(self) -> float:
        """Share of the pixels that the order which changes most labels otherwise, 0..1."""
        return max(self.changed.values()) / self.pixels


@dataclass(frozen=True)
class EngineRecord:
    """One model at one precision.

    Attributes:
        precision: "own" of a file that the user brought.
        file: ONNX file, or an engine of the user's.
        batch: static batch size.
        classes: number of labels the network can give.
        inputs: half-open ranges of the inputs it runs: every clean image, and the adversarial images that it was shown;
            the same after every corruption if it `ships`.
        flagged_file: in place of `file` where the engine takes precisions from flags, not from the file (TensorRT
            before 10), and could not read int8-fp16 of opset 19, or has no kernel for some operators of `file`; None if
            it is `file` that it reads, and if no such engine is meant.
        compiled: None where the target has no TensorRT, or no compiler was at hand.
        plan: built from `file`, where the target takes engines that are.
        noise_floor: of `file` on ONNX Runtime's CPU; None if it was not measured, as where a part of the network alone
            is in int8, or has no sum that could be reordered.
        parity: None of an engine of the user's, which cannot run here.
        weights_sha256: of the weights that it was exported from, or of the network that the user says a file of theirs
            computes; empty in bundles of earlier versions.
        own: whose file it is, if the user brought it.
    """

    name: str
    model: str
    precision: EnginePrecision
    file: str
    height: int
    width: int
    batch: int
    classes: int
    inputs: tuple[tuple[int, int], ...]
    calibration: Calibration | None
    parity: Parity | None
    flagged_file: str | None = None
    compiled: Compilation | None = None
    plan: Plan | None = None
    noise_floor: NoiseFloor | None = None
    weights_sha256: str = ""
    own: OwnFile | None = None

    @property
    def label(self) -> str:
        """Its precision, with the name of its calibration unless that is the one that ships: ``int8-entropy``.

        Of a file that the user brought, the name that the user gave it.
        """
        if self.own is not None:
            return own_name(self.name, self.precision)
        return self.precision if self.ships or self.calibration is None else f"{self.precision}-{self.calibration.name}"

    def indices(self) -> list[int]:
        """The inputs it runs, in order."""
        return [index for first, end in self.inputs for index in range(first, end)]

    @property
    def ships(self) -> bool:
        """Whether it is not quantized, or in the network's first calibration."""
        return self.calibration is None or not self.calibration.name


def require_calibration_names(calibration: Calibration | None, where: str) -> None:
    """Raise FormatError unless a calibration and its blocks have names that can stand in labels and tables."""
    if calibration is None:
        return
    for name in (calibration.name or "first", *calibration.only, *calibration.without):
        if not is_name(name):
            raise FormatError(f"{where}: {name!r} names no calibration", "make the bundle again with segeval deploy")
