"""int8 + fp16: convolutions in int8, everything else of the network in fp16.

TensorRT 10 and later take types from the file, and compute in fp32 what an int8 file leaves in fp32. For them the
quantized network is written in fp16 with fp16 scales, which need opset 19. TensorRT 8 cannot read such a file; it
builds the int8 file with the flags of both precisions.
"""

from collections.abc import Collection

import numpy as np
from onnx import ModelProto, numpy_helper
from onnx.version_converter import convert_version

from segeval.errors import EngineError
from segeval.graphs.fp16 import to_fp16
from segeval.precision import Precision

OPSET = 19
IR_VERSION = 9

SMALLEST = 2.0**-14
"""The smallest normal fp16 number. Scales below lose digits, and the reciprocal of the smallest of them overflows."""

TYPED_BY_FILE = 10
"""The major version from which TensorRT can take its types from the file."""


def to_int8_fp16(int8: ModelProto) -> ModelProto:
    """An int8 file with the rest of its network in fp16: opset 19, IR 9, fp16 scales.

    Raises EngineError if an activation is so small that its steps would become more than twice as coarse.
    """
    model = convert_version(int8, OPSET)
    model.ir_version = IR_VERSION
    raise_scales(model)
    return to_fp16(model)


def raise_scales(model: ModelProto) -> None:
    """Bring scales that fp16 cannot hold as normal numbers up to the smallest that it can.

    Of weights any: a channel with such a scale has no weight above 0.008, and ESPNet's published weights have channels
    that died in training, with weights of 1e-30. Of an activation at most to the double.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "QuantizeLinear":
            continue
        scale = numpy_helper.to_array(constants[node.input[1]])
        if node.input[0] not in constants and scale.min() < SMALLEST / 2:
            what = f"the values of {node.input[0]} are too small for fp16: their int8 scale is {scale.min():.1e}"
            raise EngineError(what, "deploy this network without --precision int8-fp16")
        raised = np.maximum(scale, np.float32(SMALLEST))
        constants[node.input[1]].CopyFrom(numpy_helper.from_array(raised, node.input[1]))


def takes_flags(tensorrt: str) -> bool:
    """Whether this version of TensorRT takes precisions from flags and not from the file."""
    return int(tensorrt.partition(".")[0]) < TYPED_BY_FILE


def needs_flagged_file(precision: Precision, tensorrt: Collection[str], lacking: Collection[str] = ()) -> bool:
    """Whether there must be a second file, made like int8, since some of these versions cannot read the first.

    Args:
        precision: of the engine.
        tensorrt: versions of TensorRT.
        lacking: operators that TensorRT 8 has no int8 kernel for.
    """
    both = len({takes_flags(version) for version in tensorrt}) == 2
    return both and (precision == "int8-fp16" or (precision == "int8" and bool(lacking)))


def file_form(precision: Precision, tensorrt: Collection[str]) -> Precision:
    """The precision by whose rules the file is made.

    Where all of them take the precision from flags, int8-fp16 is made like int8. Where only some do, the file is for
    the others; see `needs_flagged_file`.

    Args:
        precision: of the engine.
        tensorrt: the versions it is for; empty for another engine.
    """
    by_flags = [takes_flags(version) for version in tensorrt]
    return "int8" if precision == "int8-fp16" and by_flags and all(by_flags) else precision
