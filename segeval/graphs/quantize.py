"""int8 by explicit quantization (QDQ), in one form for TensorRT 8.5 to 11 and ONNX Runtime.

By default only convolutions are quantized, and everything else keeps exact values. Of all the sets of operators that
were measured, this one is closest to fp32 (docs/quantization.md). `placement` has the alternative.
"""

import contextlib
import io
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper
from onnx.utils import Extractor
from onnxruntime.quantization import CalibrationDataReader, QuantType
from onnxruntime.quantization.calibrate import (
    CalibraterBase,
    EntropyCalibrater,
    MinMaxCalibrater,
    PercentileCalibrater,
    TensorData,
    TensorsData,
)
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import IMAGE, NETWORK_INPUT, network_of, with_network
from segeval.graphs.placement import DQ, Placement, Q
from segeval.graphs.session import SHORT_WAIT, open_session

LARGEST_BIAS = 2.0**30
"""Of what int32 holds, a half is left to the products of activations and weights."""


class OneImage(CalibrationDataReader):  # type: ignore[misc]
    """A single calibration input. ONNX Runtime keeps every activation of what a reader yields before it counts them."""

    def __init__(self, inputs: dict[str, NDArray[Any]]) -> None:
        self._inputs: dict[str, NDArray[Any]] | None = inputs

    def get_next(self) -> dict[str, NDArray[Any]] | None:
        """The input, then None."""
        inputs, self._inputs = self._inputs, None
        return inputs


class OfNeeded(CalibraterBase):  # type: ignore[misc]
    """Finds the ranges of `needed` tensors alone: a calibrator holds all that it measures of an image at once."""

    needed: Collection[str] = ()

    def select_tensors_to_calibrate(self, model: ModelProto) -> tuple[set[str], dict[str, onnx.ValueInfoProto]]:
        """Names of the tensors, and the types of all."""
        found, types = super().select_tensors_to_calibrate(model)
        return found & set(self.needed), types

    def create_inference_session(self) -> None:
        """The session that ONNX Runtime makes, with SHORT_WAIT."""
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry(*SHORT_WAIT)
        self.infer_session = onnxruntime.InferenceSession(
            self.augmented_model_path, options, providers=self.execution_providers
        )


class PercentileOfNeeded(OfNeeded, PercentileCalibrater):  # type: ignore[misc]
    """By a percentile."""


class MinMaxOfNeeded(OfNeeded, MinMaxCalibrater):  # type: ignore[misc]
    """By the smallest and the largest value."""


class EntropyOfNeeded(OfNeeded, EntropyCalibrater):  # type: ignore[misc]
    """By the entropy of histograms."""


METHODS = {"percentile": PercentileOfNeeded, "minmax": MinMaxOfNeeded, "entropy": EntropyOfNeeded}


def to_int8(fp32: ModelProto, images: Iterable[RgbImage], spec: CalibrationSpec) -> ModelProto:
    """The same file with its network in int8 QDQ form.

    Args:
        fp32: the exported file.
        images: (H, W, 3) RGB, for calibration, taken one at a time.
        spec: how to quantize.
    """
    return quantize(fp32, find_ranges(fp32, images, spec), spec)


def quantize(fp32: ModelProto, ranges: Any, spec: CalibrationSpec, nodes: Collection[str] | None = None) -> ModelProto:
    """The same file with its network in QDQ form, by ranges that were found.

    Args:
        fp32: the exported file.
        ranges: per tensor, as ONNX Runtime's calibrator gives them.
        spec: how it is quantized.
        nodes: names of those that may be quantized, at least one; None for all of the operators that `spec` names.
    """
    network = network_of(fp32)
    placement = Placement(network, spec, nodes)
    quantizer = QDQQuantizer(
        network,
        per_channel=spec.per_channel,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8 if spec.activations == "int8" else QuantType.QUInt8,
        tensors_range=shared(ranges, placement.sharing),
        nodes_to_quantize=placement.names() if spec.placement == "fused" else list(nodes or ()),
        nodes_to_exclude=[],
        op_types_to_quantize=list(spec.quantized_types),
        extra_options={
            "ActivationSymmetric": spec.activations == "int8",
            "WeightSymmetric": True,
            "AddQDQPairToWeight": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(spec.quantized_types),
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized = quantizer.model.model
    keep_others_exact(quantized, placement)
    if spec.placement == "fused":
        leave_room_for_bias(quantized)
    return with_network(fp32, quantized)


def keep_others_exact(network: ModelProto, placement: Placement) -> None:
    """Restore the exact values of inputs that must not be rounded, and remove Q/DQ pairs that are then unused.

    ONNX Runtime gives the rounded values of a tensor to every operator that reads it, so that a residual sum next
    to a quantized convolution is rounded too. With min-max ranges that alone cost ESPNet 6 points of mIoU.
    """
    producer = {node.output[0]: node for node in network.graph.node}
    for node in network.graph.node:
        if node.op_type in (Q, DQ):
            continue
        for position, name in enumerate(node.input):
            dequantize = producer.get(name)
            if dequantize is not None and dequantize.op_type == DQ and not placement.rounds(node, position):
                node.input[position] = producer[dequantize.input[0]].input[0]
    for kind in (DQ, Q):
        read = {name for node in network.graph.node for name in node.input}
        for node in [node for node in network.graph.node if node.op_type == kind and node.output[0] not in read]:
            network.graph.node.remove(node)


def leave_room_for_bias(network: ModelProto) -> None:
    """Raise scales of weights until the bias takes no more than half of the int32 that a convolution adds up in.

    An integer kernel counts the bias in steps of scale of activations × scale of weights. A channel whose weights died
    in training has so small a step that its bias fills the int32, and the sum would wrap: ONNX Runtime's quantizer
    leaves it 2^31 - 1 of them. What such weights lose is below 2^-30 of the bias.
    """
    producer = {node.output[0]: node for node in network.graph.node}
    constants = {tensor.name: tensor for tensor in network.graph.initializer}

    def scale(dequantized: str) -> TensorProto:
        found: TensorProto = constants[producer[dequantized].input[1]]
        return found

    for node in network.graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[1] in producer:
            weights = scale(node.input[1])
            bias = np.abs(numpy_helper.to_array(constants[node.input[2]]))
            least = bias / (numpy_helper.to_array(scale(node.input[0])) * LARGEST_BIAS)
            raised = np.maximum(numpy_helper.to_array(weights), least if weights.dims else least.max())
            weights.CopyFrom(numpy_helper.from_array(raised.astype(np.float32), weights.name))


def shared(ranges: Any, sharing: Collection[Collection[str]]) -> Any:
    """The ranges, with that of the widest for all values that share a scale."""
    if not sharing:
        return ranges
    found = dict(ranges.items())
    for values in sharing:
        lowest, highest = zip(*(found[name].range_value for name in values), strict=True)
        widest = TensorData(lowest=np.min(lowest), highest=np.max(highest))
        found.update(dict.fromkeys(values, widest))
    return TensorsData(ranges.calibration_method, found)


def find_ranges(fp32: ModelProto, images: Iterable[RgbImage], spec: CalibrationSpec) -> Any:
    """The range of every activation, by ONNX Runtime's calibrator, in constant memory."""
    options: dict[str, Any] = {"symmetric": spec.activations == "int8"}
    if spec.method == "percentile":
        options["percentile"] = spec.percentile
    with tempfile.TemporaryDirectory(prefix="segeval-int8-") as folder, quiet():
        file = Path(folder) / "network.onnx"
        network = network_of(fp32)
        onnx.save(as_far_as_quantized(network, spec.quantized_types), file)
        augmented = str(file.with_name("augmented.onnx"))
        calibrator = METHODS[spec.method](file, list(spec.quantized_types), augmented, **options)
        calibrator.needed = rounded_values(network, spec)
        calibrator.augment_graph()
        calibrator.create_inference_session()
        for value in network_inputs(fp32, images):
            calibrator.collect_data(OneImage({NETWORK_INPUT: value}))
        return calibrator.compute_data()


def rounded_values(network: ModelProto, spec: CalibrationSpec) -> set[str]:
    """What quantized operators read, and what shares a scale with it: what they write is rounded where it is read."""
    read = {name for node in network.graph.node if node.op_type in spec.quantized_types for name in node.input}
    return read.union(*Placement(network, spec, None).sharing)


def as_far_as_quantized(network: ModelProto, op_types: Collection[str]) -> ModelProto:
    """The network without what comes after the last operators of these types.

    What a calibrator keeps of an image is all there is at once, and logits of the size of the image are much of it.
    """
    nodes = [node for node in network.graph.node if node.op_type in op_types]
    producer = {output: node for node in network.graph.node for output in node.output}
    before: set[str] = set()
    found = [name for node in nodes for name in node.input]
    while found:
        name = found.pop()
        if name in producer and name not in before:
            before.add(name)
            found.extend(producer[name].input)
    ends = [name for node in nodes for name in node.output if name not in before]
    return Extractor(network).extract_model([NETWORK_INPUT], ends) if ends else network


def network_inputs(fp32: ModelProto, images: Iterable[RgbImage]) -> Iterator[NDArray[Any]]:
    """What the network is given for each image: the file's own normalization of it."""
    normalization = open_session(Extractor(fp32).extract_model([IMAGE], [NETWORK_INPUT]))
    batch = normalization.get_inputs()[0].shape[0]
    for image in images:
        yield normalization.run([NETWORK_INPUT], {IMAGE: image[None].repeat(batch, axis=0)})[0]


def quiet() -> contextlib.AbstractContextManager[Any]:
    """ONNX Runtime's calibrators print to stdout, which belongs to results."""
    return contextlib.redirect_stdout(io.StringIO())
