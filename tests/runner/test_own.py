"""What bundle.json says of an engine whose file the user brought is checked before anything is computed with it."""

from typing import Any

import pytest

from segeval_runner.described import Input, Output
from segeval_runner.errors import BundleError
from segeval_runner.own import Own, own_of

INPUT = {"layout": "NHWC", "colour": "BGR", "range": 255, "mean": [1, 2.5, 3], "std": [1, 1, 2]}
OUTPUT = {"kind": "labels", "layout": "NCHW", "resize": "nearest", "name": "y", "classes": [2, 0, 1]}
BUILT = {"format": "tensorrt", "input": INPUT, "output": OUTPUT}
ONNX = {"format": "onnx", "like": "int8", "integers": "uint8", "refused": ""}


def test_what_is_said_is_what_is_known() -> None:
    assert own_of({}, "int8", 3) is None and own_of({"own": None}, "fp32", 3) is None
    assert own_of({"own": ONNX}, "own", 3) == Own("onnx", "int8", "uint8")
    expected = Input("NHWC", "BGR", 255, (1, 2.5, 3), (1, 1, 2)), Output("labels", "NCHW", "nearest", "y", (2, 0, 1))
    assert own_of({"own": BUILT}, "own", 3) == Own("tensorrt", "", "", *expected, 3)


@pytest.mark.parametrize(
    ("own", "precision", "said"),
    [
        (None, "own", "'own' is missing"),
        (ONNX, "int8", "has a field 'own'"),
        ([], "own", "'own' is missing or of another type"),
        ({**ONNX, "format": "pickle"}, "own", "'format' is 'pickle', not one of onnx, tensorrt"),
        ({**ONNX, "like": "int4"}, "own", "'like' is 'int4'"),
        ({**ONNX, "integers": "int4"}, "own", "'integers' is 'int4', not one of uint8"),
        ({**ONNX, "refused": "\x1b[2J"}, "own", "control characters"),
        ({"format": "tensorrt", "input": INPUT}, "own", "'output' is missing"),
    ],
)
def test_what_contradicts_itself_is_refused(own: Any, precision: str, said: str) -> None:
    with pytest.raises(BundleError) as caught:
        own_of({"own": own}, precision, 3)
    assert said in caught.value.what


@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("input", "layout", "CHW"),
        ("input", "colour", 1),
        ("input", "range", 0),
        ("input", "range", True),
        ("input", "range", 1e7),
        ("input", "range", "1"),
        ("input", "mean", [0, 0]),
        ("input", "mean", [0, 0, None]),
        ("input", "std", [1, 1, 0]),
        ("output", "kind", "softmax"),
        ("output", "resize", "cubic"),
        ("output", "name", 7),
        ("output", "classes", [0, 1, 3]),
        ("output", "classes", [0, 1, -1]),
        ("output", "classes", [0.0]),
        ("output", "classes", None),
    ],
)
def test_numbers_and_words_that_cannot_be_are_refused(part: str, key: str, value: Any) -> None:
    broken = {**BUILT, part: {**BUILT[part], key: value}}  # type: ignore[dict-item]
    with pytest.raises(BundleError):
        own_of({"own": broken}, "own", 3)
