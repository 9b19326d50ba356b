"""The contract of every deployed file, checked on the written file."""

from collections.abc import Iterator, Sequence

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from segeval.errors import EngineError
from segeval.graphs import mixed
from segeval.graphs.export import IMAGE, IR_VERSION, LABELS, NETWORK_INPUT, OPSET
from segeval.graphs.operators import refusals
from segeval.precision import Precision

ADVICE = "this file must not be used; report which model and versions it came from"


def broken(where: str, rule: str) -> EngineError:
    """The error for a file that breaks a rule.

    Args:
        where: the node, tensor or file.
        rule: that it breaks.
    """
    return EngineError(f"{where}: {rule}", ADVICE)


def shape_of(value: ValueInfoProto) -> tuple[int, ...]:
    """Static shape of a value; 0 for a dimension that is not fixed."""
    return tuple(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)


def tensors(model: ModelProto) -> Iterator[tuple[str, TensorProto]]:
    """Every constant of a file and where it is: initializers and Constant nodes."""
    for tensor in model.graph.initializer:
        yield tensor.name, tensor
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == attribute.TENSOR:
                yield node.name, attribute.t


def casts_to(node: NodeProto) -> int | None:
    """The element type a Cast node gives, None for any other node."""
    if node.op_type != "Cast":
        return None
    return next(int(attribute.i) for attribute in node.attribute if attribute.name == "to")


def check_contract(model: ModelProto, precision: Precision) -> None:
    """Raise EngineError unless the file keeps the contract of all engines.

    Opset 17 and IR 8, for int8-fp16 19 and 9; operators and types that TensorRT takes; ``image`` uint8 (N, H, W, 3) in,
    read by a Cast to float alone, ``labels`` int32 (N, H, W) out, static; normalization in fp32; half precision in fp16
    and int8-fp16 files and nowhere else.
    """
    opset, ir_version = (mixed.OPSET, mixed.IR_VERSION) if precision == "int8-fp16" else (OPSET, IR_VERSION)
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    if opsets != {"": opset} or model.ir_version != ir_version:
        found = f"it has {opsets} and IR {model.ir_version}"
        raise broken("the file", f"opset {opset} and IR {ir_version} are wanted, {found}")
    for node in model.graph.node:
        if node.domain:
            raise broken(node.name, f"only standard operators are allowed, this is {node.domain}.{node.op_type}")
    for name, reason in refusals(model):
        raise broken(name, reason)
    check_ends(model)
    check_half(model, precision)


def check_ends(model: ModelProto) -> None:
    """Raise EngineError unless input and output have the names, types and shapes of the contract."""
    image, labels = one(model.graph.input, IMAGE), one(model.graph.output, LABELS)
    if image.type.tensor_type.elem_type != TensorProto.UINT8:
        raise broken(IMAGE, "the input must be uint8")
    if labels.type.tensor_type.elem_type != TensorProto.INT32:
        raise broken(LABELS, "the output must be int32")
    readers = [node for node in model.graph.node if IMAGE in node.input]
    if [casts_to(node) for node in readers] != [TensorProto.FLOAT]:
        found = ", ".join(node.op_type for node in readers) or "nothing"
        raise broken(
            IMAGE, f"only a Cast to float may read it, because TensorRT takes uint8 nowhere else; {found} does"
        )
    shape = shape_of(image)
    if len(shape) != 4 or 0 in shape or shape[3] != 3 or shape_of(labels) != shape[:3]:
        raise broken("the file", f"(N, H, W, 3) and (N, H, W) are wanted, it has {shape} and {shape_of(labels)}")


def one(values: Sequence[ValueInfoProto], name: str) -> ValueInfoProto:
    """The only value of a list, which must have this name."""
    if [value.name for value in values] != [name]:
        raise broken("the file", f"the only value must be {name!r}, there are {[value.name for value in values]}")
    return values[0]


def check_half(model: ModelProto, precision: Precision) -> None:
    """Raise EngineError if half precision is where it must not be, or missing where it must be."""
    half = TensorProto.FLOAT16
    found = [name for name, tensor in tensors(model) if tensor.data_type == half]
    found += [node.name for node in model.graph.node if casts_to(node) == half]
    wanted = precision in ("fp16", "int8-fp16")
    if not wanted and found:
        raise broken(found[0], f"an {precision} file must not hold fp16")
    if wanted:
        if not any(name for name, tensor in tensors(model) if tensor.data_type == half):
            raise broken("the file", f"an {precision} file must hold fp16 weights")
        types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
        if types.get(NETWORK_INPUT) != TensorProto.FLOAT:
            found_type = helper.tensor_dtype_to_string(types.get(NETWORK_INPUT, 0))
            raise broken(NETWORK_INPUT, f"normalization must be fp32, this is {found_type}")
