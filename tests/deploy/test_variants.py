"""One network as several int8 files: made for real, each held to the rules of its own calibration."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, numpy_helper

from segeval.deploy import deploy, replay
from segeval.deploy.engine_files import PARITY_IMAGES_OF_BLOCKS
from segeval.deploy.variants import Quantizer, Variant, require_calibrations, require_quantizable, variants
from segeval.errors import ConfigurationError, EngineError
from segeval.files.bundles import BundleFolder, BundleManifest, DeployOptions
from segeval.files.encoding import decode
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec, parse_calibration, parse_calibrations
from segeval.graphs.mixed import to_int8_fp16
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel
from segeval.models import Segmenter
from segeval.models.soundness import predict
from segeval.registry import TARGETS
from tests.rounding import share_changed_by_steps

MakeSet = Callable[..., Path]
ONE = ("espnet-synthetic",)
SPECS = (
    "percentile,percentile=99.9",
    "minmax,ops=Conv+ConvTranspose+Add",
    "minmax,weights=per-tensor",
    "minmax,weights=per-tensor,ops=Conv+ConvTranspose",
    "minmax,activations=uint8",
    "percentile,activations=uint8,weights=per-tensor",
    "entropy,activations=uint8",
)


@pytest.fixture(scope="module")
def fp32(exported: dict[str, ModelProto]) -> ModelProto:
    return exported["espnet-synthetic"]


@pytest.fixture(scope="module")
def by_minmax(fp32: ModelProto, pictures: list[RgbImage]) -> Quantizer:
    return Quantizer(fp32, lambda spec: iter(pictures[:2]))


@pytest.mark.parametrize("text", SPECS)
def test_every_key_gives_a_file_by_its_own_rules_and_by_no_others(
    text: str, fp32: ModelProto, pictures: list[RgbImage], victims: dict[str, Segmenter]
) -> None:
    spec = parse_calibration(text)
    model = to_int8(fp32, pictures[:2], spec)
    check_qdq(model, spec)
    others = (
        replace(spec, per_channel=not spec.per_channel),
        replace(spec, activations="uint8" if spec.activations == "int8" else "int8"),
        replace(spec, op_types=("Conv",) if len(spec.op_types) > 1 else ("Conv", "Add")),
    )
    for other in others:
        with pytest.raises(EngineError):
            check_qdq(model, other)
    deployed = DeployedModel(model, optimised=False)  # kernels of uint8 depend on the processor
    changed = np.mean([deployed.predict(image) != predict(victims["espnet-synthetic"], image) for image in pictures])
    by_steps = share_changed_by_steps(fp32, model, pictures)
    assert by_steps < 0.3
    assert by_steps / 1.5 < changed < 1.5 * by_steps


def test_a_lower_percentile_gives_smaller_scales(fp32: ModelProto, pictures: list[RgbImage]) -> None:
    def scales(percentile: float) -> dict[str, float]:
        model = to_int8(fp32, pictures[:2], CalibrationSpec(percentile=percentile))
        constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
        nodes = [
            node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] not in constants
        ]
        return {node.input[0]: float(constants[node.input[1]]) for node in nodes}

    low, high = scales(90), scales(99.99)
    assert low.keys() == high.keys()
    assert all(low[name] < high[name] for name in low)


def test_a_second_zero_point_is_used_where_it_helps(fp32: ModelProto, pictures: list[RgbImage]) -> None:
    model = to_int8(fp32, pictures[:2], CalibrationSpec("minmax", activations="uint8"))
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    points = {
        int(constants[node.input[2]])
        for node in model.graph.node
        if node.op_type == "QuantizeLinear" and node.input[0] not in constants
    }
    assert len(points - {0, 128}) > 5


def test_ranges_are_found_once_for_calibrations_that_share_them(fp32: ModelProto, pictures: list[RgbImage]) -> None:
    asked: list[CalibrationSpec] = []

    def images(spec: CalibrationSpec) -> Iterator[RgbImage]:
        asked.append(spec)
        return iter(pictures[:1])

    quantizer = Quantizer(fp32, images)
    first, second, third = parse_calibrations(["minmax", "minmax,weights=per-tensor", "minmax,activations=uint8"])
    for variant in (Variant(first), Variant(second, "b"), Variant(first, "c", frozenset(quantized(fp32)[:2]))):
        quantizer.file(variant)
    assert asked == [first]
    quantizer.file(Variant(third, "d"))
    assert asked == [first, third]


def quantized(model: ModelProto, float_file: bool = True) -> list[str]:
    """Names of the convolutions; of an int8 file only those whose input is quantized."""
    producer = {name: node.op_type for node in model.graph.node for name in node.output}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [n.name for n in convolutions if float_file or producer.get(n.input[0]) == "DequantizeLinear"]


def test_only_and_without_a_block_are_complementary_and_cover_the_network(
    fp32: ModelProto, by_minmax: Quantizer
) -> None:
    spec = CalibrationSpec("minmax")
    found = {variant.name: variant for variant in variants(fp32, [spec], ["only", "without"])}
    every = set(quantized(fp32))
    blocks = [variant for variant in found.values() if variant.only]
    assert len(found) == 1 + 2 * len(blocks) == 25
    assert set().union(*(variant.nodes or () for variant in blocks)) == every
    for name in ("level1", "level3_C", "level3.1"):  # level3_C shares its input with level3_0
        files = {mode: by_minmax.file(found[f"{mode}-{name}"]) for mode in ("only", "without")}
        inside, outside = (set(quantized(files[mode], float_file=False)) for mode in ("only", "without"))
        assert inside == set(found[f"only-{name}"].nodes or ())
        assert (inside & outside, inside | outside) == (set(), every)
        for mode, file in files.items():
            check_qdq(file, spec, nodes=found[f"{mode}-{name}"].nodes)
            with pytest.raises(EngineError, match=r"must not be quantized|must come through"):
                check_qdq(file, spec, nodes=found[f"{'only' if mode == 'without' else 'without'}-{name}"].nodes)
            with pytest.raises(EngineError, match="must come through"):
                check_qdq(file, spec)
    with pytest.raises(EngineError, match="absent: it should be quantized"):
        check_qdq(files["only"], spec, nodes=[*(found["only-level3.1"].nodes or ()), "absent"])


def test_the_parts_of_a_network_in_int8_are_nearer_to_fp32_than_the_whole(
    fp32: ModelProto, by_minmax: Quantizer, pictures: list[RgbImage]
) -> None:
    spec = CalibrationSpec("minmax")
    found = {variant.name: variant for variant in variants(fp32, [spec], ["only"])}
    desktop = DeployedModel(fp32)

    def equal(name: str) -> float:
        deployed = DeployedModel(by_minmax.file(found[name]))
        return float(np.mean([deployed.predict(image) == desktop.predict(image) for image in pictures]))

    assert equal("") < equal("only-level1") < 1
    assert equal("") < equal("only-conv") < 1


def test_a_network_of_one_operator_has_no_blocks(fp32: ModelProto) -> None:
    def only_first() -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(fp32)
        for node in [node for node in copy.graph.node if node.op_type == "Conv"][1:]:
            node.op_type = "ConvTranspose"
        return copy

    with pytest.raises(ConfigurationError, match="nothing to compare"):
        list(variants(only_first(), [CalibrationSpec()], ["only"]))


def test_a_network_without_anything_to_quantize_is_refused_by_name(fp32: ModelProto) -> None:
    specs = parse_calibrations(["minmax", "minmax,placement=fused"])
    require_quantizable(fp32, specs, "a network")
    bare = ModelProto()
    bare.CopyFrom(fp32)
    for node in [node for node in bare.graph.node if node.op_type == "Conv"]:
        node.op_type = "ConvTranspose"
    for spec, lacking in zip(specs, ("Conv", "convolution that gains by int8"), strict=True):
        with pytest.raises(ConfigurationError, match=f"mine has no {lacking}, so the calibration") as caught:
            require_quantizable(bare, [spec], "mine")
        assert "--precision fp32,fp16" in caught.value.hint


def test_unsigned_activations_go_into_int8_fp16_as_well(fp32: ModelProto, pictures: list[RgbImage]) -> None:
    spec = CalibrationSpec("minmax", activations="uint8", per_channel=False)
    mixed = to_int8_fp16(to_int8(fp32, pictures[:2], spec))
    check_qdq(mixed, spec, "int8-fp16")
    DeployedModel(mixed).predict(pictures[0])


@pytest.mark.parametrize("target", list(TARGETS))
def test_tensorrt_8_is_given_no_scale_per_output_channel_of_transposed_convolutions(target: str) -> None:
    device = TARGETS.load(target)
    fine = parse_calibrations(["minmax,ops=Conv+ConvTranspose,weights=per-tensor", "minmax,placement=fused"])
    require_calibrations(device, ("int8",), fine, ())
    transposed = parse_calibrations(["minmax", "minmax,ops=Conv+ConvTranspose"])
    if not any(version.startswith("8.") for version in device.tensorrt_versions):
        require_calibrations(device, ("int8",), transposed, ())
        return
    with pytest.raises(ConfigurationError, match="scale per input channel") as caught:
        require_calibrations(device, ("int8",), transposed, ())
    assert f"{target} cannot run minmax,images=32,ops=Conv+ConvTranspose" in caught.value.what
    assert "weights=per-tensor" in caught.value.hint


def test_blocks_are_compared_in_accurate_files_alone() -> None:
    fused, accurate = parse_calibrations(["minmax,placement=fused", "minmax"])
    device = TARGETS.load("cpu")
    with pytest.raises(ConfigurationError, match="share their scales"):
        require_calibrations(device, ("int8",), (fused, accurate), ("only",))
    require_calibrations(device, ("int8",), (accurate, fused), ("only",))


@pytest.mark.parametrize("target", list(TARGETS))
def test_tensorrt_is_given_symmetric_int8_alone(target: str) -> None:
    device = TARGETS.load(target)
    fine = parse_calibrations(["percentile", "minmax,weights=per-tensor,ops=Conv+Add"])
    require_calibrations(device, ("int8",), fine, ("only",))
    unsigned = parse_calibrations(["percentile", "minmax,activations=uint8"])
    if not device.tensorrt_versions:
        require_calibrations(device, ("int8",), unsigned, ())
        return
    with pytest.raises(ConfigurationError, match="zero-points of 0") as caught:
        require_calibrations(device, ("int8",), unsigned, ())
    assert "minmax" in caught.value.what
    assert "activations=uint8" in caught.value.hint


def test_several_files_without_int8_are_refused(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    with pytest.raises(ConfigurationError, match="int8 was not requested") as caught:
        deploy(root, tmp_path / "bundle", precisions=("int8-fp16",), calibrations=("percentile", "minmax"))
    assert "--precision int8" in caught.value.hint
    with pytest.raises(ConfigurationError, match="--attribute makes int8 files"):
        deploy(root, tmp_path / "bundle", precisions=("fp32",), attribute=("only",))
    with pytest.raises(ConfigurationError, match="zero-points of 0"):
        deploy(root, tmp_path / "b", "jetson", ("int8",), ("percentile,activations=uint8",))
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long
def test_a_sweep_is_deployed_replayed_and_recorded(make_set: MakeSet, dataset_root: Path, tmp_path: Path) -> None:
    """With six images, so that attribution's check on fewer of them shows."""
    root = make_set(range(6), dataset_root, ONE)
    given = ("minmax,images=2", "percentile,activations=uint8", "minmax,images=2,weights=per-tensor,seed=5")

    def made() -> BundleManifest:
        return deploy(
            root, tmp_path / "bundle", "cpu", ("fp32", "int8", "int8-fp16"), given, 3, attribute=("without", "without")
        )

    bundle = made()
    assert made() == BundleFolder(tmp_path / "bundle").verify() == bundle
    assert bundle.options == DeployOptions(
        precisions=("fp32", "int8", "int8-fp16"),
        calibration="minmax",
        calibration_images=2,
        batch=1,
        sweep=(
            "minmax,images=2",
            "percentile,images=3,activations=uint8",
            "minmax,images=2,seed=5,weights=per-tensor",
        ),
        attribute=("without",),
    )
    names = [engine.name.removeprefix("espnet-synthetic.") for engine in bundle.engines]
    assert names[:4] == ["fp32", "int8", "int8-percentile-3-images-uint8", "int8-minmax-seed-5-per-tensor"]
    assert [name for name in names if "without" not in name][4:] == ["int8-fp16"]
    assert len(names) == 5 + 12
    check_records(bundle)
    done = replay(tmp_path / "bundle", tmp_path / "replay", lambda *step: None, warmup=0, threads=1)
    assert done.complete
    assert [engine.name for engine in done.engines] == [engine.name for engine in bundle.engines]
    whole, part = (done.labels(f"espnet-synthetic.{name}", "clean/0") for name in ("int8", "int8-without-conv"))
    assert 0.5 < np.mean(whole == part) < 1


def check_records(bundle: BundleManifest) -> None:
    found = {engine.name.partition(".")[2]: engine.calibration for engine in bundle.engines}
    first, unsigned = found["int8"], found["int8-percentile-3-images-uint8"]
    other, block = found["int8-minmax-seed-5-per-tensor"], found["int8-without-level3.1"]
    assert first and unsigned and other and block
    assert (first.name, first.per_channel, first.activations, first.only, first.without) == ("", True, "int8", (), ())
    assert replace(block, name="", without=()) == first == found["int8-fp16"]
    assert (block.name, block.only, block.without) == ("without-level3.1", (), ("level3.1",))
    assert (unsigned.method, unsigned.percentile, unsigned.activations, len(unsigned.images)) == (
        "percentile", 99.99, "uint8", 3,
    )  # fmt: skip
    assert (other.seed, other.per_channel, len(other.images)) == (5, False, 2)
    assert other.images != first.images
    for engine in bundle.engines:
        blocks = engine.calibration is not None and bool(engine.calibration.without)
        assert engine.parity is not None
        assert engine.parity.images == (PARITY_IMAGES_OF_BLOCKS if blocks else 6)


OLD = b"""{"segeval": "0.1.0", "set": {"manifest_sha256": "%s"}, "target": "cpu",
"options": {"precisions": ["int8"], "calibration": "minmax", "calibration_images": 2, "batch": 1, "dla": null},
"engines": [{"name": "net.int8", "model": "net", "precision": "int8", "file": "models/net.int8.onnx", "height": 8,
"width": 8, "batch": 1, "classes": 3, "inputs": [[0, 1]], "calibration": {"method": "minmax", "percentile": null,
"source": "folder, train split", "seed": 0, "images": [{"id": "a", "sha256": "%s"}], "op_types": ["Conv"]},
"parity": {"images": 1, "equal": 0.9, "miou": null, "torch_miou": null, "unoptimised_equal": 1.0},
"flagged_file": null}], "inputs": {"count": 1, "height": 8, "width": 8, "index": "inputs/index.jsonl", "shards":
[{"file": "inputs/shard-00000.npy", "first": 0, "count": 1}]}, "files": {}, "run": {"backend": "onnxruntime",
"workspace_mb": 0, "dla": null}, "schema": "segeval.bundle/1"}""" % (b"0" * 64, b"1" * 64)


def test_a_bundle_from_before_sweeps_reads_as_what_ships() -> None:
    bundle = decode(OLD, BundleManifest, "bundle.json")
    assert (bundle.options.calibration, bundle.options.calibration_images) == ("minmax", 2)
    assert (bundle.options.sweep, bundle.options.attribute) == ((), ())
    calibration = bundle.engines[0].calibration
    assert calibration is not None
    assert (calibration.name, calibration.per_channel, calibration.activations) == ("", True, "int8")
    assert (calibration.only, calibration.without) == ((), ())
