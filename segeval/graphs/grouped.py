"""Grouped convolutions that TensorRT 8 has no int8 kernel for.

TensorRT 8 fuses a convolution with the activation behind it and then finds no implementation of the whole: reported for
a depthwise convolution with Swish on 8.5.2 (NVIDIA/TensorRT#3385), where the same with ReLU builds, and for one with
nothing behind it on 8.6 (#4060). So in files for TensorRT 8 a grouped convolution is quantized only if a ReLU alone
reads it. TensorRT 10 and later take all of them.
"""

from collections.abc import Collection

from onnx import ModelProto

from segeval.graphs.export import network_of
from segeval.graphs.mixed import takes_flags
from segeval.graphs.placement import Operators, groups


def without_kernel(fp32: ModelProto, tensorrt: Collection[str]) -> tuple[str, ...]:
    """Names of the convolutions that stay exact in files for TensorRT 8; none if it is not among these versions."""
    if not any(takes_flags(version) for version in tensorrt):
        return ()
    operators = Operators(network_of(fp32))
    return tuple(
        node.name
        for node in operators.nodes
        if node.op_type == "Conv"
        and groups(node) > 1
        and [reader.op_type for reader in operators.readers[node.output[0]]] != ["Relu"]
    )
