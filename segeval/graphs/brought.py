"""An ONNX file that segeval did not make, parsed and checked before anything of it is run."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper
from onnx.external_data_helper import load_external_data_for_model, uses_external_data

from segeval.errors import EngineError
from segeval.files.storage import inside
from segeval.graphs.contract import casts_to, tensors
from segeval.graphs.export import IMAGE, LABELS
from segeval.precision import Precision

LEAST_OPSET = 11
"""Before it Resize and the quantized operators are others."""
MOST_BYTES = (2 << 30) - (1 << 20)
"""Of an ONNX file, with its external data: what a message of protobuf can hold."""
KNOWN_DOMAINS = ("", "ai.onnx", "com.microsoft")
"""Domains of ONNX's operators and of those that are part of ONNX Runtime, such as quantized addition."""
RUNS_OTHER_CODE = ("EPContext", "PythonOp", "PythonOpGrad")
"""Of these operators some load files or code that a node names."""
INPUT_TYPES = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8)


@dataclass(frozen=True)
class Tensor:
    """An input or an output of a file.

    Attributes:
        shape: with 0 where the file leaves a size open.
        type: of ONNX.
    """

    name: str
    shape: tuple[int, ...]
    type: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's type."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(self.type))

    def __str__(self) -> str:
        """``float32 input (1, 3, ?, ?)``."""
        sizes = ", ".join(str(size or "?") for size in self.shape)
        return f"{self.dtype} {self.name} ({sizes})"


def read_onnx(path: Path) -> ModelProto:
    """Read a file with its external data, which must be beside or below it.

    Raises:
        EngineError: for a file that is no ONNX file, names data elsewhere, has operators of somebody's own, or is of an
            opset before 11.
    """
    model = parsed(path)
    if not model.graph.node:
        raise EngineError(f"{path} is not an ONNX file, or has no operators", "give the .onnx file as it was written")
    opset = max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
    if opset < LEAST_OPSET:
        what = f"{path} is of opset {opset}; {LEAST_OPSET} and later are read"
        raise EngineError(what, "export it again, or convert it with onnx.version_converter")
    require_known_operators(model, path)
    beside = data_beside(model, path)
    require_small(path, path.stat().st_size + sum(found.stat().st_size for found in beside))
    if beside:
        load_external_data_for_model(model, str(path.parent))
    return model


def data_beside(model: ModelProto, path: Path) -> set[Path]:
    """The files beside an ONNX file that hold tensors of it. Raises EngineError for one that may not be read."""
    return {require_beside(tensor, path) for _, tensor in tensors(model) if uses_external_data(tensor)}


def data_of(path: Path) -> set[Path]:
    """See `data_beside`. Raises EngineError for what is no ONNX file too."""
    return data_beside(parsed(path), path)


def parsed(path: Path) -> ModelProto:
    """An ONNX file without its external data. Raises EngineError if it is too large or not an ONNX file."""
    require_small(path, path.stat().st_size)
    try:
        return onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise EngineError(
            f"{path} is not an ONNX file, or is truncated", "give the .onnx file as it was written"
        ) from error


def require_known_operators(model: ModelProto, path: Path) -> None:
    """Raise EngineError for an operator that is neither ONNX's nor ONNX Runtime's, nor defined in the file itself."""
    own = {(function.domain, function.name) for function in model.functions}
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    for node in (found for body in bodies for found in all_nodes(body)):
        known = node.domain in KNOWN_DOMAINS and node.op_type not in RUNS_OTHER_CODE
        if not known and (node.domain, node.op_type) not in own:
            what = f"{path}: operator {node.domain or 'ai.onnx'}.{node.op_type} ({node.name or node.output[0]})"
            raise EngineError(f"{what} is a custom operator, whose code is not in the file", "export without it")


def all_nodes(nodes: Any) -> Iterator[NodeProto]:
    """Nodes, and those of the graphs inside of them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from all_nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from all_nodes(graph.node)


def require_small(path: Path, size: int) -> None:
    """Raise EngineError for a file that could not be written again as a whole."""
    if size > MOST_BYTES:
        raise EngineError(f"{path} is larger than 2 GiB, with its data", "bundles do not support networks of that size")


def require_beside(tensor: TensorProto, path: Path) -> Path:
    """Where the data of a tensor lies. Raises EngineError unless that is beside or below the file that names it."""
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    try:
        found = inside(path.parent, location)
    except Exception as error:
        what = f"{path}: the data of {tensor.name} is at {location!r}, outside its folder"
        raise EngineError(what, "put it beside the .onnx file, and save that again") from error
    if not found.is_file():
        raise EngineError(f"{path}: {location}, the data of {tensor.name}, is missing", "put it beside the .onnx file")
    return found


def input_of(model: ModelProto, path: Path) -> Tensor:
    """The one image that a file takes. Raises EngineError if it takes more, or no image."""
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [described(value) for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        what = f"{path} takes {len(inputs)} inputs ({', '.join(map(str, inputs)) or 'none'}); one image is needed"
        raise EngineError(what, "export the network with the image as its only input")
    (image,) = inputs
    if image.type not in INPUT_TYPES or len(image.shape) != 4:
        raise EngineError(f"{path} takes {image}", "an image is float32, float16 or uint8, and has 4 axes")
    return image


def output_of(model: ModelProto, name: str, path: Path) -> Tensor:
    """The output of this name, or the only one. Raises EngineError if there is none."""
    outputs = {value.name: described(value) for value in model.graph.output}
    if not name and len(outputs) == 1:
        return next(iter(outputs.values()))
    if name not in outputs:
        what = f"{path} has no output {name!r}" if name else f"{path} has {len(outputs)} outputs"
        raise EngineError(f"{what}: {', '.join(map(str, outputs.values()))}", "name one of them as output.name")
    return outputs[name]


def described(value: ValueInfoProto) -> Tensor:
    """A value of a graph."""
    kind = value.type.tensor_type
    return Tensor(value.name, tuple(dimension.dim_value for dimension in kind.shape.dim), kind.elem_type)


def keeps_contract(model: ModelProto) -> bool:
    """Whether a file takes and gives what every file of a bundle does, with sizes that are fixed."""
    values = [described(value) for value in (*model.graph.input, *model.graph.output)]
    if [value.name for value in values] != [IMAGE, LABELS]:
        return False
    image, labels = values
    fits = (image.type, labels.type) == (TensorProto.UINT8, TensorProto.INT32) and len(image.shape) == 4
    return fits and image.shape[3] == 3 and 0 not in image.shape and labels.shape == image.shape[:3]


def with_shape(model: ModelProto, shape: tuple[int, ...]) -> ModelProto:
    """A copy whose input has this shape; what was said of open sizes inside is dropped.

    Args:
        model: whose input has the sizes of `shape`, or leaves them open.
        shape: of the input.
    """
    copy = ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name for tensor in copy.graph.initializer}
    for value in copy.graph.input:
        if value.name not in constants:
            for dimension, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
                dimension.dim_value = size
    fixed = [value for value in copy.graph.value_info if 0 not in described(value).shape]
    del copy.graph.value_info[:]
    copy.graph.value_info.extend(fixed)
    return copy


def like(model: ModelProto) -> Precision:
    """The precision of a file's arithmetic, judged by its operators and constants."""
    half = any(tensor.data_type == TensorProto.FLOAT16 for _, tensor in tensors(model))
    half = half or any(casts_to(node) == TensorProto.FLOAT16 for node in model.graph.node)
    if any(is_quantized(node) for node in model.graph.node):
        return "int8-fp16" if half else "int8"
    return "fp16" if half else "fp32"


def is_quantized(node: NodeProto) -> bool:
    """Whether a node computes with levels, or to and from them."""
    name = node.op_type
    return name in ("QuantizeLinear", "DequantizeLinear") or name.startswith("QLinear") or name.endswith("Integer")


def has_unsigned_activations(model: ModelProto) -> bool:
    """Whether a file quantizes to uint8: products of those a processor may cut off when it adds them up."""
    types = {name: tensor.data_type for name, tensor in tensors(model)}
    found = set()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            zero = node.input[2] if len(node.input) > 2 else ""
            found.add(types.get(zero, TensorProto.UINT8))
    return found == {TensorProto.UINT8}


def renamed(graph: GraphProto, names: dict[str, str]) -> None:
    """Give values of a graph, and of the graphs inside of it, other names in place."""
    for node in all_nodes(graph.node):
        for values in (node.input, node.output):
            values[:] = [names.get(value, value) for value in values]
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        named.name = names.get(named.name, named.name)
