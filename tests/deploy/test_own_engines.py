"""Files that ONNX Runtime quantized by itself, beside segeval's own in one bundle, and what is refused or doubted."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from segeval.deploy import deploy, replay
from segeval.deploy.compiler import installed
from segeval.errors import ConfigurationError, EngineError, FormatError
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.encoding import encode
from segeval.files.images import RgbImage
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file
from segeval.graphs.export import export_fp32
from segeval.graphs.wrapping import OURS
from segeval.metrics import ConfusionMatrix
from segeval.models import Segmenter
from segeval.progress import silent
from segeval_runner.backends import load_backend
from segeval_runner.bundle import Bundle
from segeval_runner.choice import chosen
from segeval_runner.errors import BackendError, BundleError
from segeval_runner.manifest import CONTRACT, WITH_OWN
from tests.graphs.conftest import HEIGHT, NETWORKS, WIDTH

MakeSet = Callable[..., Path]
Victims = dict[str, Segmenter]
NETWORK = NETWORKS[0]


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, inputs: Iterator[NDArray[np.float32]]) -> None:
        self._inputs = inputs

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._inputs, None)
        return None if image is None else {"x": image}


@dataclass(frozen=True)
class Brought:
    """A user's folder: the network exported, and what ONNX Runtime made of it. card: of all of them."""

    folder: Path
    card: str

    def described(self, name: str, card: str = "") -> str:
        """The option for a file with a card beside it."""
        (self.folder / f"{name}.toml").write_text(card or self.card)
        return f"{self.folder / name}.onnx"


def normalised(segmenter: Segmenter, image: RgbImage) -> NDArray[np.float32]:
    levels = torch.from_numpy(image)[None].permute(0, 3, 1, 2)
    found: NDArray[np.float32] = segmenter.normalise(levels / 255).numpy()
    return found


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory, victims: Victims, pictures: list[RgbImage]) -> Brought:
    """Quantized as ONNX Runtime does by default, and with unsigned activations as operators of integers."""
    folder, segmenter = tmp_path_factory.mktemp("brought"), victims[NETWORK]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        blank = torch.zeros(1, 3, HEIGHT, WIDTH)
        names: dict[str, Any] = {"input_names": ["x"], "output_names": ["labels"], "opset_version": 13}
        torch.onnx.export(segmenter.network, (blank,), folder / "float.onnx", dynamo=False, **names)
    quant_pre_process(folder / "float.onnx", folder / "pre.onnx", skip_symbolic_shape=True)
    for name, form, activations in (
        ("qdq", QuantFormat.QDQ, QuantType.QInt8),
        ("operators", QuantFormat.QOperator, QuantType.QUInt8),
    ):
        reader = Reader(normalised(segmenter, image) for image in pictures[:3])
        quantize_static(folder / "pre.onnx", folder / f"{name}.onnx", reader, form, activation_type=activations)
    before = segmenter.spec.preprocessing
    assert not before.bgr
    card = f"""
        [input]
        layout = "NCHW"
        colour = "RGB"
        range = 255
        mean = {list(before.mean)}
        std = {list(before.std)}
        [output]
        kind = "logits"
    """
    return Brought(folder, card)


@pytest.fixture
def bundle(make_set: MakeSet, brought: Brought, tmp_path: Path) -> BundleManifest:
    """One bundle of the network in fp32, and the user's files."""
    files = [f"{name}={brought.described(file)}" for name, file in (("mine", "qdq"), ("integers", "operators"))]
    return deploy(make_set(range(3), networks=(NETWORK,)), tmp_path / "b", precisions=("fp32",), engine_files=files)


def plain_labels(brought: Brought, file: str, segmenter: Segmenter, image: RgbImage) -> NDArray[np.int64]:
    """What the file means: PyTorch's normalization, ONNX Runtime that cuts no sums off, and argmax."""
    options = onnxruntime.SessionOptions()
    if file == "operators":
        options.add_session_config_entry("session.x64quantprecision", "1")
    else:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(brought.folder / f"{file}.onnx", options, providers=["CPUExecutionProvider"])
    labels: NDArray[np.int64] = session.run(None, {"x": normalised(segmenter, image)})[0][0].argmax(0)
    return labels


def test_quantized_files_join_the_bundle_and_give_their_own_labels(
    bundle: BundleManifest, brought: Brought, victims: Victims, tmp_path: Path
) -> None:
    assert [engine.name for engine in bundle.engines] == [f"{NETWORK}.{name}" for name in ("fp32", "mine", "integers")]
    fp32, *own = bundle.engines
    assert (fp32.own, bundle.contract) == (None, WITH_OWN)
    replayed = replay(tmp_path / "b", tmp_path / "r", silent, warmup=0, threads=1)
    assert [engine.precision for engine in replayed.engines] == ["fp32", "own", "own"]
    samples = list(SetFolder(tmp_path / "set").samples())
    for engine, file, integers in zip(own, ("qdq", "operators"), ("", "uint8"), strict=True):
        assert engine.own is not None and engine.parity is not None
        assert (engine.precision, engine.label, engine.inputs) == ("own", engine.name[len(NETWORK) + 1 :], fp32.inputs)
        assert (engine.own.like, engine.own.integers, engine.own.doubt) == ("int8", integers, "")
        assert engine.own.sha256 == sha256_file(brought.folder / f"{file}.onnx")
        assert engine.weights_sha256 == fp32.weights_sha256
        wrapped, plain = ConfusionMatrix(19), ConfusionMatrix(19)
        for sample in samples:
            image = SetFolder(tmp_path / "set").image(sample.files["clean"])
            truth = SetFolder(tmp_path / "set").labels(sample.files["truth"])
            expected = plain_labels(brought, file, victims[NETWORK], image)
            found = replayed.labels(engine.name, f"clean/{sample.image}")
            assert np.mean(found == expected) > 0.99  # a random network leads by a level or none at all
            wrapped.update(truth, found)
            plain.update(truth, expected.astype(np.uint8))
        assert wrapped.mean_iou() == pytest.approx(plain.mean_iou(), abs=0.005)
        assert engine.parity.miou == pytest.approx(wrapped.mean_iou(), abs=1e-9)
    check_nodes(brought, tmp_path)
    check_same(bundle, brought, tmp_path)
    check_refused(bundle, tmp_path)


def check_nodes(brought: Brought, tmp_path: Path) -> None:
    """The user's nodes are in the bundle's file as they were."""
    given, whole = onnx.load(brought.folder / "qdq.onnx"), onnx.load(tmp_path / "b" / f"models/{NETWORK}.mine.onnx")
    kept = [node for node in whole.graph.node if not node.name.startswith(OURS)]
    ours = {"yours/labels": "labels"}  # the one name that a bundle's files have for something else
    for node in kept:
        node.output[:] = [ours.get(name, name) for name in node.output]
    assert kept == list(given.graph.node)


def check_same(bundle: BundleManifest, brought: Brought, tmp_path: Path) -> None:
    """The same files make the same bundle; others, or others words about them, do not."""
    files = [f"{name}={brought.folder / file}.onnx" for name, file in (("mine", "qdq"), ("integers", "operators"))]

    def again(*given: str) -> BundleManifest:
        return deploy(tmp_path / "set", tmp_path / "b", precisions=("fp32",), engine_files=given)

    assert again(*files) == bundle
    for other in ([], files[:1], [files[0], files[1].replace("integers", "other")]):
        with pytest.raises(ConfigurationError, match="another bundle"):
            again(*other)
    brought.described("qdq", brought.card.replace("range = 255", "range = 254"))
    with pytest.raises(ConfigurationError, match="another bundle"):
        again(*files)


@pytest.mark.parametrize(("said", "meant"), [('colour = "RGB"', 'colour = "BGR"'), ("range = 255", "range = 1")])
def test_a_wrong_description_is_doubted_in_numbers(
    make_set: MakeSet, brought: Brought, tmp_path: Path, said: str, meant: str
) -> None:
    option = f"mine={brought.described('float', brought.card.replace(said, meant))}"
    root = make_set(range(3), networks=(NETWORK,))
    made = deploy(root, tmp_path / "b", precisions=("fp32",), engine_files=[option])
    own = made.engines[1].own
    assert own is not None and "its labels match the network's on" in own.doubt
    assert own.doubt.endswith(f"100.0 % with {said}")


def test_a_file_that_keeps_the_contract_needs_no_card(make_set: MakeSet, victims: Victims, tmp_path: Path) -> None:
    root = make_set(range(3), networks=(NETWORK,))
    (tmp_path / "ours.onnx").write_bytes(export_fp32(victims[NETWORK], HEIGHT, WIDTH).SerializeToString())
    made = deploy(root, tmp_path / "b", precisions=("fp16",), engine_files=[f"mine={tmp_path / 'ours.onnx'}"])
    own = made.engines[1]
    assert own.parity is not None and own.parity.equal > 0.999
    assert own.own is not None and (own.own.input, own.own.like, own.own.doubt) == (None, "fp32", "")
    assert made.files[own.file].sha256 == own.own.sha256 == sha256_file(tmp_path / "ours.onnx")


def test_a_file_without_a_card_that_gives_other_labels_is_refused(
    make_set: MakeSet, victims: Victims, tmp_path: Path
) -> None:
    model = export_fp32(victims[NETWORK], HEIGHT, WIDTH)
    model.graph.node[-1].output[0] = "before"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(15, np.int32), "more"))
    model.graph.node.append(onnx.helper.make_node("Add", ["before", "more"], ["labels"]))
    (tmp_path / "ours.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(EngineError, match=r"ours\.onnx gives labels from \d+ to \d+; the network's are 0 to 18"):
        deploy(make_set(range(1), networks=(NETWORK,)), tmp_path / "b", engine_files=[f"mine={tmp_path / 'ours.onnx'}"])


def check_refused(bundle: BundleManifest, tmp_path: Path) -> None:
    """An earlier runner refuses the bundle, and every one a bundle that contradicts itself.

    That a runner which knows contract 2 says "newer" of 3 is held by tests/runner/test_contract.py.
    """
    assert bundle.contract == CONTRACT + 1
    folder = BundleFolder(tmp_path / "b")
    engine = bundle.engines[1]
    assert engine.own is not None
    for broken, said in (
        (replace(engine, precision="int8"), "has a field 'own'"),
        (replace(engine, own=None), "'own' is missing"),
        (replace(engine, own=replace(engine.own, like="")), "'like' is ''"),
        (replace(engine, own=replace(engine.own, format="tensorrt", input=None)), "'input' is missing"),
    ):
        folder.manifest_path.write_bytes(encode(replace(bundle, engines=(bundle.engines[0], broken))))
        with pytest.raises(FormatError, match=said):
            folder.manifest()


@pytest.fixture
def built(make_set: MakeSet, brought: Brought, tmp_path: Path) -> BundleManifest:
    """A bundle for TensorRT with an engine that the user built, and a file that only ONNX Runtime takes."""
    (tmp_path / "net.plan").write_bytes(b"as TensorRT wrote it")
    (tmp_path / "net.toml").write_text(brought.card)
    files = [f"trt={tmp_path / 'net.plan'}", f"integers={brought.described('operators')}"]
    files.append(f"float={brought.described('float')}")
    root = make_set(range(2), networks=(NETWORK,))
    return deploy(root, tmp_path / "b", "tensorrt", precisions=("fp32",), engine_files=files)


def test_a_built_engine_runs_where_tensorrt_is_and_only_if_it_is_trusted(built: BundleManifest, tmp_path: Path) -> None:
    name = f"{NETWORK}.trt"
    engine = next(each for each in built.engines if each.name == name)
    assert (engine.parity, engine.file) == (None, f"models/{name}.engine")
    assert (tmp_path / "b" / engine.file).read_bytes() == b"as TensorRT wrote it"
    read = Bundle(tmp_path / "b")
    tensorrt, cpu = load_backend("tensorrt"), load_backend("onnxruntime")
    whole = [f"{NETWORK}.{each}" for each in ("fp32", "trt", "integers", "float")]
    assert [each.name for each in chosen(read, [], cpu, False)] == [whole[0], *whole[2:]]
    with pytest.raises(BackendError, match=f"cannot run {name}: TensorRT built it"):
        chosen(read, [name], cpu, True)
    with pytest.raises(BundleError, match="native code") as caught:
        chosen(read, [], tensorrt, False)
    assert "--prebuilt" in caught.value.hint
    assert [each.name for each in chosen(read, whole[:1], tensorrt, False)] == whole[:1]
    left_out = [whole[2]] if installed() else []
    assert [each.name for each in chosen(read, [], tensorrt, True)] == [each for each in whole if each not in left_out]
    object.__setattr__(read.manifest.engines[3].own, "refused", "an operator")
    left_out.append(whole[3])
    assert [each.name for each in chosen(read, [], tensorrt, True)] == [each for each in whole if each not in left_out]
    assert [each.name for each in chosen(read, whole[3:], tensorrt, True)] == whole[3:]
    (own,) = [each.own for each in read.manifest.engines if each.name == name]
    assert own is not None and own.input is not None and own.input.range == 255 and own.classes == 19
    if installed():
        check_compiler(built)
    with pytest.raises(BundleError, match="bytes, not 20"):
        (tmp_path / "b" / engine.file).write_bytes(b"")
        read.verify(lambda done, total: None)


def check_compiler(built: BundleManifest) -> None:
    """NVIDIA's compiler takes one file, and says why it does not take the other."""
    own = {engine.label: engine for engine in built.engines}
    assert own["float"].compiled is not None and own["float"].compiled.convolutions
    assert own["integers"].compiled is None
    refused = own["integers"].own.refused if own["integers"].own else ""
    assert "NVIDIA's compiler refuses the file: models/" in refused and "\n" not in refused


def test_a_file_that_does_not_fit_its_set_or_card_is_refused(
    make_set: MakeSet, brought: Brought, tmp_path: Path
) -> None:
    root = make_set(range(1), networks=(NETWORK,))
    (tmp_path / "bare.onnx").write_bytes((brought.folder / "qdq.onnx").read_bytes())

    def refused(card: str) -> str:
        (tmp_path / "bare.toml").write_text(card)
        with pytest.raises(EngineError) as caught:
            deploy(root, tmp_path / "b", engine_files=[f"mine={tmp_path / 'bare.onnx'}"])
        assert not (tmp_path / "b").exists()
        return caught.value.what

    assert "images of the set are (1, 64, 128, 3)" in refused(brought.card.replace("NCHW", "NHWC"))
    assert "the network has 19 classes" in refused(brought.card + 'layout = "NHWC"')
    assert "(N, 1, h, w)" in refused(brought.card.replace('"logits"', '"labels"'))
    (tmp_path / "bare.toml").unlink()
    with pytest.raises(EngineError, match="how its images are prepared is not said") as caught:
        deploy(root, tmp_path / "b", engine_files=[f"mine={tmp_path / 'bare.onnx'}"])
    assert "bare.toml" in caught.value.hint and "[input]" in caught.value.hint
