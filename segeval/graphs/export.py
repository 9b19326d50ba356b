"""From a network in torch to the fp32 ONNX file that every other precision is made from.

The file takes the camera's image (``image``: uint8, NHWC, RGB) and returns the label map (``labels``: int32, NHW).
Between them lie three parts, divided at two named values: normalization up to ``network_input``, the network up to
``network_output``, argmax after it. Lower precision is applied to the network alone: image levels minus a mean lose
digits in fp16, and argmax has nothing to quantize.
"""

import tempfile
import warnings
from pathlib import Path
from typing import Protocol, runtime_checkable

import onnx
import torch
from onnx import ModelProto
from onnx.utils import Extractor
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from segeval.graphs.decomposed import without_layer_normalization
from segeval.models import Deployable, Preprocessing, Segmenter

OPSET = 17
IR_VERSION = 8
IMAGE, LABELS = "image", "labels"
NETWORK_INPUT, NETWORK_OUTPUT = "network_input", "network_output"


@runtime_checkable
class OwnGraph(Protocol):
    """A network that is an ONNX graph already, so that it is composed instead of exported."""

    def composed(self, preprocessing: Preprocessing, height: int, width: int, batch: int) -> ModelProto:
        """The fp32 file between uint8 images (batch, height, width, 3) and labels, in the three parts of above."""
        ...


class Divided(nn.Module):
    """A Deployable that also returns what went into the network and what came out."""

    def __init__(self, deployable: Deployable) -> None:
        super().__init__()
        self.deployable = deployable

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images to labels, the network's input and its output."""
        seen: list[Tensor] = []
        network = self.deployable.segmenter.network
        hook = network.register_forward_hook(lambda _, inputs, output: seen.extend((*inputs, output)))
        labels = self.deployable(images)
        hook.remove()
        return labels, seen[0], seen[1]


def export_fp32(segmenter: Segmenter, height: int, width: int, batch: int = 1) -> ModelProto:
    """The fp32 file for uint8 images (batch, height, width, 3). Raises DataError for a size the network cannot take."""
    segmenter.require_size(height, width, "the image size")
    network = segmenter.network
    if isinstance(network, OwnGraph):
        return simplified(finished(network.composed(segmenter.spec.preprocessing, height, width, batch)))
    # PyTorch's newer exporter writes opset 18 or later and would have to be converted down to the 17 that
    # TensorRT 8.5 reads; the older one writes opset 17 and IR 8 itself. It announces its own retirement on each
    # call, hence the filter; the tested torch version is pinned in the constraints file.
    with tempfile.TemporaryDirectory(prefix="segeval-export-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            Divided(Deployable(segmenter)).eval(),
            (torch.zeros(batch, height, width, 3, dtype=torch.uint8),),
            file,
            input_names=[IMAGE],
            output_names=[LABELS, NETWORK_INPUT, NETWORK_OUTPUT],
            opset_version=OPSET,
            dynamo=False,
        )
        exported = onnx.load(file)
        del exported.graph.output[1:]
        return simplified(finished(exported))


def simplified(model: ModelProto) -> ModelProto:
    """A file with its network simplified, from which all precisions start.

    Folds constants, without which fp16 conversion fails on computed ones, and batch normalization into convolutions,
    which the pairs of QDQ would prevent later; takes operators apart that TensorRT 8.5 does not have.
    """
    with tempfile.TemporaryDirectory(prefix="segeval-export-") as folder:
        # As a file: given a model, it hands constants over by a way on which Resize does not find its sizes.
        network, simple = Path(folder) / "network.onnx", Path(folder) / "simple.onnx"
        onnx.save(without_layer_normalization(network_of(model)), network)
        quant_pre_process(network, simple, skip_symbolic_shape=True)
        return with_network(model, onnx.load(simple))


def network_of(model: ModelProto) -> ModelProto:
    """The middle part of an exported file as a model of its own: float32 NCHW in, logits out."""
    return Extractor(model).extract_model([NETWORK_INPUT], [NETWORK_OUTPUT])


def with_network(model: ModelProto, network: ModelProto) -> ModelProto:
    """A file with its middle part exchanged.

    Args:
        model: the file.
        network: of the same input, output and opset as `network_of` gives.
    """
    before = Extractor(model).extract_model([IMAGE], [NETWORK_INPUT])
    after = Extractor(model).extract_model([NETWORK_OUTPUT], [LABELS])
    parts = (before.graph, network.graph, after.graph)
    graph = onnx.helper.make_graph(
        [node for part in parts for node in part.node],
        model.graph.name,
        list(model.graph.input),
        list(model.graph.output),
        initializer=list({tensor.name: tensor for part in parts for tensor in part.initializer}.values()),
    )
    opset = next(opset.version for opset in model.opset_import if not opset.domain)
    joined = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    return finished(joined, model.ir_version)


def finished(model: ModelProto, ir_version: int = IR_VERSION) -> ModelProto:
    """Stamp what every file of ours carries, infer shapes and let ONNX check the whole."""
    model.ir_version = ir_version
    model.producer_name, model.producer_version = "segeval", ""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(inferred, full_check=True)
    return inferred
