"""Files with half precision in them, in half arithmetic: rounded as a device rounds, refused if they overflow."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper
from safetensors.torch import load_file, save_file

from segeval.commands.deploy import show_parity
from segeval.datasets.synthetic import open_synthetic
from segeval.deploy import deploy
from segeval.deploy.parity import Reference, measure_half
from segeval.errors import EngineError
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.encoding import decode, encode
from segeval.files.engine_records import HalfArithmetic
from segeval.files.images import RgbImage
from segeval.files.set_folder import SetFolder
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import IMAGE, LABELS, NETWORK_INPUT, NETWORK_OUTPUT, export_fp32, finished
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.half import HalfModel, in_half_arithmetic
from segeval.graphs.mixed import to_int8_fp16
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel, open_session
from segeval.metrics import Labels
from segeval.models import Segmenter, load_model
from segeval.models.soundness import predict
from segeval.precision import LARGEST_HALF

MakeSet = Callable[..., Path]
Victims = dict[str, Segmenter]
NETWORK = "espnet-synthetic"
LAYER = "encoder.level3.0.c1"
NODE = "encoder/level3/level3.0/c1/conv/Conv"
NEXT = tuple(f"encoder.level3.0.{name}" for name in ("d1", "d2", "d4", "d8", "d16"))
HALF_STEP = 2.0**-11
"""What rounding to half precision changes of a normal number, relative to it, at most."""


def toy(*nodes: tuple[str, str, float], classes: int = 3) -> ModelProto:
    """An fp32 file whose network is arithmetic on the image's levels: operator, result and second operand in turn."""
    made = [
        helper.make_node("Cast", [IMAGE], ["levels"], name="cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["levels"], ["planes"], name="transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["planes", "one"], [NETWORK_INPUT], name="normalise"),
    ]
    constants = [numpy_helper.from_array(np.array(1, np.float32), "one")]
    before = NETWORK_INPUT
    for operator, result, operand in nodes:
        constants.append(numpy_helper.from_array(np.array(operand, np.float32), f"{result}_operand"))
        made.append(helper.make_node(operator, [before, f"{result}_operand"], [result], name=f"node_{result}"))
        before = result
    made += [
        helper.make_node("ArgMax", [NETWORK_OUTPUT], ["classes"], name="argmax", axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], [LABELS], name="labels", to=TensorProto.INT32),
    ]
    image = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, [1, 1, 1, classes])
    labels = helper.make_tensor_value_info(LABELS, TensorProto.INT32, [1, 1, 1])
    graph = helper.make_graph(made, "toy", [image], [labels], initializer=constants)
    return finished(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def pixel(*levels: int) -> RgbImage:
    return np.array(levels, np.uint8)[None, None]


def reference(image: RgbImage, labels: Labels, key: str = "clean/a") -> Reference:
    return Reference(image, labels, None, key)


def test_rounding_decides_a_label_that_onnx_runtime_leaves_as_it_is_in_fp32() -> None:
    """Between 2,048 and 4,096 half precision has even numbers alone, so a level of 1 vanishes."""
    model = to_fp16(toy(("Add", "high", 2048), ("Sub", NETWORK_OUTPUT, 2048)))
    image = pixel(0, 1, 0)
    assert DeployedModel(model).predict(image).item() == 1
    assert HalfModel(model).run(image).labels.item() == 0
    found = measure_half("toy.fp16", model, [reference(image, np.array([[1]], np.uint8))], [], 3)
    assert found == HalfArithmetic(1, 0.0, None, 0, 2049.0, "node_high", "clean/a")


@pytest.mark.parametrize(
    ("level", "factor", "exact", "finite"),
    [(234, 279.75, 65461.5, True), (251, 261.0, 65511.0, True), (234, 280.0, 65520.0, False)],
)
def test_a_result_overflows_where_half_precision_does(level: int, factor: float, exact: float, finite: bool) -> None:
    """The largest number is 65,504; what lies below 65,520 is rounded to it, and refused as well."""
    model = to_fp16(toy(("Mul", "scaled", factor), ("Mul", NETWORK_OUTPUT, 0.5)))
    image = pixel(level, 0, 0)
    result = HalfModel(model).run(image)
    assert (result.finite, result.peaks[1]) == (finite, exact)
    references = [reference(image, np.zeros((1, 1), np.uint8))]
    if exact <= LARGEST_HALF:
        assert measure_half("toy", model, references, [], 3).peak == exact
        return
    with pytest.raises(
        EngineError, match=rf"^toy: in half precision node_scaled overflows: .* {exact:,.0f} on clean/a,"
    ):
        measure_half("toy", model, references, [], 3)


def test_a_weight_that_half_precision_cannot_hold_is_refused_and_not_cut_in_silence() -> None:
    model = toy(("Mul", "scaled", -70000.0), ("Mul", NETWORK_OUTPUT, 0.5))
    with pytest.raises(EngineError, match=r"^node_scaled has a weight of 70,000, and half precision ends at 65,504\n"):
        to_fp16(model)


def test_logits_that_are_no_numbers_are_refused_though_nothing_overflows() -> None:
    model = to_fp16(toy(("Mul", "nothing", 1.0), ("Pow", "wrong", -0.5), ("Mul", NETWORK_OUTPUT, 0.0)))
    fine, black = pixel(1, 2, 3), pixel(4, 5, 0)
    zero = np.zeros((1, 1), np.uint8)
    assert measure_half("toy", model, [reference(fine, zero)], [], 3).peak == 3
    with pytest.raises(EngineError, match="overflows: an activation of it reaches inf on adversarial/b"):
        measure_half("toy", model, [reference(fine, zero)], [("adversarial/b", black)], 3)
    model = to_fp16(toy(("Sub", "below", 4.0), ("Pow", NETWORK_OUTPUT, 0.5)))
    with pytest.raises(EngineError, match=r"node_network_output gives what is not a number on clean/a\n"):
        measure_half("toy", model, [reference(fine, zero)], [], 3)


@dataclass(frozen=True)
class Watched:
    """Every rounded result of a file by name: exact, rounded, and the peak that was measured."""

    exact: dict[str, NDArray[np.float32]]
    rounded: dict[str, NDArray[np.float32]]
    peaks: dict[str, float]


def watched(model: ModelProto, image: RgbImage) -> Watched:
    rewritten, layers = in_half_arithmetic(model)
    names = [peak.removesuffix("/peak") for peak in layers]
    for name in names:
        for value in (name, f"{name}/exact"):
            rewritten.graph.output.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, None))
    wanted = [f"{name}{part}" for part in ("", "/exact", "/peak") for name in names]
    found = open_session(rewritten, optimised=False).run(wanted, {IMAGE: image[None]})
    values = dict(zip(wanted, found, strict=True))
    return Watched(
        exact={name: values[f"{name}/exact"] for name in names},
        rounded={name: values[name] for name in names},
        peaks={name: float(values[f"{name}/peak"]) for name in names},
    )


@pytest.mark.parametrize("network", ["espnet-synthetic", "fast-scnn-synthetic"])
@pytest.mark.parametrize("precision", ["fp16", "int8-fp16"])
def test_every_result_of_a_network_is_rounded_and_nothing_is_left_in_half(
    network: str, precision: str, exported: dict[str, ModelProto], pictures: list[RgbImage]
) -> None:
    """Held to numpy's half precision, bit by bit, and peaks to the values."""
    fp32 = exported[network]
    int8 = to_int8(fp32, pictures[:2], CalibrationSpec("minmax")) if precision == "int8-fp16" else None
    model = to_fp16(fp32) if int8 is None else to_int8_fp16(int8)
    before = model.SerializeToString()
    found = watched(model, pictures[0])
    assert model.SerializeToString() == before
    changed = 0
    for name, exact in found.exact.items():
        assert np.array_equal(found.rounded[name], exact.astype(np.float16).astype(np.float32)), name
        assert found.peaks[name] == np.abs(exact).max()
        changed += not np.array_equal(exact, found.rounded[name])
    convolutions = sum(node.op_type == "Conv" for node in model.graph.node)
    assert changed > convolutions, "rounding changes what every convolution gives, and more"


def torch_logits(segmenter: Segmenter, image: RgbImage, half: bool) -> NDArray[np.float32]:
    """Logits (C, H, W) of a network in torch; in half precision all of it but the normalization."""
    levels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        normal = segmenter.normalise_levels(levels)
        found = segmenter.network.half()(normal.half()) if half else segmenter.network(normal)
    logits: NDArray[np.float32] = found[0].float().numpy()
    return logits


@pytest.mark.parametrize("network", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_labels_are_those_of_torch_in_half_precision_but_where_rounding_decides(network: str) -> None:
    """Torch rounds at other places (it keeps batch normalization apart) and adds in another order.

    So both stray from fp32, by amounts of one kind: torch's own distance from fp32 says how far half precision is off
    on this network and image. Where the two highest logits in fp32 lie further apart than twice the distance of torch
    and twice that of the file, no rounding of either can exchange them, and the labels must be equal. The file's
    distance may not be more than twice torch's.
    """
    image = open_synthetic(None, "test", (128, 256))[3].image
    segmenter = load_model(network)
    model = to_fp16(export_fp32(segmenter, *image.shape[:2]))
    single = torch_logits(segmenter, image, half=False)
    other = torch_logits(segmenter, image, half=True)
    rewritten, _ = in_half_arithmetic(model)
    own = open_session(rewritten, optimised=False).run([NETWORK_OUTPUT], {IMAGE: image[None]})[0][0]
    assert np.array_equal(own, own.astype(np.float16)), "the logits are numbers of half precision"
    strays = float(np.abs(other - single).max())
    assert 0 < np.abs(own - single).max() < 2 * strays
    second, first = np.sort(single, axis=0)[-2:]
    sure = first - second > 2 * 2 * strays
    assert sure.mean() > 0.5, "most pixels are compared"
    labels = HalfModel(model).run(image).labels
    assert np.array_equal(labels, own.argmax(0))
    assert np.array_equal(labels[sure], other.argmax(0)[sure])


@pytest.fixture(scope="module")
def rescaled(victims: Victims, tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    """The same function as the network's, with one linear layer times 2^17 and its readers divided by it."""
    weights = load_file(victims[NETWORK].record.weights)
    weights[f"{LAYER}.conv.weight"] = weights[f"{LAYER}.conv.weight"] * 2.0**17
    for name in NEXT:
        weights[f"{name}.conv.weight"] = weights[f"{name}.conv.weight"] / 2.0**17
    file = tmp_path_factory.mktemp("rescaled") / "espnet.safetensors"
    save_file(weights, file)
    return load_model(f"{NETWORK}={file}")


@pytest.fixture
def rescaled_set(make_set: MakeSet, rescaled: Segmenter, dataset_root: Path) -> Path:
    root = make_set(range(2), dataset_root, (NETWORK,))
    folder = SetFolder(root)
    folder.write_manifest(replace(folder.manifest(), models=(rescaled.record,)))
    return root


def peak_in_torch(segmenter: Segmenter, images: list[RgbImage]) -> list[float]:
    """The largest absolute result of the rescaled layer on each image, by a hook on the network in fp32."""
    seen: list[float] = []
    layer = segmenter.network.get_submodule(LAYER)
    hook = layer.register_forward_hook(lambda module, given, result: seen.append(float(result.abs().max())))
    for image in images:
        torch_logits(segmenter, image, half=False)
    hook.remove()
    return seen


def test_a_network_that_overflows_is_refused_and_layer_peak_and_image_are_named(
    rescaled: Segmenter, rescaled_set: Path, pictures: list[RgbImage], tmp_path: Path
) -> None:
    """ONNX Runtime's CPU provider sees nothing: its labels are nearly all those of torch."""
    peaks = peak_in_torch(rescaled, pictures[:2])
    assert min(peaks) > LARGEST_HALF, "the case is one"
    with pytest.raises(EngineError) as caught:
        deploy(rescaled_set, tmp_path / "bundle", precisions=("fp32", "fp16"))
    told = re.fullmatch(
        rf"espnet-synthetic\.fp16: in half precision {NODE} overflows: an activation of it reaches ([\d,]+) on "
        r"(\S+)/(\d\S*), and half precision ends at 65,504",
        caught.value.what,
    )
    assert told is not None, caught.value.what
    named, kind, place = float(told[1].replace(",", "")), told[2], int(told[3][0])
    # Each rounding before that layer, of weights and of values, moves it by half a step, to first order.
    model = to_fp16(export_fp32(rescaled, *pictures[0].shape[:2]))
    roundings = 2 * (HalfModel(model).layers.index(NODE) + 1)
    if kind == "clean":
        assert named == pytest.approx(max(peaks), rel=roundings * HALF_STEP)
        assert place == int(np.argmax(peaks))
    assert named > LARGEST_HALF
    assert "--precision fp32,int8" in caught.value.hint and "rescale that layer" in caught.value.hint
    assert not (tmp_path / "bundle").exists()
    labels = [DeployedModel(model).predict(image) for image in pictures[:2]]
    expected = [torch_logits(rescaled, image, half=False).argmax(0) for image in pictures[:2]]
    assert np.mean(np.array(labels) == np.array(expected)) > 0.95


@pytest.mark.parametrize("target", ["cpu", "jetson-xavier"])
def test_int8_fp16_overflows_too_whether_the_file_or_a_flag_says_half(
    target: str, rescaled_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match=rf"espnet-synthetic\.int8-fp16: in half precision {NODE} overflows"):
        deploy(rescaled_set, tmp_path / "bundle", target, ("int8-fp16",), ("minmax",), calibration_images=2)


def test_the_remedy_of_the_error_works(rescaled_set: Path, tmp_path: Path) -> None:
    bundle = deploy(rescaled_set, tmp_path / "bundle", "cpu", ("fp32", "int8"), ("minmax",), calibration_images=2)
    assert [engine.parity.half for engine in bundle.engines if engine.parity] == [None, None]


def test_a_bundle_says_how_near_a_healthy_network_is_to_the_end_of_half_precision(
    make_set: MakeSet,
    victims: Victims,
    pictures: list[RgbImage],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = make_set(range(3), networks=(NETWORK,))
    bundle = deploy(root, tmp_path / "bundle", precisions=("fp32", "fp16"))
    single, half = (engine.parity.half for engine in bundle.engines if engine.parity)
    assert single is None
    assert half is not None
    assert (half.images, half.adversarial, half.miou is None) == (3, 3, False)
    assert half.input in set(BundleFolder(tmp_path / "bundle").keys())
    model = HalfModel(to_fp16(export_fp32(victims[NETWORK], *pictures[0].shape[:2])))
    results = [model.run(image) for image in pictures[:3]]
    expected = [predict(victims[NETWORK], image) for image in pictures[:3]]
    assert half.equal == np.mean([result.labels == labels for result, labels in zip(results, expected, strict=True)])
    assert half.layer in model.layers
    assert max(float(result.peaks.max()) for result in results) <= half.peak < LARGEST_HALF
    show_parity(bundle)
    shown = capsys.readouterr().out
    assert "in half" in shown and f"{100 * half.equal:.3f}" in shown
    peak = f"{half.peak:.1f}" if half.peak < 100 else f"{half.peak:,.0f}"
    assert f"\n{NETWORK}.fp16: largest activation {peak} of 65,504, at {half.layer} ({half.input})\n" in shown
    data = encode(bundle)
    assert decode(data, BundleManifest, "bundle.json") == bundle
    earlier = re.sub(rb',"half":(null|\{[^}]*\})', b"", data)
    assert earlier != data
    parity = decode(earlier, BundleManifest, "bundle.json").engines[1].parity
    assert parity is not None and parity.half is None
