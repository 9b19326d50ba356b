"""The record of an engine from a user's own file, checked before use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple

from segeval_runner.described import Input, Output
from segeval_runner.fields import malformed, take, take_text

OWN = "own"
"""Its precision in every record: a file of the user's is what it is."""
ONNX, TENSORRT = "onnx", "tensorrt"
"""Its formats: an ONNX file keeps the contract of every other, an engine of TensorRT is taken as it was built."""
LIKE = ("fp32", "fp16", "int8", "int8-fp16")
MOST_LEVEL = 1e6
"""Of range, mean and std."""


@dataclass(frozen=True)
class Own:
    """What the runner must know of such an engine.

    Attributes:
        format: ONNX or TENSORRT.
        like: of an ONNX file the precision whose arithmetic it has, by its operators and constants; else empty.
        integers: as of `Job`; "uint8" or empty, as int8 stays in floating point.
        input, output: of a built engine; None of an ONNX file.
        classes: of the network, for a built engine.
        refused: why NVIDIA's compiler takes no such ONNX file, empty if it does or was not asked.
    """

    format: str
    like: str = ""
    integers: str = ""
    input: Optional[Input] = None
    output: Optional[Output] = None
    classes: int = 0
    refused: str = ""


def own_of(record: Any, precision: str, classes: int) -> Optional[Own]:
    """The object `own` of an engine, None where it is segeval's. Raises BundleError naming what is wrong in it.

    Args:
        record: the engine in bundle.json.
        precision: of the engine.
        classes: of the network.
    """
    if record.get("own") is None and precision != OWN:
        return None
    if precision != OWN:
        raise malformed("an engine of precision {!r} has a field 'own'".format(precision))
    own = take(record, "own", dict)
    if one_of(own, "format", (ONNX, TENSORRT)) == ONNX:
        like, integers = one_of(own, "like", LIKE), one_of(own, "integers", ("", "uint8"))
        return Own(ONNX, like, integers, refused=take_text(own, "refused"))
    return Own(
        TENSORRT, "", "", input_of(take(own, "input", dict)), output_of(take(own, "output", dict), classes), classes
    )


def input_of(record: Any) -> Input:
    """How a built engine takes its images."""
    brightest = level(record.get("range"), "range")
    mean, std = (three(record, name) for name in ("mean", "std"))
    if brightest <= 0 or min(std) <= 0:
        raise malformed("the range or a std of an engine's input is not above 0")
    layout: Any = one_of(record, "layout", ("NCHW", "NHWC"))
    colour: Any = one_of(record, "colour", ("RGB", "BGR"))
    return Input(layout, colour, brightest, mean, std)


def output_of(record: Any, classes: int) -> Output:
    """What a built engine answers."""
    kind: Any = one_of(record, "kind", ("logits", "probabilities", "labels"))
    layout: Any = one_of(record, "layout", ("NCHW", "NHWC"))
    resize: Any = one_of(record, "resize", ("bilinear", "bilinear-aligned", "nearest"))
    order = take(record, "classes", list)
    if not all(type(each) is int and 0 <= each < classes for each in order):
        raise malformed("the classes of an engine's output are not those of its network")
    return Output(kind, layout, resize, take_text(record, "name"), tuple(order))


def one_of(record: Any, key: str, known: Sequence[str]) -> str:
    """A field that holds one of some words."""
    value = take_text(record, key)
    if value not in known:
        raise malformed("the field {!r} is {!r}, not one of {}".format(key, value, ", ".join(filter(None, known))))
    return value


def three(record: Any, key: str) -> Tuple[float, float, float]:
    """A field that holds a number per channel."""
    found = [level(each, key) for each in take(record, key, list)]
    if len(found) != 3:
        raise malformed("the field {!r} has {} numbers, not 3".format(key, len(found)))
    return found[0], found[1], found[2]


def level(value: Any, key: str) -> float:
    """A number that images are computed with."""
    if type(value) not in (int, float) or not math.isfinite(value) or abs(value) > MOST_LEVEL:
        raise malformed("the field {!r} holds no number up to {:g}".format(key, MOST_LEVEL))
    return float(value)
