"""A deployed file as attacks use a network: images in, logits out, with the gradient of the deployed file."""

from pathlib import Path

import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper
from torch import Tensor, nn

from segeval.errors import EngineError
from segeval.graphs.contract import shape_of
from segeval.graphs.differentiable.graph import DifferentiableGraph
from segeval.models.segmenter import LEVELS

AFTER = ("Cast", "Identity", "Reshape", "Squeeze")
"""Operators that may lie between ArgMax and the label map."""
CONTRACT = "deploy the network with segeval, whose files take uint8 images (N, H, W, 3) and give label maps (N, H, W)"


class GraphSegmenter(nn.Module):
    """Computes a deployed file as a function of RGB images in [0, 1].

    The image enters without being rounded to 8 bits: a whole level is what the file sees, and what lies between two of
    them is what an attack still has to round. Images are computed in the batches that the file was made for, one by one
    where that is not fixed, so that no result depends on what else is in a batch.

    Attributes:
        graph: The file.
        batch: How many images it takes at once.
    """

    def __init__(self, model: ModelProto | Path) -> None:
        """Read a file. Raises EngineError for what cannot be computed, or if it is no file of label maps."""
        super().__init__()
        loaded = onnx.load(model) if isinstance(model, Path) else model
        self.batch = batch_of(loaded)
        self.graph = DifferentiableGraph(loaded, [logits_of(loaded)])
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W).

        Raises:
            EngineError: If the file takes another size, or has no gradient from the logits to the image.
        """
        # Channels last, as the file takes them, also behind its Transpose: convolutions are faster on the CPU.
        levels = (images * LEVELS).contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        logits = torch.cat([self._logits(part) for part in torch.split(levels, self.batch)]).contiguous()
        if images.requires_grad and torch.is_grad_enabled() and not logits.requires_grad:
            what = "the file has no gradient from its logits to the image: integers or comparisons are between them"
            raise EngineError(what, "export the network without casts to integers of 32 or 64 bits")
        return logits

    def _logits(self, levels: Tensor) -> Tensor:
        """Of as many images as the file takes, or fewer."""
        missing = self.batch - len(levels)
        given = torch.cat([levels, levels[-1:].expand(missing, -1, -1, -1)]) if missing else levels
        logits: Tensor = self.graph(given)[0]
        return logits[: len(levels)]


def batch_of(model: ModelProto) -> int:
    """How many images a file takes at once; 1 if that is not fixed. Raises EngineError unless it takes images."""
    image = model.graph.input[0]
    shape, element = shape_of(image), image.type.tensor_type.elem_type
    if len(model.graph.input) != 1 or element != TensorProto.UINT8 or len(shape) != 4 or shape[3] != 3:
        kind = TensorProto.DataType.Name(element)
        raise EngineError(f"input {image.name} of the file is {kind} {shape}", CONTRACT)
    return shape[0] or 1


def logits_of(model: ModelProto) -> str:
    """The name of the value whose largest channel is the label. Raises EngineError if there is none."""
    producers: dict[str, NodeProto] = {name: node for node in model.graph.node for name in node.output}
    name = model.graph.output[0].name
    while name in producers and producers[name].op_type in AFTER:
        name = producers[name].input[0]
    node = producers.get(name)
    if node is None or node.op_type != "ArgMax":
        raise EngineError(f"output {model.graph.output[0].name} of the file is not a label map of an ArgMax", CONTRACT)
    axis = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "axis"), 0)
    if axis not in (1, -3):
        raise EngineError(f"ArgMax {node.name} is along axis {axis}, not along the channels", CONTRACT)
    logits: str = node.input[0]
    return logits
