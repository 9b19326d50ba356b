"""Deployed files broken in one place each: the project's checker finds all, NVIDIA's compiler some. This says which."""

from pathlib import Path

import pytest
from onnx import ModelProto

from segeval.errors import EngineError
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.qdq import check_qdq
from segeval_runner.backends import Settings
from segeval_runner.backends.tensorrt.ahead import build_ahead
from segeval_runner.errors import BackendError
from tests.graphs import broken
from tests.graphs.broken import Spoil
from tests.tensorrt_build.conftest import MakeJob

REFUSED: dict[Spoil, str] = {
    broken.transposed_image: "first input has type UInt8 but must have type Float",
    broken.unknown_operator: "operator: Det",
    broken.nonzero_zero_point: "Non-zero zero point is not supported",
    broken.unsigned_in_the_middle: "Non-zero zero point is not supported",
    broken.zero_scale: "Scale coefficients must all be positive",
    broken.negative_scale: "Scale coefficients must all be positive",
    broken.scale_that_is_no_number: "Scale coefficients must all be positive",
    broken.too_few_scales: "number of scales is not equal to the number of output channels",
    broken.scales_along_the_wrong_axis: "number of scales is not equal to the number of output channels",
    broken.half_scale: "Invalid Node",
    broken.quantized_bias: "The quantization axis must index a dimension of the input",
    broken.integer_bias: "input has type Int32 but must have type",
    broken.rounded_residual: "Invalid Node",
    broken.other_operator_takes_integers: "`inputs` must all be",
    broken.nothing_quantized: "Node input was not registered",
    broken.long_output: "does not match the ONNX",
    broken.float_input: "reads its tensors as {'image': 'FLOAT'",
    broken.channels_first: "broadcast dimensions must be conformable",
    broken.dynamic_batch: "no optimization profile has been defined",
}
"""What NVIDIA's parser or builder says of those that it refuses. The checker refuses them before."""

BUILT: dict[Spoil, int] = {
    broken.unsigned: 52,
    broken.no_zero_point: 52,
    broken.one_scale_for_all_weights: 52,
    broken.different_scales_in_a_pair: 52,
    broken.stored_integers: 52,
    broken.scale_per_channel_of_an_activation: 51,
    broken.unquantized_activation: 51,
    broken.unquantized_weight: 51,
    broken.double_precision: 52,
    broken.foreign_operator: 52,
    broken.later_opset: 52,
    broken.later_ir: 52,
    broken.half_constant: 52,
}
"""How many convolutions read int8 in what NVIDIA builds of those that the checker alone refuses."""


@pytest.mark.parametrize("spoil", REFUSED, ids=lambda spoil: spoil.__name__)
def test_both_refuse(int8: ModelProto, spoil: Spoil, make_job: MakeJob, tmp_path: Path) -> None:
    model = spoilt(int8, spoil)
    with pytest.raises(EngineError):
        check_qdq(model, CalibrationSpec())
    with pytest.raises(BackendError) as raised:
        build_ahead(make_job(model), Settings(1, tmp_path), ("8.6",), lambda *said: None)
    assert REFUSED[spoil] in raised.value.what


@pytest.mark.parametrize("spoil", BUILT, ids=lambda spoil: spoil.__name__)
def test_the_checker_alone_refuses(int8: ModelProto, spoil: Spoil, make_job: MakeJob, tmp_path: Path) -> None:
    model = spoilt(int8, spoil)
    with pytest.raises(EngineError):
        check_qdq(model, CalibrationSpec())
    facts = build_ahead(make_job(model), Settings(1, tmp_path), ("8.6",), lambda *said: None).facts
    assert facts["convolutions"]["int8 to fp32"] == BUILT[spoil]


def spoilt(model: ModelProto, spoil: Spoil) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    spoil(copy)
    return copy
