"""A bundle whose images go through corruptions as well: what is in it, and what corruptions leave alone."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segeval.corruptions import parse_corruption, parse_corruptions
from segeval.deploy import deploy, replay
from segeval.deploy.contents import survey
from segeval.errors import ConfigurationError
from segeval.files.bundles import BundleFolder, BundleManifest, DeployOptions
from segeval.files.encoding import decode, encode
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval_runner.bundle import Bundle

MakeSet = Callable[..., Path]
ONE = ("espnet-synthetic",)
SPECS = ("jpeg:50", "gamma:2")
PLAIN = ["clean/0", "clean/1", *(f"adversarial/{seed}/task/fgsm-full/espnet-synthetic" for seed in range(2))]


def test_every_image_is_there_once_more_per_channel(make_set: MakeSet, tmp_path: Path) -> None:
    """Read as the device reads it."""
    bundle = deploy(make_set(range(2), networks=ONE), tmp_path / "bundle", precisions=("fp32",), corruptions=SPECS)
    assert BundleFolder(tmp_path / "bundle").verify() == bundle
    there = Bundle(tmp_path / "bundle")
    assert there.keys() == [*PLAIN, *(f"corruption/{name}/{key}" for name in ("jpeg-50", "gamma-2") for key in PLAIN)]
    for index in range(len(PLAIN)):
        for number, spec in enumerate(SPECS, start=1):
            expected = parse_corruption(spec).apply(np.array(there.image(index)))
            assert np.array_equal(there.image(number * len(PLAIN) + index), expected)
    assert bundle.options.corruptions == ("jpeg-50", "gamma-2")
    assert [engine.inputs for engine in bundle.engines] == [((0, 12),)]
    replay(tmp_path / "bundle", tmp_path / "replay", lambda stage, done, total: None, warmup=0, threads=1)
    run = Replay.open(tmp_path / "replay")
    assert list(run.results("espnet-synthetic.fp32").keys) == there.keys()
    assert not np.array_equal(
        run.labels("espnet-synthetic.fp32", "clean/0"),
        run.labels("espnet-synthetic.fp32", "corruption/gamma-2/clean/0"),
    )


def test_calibration_and_parity_are_of_plain_images(make_set: MakeSet, dataset_root: Path, tmp_path: Path) -> None:
    root = make_set(range(2), dataset_root, networks=ONE)
    plain, through = (
        deploy(root, tmp_path / name, precisions=("fp32", "int8"), calibration_images=2, corruptions=corruptions)
        for name, corruptions in (("plain", ()), ("through", ("bits:2",)))
    )
    for one, other in zip(plain.engines, through.engines, strict=True):
        assert (one.calibration, one.parity) == (other.calibration, other.parity)
        assert plain.files[one.file] == through.files[other.file]
    assert through.inputs.count == 2 * plain.inputs.count


def test_only_the_calibration_that_ships_runs_corruptions(
    make_set: MakeSet, dataset_root: Path, tmp_path: Path
) -> None:
    """Two images with a sample each: 4 inputs as they are, and 4 after the corruption."""
    bundle = deploy(
        make_set(range(2), dataset_root, networks=ONE),
        tmp_path / "bundle",
        precisions=("int8",),
        calibrations=("minmax", "minmax,seed=1"),
        calibration_images=1,
        corruptions=("bits:2",),
    )
    assert [(engine.ships, engine.inputs) for engine in bundle.engines] == [(True, ((0, 8),)), (False, ((0, 4),))]


def test_a_model_runs_what_it_was_shown_after_each_corruption_too(make_set: MakeSet) -> None:
    """Two images and, for either network, one sample of each: 6 inputs per corruption, 4 of them for one network."""
    contents = survey(SetFolder(make_set(range(2))), parse_corruptions(SPECS))
    assert len(contents.inputs()) == 18
    for model in ("espnet-synthetic", "fast-scnn-synthetic"):
        own = [index for first, end in contents.inputs_for(model) for index in range(first, end)]
        keys = [contents.inputs()[index].key for index in own]
        assert len(keys) == 12 and sum("/clean/" in f"/{key}" for key in keys) == 6
        assert all("clean/" in key or key.endswith(model) for key in keys)
        plain = [index for first, end in contents.inputs_for(model, corruptions=False) for index in range(first, end)]
        assert plain == own[:4]


def test_channels_are_part_of_what_a_bundle_is(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(2), networks=ONE)
    bundle = deploy(root, tmp_path / "bundle", precisions=("fp32",), corruptions=["jpeg:50"])
    assert deploy(root, tmp_path / "bundle", precisions=("fp32",), corruptions=["jpeg:50.0"]) == bundle
    for corruptions in ((), ("jpeg:51",), ("jpeg:50", "gamma:2")):
        with pytest.raises(ConfigurationError, match="holds another bundle"):
            deploy(root, tmp_path / "bundle", precisions=("fp32",), corruptions=corruptions)


def test_a_bad_corruption_leaves_nothing_behind(make_set: MakeSet, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the quality is a whole number"):
        deploy(make_set(range(2), networks=ONE), tmp_path / "bundle", precisions=("fp32",), corruptions=["jpeg:0"])
    assert not (tmp_path / "bundle").exists()


def test_a_manifest_from_before_channels_reads(make_set: MakeSet, tmp_path: Path) -> None:
    bundle = deploy(make_set(range(2), networks=ONE), tmp_path / "bundle", precisions=("fp32",))
    old = json.loads(encode(bundle))
    del old["options"]["corruptions"]
    assert decode(json.dumps(old), BundleManifest, "bundle.json") == bundle
    assert DeployOptions(("fp32",), "percentile", 1, 1).corruptions == ()
