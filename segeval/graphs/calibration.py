"""Calibrations as typed on the command line: ``METHOD`` or ``METHOD,KEY=VALUE,…``.

The first calibration of a command makes the engine ``int8``. Each further one makes another int8 engine, named after
what differs from the default (for the number of images: from the first).
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from segeval.errors import ConfigurationError, UnknownNameError, nearest
from segeval.files.engine_records import CalibrationMethod, Placement

PERCENTILE = 99.99
IMAGES = 32
OP_TYPES = ("Conv",)
KNOWN_OP_TYPES = ("Conv", "ConvTranspose", "Add")
"""What can be quantized, in the order in which it is written."""

FUSED_OP_TYPES = ("Conv", "Add", "Concat")
"""What ``placement=fused`` quantizes, in parts; see `placement`."""

PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

Activations = Literal["int8", "uint8"]
KEYS = ("percentile", "images", "seed", "ops", "weights", "activations", "placement")
EXAMPLE = "for example percentile,percentile=99.9,images=64"


@dataclass(frozen=True)
class CalibrationSpec:
    """One way to find int8 ranges.

    Attributes:
        percentile: share of the activations inside the range, in percent; only for the method of that name.
        images: the largest number of images.
        seed: decides which, None for the set's.
        op_types: ONNX operators to quantize, as KNOWN_OP_TYPES has them; of ``accurate`` alone.
        per_channel: weights have a scale per output channel, else one in all.
        activations: symmetric int8, or uint8 with a zero-point.
        placement: where values are rounded; see `placement`.
    """

    method: CalibrationMethod = "percentile"
    percentile: float = PERCENTILE
    images: int = IMAGES
    seed: int | None = None
    op_types: tuple[str, ...] = OP_TYPES
    per_channel: bool = True
    activations: Activations = "int8"
    placement: Placement = "accurate"

    @property
    def quantized_types(self) -> tuple[str, ...]:
        """The ONNX operators of which some or all are quantized."""
        return FUSED_OP_TYPES if self.placement == "fused" else self.op_types

    @property
    def integers(self) -> str:
        """Type of the activations that a processor multiplies as integers; empty where it computes in fp32."""
        return self.activations if self.placement == "fused" else ""

    @property
    def plain(self) -> bool:
        """Whether everything except method and number of images is the default."""
        return self == CalibrationSpec(self.method, images=self.images)

    @property
    def ranges(self) -> "CalibrationSpec":
        """The same with everything forgotten that does not change the ranges."""
        return replace(self, per_channel=True)

    def name(self, images: int = IMAGES) -> str:
        """The method, and what is not as usual: ``minmax``, ``percentile-99.9-Conv+Add``. It may name a file.

        Args:
            images: the usual number; everything else is usual by default.
        """
        return "-".join((self.method, *(short for _, _, short in self._changes(CalibrationSpec(images=images)))))

    @property
    def text(self) -> str:
        """As it can be typed, with the number of images."""
        changes = self._changes(CalibrationSpec(images=0))
        return ",".join((self.method, *(f"{key}={value}" for key, value, _ in changes)))

    def _changes(self, usual: "CalibrationSpec") -> Iterable[tuple[str, str, str]]:
        """What differs from `usual`: key, value, and what a name says of it."""
        if self.method == "percentile" and self.percentile != usual.percentile:
            value = f"{self.percentile!r}".removesuffix(".0")
            yield "percentile", value, value
        if self.images != usual.images:
            yield "images", str(self.images), f"{self.images}-images"
        if self.seed != usual.seed:
            yield "seed", str(self.seed), f"seed-{self.seed}"
        if self.op_types != usual.op_types:
            yield "ops", "+".join(self.op_types), "+".join(self.op_types)
        if not self.per_channel:
            yield "weights", "per-tensor", "per-tensor"
        if self.activations != usual.activations:
            yield "activations", self.activations, self.activations
        if self.placement != usual.placement:
            yield "placement", self.placement, self.placement


def parse_calibrations(texts: Sequence[str], images: int = IMAGES) -> tuple[CalibrationSpec, ...]:
    """Each ``METHOD[,KEY=VALUE…]``.

    Args:
        texts: as the command line has them.
        images: of those that do not say.

    Raises:
        ConfigurationError: naming the text and what is wrong in it, or if there are none or one is given twice;
            UnknownNameError for a method or a key that does not exist.
    """
    found: list[CalibrationSpec] = []
    for text in texts:
        spec = parse_calibration(text, images)
        if spec in found:
            raise ConfigurationError(f"--calibration {text!r} is given twice", "leave one of them out")
        found.append(spec)
    if not found:
        raise ConfigurationError("no calibration was given", EXAMPLE)
    return tuple(found)


def parse_calibration(text: str, images: int = IMAGES) -> CalibrationSpec:
    """One ``METHOD[,KEY=VALUE…]``; see `parse_calibrations`."""
    method, *parts = (part.strip() for part in text.split(","))
    methods = get_args(CalibrationMethod)
    if not method:
        raise ConfigurationError(f"--calibration {text!r} names no method", f"one of {', '.join(methods)}, {EXAMPLE}")
    require_known(text, "method", method, methods)
    spec = CalibrationSpec(cast("CalibrationMethod", method), images=images)
    seen: set[str] = set()
    for part in parts:
        key, equals, value = (word.strip() for word in part.partition("="))
        if not equals:
            raise wrong(text, f"{part!r} is not KEY=VALUE")
        require_known(text, "key", key, KEYS)
        if key in seen:
            raise wrong(text, f"{key} is given twice")
        seen.add(key)
        spec = with_value(spec, text, key, value)
    if spec.images < 1:
        raise wrong(text, "at least 1 image is needed")
    if spec.placement == "fused" and spec.op_types != OP_TYPES:
        raise wrong(text, "placement=fused decides which operators are quantized; leave out ops")
    return spec


def with_value(spec: CalibrationSpec, text: str, key: str, value: str) -> CalibrationSpec:
    """`spec` with one value changed. Raises ConfigurationError."""
    if key == "percentile":
        if spec.method != "percentile":
            raise wrong(text, f"{spec.method} takes no percentile")
        return replace(spec, percentile=percentage(text, value))
    if key == "images":
        return replace(spec, images=whole(text, key, value))
    if key == "seed":
        return replace(spec, seed=whole(text, key, value))
    if key == "ops":
        return replace(spec, op_types=operators(text, value))
    if key == "weights":
        require_known(text, key, value, ("per-channel", "per-tensor"))
        return replace(spec, per_channel=value == "per-channel")
    if key == "placement":
        require_known(text, key, value, PLACEMENTS)
        return replace(spec, placement=cast("Placement", value))
    require_known(text, key, value, get_args(Activations))
    return replace(spec, activations=cast("Activations", value))


def percentage(text: str, value: str) -> float:
    """A percentile. One below 50 would be a share by mistake, such as 0.999."""
    try:
        percentile = float(value)
    except ValueError:
        percentile = math.nan
    if not 50 <= percentile <= 100:
        raise wrong(text, f"percentile={value} is not between 50 and 100; it is in percent")
    return percentile


def whole(text: str, key: str, value: str) -> int:
    """A whole number from 0 to 999999999."""
    if not re.fullmatch(r"[0-9]{1,9}", value):
        raise wrong(text, f"{key}={value} is not a whole number from 0 to 999999999")
    return int(value)


def operators(text: str, value: str) -> tuple[str, ...]:
    """``Conv+Add`` as operators, in the order of KNOWN_OP_TYPES."""
    names = [name.strip() for name in value.split("+")]
    for name in names:
        require_known(text, "operator", name, KNOWN_OP_TYPES)
    if "Conv" not in names:
        raise wrong(text, "Conv must be among the operators; without it hardly anything is quantized")
    return tuple(name for name in KNOWN_OP_TYPES if name in names)


def require_known(text: str, what: str, name: str, known: Sequence[str]) -> None:
    """Raise UnknownNameError, with the nearest known names, unless `name` is one of them."""
    if name in known:
        return
    raise UnknownNameError(f"--calibration {text!r}: unknown {what} {name!r}", nearest(name, known))


def wrong(text: str, why: str) -> ConfigurationError:
    """The error for a text that cannot be read."""
    return ConfigurationError(f"--calibration {text!r}: {why}", EXAMPLE)
