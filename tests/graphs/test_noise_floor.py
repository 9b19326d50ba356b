"""The noise floor: what another order of the same sums changes, against sums that numpy adds up by itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from segeval.deploy import deploy
from segeval.deploy.engine_files import at_precision
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.encoding import decode, encode
from segeval.files.engine_records import NoiseFloor
from segeval.files.images import RgbImage
from segeval.files.storage import write_atomic
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import IMAGE, LABELS
from segeval.graphs.noise_floor import NOISE_IMAGES, RUNS, measure_noise_floor, reordered
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel
from segeval.precision import Precision

if TYPE_CHECKING:
    from tests.graphs.conftest import Trained

MakeSet = Callable[..., Path]
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int8-fp16")
HUGE = np.float32(2**24)
"""The next float32 is 2 above: an odd number that is added to it is rounded."""


def toy(weights: NDArray[np.float32], threshold: float) -> ModelProto:
    """A file of two classes: 1 where a 1×1 convolution of the three colours exceeds `threshold`. weights: (3,)."""
    nodes = [
        helper.make_node("Cast", [IMAGE], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["real"], ["planes"], perm=(0, 3, 1, 2)),
        helper.make_node("Conv", ["planes", "weights", "bias"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["classes"], axis=1, keepdims=0),
        helper.make_node("Cast", ["classes"], [LABELS], to=TensorProto.INT32),
    ]
    kernel = np.stack([np.zeros(3, np.float32), weights])[..., None, None]
    stored = {"weights": kernel, "bias": np.array([threshold, 0], np.float32)}
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, (1, 4, 8, 3))],
        [helper.make_tensor_value_info(LABELS, TensorProto.INT32, (1, 4, 8))],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rows(*pixels: tuple[int, int, int]) -> RgbImage:
    """A 4×8 image whose first pixels are these, and the rest black."""
    image = np.zeros((4, 8, 3), np.uint8)
    for place, pixel in enumerate(pixels):
        image[0, place] = pixel
    return image


def in_two_sums(image: RgbImage, weights: NDArray[np.float32], run: int, output: int) -> NDArray[np.float32]:
    """(H, W) score of one output, its products added up as two sums, each in the order of the colours, in float32."""
    sums = [np.zeros(image.shape[:2], np.float32) for _ in range(2)]
    for colour in range(3):
        sums[(output + colour) // run % 2] += image[..., colour].astype(np.float32) * weights[colour]
    return sums[0] + sums[1]


def test_what_rounding_decides_is_counted_and_it_is_what_numpy_finds() -> None:
    """2²⁴ + 1 − 2²⁴ is 0 in float32 if it is added from the left, and 1 if the large ones are added first."""
    weights = np.array([HUGE, 1, -HUGE], np.float32)
    image = rows((1, 1, 1), (1, 2, 1), (1, 3, 1), (0, 1, 0), (0, 0, 0), (2, 1, 2))
    model = toy(weights, 0.5)
    own = DeployedModel(model).predict(image)
    floor = measure_noise_floor(model, [image])
    assert floor is not None
    expected = {}
    for run in RUNS:
        other = in_two_sums(image, weights, run, 1) > 0.5
        assert np.array_equal(DeployedModel(reordered(model, run) or model).predict(image), other)
        expected[f"runs of {run}"] = int(np.count_nonzero(other != own))
    assert floor == NoiseFloor(1, 32, expected)
    exact = image.astype(np.float64) @ weights.astype(np.float64) > 0.5
    assert 0 < np.count_nonzero(own != exact) <= max(expected.values()), "float64 shows that it is rounding alone"
    assert floor.share == max(expected.values()) / 32


def test_labels_that_lead_by_far_have_none() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (4, 8, 3)).astype(np.uint8)
    floor = measure_noise_floor(toy(np.array([1, 2, 4], np.float32), 800.5), [image, image])
    assert floor == NoiseFloor(2, 64, dict.fromkeys(("runs of 1", "runs of 4"), 0)) and floor.share == 0


def test_a_file_without_a_sum_has_none() -> None:
    model = toy(np.ones(3, np.float32), 1)
    nodes: list[NodeProto] = [node for node in model.graph.node if node.op_type != "Conv"]
    nodes[2].input[0] = "planes"
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert measure_noise_floor(model, [rows((1, 2, 3))]) is None


@pytest.fixture(scope="module")
def files(trained: "Trained") -> dict[tuple[str, Precision], ModelProto]:
    """Every bundled network at every precision."""
    whole = {name: to_int8(trained.files[name], trained.calibration, CalibrationSpec()) for name in NETWORKS}
    return {
        (name, precision): at_precision(trained.files[name], precision, lambda name=name: whole[name])  # type: ignore[misc]
        for name in NETWORKS
        for precision in PRECISIONS
    }


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_is_the_same_network_in_another_order(
    network: str, precision: Precision, files: dict[tuple[str, Precision], ModelProto], trained: "Trained"
) -> None:
    model = files[network, precision]
    before = model.SerializeToString()
    sums = sum(node.op_type in ("Conv", "ConvTranspose") for node in model.graph.node)
    for run in RUNS:
        other = reordered(model, run)
        assert other is not None
        onnx.checker.check_model(other, full_check=True)
        found = sum(node.op_type in ("Conv", "ConvTranspose") for node in other.graph.node)
        assert found == 2 * sums, "each is the sum of two"
    floor = measure_noise_floor(model, trained.scenes[:1])
    assert floor is not None and floor == measure_noise_floor(model, trained.scenes[:1])
    assert (floor.images, floor.pixels, list(floor.changed)) == (1, 128 * 256, ["runs of 1", "runs of 4"])
    assert floor.share < 0.02, "more is another network"
    assert model.SerializeToString() == before


def test_int8_has_more_of_it_than_fp32(files: dict[tuple[str, Precision], ModelProto], trained: "Trained") -> None:
    single, whole = (measure_noise_floor(files["espnet-synthetic", p], trained.scenes) for p in ("fp32", "int8"))
    assert single is not None and whole is not None
    assert single.share < 1e-4 < whole.share


@pytest.mark.long
def test_a_bundle_has_one_per_engine_but_for_blocks_and_earlier_ones_load(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(4), networks=("espnet-synthetic",))
    bundle = deploy(root, tmp_path / "bundle", "cpu", ("fp32", "int8"), ("minmax",), attribute=("only",))
    for engine in bundle.engines:
        partial = engine.calibration is not None and bool(engine.calibration.only)
        assert (engine.noise_floor is None) == partial
        if engine.noise_floor is not None:
            assert engine.noise_floor.images == NOISE_IMAGES
    folder = BundleFolder(tmp_path / "bundle")
    assert folder.manifest() == bundle
    document = json.loads(encode(bundle))
    for engine in document["engines"]:
        del engine["noise_floor"]
    earlier = decode(json.dumps(document).encode(), BundleManifest, "bundle.json")
    assert [engine.noise_floor for engine in earlier.engines] == [None] * len(bundle.engines)
    document["engines"][0]["noise_floor"] = {"images": 0, "pixels": 1, "changed": {}}
    write_atomic(folder.manifest_path, json.dumps(document).encode())
    with pytest.raises(Exception, match="images"):
        folder.manifest()
