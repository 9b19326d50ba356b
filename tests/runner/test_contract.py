"""Bundles whose files an engine cannot read are refused before anything is built."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segeval.files.bundles import BundleFolder
from segeval.files.encoding import encode
from segeval_runner.backends import BACKENDS, Settings, load_backend
from segeval_runner.bundle import Bundle
from segeval_runner.errors import BackendError, BundleError
from segeval_runner.manifest import CONTRACT, WITH_OWN
from segeval_runner.progress import Progress
from segeval_runner.replay import EngineRun, Options, job_of

MakeBundle = Callable[..., Path]


def with_contract(root: Path, contract: int) -> Bundle:
    manifest = replace(BundleFolder(root).manifest(), contract=contract)
    (root / "bundle.json").write_bytes(encode(manifest))
    return Bundle(root)


@pytest.mark.parametrize("name", BACKENDS)
def test_every_engine_reads_what_is_made_now(name: str, make_bundle: MakeBundle) -> None:
    bundle = with_contract(make_bundle(), CONTRACT)
    job = job_of(bundle, bundle.manifest.engines[0], load_backend(name))
    assert job.file.name == "single.onnx"


def test_tensorrt_refuses_files_of_before_and_says_what_to_do(make_bundle: MakeBundle) -> None:
    bundle = with_contract(make_bundle(), 1)
    engine = bundle.manifest.engines[0]
    with pytest.raises(BackendError, match="transpose the uint8 image before they cast it") as raised:
        job_of(bundle, engine, load_backend("tensorrt"))
    assert "deploy the set again" in raised.value.hint
    assert job_of(bundle, engine, load_backend("onnxruntime")).file.name == "single.onnx"


def test_a_bundle_that_does_not_say_is_of_before(make_bundle: MakeBundle) -> None:
    root = make_bundle()
    text = (root / "bundle.json").read_text(encoding="utf-8")
    (root / "bundle.json").write_text(text.replace('"contract":1,', ""), encoding="utf-8")
    assert "contract" not in (root / "bundle.json").read_text(encoding="utf-8")
    assert Bundle(root).manifest.contract == BundleFolder(root).manifest().contract == 1


def test_a_later_contract_is_refused_as_a_newer_bundle(make_bundle: MakeBundle) -> None:
    with pytest.raises(BundleError, match="made by a newer segeval"):
        with_contract(make_bundle(), WITH_OWN + 1)


def test_what_is_refused_leaves_no_replay_behind(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """So that the engine which the hint names can be used with the same command."""
    root = make_bundle()
    with_contract(root, 1)
    options = Options(root, tmp_path / "out", "tensorrt", [], 0, Settings(1, tmp_path / "cache"))
    bundle = Bundle(root)
    run = EngineRun(
        bundle.manifest.engines[0], bundle, bundle.keys(), load_backend("tensorrt"), options, Progress(True)
    )
    with pytest.raises(BackendError, match="before they cast it"):
        run.run({"engines": []})
    assert not (tmp_path / "out").exists()
