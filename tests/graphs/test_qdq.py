from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.contract import check_contract
from segeval.graphs.export import network_of, with_network
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import network_inputs, to_int8
from tests.graphs import broken as broken_files

DEFAULT = CalibrationSpec()


@pytest.fixture(scope="module")
def fp32(exported: dict[str, ModelProto]) -> ModelProto:
    return exported["espnet-synthetic"]


@pytest.fixture(scope="module")
def good(fp32: ModelProto, pictures: list[RgbImage]) -> ModelProto:
    return to_int8(fp32, pictures[:2], CalibrationSpec("minmax"))


@pytest.fixture
def broken(good: ModelProto) -> ModelProto:
    """A copy to break."""
    copy = ModelProto()
    copy.CopyFrom(good)
    return copy


def test_our_file_follows_every_rule(good: ModelProto) -> None:
    check_qdq(good, DEFAULT)


@pytest.mark.parametrize("network", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_more_operators_can_be_quantized_under_the_same_rules(
    network: str, exported: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    spec = CalibrationSpec("minmax", op_types=("Conv", "ConvTranspose", "Add"))
    check_qdq(to_int8(exported[network], pictures[:2], spec), spec)


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (broken_files.nonzero_zero_point, "zero-point must be 0"),
        (broken_files.unsigned, "zero-point must be int8"),
        (broken_files.no_zero_point, "zero-point must be a stored constant"),
        (broken_files.half_scale, "scale must be fp32"),
        (broken_files.zero_scale, "positive number"),
        (broken_files.one_scale_for_all_weights, "one scale per output channel"),
        (broken_files.scales_along_the_wrong_axis, "one scale per output channel"),
        (broken_files.quantized_bias, "bias must not be quantized"),
        (broken_files.unquantized_activation, "activation must come through DequantizeLinear"),
        (broken_files.unquantized_weight, "weight must come through DequantizeLinear"),
        (broken_files.rounded_residual, "Add must not be quantized"),
        (broken_files.other_operator_takes_integers, "only DequantizeLinear may take int8"),
        (broken_files.stored_integers, "in a pair"),
        (broken_files.different_scales_in_a_pair, "those of its QuantizeLinear"),
        (broken_files.nothing_quantized, "nothing is quantized"),
        (broken_files.later_opset, "opset 17"),
        (broken_files.later_ir, "IR 8"),
        (broken_files.foreign_operator, "standard operators"),
        (broken_files.float_input, "input must be uint8"),
        (broken_files.long_output, "output must be int32"),
        (broken_files.channels_first, r"\(N, H, W, 3\)"),
        (broken_files.dynamic_batch, r"\(N, H, W, 3\)"),
        (broken_files.half_constant, "must not hold fp16"),
        (broken_files.negative_scale, "positive number"),
        (broken_files.scale_that_is_no_number, "positive number"),
        (broken_files.too_few_scales, "one scale per output channel"),
        (broken_files.scale_per_channel_of_an_activation, "one scale for the whole tensor"),
        (broken_files.unsigned_in_the_middle, "zero-point must be int8"),
        (broken_files.integer_bias, "in a pair"),
        (broken_files.transposed_image, "image is UINT8"),
        (broken_files.unknown_operator, "has no operator Det"),
        (broken_files.double_precision, "added: TensorRT's Relu takes FLOAT, FLOAT16; wide is DOUBLE"),
    ],
)
def test_every_broken_rule_is_found(broken: ModelProto, spoil: Callable[[ModelProto], None], rule: str) -> None:
    spoil(broken)
    with pytest.raises(EngineError, match=rule):
        check_qdq(broken, DEFAULT)


def test_what_onnx_runtime_quantizes_by_default_is_refused(
    fp32: ModelProto, pictures: list[RgbImage], tmp_path: Path
) -> None:
    class Reader(CalibrationDataReader):  # type: ignore[misc]
        inputs = network_inputs(fp32, pictures[:2])

        def get_next(self) -> dict[str, object] | None:
            value = next(self.inputs, None)
            return None if value is None else {"network_input": value}

    network = network_of(fp32)
    onnx.save(network, tmp_path / "network.onnx")
    quantize_static(tmp_path / "network.onnx", tmp_path / "int8.onnx", Reader(), QuantFormat.QDQ)
    by_default = with_network(fp32, onnx.load(tmp_path / "int8.onnx"))
    with pytest.raises(EngineError, match=r"must be 0|must be int8|must not be quantized|in a pair"):
        check_qdq(by_default, DEFAULT)


def test_an_fp16_file_without_half_precision_is_refused(fp32: ModelProto) -> None:
    with pytest.raises(EngineError, match="must hold fp16 weights"):
        check_contract(fp32, "fp16")


def test_normalization_in_half_precision_is_refused(fp32: ModelProto) -> None:
    model = to_fp16(fp32)
    for value in model.graph.value_info:
        if value.name == "network_input":
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    with pytest.raises(EngineError, match="normalization must be fp32"):
        check_contract(model, "fp16")


def test_a_half_precision_cast_in_an_fp32_file_is_refused(fp32: ModelProto) -> None:
    model = ModelProto()
    model.CopyFrom(fp32)
    model.graph.node.append(helper.make_node("Cast", ["network_input"], ["half"], "half", to=TensorProto.FLOAT16))
    with pytest.raises(EngineError, match="half: an fp32 file must not hold fp16"):
        check_contract(model, "fp32")
