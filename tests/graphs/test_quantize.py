import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, numpy_helper

from segeval.datasets import open_dataset
from segeval.deploy.calibration_images import from_dataset
from segeval.deploy.parity import Reference, evenly, measure_parity
from segeval.files.engine_records import CalibrationMethod
from segeval.files.images import RgbImage
from segeval.graphs import quantize as quantizing
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32, network_of
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import as_far_as_quantized, find_ranges, quantize, to_int8
from segeval.graphs.session import DeployedModel
from segeval.models import Segmenter, load_model
from segeval.models.soundness import predict
from tests.rounding import settle, share_changed_by_steps

DEFAULT = CalibrationSpec()
METHODS: tuple[CalibrationMethod, ...] = ("percentile", "minmax", "entropy")


def input_scale(model: ModelProto) -> float:
    """Scale of the first quantized tensor, the normalised image."""
    node = next(
        node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "network_input"
    )
    return float(next(numpy_helper.to_array(t) for t in model.graph.initializer if t.name == node.input[1]))


@pytest.mark.parametrize("method", METHODS)
def test_every_calibration_gives_a_valid_file_close_to_torch(
    method: CalibrationMethod,
    exported: dict[str, ModelProto],
    victims: dict[str, Segmenter],
    pictures: list[RgbImage],
    capfd: pytest.CaptureFixture[str],
) -> None:
    model = to_int8(exported["espnet-synthetic"], pictures[:3], CalibrationSpec(method))
    check_qdq(model, DEFAULT)
    deployed = DeployedModel(model, optimised=False)
    changed = np.mean([deployed.predict(image) != predict(victims["espnet-synthetic"], image) for image in pictures])
    by_steps = share_changed_by_steps(exported["espnet-synthetic"], model, pictures)
    assert by_steps < 0.1
    assert by_steps / 1.5 < changed < 1.5 * by_steps
    assert capfd.readouterr().out == "", "stdout belongs to results"


def test_calibration_computes_no_more_than_what_is_quantized(
    exported: dict[str, ModelProto], pictures: list[RgbImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The enlarged logits are left out. Ranges are those of the whole network."""
    fp32 = exported["fast-scnn-synthetic"]
    whole = network_of(fp32)
    part = as_far_as_quantized(whole, DEFAULT.quantized_types)
    assert whole.graph.node[-1].op_type == "Resize"
    assert [node.op_type for node in part.graph.node] == [node.op_type for node in whole.graph.node[:-1]]
    found = find_ranges(fp32, pictures[:2], DEFAULT)
    monkeypatch.setattr(quantizing, "as_far_as_quantized", lambda network, op_types: network)
    expected = find_ranges(fp32, pictures[:2], DEFAULT)
    assert {name: data.range_value for name, data in found.items()} == {
        name: data.range_value for name, data in expected.items()
    }


@pytest.mark.parametrize("method", METHODS)
def test_calibration_measures_no_more_than_what_is_quantized(
    exported: dict[str, ModelProto], pictures: list[RgbImage], method: CalibrationMethod
) -> None:
    fp32, spec = exported["espnet-synthetic"], CalibrationSpec(method)
    found = find_ranges(fp32, pictures[:1], spec)
    constants = {tensor.name for tensor in fp32.graph.initializer}
    quantized = quantize(fp32, found, spec)
    rounded = {node.input[0] for node in quantized.graph.node if node.op_type == "QuantizeLinear"} - constants
    assert {name for name, _ in found.items()} == rounded


def test_minmax_covers_the_largest_value_and_percentile_the_bulk(
    exported: dict[str, ModelProto], victims: dict[str, Segmenter]
) -> None:
    """One bright value in a dark image decides the range of min-max, and not that of the percentile."""
    image = np.full((64, 128, 3), 120, np.uint8)
    image[5, 5, 0] = 255
    segmenter = victims["espnet-synthetic"]
    mean, std = segmenter.spec.preprocessing.mean, segmenter.spec.preprocessing.std
    normal = np.abs((image - np.array(mean)) / std)
    fp32 = exported["espnet-synthetic"]
    minmax = to_int8(fp32, [image], CalibrationSpec("minmax"))
    assert input_scale(minmax) == pytest.approx(normal.max() / 127, rel=0.02)
    assert input_scale(to_int8(fp32, [image], CalibrationSpec())) < normal.max() / 127 / 4


PEAK = """
import resource, sys, numpy as np, onnx
from segeval.graphs.quantize import as_far_as_quantized, find_ranges, to_int8
from segeval.graphs import quantize as quantizing
from segeval.graphs.calibration import CalibrationSpec
images = (np.full((64, 128, 3), level, np.uint8) for level in range(int(sys.argv[2])))
to_int8(onnx.load(sys.argv[1]), images, CalibrationSpec())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.long
def test_images_are_taken_one_at_a_time_in_constant_memory(exported: dict[str, ModelProto], tmp_path: Path) -> None:
    """ONNX Runtime's own loop keeps every activation of every image until the end: 83 MiB more for these 24."""
    onnx.save(exported["fast-scnn-synthetic"], tmp_path / "fp32.onnx")

    def peak(images: int) -> int:
        command = [sys.executable, "-c", PEAK, str(tmp_path / "fp32.onnx"), str(images)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert peak(24) - peak(1) < 40 << 10  # KiB


@pytest.mark.long
def test_published_weights_stay_close_to_torch_at_every_precision(data: Path) -> None:
    """As close as rounding lets them be, to the types of the file and to its steps of int8."""
    segmenter = load_model("espnet-camvid")
    test = open_dataset("camvid", data / "camvid", "test")
    examples = [test[index] for index in evenly(len(test), 2)]
    references = [Reference(example.image, predict(segmenter, example.image), example.labels) for example in examples]
    train = from_dataset(open_dataset("camvid", data / "camvid", "train"), "train", 4, 0)
    fp32 = export_fp32(segmenter, 360, 480)
    models = {"fp32": fp32, "fp16": to_fp16(fp32), "int8": to_int8(fp32, train, CalibrationSpec())}
    parity = {name: measure_parity(model, references, 11, name == "int8") for name, model in models.items()}
    images = [example.image for example in examples]
    for precision in ("fp32", "fp16"):
        shares = [settle(fp32, image, precision).share for image in images]
        assert parity[precision].equal >= np.mean(shares) > 0.9
    int8 = models["int8"]
    assert 1 - parity["int8"].equal < 1.5 * share_changed_by_steps(fp32, int8, images) < 0.1
    assert parity["int8"].unoptimised_equal is not None
    assert parity["int8"].unoptimised_equal >= np.mean([settle(int8, image, "int8").share for image in images]) > 0.25
