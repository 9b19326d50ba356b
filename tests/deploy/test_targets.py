"""What each kind of device is asked for, and refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segeval.commands.deploy import say_where_the_accelerator_is
from segeval.deploy import deploy
from segeval.deploy.targets import JETPACKS, Target
from segeval.errors import ConfigurationError
from segeval.files.bundles import BundleFolder, RunDefaults
from segeval.registry import TARGETS
from segeval_runner.digests import sealed
from segeval_runner.manifest import RunDefaults as DeviceDefaults
from segeval_runner.manifest import parse

MakeSet = Callable[..., Path]
ONE = ("espnet-synthetic",)
JETSONS = [name for name in TARGETS if name.startswith("jetson")]


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_target_knows_its_name_and_what_runs_there(name: str) -> None:
    target: Target = TARGETS.load(name)
    assert target.name == name
    assert {"fp32", "fp16", "int8"} <= set(target.precisions)
    assert target.refusal(target.precisions, None) is None
    assert bool(target.jetpacks) == name.startswith("jetson")
    assert (target.backend == "tensorrt") == (name == "tensorrt" or name in JETSONS)


@pytest.mark.parametrize("name", list(TARGETS))
def test_what_a_target_makes_by_default(name: str) -> None:
    three = ("fp32", "fp16", "int8")
    with_tensorrt = name in ("tensorrt", "rtx", *JETSONS)
    assert TARGETS.load(name).default_precisions == ((*three, "int8-fp16") if with_tensorrt else three)


@pytest.mark.long
def test_a_bundle_holds_what_its_target_makes_by_default(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    for target, last in (("jetson-thor", "int8-fp16"), ("cpu", "int8")):
        found = deploy(root, tmp_path / target, target, calibrations=("minmax",))
        assert found.options.precisions == TARGETS.load(target).default_precisions
        assert [engine.precision for engine in found.engines][-1] == last


def test_every_supported_jetpack_belongs_to_a_module_and_the_open_profile_has_them_all() -> None:
    named: set[str] = set()
    for name in JETSONS:
        if name != "jetson":
            named |= {jetpack.name for jetpack in TARGETS.load(name).jetpacks}
    assert named == {jetpack.name for jetpack in JETPACKS} == {j.name for j in TARGETS.load("jetson").jetpacks}


@pytest.mark.parametrize(
    ("name", "dla", "complaint"),
    [
        ("jetson-orin-nano", 0, "Jetson Orin Nano has no deep learning accelerator"),
        ("jetson-thor", 0, "has no deep learning accelerator"),
        ("cpu", 0, "has no deep learning accelerator"),
        ("jetson-agx-orin", 2, "has 2 accelerators"),
    ],
)
def test_an_accelerator_that_is_not_there_is_refused(name: str, dla: int, complaint: str) -> None:
    found = TARGETS.load(name).refusal(("fp16",), dla)
    assert found is not None
    assert complaint in found[0]
    assert found[1]


def test_accelerators_that_are_there_or_may_be_are_allowed() -> None:
    for name, dla in (("jetson-agx-orin", 1), ("jetson-orin-nx", 0), ("jetson-xavier", 1), ("jetson", 1)):
        assert TARGETS.load(name).refusal(("fp16",), dla) is None


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_accelerator_computes_in_fp16_alone(precision: str) -> None:
    found = TARGETS.load("jetson-agx-orin").refusal(("fp16", precision), 0)
    assert found == (
        "--dla 0: nothing but fp16 is known to run on the accelerator (on JetPack 5.1 to 5.1.7, 6.0, 6.1 to 6.2.3, "
        "7.2.2 with TensorRT 11.4.1)",
        "give only --precision fp16",
    )


def test_an_accelerator_is_there_with_the_tensorrt_that_knows_it() -> None:
    """NVIDIA: 10.7 was the last TensorRT before 11.4.1, which has it on AGX Orin alone."""
    for name in TARGETS:
        target: Target = TARGETS.load(name)
        assert bool(target.dla_jetpacks) == (target.dla_cores != 0)
        assert set(target.dla_jetpacks) <= set(target.jetpacks)
        for jetpack in target.dla_jetpacks:
            version = tuple(int(part) for part in jetpack.tensorrt.split("."))
            assert version < (10, 8) or (version >= (11, 4, 1) and name in ("jetson", "jetson-agx-orin"))
    assert TARGETS.load("jetson-orin-nx").dla_releases == "JetPack 5.1 to 5.1.7, 6.0, 6.1 to 6.2.3"
    assert TARGETS.load("cpu").dla_releases == ""


def test_deploy_says_where_an_accelerator_is(
    make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = deploy(make_set(range(1), networks=ONE), tmp_path / "bundle", "jetson-orin-nx", ["fp16"], dla=0)
    say_where_the_accelerator_is(bundle)
    said = " ".join(capsys.readouterr().err.split())
    assert "runs on JetPack 5.1 to 5.1.7, 6.0, 6.1 to 6.2.3; elsewhere give the runner --dla gpu" in said
    say_where_the_accelerator_is(replace(bundle, options=replace(bundle.options, dla=None)))
    assert capsys.readouterr().err == ""


def test_memory_bounds_the_batch_and_the_workspace() -> None:
    nano, agx = TARGETS.load("jetson-orin-nano"), TARGETS.load("jetson-agx-orin")
    assert nano.workspace_mb == 1024
    assert TARGETS.load("cpu").most_images(1024, 2048, 19) is None
    small, large = nano.most_images(1024, 2048, 19), agx.most_images(1024, 2048, 19)
    assert 1 <= small < large
    assert nano.most_images(512, 1024, 19) >= 4 * small


def test_a_bundle_says_how_it_is_run_on_both_sides(make_set: MakeSet, tmp_path: Path) -> None:
    found = deploy(make_set(range(1), networks=ONE), tmp_path / "bundle", "jetson-orin-nx", ["fp16"], dla=1)
    assert found.target == "jetson-orin-nx"
    assert found.run == RunDefaults("tensorrt", 2048, 1)
    read = parse((tmp_path / "bundle" / "bundle.json").read_bytes())
    assert read.run == DeviceDefaults("tensorrt", 2048, 1)
    assert BundleFolder(tmp_path / "bundle").verify() == found
    data = json.loads((tmp_path / "bundle" / "bundle.json").read_bytes())
    del data["run"]
    assert parse(json.dumps(sealed(data)).encode()).run == DeviceDefaults(), "an older bundle"


def test_what_the_device_cannot_do_leaves_nothing(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    for options, complaint in (
        ({"dla": 0}, "no deep learning accelerator"),
        ({"batch": 100_000}, "more than a quarter of the 4 GB"),
    ):
        with pytest.raises(ConfigurationError, match=complaint) as caught:
            deploy(root, tmp_path / "bundle", "jetson-orin-nano", ["fp32"], **options)  # type: ignore[arg-type]
        assert caught.value.hint
        assert not (tmp_path / "bundle").exists()
