"""The record of a user's own file in a bundle."""

from dataclasses import dataclass
from typing import Literal

from segeval.precision import Precision
from segeval_runner.described import Input, Output


@dataclass(frozen=True)
class OwnFile:
    """A quantized or otherwise deployed file of the user's, or an engine that TensorRT built of one.

    Attributes:
        source: the name that its file had.
        sha256, bytes: of that file; an ONNX file is wrapped in the bundle and has another hash there.
        format: of it. What the runner knows of a "tensorrt" engine is `input` and `output` alone.
        like: of an ONNX file the precision whose arithmetic it has, by its operators and constants.
        integers: "uint8" where ONNX Runtime must be told to add up the products of such activations exactly.
        input, output: how it was described; None where the file takes and gives what every file of a bundle does.
        doubt: why the description is likely wrong, in words; empty if nothing speaks against it, or nothing could be
            run here.
        refused: why NVIDIA's compiler does not take it, empty if it does or was not asked.
    """

    source: str
    sha256: str
    bytes: int
    format: Literal["onnx", "tensorrt"]
    like: Precision | Literal[""] = ""
    integers: Literal["", "uint8"] = ""
    input: Input | None = None
    output: Output | None = None
    doubt: str = ""
    refused: str = ""
