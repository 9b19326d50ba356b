"""The network of a card whose source is an ONNX file."""

from dataclasses import replace
from pathlib import Path

import onnx
import torch
from onnx import ModelProto
from onnx.external_data_helper import uses_external_data
from torch import Tensor, nn

from segeval.errors import EngineError
from segeval.graphs.brought import input_of
from segeval.graphs.contract import tensors
from segeval.graphs.differentiable import DifferentiableGraph
from segeval.graphs.export import OPSET, finished
from segeval.graphs.given.file import answer_of, computed, logits_behind, of_shape, producers_of, read_float
from segeval.graphs.given.graph_adapters import (
    Answer,
    freed,
    network_graph,
    require_answer,
    scores,
    with_camera,
    without_last,
)
from segeval.graphs.given.opset import at_opset_17, opset_of, require_equal
from segeval.models import Preprocessing
from segeval.models.cards.card import ModelCard
from segeval.models.cards.opening import Opened, require_file


class OnnxNetwork(nn.Module):
    """A float ONNX file as a network: normalized images in, logits of the images' size out.

    One graph serves both ends: it is computed with a gradient where the network is attacked, and lies inside the
    deployed file. It is made for every size of images anew, as the file's open sizes are fixed by them.

    Attributes:
        card: what it is.
        path: of the file.
    """

    def __init__(self, card: ModelCard, path: Path, model: ModelProto | None = None) -> None:
        """Take the file of a card. Raises EngineError, ConfigurationError.

        Args:
            card: what it is.
            path: of the file.
            model: what `read_float` gave of it, which is changed; None to read it.
        """
        super().__init__()
        self.card, self.path = card, path
        self._model = model if model is not None else read_float(path)
        self._image = input_of(self._model, path)
        answer = self._value()
        taken = freed(self._model)
        self._input = taken.get(self._image.name, self._image.name)
        self._answer = replace(answer, name=taken.get(answer.name, answer.name))
        self._made: tuple[tuple[int, int], nn.Module] | None = None

    @property
    def channels_last(self) -> bool:
        """Whether the file takes (N, H, W, 3)."""
        return self.card.input.layout == "NHWC"

    def _value(self) -> Answer:
        """The value that is the answer, of a shape that is not known yet."""
        given = self.card.output
        name = answer_of(self._model, given.name, self.path)
        if given.kind != "labels":
            return Answer(name, (), given.kind, given.layout == "NHWC")
        logits, axis = logits_behind(self._model, name, self.path)
        behind = producers_of(self._model).get(logits)
        sure = behind is not None and behind.op_type in ("Softmax", "Sigmoid")
        return Answer(logits, (), "probabilities" if sure else "logits", axis in (3, -1))

    @property
    def said(self) -> tuple[str, ...]:
        """Notes on how the file is used."""
        found = []
        if self.card.output.kind == "labels":
            found.append(
                f"{self.card.name}: the final ArgMax is left out; the attack is made on its input, {self._answer.name}."
            )
        opset = opset_of(self._model)
        if opset != OPSET:
            found.append(f"{self.card.name}: opset {opset} is converted to {OPSET}, which must compute the same")
        return tuple(found)

    def graph(self, height: int, width: int, batch: int = 1) -> ModelProto:
        """From ``network_input`` (batch, 3, height, width) to ``network_output`` (batch, classes, height, width).

        Raises ConfigurationError for a size that the file cannot take or an answer that is not what the card says,
        EngineError if opset 17 cannot express it.
        """
        size, classes = (height, width), len(self.card.outputs)
        shape = (batch, *size, 3) if self.channels_last else (batch, 3, *size)
        fixed = of_shape(self._model, self._image, shape, self.path)
        values = computed(fixed, self._answer.name, self.path)
        answer = replace(self._answer, shape=values.shape)
        require_answer(answer, values, batch, classes, self.card.path)
        if answer.inner == size:
            answer = without_last(fixed, answer)
        after = scores(answer, self.card.output, classes, batch, size)
        older = at_opset_17(fixed, str(self.path))
        joined = finished(network_graph(older, self._input, self.channels_last, after, classes, batch, size))
        if opset_of(fixed) != OPSET:
            require_equal(fixed, older, str(self.path))
        return joined

    def composed(self, preprocessing: Preprocessing, height: int, width: int, batch: int) -> ModelProto:
        """The fp32 file between uint8 images (batch, height, width, 3) and labels; see `graph`."""
        return with_camera(self.graph(height, width, batch), preprocessing, batch, (height, width))

    def forward(self, normal: Tensor) -> Tensor:
        """(N, 3, H, W) as the card says to logits (N, C, H, W); images one by one, so that none depends on another."""
        graph = self._at((normal.shape[2], normal.shape[3])).to(normal.device)
        return torch.cat([graph(image)[0] for image in torch.split(normal, 1)])

    def _at(self, size: tuple[int, int]) -> nn.Module:
        """The graph for images of a size."""
        if self._made is None or self._made[0] != size:
            try:
                with torch.inference_mode(False):  # the first image may come without a gradient, later ones with one
                    self._made = size, DifferentiableGraph(self.graph(*size))
            except EngineError as error:
                raise EngineError(f"{self.path}: {error.what}", error.hint) from error
        return self._made[1]


def open_onnx(card: ModelCard) -> Opened:
    """The network of a card whose source is an ONNX file. Raises ConfigurationError, EngineError."""
    path = require_file(card, card.source.named, "onnx")
    network = OnnxNetwork(card, path)
    return Opened(network, (path, *outside(path)), network.said)


def outside(path: Path) -> list[Path]:
    """Files beside an ONNX file that hold its weights."""
    model = onnx.load(path, load_external_data=False)
    names = {
        entry.value
        for _, tensor in tensors(model)
        if uses_external_data(tensor)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    return [path.parent / name for name in sorted(names)]
