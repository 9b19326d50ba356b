"""OpenVINO, installed with the development tools, against ONNX Runtime on the same files."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.datasets import open_dataset
from segeval.deploy import replay
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.mixed import to_int8_fp16
from segeval.graphs.quantize import to_int8
from segeval.models import load_model
from segeval.precision import Precision
from segeval.progress import silent
from segeval_runner.backends import Job, Settings
from segeval_runner.backends.backend import Backend
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.backends.openvino import OpenVino
from segeval_runner.errors import BackendError
from tests.rounding import settle

MakeBundle = Callable[..., Path]
Images = NDArray[np.uint8]
SIZE = (128, 256)
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")


def started(kind: type[Backend], file: Path, precision: str, size: tuple[int, int] = SIZE) -> Backend:
    return kind(Job(file, "", precision, (1, *size)), Settings(1, file.parent), silent)


def labels(kind: type[Backend], file: Path, precision: str, images: Images) -> tuple[Images, dict[str, Any]]:
    """Label maps and facts."""
    with started(kind, file, precision, images.shape[1:3]) as active:
        return np.concatenate([active.infer(image[None]) for image in images]), active.facts()


@pytest.fixture(scope="module")
def images() -> Images:
    test = open_dataset("synthetic", None, "test", SIZE)
    return np.stack([test[index].image for index in range(2)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled networks at every precision, calibrated on the train split.

    Weights have 5 bits, so that no processor saturates and no sum of products exceeds 65504: OpenVINO leaves the sums
    of some convolutions of an ESPNet as they are, unscaled, in the type that it computes in, which may be fp16. With 7
    bits the largest of these sums is 73 thousand.
    """
    folder = tmp_path_factory.mktemp("files")
    train = open_dataset("synthetic", None, "train", SIZE)
    for name in NETWORKS:
        fp32 = export_fp32(load_model(name), *SIZE)
        int8 = with_5_bits(to_int8(fp32, [train[index].image for index in range(3)], CalibrationSpec()))
        made = {"fp32": fp32, "fp16": to_fp16(fp32), "int8": int8, "int8-fp16": to_int8_fp16(int8)}
        for precision, model in made.items():
            onnx.save(model, folder / f"{name}.{precision}.onnx")
    return folder


def with_5_bits(model: ModelProto) -> ModelProto:
    """The same file with weights from -16 to 16."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.input[0] in constants:
            scale = constants[node.input[1]]
            scale.CopyFrom(numpy_helper.from_array(8 * numpy_helper.to_array(scale), scale.name))
    return model


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-fp16"])
def test_labels_agree_with_those_of_onnx_runtime(
    network: str, precision: Precision, files: Path, images: Images
) -> None:
    """But for rounding to the types of the file, some of which it may compute in fp32."""
    file = files / f"{network}.{precision}.onnx"
    plain = onnx.load(files / f"{network}.{precision.removesuffix('-fp16').replace('fp16', 'fp32')}.onnx")
    found, facts = labels(OpenVino, file, precision, images)
    assert found.dtype == np.int32
    for image, own in zip(images, found, strict=True):
        settle(plain, image, precision).require(own)
    assert facts["asked_for"] == ("f16" if "fp16" in precision else "f32")
    assert facts["computes_in"] in (facts["asked_for"], "f32")
    assert (facts["execution_mode"], facts["threads"], facts["streams"]) == ("ACCURACY", 1, 1)
    assert facts["denormals_flushed"] is True
    assert facts["arithmetic"].startswith("int8 in " if precision.startswith("int8") else "fp")
    operators = [node.op_type for node in onnx.load(file).graph.node]
    quantized = operators.count("Conv") if precision.startswith("int8") else 0
    assert sum(facts["int8_kernels"].values()) == quantized, "every quantized convolution really runs in int8"


def test_published_weights_give_the_labels_of_onnx_runtime_in_fp32(data: Path, tmp_path: Path) -> None:
    segmenter = load_model("espnet-camvid")
    model = export_fp32(segmenter, 360, 480)
    onnx.save(model, tmp_path / "espnet.onnx")
    test = open_dataset("camvid", data / "camvid", "test")
    images = np.stack([test[index].image for index in (0, 120)])
    expected, _ = labels(OnnxRuntime, tmp_path / "espnet.onnx", "fp32", images)
    found, _ = labels(OpenVino, tmp_path / "espnet.onnx", "fp32", images)
    for index, image in enumerate(images):
        settled = settle(model, image, "fp32")
        settled.require(expected[index])
        settled.require(found[index])


def quantized(name: str, scale: float) -> tuple[list[NodeProto], list[TensorProto]]:
    """A pair of QuantizeLinear and DequantizeLinear behind a value, and its constants; it gives `NAME_dq`."""
    constants = [f"{name}_scale", f"{name}_zero"]
    pair = [
        helper.make_node("QuantizeLinear", [name, *constants], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", *constants], [f"{name}_dq"]),
    ]
    stored = numpy_helper.from_array
    return pair, [stored(np.array(scale, np.float32), constants[0]), stored(np.array(0, np.int8), constants[1])]


def one_convolution(
    file: Path, before: list[NodeProto], scale: float, weights: NDArray[np.float32], bias: NDArray[np.float32]
) -> Path:
    """A deployed file with one int8 convolution, a step of its weights being 1/127.

    before: from `levels`, float NCHW, to its `input`.   scale: of that.
    """
    size = (1, *SIZE)
    activation, constants = quantized("input", scale)
    kernel, more = quantized("weights", 1 / 127)
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["levels"], to=TensorProto.FLOAT),
        *before,
        *activation,
        *kernel,
        helper.make_node("Conv", ["input_dq", "weights_dq", "bias"], ["logits"]),
        helper.make_node("ArgMax", ["logits"], ["index"], axis=1, keepdims=0),
        helper.make_node("Cast", ["index"], ["labels"], to=TensorProto.INT32),
    ]
    graph = helper.make_graph(
        nodes,
        "one convolution",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, (*size, 3))],
        [helper.make_tensor_value_info("labels", TensorProto.INT32, size)],
        [*constants, *more, numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)
    return file


@pytest.mark.parametrize("rectified", [False, True])
def test_a_concatenation_that_is_quantized_keeps_its_values(rectified: bool, tmp_path: Path) -> None:
    """Left alone, OpenVINO 2024.4 and 2026.4 compute noise."""
    images = np.random.default_rng(1).integers(0, 256, (1, *SIZE, 3), dtype=np.uint8)
    before = [
        helper.make_node("Neg", ["levels"], ["negative"]),
        helper.make_node("Concat", ["levels", "negative"], ["both" if rectified else "input"], name="join", axis=1),
    ]
    before += [helper.make_node("Relu", ["both"], ["input"])] if rectified else []
    weights = np.random.default_rng(0).uniform(-0.5, 0.5, (5, 6, 1, 1)).astype(np.float32)  # 16 bits are enough
    file = one_convolution(tmp_path / "model.onnx", before, 2.0, weights, np.zeros(5, np.float32))
    found, facts = labels(OpenVino, file, "int8", images)
    assert facts["kept_apart"] == ["join"]
    settle(onnx.load(file), images[0], "int8").require(found[0])


def test_the_record_says_whether_the_processor_saturates(tmp_path: Path) -> None:
    """White pixels, weights of 127 steps: in 32 bits the first output is 765, against 600; in 16 bits it is 259."""
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0] = 1
    before = [helper.make_node("Abs", ["levels"], ["input"])]
    file = one_convolution(tmp_path / "model.onnx", before, 255 / 127, weights, np.array([0, 600], np.float32))
    white = np.full((1, *SIZE, 3), 255, np.uint8)
    expected, _ = labels(OnnxRuntime, file, "int8", white)
    assert not expected.any()
    found, facts = labels(OpenVino, file, "int8", white)
    assert sum(facts["int8_kernels"].values()) == 1
    if facts["saturates"] is None:
        pytest.skip("this is no x86 processor: it cannot be told beforehand whether it saturates")
    assert found.all() == found.any() == facts["saturates"]


def test_a_replay_on_openvino_is_read_like_any_other(make_bundle: MakeBundle, tmp_path: Path) -> None:
    bundle = make_bundle()
    done = replay(bundle, tmp_path / "openvino", silent, "openvino", warmup=0, threads=1)
    reference = replay(bundle, tmp_path / "onnxruntime", silent, "onnxruntime", warmup=0, threads=1)
    assert done.complete
    assert {engine.backend for engine in done.engines} == {"openvino"}
    assert done.record.environment.backends == {"openvino": OpenVino.version()}
    for engine in done.engines:
        assert engine.facts["computes_in"] == "f32"
        for key in done.results(engine.name).keys:
            assert np.array_equal(done.labels(engine.name, key), reference.labels(engine.name, key))


def test_a_file_of_another_form_is_refused(files: Path, tmp_path: Path) -> None:
    file = files / "espnet-synthetic.fp32.onnx"
    with pytest.raises(BackendError, match=r"takes and gives .*128, 256, 3.*, not .*64, 64, 3"):
        started(OpenVino, file, "fp32", (64, 64)).activate()
    (tmp_path / "broken.onnx").write_bytes(file.read_bytes()[:5000])
    with pytest.raises(BackendError, match=r"broken\.onnx: OpenVINO cannot load it"):
        started(OpenVino, tmp_path / "broken.onnx", "fp32").activate()


def test_images_of_another_size_are_an_error_of_the_engine(files: Path, images: Images) -> None:
    with (
        started(OpenVino, files / "espnet-synthetic.fp32.onnx", "fp32") as active,
        pytest.raises(BackendError, match="OpenVINO failed"),
    ):
        active.infer(images[:1, :64])


def test_a_type_that_nobody_asked_for_is_refused(files: Path) -> None:
    class Careless(OpenVino):
        def hints(self) -> dict[str, Any]:
            return {**super().hints(), "INFERENCE_PRECISION_HINT": "dynamic"}

    with pytest.raises(BackendError, match="computes in dynamic, though f32 was requested"):
        started(Careless, files / "espnet-synthetic.fp32.onnx", "fp32").activate()


def test_without_openvino_the_runner_says_what_to_install(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """-S hides the installed packages; numpy alone is put back."""
    bundle = make_bundle()
    (tmp_path / "only").mkdir()
    site = Path(np.__file__).parent
    for package in (site, site.parent / "numpy.libs"):
        if package.exists():
            (tmp_path / "only" / package.name).symlink_to(package)
    runner = [sys.executable, "-S", str(bundle / "runner.pyz")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "only")}
    for command in (["replay", "--out", str(tmp_path / "out"), "--backend", "openvino"], ["doctor"]):
        ended = subprocess.run([*runner, *command], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == (0 if command == ["doctor"] else 2)
        assert "OpenVINO cannot be used" in ended.stdout + ended.stderr
        assert "pip install openvino" in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()
