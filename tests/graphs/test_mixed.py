"""int8-fp16 files: the same quantization, with everything else of the network in half precision."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from segeval.datasets import open_dataset
from segeval.deploy import deploy, replay
from segeval.deploy.calibration_images import from_dataset
from segeval.deploy.engine_files import at_precision, written_and_proved
from segeval.deploy.targets import JETPACKS
from segeval.errors import EngineError
from segeval.files.bundles import BundleFolder
from segeval.files.images import RgbImage
from segeval.files.set_folder import SetFolder
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.contract import check_contract
from segeval.graphs.export import NETWORK_INPUT, NETWORK_OUTPUT, export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.mixed import SMALLEST, file_form, needs_flagged_file, to_int8_fp16
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel
from segeval.models import load_model
from segeval.precision import Precision
from segeval.registry import TARGETS
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.bundle import Bundle
from segeval_runner.digests import sealed
from segeval_runner.errors import BackendError, BundleError
from segeval_runner.manifest import parse
from segeval_runner.replay import job_of
from tests.rounding import settle

if TYPE_CHECKING:
    from tests.graphs.conftest import Trained

MakeSet = Callable[..., Path]
ONE = ("espnet-synthetic",)
DEFAULT = CalibrationSpec()
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")


@pytest.fixture(scope="module")
def int8(exported: dict[str, ModelProto], pictures: list[RgbImage]) -> dict[str, ModelProto]:
    """Not to be changed."""
    return {name: to_int8(exported[name], pictures[:2], CalibrationSpec("minmax")) for name in NETWORKS}


def copy_of(model: ModelProto) -> ModelProto:
    copy = ModelProto()
    copy.CopyFrom(model)
    return copy


def constants(model: ModelProto) -> dict[str, TensorProto]:
    return {tensor.name: tensor for tensor in model.graph.initializer}


def scales(model: ModelProto, of_weights: bool) -> list[str]:
    """Names of the scales of weights, or of activations."""
    stored = constants(model)
    pairs = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    return [node.input[1] for node in pairs if (node.input[0] in stored) == of_weights]


def set_constant(model: ModelProto, name: str, value: NDArray[np.generic]) -> None:
    constants(model)[name].CopyFrom(numpy_helper.from_array(value, name))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_whole_network_but_the_integers_is_in_half_precision(network: str, int8: dict[str, ModelProto]) -> None:
    before = int8[network].SerializeToString()
    model = to_int8_fp16(int8[network])
    assert int8[network].SerializeToString() == before
    check_qdq(model, DEFAULT, "int8-fp16")
    assert (model.opset_import[0].version, model.ir_version) == (19, 9)
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    made = [name for node in model.graph.node if node.op_type != "Cast" for name in node.output]
    single = {name for name in made if types.get(name) == TensorProto.FLOAT}
    of_normalization = {name for name in single if name.startswith("/deployable/") and "/network/" not in name}
    assert single - of_normalization <= {NETWORK_INPUT, NETWORK_OUTPUT}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) == sum(n.op_type in ("QuantizeLinear", "DequantizeLinear") for n in int8[network].graph.node)


@pytest.mark.parametrize("network", NETWORKS)
def test_its_labels_are_those_of_int8_but_for_rounding(network: str, trained: "Trained") -> None:
    whole = to_int8(trained.files[network], trained.calibration, CalibrationSpec())
    mixed = DeployedModel(to_int8_fp16(whole))
    for image in trained.scenes:
        settled = settle(whole, image, "int8-fp16")
        settled.require(mixed.predict(image))
        assert (mixed.predict(image) != settled.labels).any(), "half precision leaves its mark"


@pytest.mark.long
def test_published_weights_keep_the_labels_of_int8_but_for_rounding(data: Path) -> None:
    segmenter = load_model("espnet-camvid")
    test = open_dataset("camvid", data / "camvid", "test")
    train = from_dataset(open_dataset("camvid", data / "camvid", "train"), "train", 4, 0)
    int8 = to_int8(export_fp32(segmenter, 360, 480), train, CalibrationSpec())
    small = [name for name in scales(int8, True) if numpy_helper.to_array(constants(int8)[name]).min() < SMALLEST]
    assert small, "channels that died in training: without raised scales there would be no file"
    mixed = to_int8_fp16(int8)
    check_qdq(mixed, DEFAULT, "int8-fp16")
    for image in (test[0].image, test[120].image):
        settle(int8, image, "int8-fp16").require(DeployedModel(mixed).predict(image))


def test_small_scales_of_weights_are_raised_and_the_others_rounded(int8: dict[str, ModelProto]) -> None:
    model = copy_of(int8["espnet-synthetic"])
    name = scales(model, True)[0]
    own = numpy_helper.to_array(constants(model)[name]).copy()
    own[:2] = (1e-30, 3e-5)
    set_constant(model, name, own)
    written = numpy_helper.to_array(constants(to_int8_fp16(model))[name])
    assert written.dtype == np.float16
    assert np.all(written[:2] == SMALLEST)
    assert np.array_equal(written[2:], own[2:].astype(np.float16))


def test_an_activation_that_is_a_little_too_small_is_widened_and_a_smaller_one_refused(
    int8: dict[str, ModelProto],
) -> None:
    model = copy_of(int8["espnet-synthetic"])
    name = scales(model, False)[0]
    set_constant(model, name, np.array(SMALLEST * 0.6, np.float32))
    assert numpy_helper.to_array(constants(to_int8_fp16(model))[name]) == SMALLEST
    set_constant(model, name, np.array(SMALLEST * 0.4, np.float32))
    with pytest.raises(EngineError, match=r"too small for fp16: their int8 scale is 2\.4e-05") as caught:
        to_int8_fp16(model)
    assert "int8-fp16" in caught.value.hint


def single_scale(model: ModelProto) -> None:
    name = scales(model, False)[0]
    set_constant(model, name, numpy_helper.to_array(constants(model)[name]).astype(np.float32))


def denormal_scale(model: ModelProto) -> None:
    set_constant(model, scales(model, False)[0], np.array(SMALLEST / 2, np.float16))


def infinite_scale(model: ModelProto) -> None:
    set_constant(model, scales(model, False)[0], np.array(np.inf, np.float16))


def single_bias(model: ModelProto) -> None:
    name = next(node.input[2] for node in model.graph.node if node.op_type == "Conv" and len(node.input) == 3)
    set_constant(model, name, numpy_helper.to_array(constants(model)[name]).astype(np.float32))


def nonzero_zero_point(model: ModelProto) -> None:
    node = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    set_constant(model, node.input[2], numpy_helper.to_array(constants(model)[node.input[2]]) + np.int8(1))


def earlier_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 17


def earlier_ir(model: ModelProto) -> None:
    model.ir_version = 8


def half_normalization(model: ModelProto) -> None:
    for value in model.graph.value_info:
        if value.name == NETWORK_INPUT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (single_scale, "scale must be fp16, it is float32"),
        (denormal_scale, "normal fp16 number"),
        (infinite_scale, "positive number"),
        (single_bias, "bias must not be quantized, but stored in fp16"),
        (nonzero_zero_point, "zero-point must be 0"),
        (earlier_opset, "opset 19"),
        (earlier_ir, "IR 9"),
        (half_normalization, "normalization must be fp32"),
    ],
)
def test_every_broken_rule_is_found(
    int8: dict[str, ModelProto], spoil: Callable[[ModelProto], None], rule: str
) -> None:
    model = to_int8_fp16(int8["espnet-synthetic"])
    spoil(model)
    with pytest.raises(EngineError, match=rule):
        check_qdq(model, DEFAULT, "int8-fp16")


def test_one_precision_is_not_taken_for_another(int8: dict[str, ModelProto], exported: dict[str, ModelProto]) -> None:
    mixed = to_int8_fp16(int8["espnet-synthetic"])
    with pytest.raises(EngineError, match="scale must be fp32"):
        check_qdq(mixed, DEFAULT, "int8")
    with pytest.raises(EngineError, match="scale must be fp16"):
        check_qdq(int8["espnet-synthetic"], DEFAULT, "int8-fp16")
    half = to_fp16(exported["espnet-synthetic"])
    half.opset_import[0].version, half.ir_version = 19, 9
    check_contract(half, "int8-fp16")
    with pytest.raises(EngineError, match="nothing is quantized"):
        check_qdq(half, DEFAULT, "int8-fp16")


@pytest.mark.parametrize(
    ("precision", "tensorrt", "form"),
    [
        ("int8-fp16", (), "int8-fp16"),
        ("int8-fp16", ("8.5.2",), "int8"),
        ("int8-fp16", ("8.5.2", "8.6.2"), "int8"),
        ("int8-fp16", ("8.6.2", "10.3"), "int8-fp16"),
        ("int8-fp16", ("10.13", "11.4"), "int8-fp16"),
        ("int8", ("8.5.2",), "int8"),
        ("fp16", ("8.5.2",), "fp16"),
    ],
)
def test_engines_that_take_the_types_from_flags_get_the_int8_file(
    precision: Precision, tensorrt: tuple[str, ...], form: Precision
) -> None:
    assert file_form(precision, tensorrt) == form


def test_the_profiles_get_what_their_jetpacks_can_read(
    tmp_path: Path, exported: dict[str, ModelProto], int8: dict[str, ModelProto]
) -> None:
    assert {jetpack.tensorrt.partition(".")[0] for jetpack in JETPACKS} == {"8", "10", "11"}
    forms = {name: file_form("int8-fp16", TARGETS.load(name).tensorrt_versions) for name in TARGETS}
    assert [name for name, form in forms.items() if form == "int8"] == ["jetson-xavier"]
    # One of Orin's TensorRTs does not build the file with fp16 scales (NVIDIA/TensorRT#4832): they have another.
    both = [name for name in TARGETS if needs_flagged_file("int8-fp16", TARGETS.load(name).tensorrt_versions)]
    assert both == ["jetson", "jetson-agx-orin", "jetson-orin-nano", "jetson-orin-nx", "tensorrt"]
    model = at_precision(exported["espnet-synthetic"], forms["jetson-xavier"], lambda: int8["espnet-synthetic"])
    assert written_and_proved(tmp_path, "model.onnx", model, "int8", DEFAULT).opset_import[0].version == 17


@pytest.mark.long
def test_it_goes_the_whole_way_and_is_calibrated_once(make_set: MakeSet, dataset_root: Path, tmp_path: Path) -> None:
    calibrated: list[int] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage.startswith("calibrate") and done:
            calibrated.append(done)

    root = make_set(range(2), dataset_root, ONE)
    bundle = deploy(
        root, tmp_path / "bundle", "cpu", ("int8", "int8-fp16"), ("minmax",), calibration_images=3, progress=progress
    )
    assert calibrated == [1, 2, 3]
    whole, mixed = bundle.engines
    assert (mixed.name, mixed.precision) == ("espnet-synthetic.int8-fp16", "int8-fp16")
    assert mixed.calibration == whole.calibration is not None
    assert onnx.load(tmp_path / "bundle" / mixed.file).opset_import[0].version == 19
    assert BundleFolder(tmp_path / "bundle").verify() == bundle
    done = replay(tmp_path / "bundle", tmp_path / "replay", lambda *step: None, warmup=0, threads=1)
    assert done.complete
    assert [engine.precision for engine in done.engines] == ["int8", "int8-fp16"]
    folder = SetFolder(root)
    images = [folder.image(sample.files["clean"]) for sample in folder.samples()]
    settled = [settle(onnx.load(tmp_path / "bundle" / whole.file), image, "int8-fp16") for image in images]
    assert mixed.parity is not None and mixed.parity.unoptimised_equal is not None
    assert mixed.parity.unoptimised_equal >= np.mean([each.share for each in settled])
    for number, each in enumerate(settled):
        found = done.labels(mixed.name, f"clean/{number}")
        assert np.array_equal(found[each.where], each.labels[each.where])


@pytest.mark.long
def test_a_profile_of_both_kinds_holds_both_files_and_the_runner_takes_its_own(
    make_set: MakeSet, tmp_path: Path
) -> None:
    root = tmp_path / "bundle"
    deployed = deploy(make_set(range(2), networks=ONE), root, "jetson-orin-nx", ("int8", "int8-fp16"), ("minmax",))
    whole, mixed = deployed.engines
    assert whole.flagged_file is None
    assert mixed.flagged_file is not None
    assert deployed.files[mixed.flagged_file] == deployed.files[whole.file] != deployed.files[mixed.file]

    class Flagged(OnnxRuntime):
        @classmethod
        def takes_flags(cls) -> bool:
            return True

    bundle = Bundle(root)
    for backend, file in ((OnnxRuntime, mixed.file), (Flagged, mixed.flagged_file)):
        job = job_of(bundle, bundle.manifest.engines[1], backend)
        assert (job.file, job.sha256) == (root / file, deployed.files[file].sha256)
        assert job.precision == "int8-fp16"
    plain, other = (job_of(bundle, engine, OnnxRuntime) for engine in bundle.manifest.engines)
    assert plain.fallback is None and job.fallback is None, "the engine of flags has its file already"
    assert other.fallback is not None and other.fallback.file == root / mixed.flagged_file
    assert (other.fallback.sha256, other.fallback.precision) == (plain.sha256, "int8"), "so it is the int8 engine"
    without = replace(bundle.manifest.engines[1], flagged_file=None)
    assert job_of(bundle, without, OnnxRuntime) == other._replace(fallback=None)
    with pytest.raises(BackendError, match=r"has no file of espnet-synthetic\.int8-fp16 that this") as caught:
        job_of(bundle, without, Flagged)
    assert "--target" in caught.value.hint
    manifest = json.loads((root / "bundle.json").read_bytes())
    manifest["engines"][1]["flagged_file"] = "models/absent.onnx"
    with pytest.raises(BundleError, match="its hash is not recorded"):
        parse(json.dumps(sealed(manifest)).encode())


@pytest.mark.long
def test_a_profile_of_flags_holds_the_int8_file_under_its_own_name(make_set: MakeSet, tmp_path: Path) -> None:
    bundle = deploy(
        make_set(range(2), networks=ONE), tmp_path / "bundle", "jetson-xavier", ("int8", "int8-fp16"), ("minmax",)
    )
    whole, mixed = bundle.engines
    assert mixed.precision == "int8-fp16"
    assert bundle.files[whole.file] == bundle.files[mixed.file]
    assert mixed.flagged_file == mixed.file
