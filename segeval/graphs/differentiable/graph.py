"""An ONNX file as a PyTorch module, with a gradient from its outputs to its inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import ModelProto, TensorProto
from torch import Tensor, nn

from segeval.errors import EngineError
from segeval.graphs.contract import tensors
from segeval.graphs.differentiable.node import Compute, Working, dtype_of
from segeval.graphs.differentiable.steps import Reader, Step, Value


@dataclass(frozen=True)
class Line:
    """A step with its values in numbered places. drops: places whose values nobody reads afterwards."""

    compute: Compute
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    drops: tuple[int, ...]


class DifferentiableGraph(nn.Module):
    """Computes an ONNX file, in float32 or, after ``.double()``, in float64.

    Values that are half precision in the file are rounded to it wherever an operator gives them; sums inside an
    operator are not. Levels of 8 bits are held as whole numbers in floating point. Weights are buffers without a
    gradient.

    Attributes:
        inputs: Names of the inputs.
        outputs: Names of the values that are returned.
        values: Type and shape of every value of the file.
        buffers_of: Per constant that steps read, weights among them, the buffer that holds it.
    """

    unit: Tensor

    def __init__(self, model: ModelProto | Path, outputs: Sequence[str] = ()) -> None:
        """Read a file.

        Args:
            model: The file. It is not changed.
            outputs: Any values of the file to return, instead of its outputs.

        Raises:
            EngineError: If something of the file cannot be computed here, or a value is not there.
        """
        super().__init__()
        loaded = onnx.load(model) if isinstance(model, Path) else model
        check(loaded)
        self._working = Working()
        reader = Reader(loaded, self._working)
        stored = {tensor.name for tensor in loaded.graph.initializer}
        self.inputs = tuple(each.name for each in loaded.graph.input if each.name not in stored)
        self.outputs = tuple(outputs) or tuple(each.name for each in loaded.graph.output)
        self.values = reader.values
        self.register_buffer("unit", torch.ones(()), persistent=False)
        self._arrange(reader, reader.needed(self.outputs))

    def _arrange(self, reader: Reader, steps: Sequence[Step]) -> None:
        """Give every value a place, constants one that a buffer fills."""
        made = {name for step in steps for name in step.outputs} | set(self.inputs)
        read = {name for step in steps for name in step.inputs} | set(self.outputs)
        missing = sorted(read - made - reader.constants.keys() - {""})
        if missing:
            raise EngineError(f"the file has no value {missing[0]}", "name one of its values")
        kept = [name for name in reader.constants if name in read - made]
        places = {name: place for place, name in enumerate(["", *self.inputs, *kept, *sorted(made - set(self.inputs))])}
        self._size = len(places)
        self._integers: dict[int, Tensor] = {}
        self._floats: dict[int, str] = {}
        for name in kept:
            value = reader.constants[name]
            if value.is_floating_point():
                self._floats[places[name]] = f"constant_{places[name]}"
                self.register_buffer(self._floats[places[name]], value, persistent=False)
            else:
                self._integers[places[name]] = value  # on the CPU, where shapes are computed
        self.buffers_of = {name: self._floats[places[name]] for name in kept if places[name] in self._floats}
        self._results = tuple(places[name] for name in self.outputs)
        lines = [Line(s.compute, at(places, s.inputs), at(places, s.outputs), ()) for s in steps]
        fixed = {0, *self._results, *(places[name] for name in kept)}
        self._lines = with_drops(lines, fixed)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs, in the order of `outputs`.

        Args:
            inputs: One per input of the file, of its shape. Integers of 8 bits may be given in floating point.

        Raises:
            EngineError: If the number or a shape of the inputs is not the file's.
        """
        if len(inputs) != len(self.inputs):
            raise EngineError(f"the file has inputs {', '.join(self.inputs)}; {len(inputs)} were given", "")
        self._working.dtype = self.unit.dtype
        values: list[Tensor | None] = [None] * self._size
        for place, (name, given) in enumerate(zip(self.inputs, inputs, strict=True), 1):
            values[place] = self._taken(name, given)
        for place, constant in self._integers.items():
            values[place] = constant
        for place, buffer in self._floats.items():
            values[place] = self._buffers[buffer]
        for line in self._lines:
            results = line.compute(*[values[place] for place in line.inputs])
            for place, result in zip(line.outputs, (results,) if isinstance(results, Tensor) else results, strict=True):
                values[place] = result
            for place in line.drops:
                values[place] = None
        found = [values[place] for place in self._results]
        return tuple(value for value in found if value is not None)

    def _taken(self, name: str, given: Tensor) -> Tensor:
        """An input in the type that it is computed in."""
        value = self.values.get(name, Value())
        shape = value.shape if value.shape is not None else given.shape
        fits = len(shape) == given.ndim and all(a in (None, b) for a, b in zip(shape, given.shape, strict=True))
        if not fits:
            raise EngineError(f"{name} is {tuple(given.shape)}; the file takes {shape}", "bring it to that shape")
        return given.to(dtype_of(value.element, self._working))


def check(model: ModelProto) -> None:
    """Raise EngineError unless ONNX's checker accepts a file, and it is complete and holds only tensors."""
    for name, tensor in tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            what = f"the file stores the values of {tensor.name or name} in another file"
            raise EngineError(what, "save the network as a single ONNX file")
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:  # of several libraries
        raise EngineError(f"not a valid ONNX file: {error}", "export the network again") from error
    stored = {tensor.name for tensor in model.graph.initializer}
    for each in model.graph.input:
        kind = each.type.tensor_type
        if each.name not in stored and kind.elem_type == TensorProto.UNDEFINED:
            raise EngineError(
                f"input {each.name} is not a tensor", "export the network with tensors as its only inputs"
            )
        if any(axis.HasField("dim_value") and axis.dim_value == 0 for axis in kind.shape.dim):
            raise EngineError(f"input {each.name} has no values", "export the network for a fixed image size")


def at(places: dict[str, int], names: Sequence[str]) -> tuple[int, ...]:
    """Places of values."""
    return tuple(places[name] for name in names)


def with_drops(lines: Sequence[Line], fixed: set[int]) -> list[Line]:
    """The same lines, each with the values that it is the last to read. fixed: places that are kept."""
    seen, found = set(fixed), list[Line]()
    for line in reversed(lines):
        last = (set(line.inputs) | set(line.outputs)) - seen
        seen |= last
        found.insert(0, Line(line.compute, line.inputs, line.outputs, tuple(sorted(last))))
    return found
