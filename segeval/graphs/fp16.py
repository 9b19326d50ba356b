"""Half precision: the network in fp16, everything around it as it was."""

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper
from onnxconverter_common.float16 import convert_float_to_float16

from segeval.errors import EngineError
from segeval.graphs.export import network_of, with_network
from segeval.graphs.half import REMEDY, layer_name
from segeval.precision import LARGEST_HALF


def to_fp16(model: ModelProto) -> ModelProto:
    """The same file with its network in fp16. Input, normalization, argmax and output stay as they are.

    Raises EngineError for a weight that half precision cannot hold, and if the converter changed the types at the
    network's ends.
    """
    part = network_of(model)
    require_small_weights(part)
    # No operator is exempt, or TensorRT would find islands of fp32; weights too small for fp16 become 0 or denormal
    # by ordinary rounding instead of the converter's 1e-7.
    network = convert_float_to_float16(
        part, min_positive_val=0.0, max_finite_val=LARGEST_HALF, keep_io_types=True, op_block_list=[]
    )
    ends = [*network.graph.input, *network.graph.output]
    changed = [end.name for end in ends if end.type.tensor_type.elem_type != TensorProto.FLOAT]
    if changed:
        raise EngineError(f"the fp16 converter changed the type of {', '.join(changed)}")
    return with_network(model, network)


def require_small_weights(network: ModelProto) -> None:
    """Raise EngineError for a weight beyond the largest number of half precision: the converter would cut it."""
    for tensor in network.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        sizes = np.abs(numpy_helper.to_array(tensor))
        largest = float(np.max(sizes, initial=0, where=np.isfinite(sizes)))
        if largest > LARGEST_HALF:
            layer = next(layer_name(node) for node in network.graph.node if tensor.name in node.input)
            what = f"{layer} has a weight of {largest:,.0f}, and half precision ends at {LARGEST_HALF:,.0f}"
            raise EngineError(what, REMEDY)
