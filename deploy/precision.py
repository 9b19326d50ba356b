"""Half precision: the network in fp16, everything around it as it was."""

from onnx import ModelProto, TensorProto
from onnxconverter_common.float16 import convert_float_to_float16

from segeval.bundles import LARGEST_HALF
from segeval.deploy.export import network_of, with_network
from segeval.errors import EngineError


def to_fp16(model: ModelProto) -> ModelProto:
    """The same file with its network in fp16. Input, normalization, argmax and output stay as they are.

    Raises EngineError if the converter changed the types at the network's ends.
    """
    # No operator is exempt, or TensorRT would find islands of fp32; weights too small for fp16 become 0 or denormal
    # by ordinary rounding instead of the converter's 1e-7.
    network = convert_float_to_float16(
        network_of(model), min_positive_val=0.0, max_finite_val=LARGEST_HALF, keep_io_types=True, op_block_list=[]
    )
    ends = [*network.graph.input, *network.graph.output]
    changed = [end.name for end in ends if end.type.tensor_type.elem_type != TensorProto.FLOAT]
    if changed:
        raise EngineError(f"the fp16 converter changed the type of {', '.join(changed)}")
    return with_network(model, network)
