"""The values of an engine with the gradient of its file, so that an attack sees what the engine really computes.

    y = engine(x),   dy/dx = d graph(x)/dx

A floating-point simulation differs from an engine in the last level. Where that matters, the engine's own logits are
the values, and the graph only supplies the gradient.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper
from torch import Tensor, nn

from segeval.errors import EngineError
from segeval.graphs.differentiable.graph_segmenter import batch_of, logits_of
from segeval.graphs.session import open_session
from segeval.models.segmenter import LEVELS
from segeval_runner.backends import Backend
from segeval_runner.errors import BackendError

Bytes = NDArray[np.uint8]


class Replaced(torch.autograd.Function):
    """y = values, with the gradient of what they replace."""

    @staticmethod
    def forward(ctx: Any, replaced: Tensor, values: Tensor) -> Tensor:
        """Two tensors of one shape to the second."""
        return values.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """The gradient as it comes, to the first."""
        return gradient, None


class EngineInTheLoop(nn.Module):
    """A module whose logits are an engine's and whose gradient is a graph's."""

    def __init__(self, graph: nn.Module, engine: Callable[[Tensor], Tensor]) -> None:
        """graph, engine: both from (N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W)."""
        super().__init__()
        self.graph = graph
        self.engine = engine

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W). Raises EngineError if the engine's have another shape."""
        logits: Tensor = self.graph(images)
        values = self.engine(images.detach()).to(logits)
        if values.shape != logits.shape:
            what = f"the engine gives {tuple(values.shape)}, its graph {tuple(logits.shape)}"
            raise EngineError(what, "give an engine that was built of this file, and that returns its logits")
        y: Tensor = Replaced.apply(logits, values)  # type: ignore[no-untyped-call]
        return y


class OnnxRuntimeLogits:
    """The logits of a deployed file as ONNX Runtime computes them, a function for `EngineInTheLoop`."""

    def __init__(self, model: ModelProto, integers: str = "", simulated: bool = False, threads: int = 0) -> None:
        """Open a file. integers, simulated, threads: as of `open_session`. Raises EngineError."""
        self._logits, self._batch = logits_of(model), batch_of(model)
        shown = with_output(model, self._logits)
        self._session = open_session(shown, integers=integers, threads=threads, simulated=simulated)

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1], rounded to 8 bits, to logits (N, C, H, W)."""
        return in_batches(images, self._batch, self._run)

    def _run(self, images: Bytes) -> NDArray[Any]:
        (logits,) = self._session.run([self._logits], {self._session.get_inputs()[0].name: images})
        found: NDArray[Any] = logits
        return found


class BackendLogits:
    """The logits of a deployed file as an engine of the runner computes them, a function for `EngineInTheLoop`."""

    def __init__(self, backend: Backend) -> None:
        """backend: one that gives logits, was asked for them, and is active."""
        self._backend = backend

    def __call__(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1], rounded to 8 bits, to logits (N, C, H, W). Raises EngineError."""
        try:
            return in_batches(images, self._backend.job.shape[0], self._backend.logits)
        except BackendError as error:
            raise EngineError(error.what, error.hint) from error


def in_batches(images: Tensor, batch: int, run: Callable[[Bytes], NDArray[Any]]) -> Tensor:
    """(N, C, H, W) of images (N, 3, H, W) in [0, 1], rounded to 8 bits.

    Args:
        images: any number.
        batch: how many `run` takes.
        run: from (batch, H, W, 3) to (batch, C, H, W).
    """
    levels = (images * LEVELS).round().clamp(0, LEVELS).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    found = []
    for start in range(0, len(levels), batch):
        part = levels[start : start + batch]
        given = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        found.append(torch.from_numpy(run(given)[: len(part)]))
    return torch.cat(found)


def with_output(model: ModelProto, name: str) -> ModelProto:
    """The same file that also returns one of its values, in float32."""
    copy = ModelProto()
    copy.CopyFrom(model)
    if name not in {output.name for output in copy.graph.output}:
        copy.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return copy
