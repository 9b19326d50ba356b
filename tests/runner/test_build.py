import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from segeval_runner.bundle import Bundle
from segeval_runner.cli import main, own_engines, settings
from segeval_runner.cli import parser as command_line

MakeBundle = Callable[..., Path]


def test_build_loads_every_engine_and_runs_nothing(
    make_bundle: MakeBundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle()
    before = sorted(bundle.rglob("*"))
    assert main(["build", "--bundle", str(bundle), "--json", "--cache", str(tmp_path / "cache")]) == 0
    said = capfd.readouterr()
    built = json.loads(said.out)
    assert [one["engine"] for one in built] == ["single", "batched"]
    for one in built:
        assert one["backend"] == "onnxruntime"
        assert one["seconds"] > 0
        assert isinstance(one["facts"], dict)
    assert "build: 0/2 (0 %)" in said.err and "build: 2/2 (100 %)" in said.err
    assert sorted(bundle.rglob("*")) == before


def test_one_engine_can_be_built_alone(make_bundle: MakeBundle, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--bundle", str(make_bundle()), "--engine", "batched"]) == 0
    said = capfd.readouterr().out
    assert said.startswith("batched: loaded in ") and "single" not in said


def test_a_model_that_does_not_load_and_a_changed_bundle_are_refused(
    make_bundle: MakeBundle, capfd: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle()
    model = bundle / "models" / "single.onnx"
    model.write_bytes(bytes(model.stat().st_size))
    assert main(["build", "--bundle", str(bundle)]) == 2
    assert "was changed" in capfd.readouterr().err
    assert main(["build", "--bundle", str(bundle), "--engine", "none"]) == 2
    assert "the bundle has no engine 'none'" in capfd.readouterr().err


def test_engines_are_kept_away_from_the_bundle(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that came with a bundle would be run as it is."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "mine"))
    assert own_engines() == tmp_path / "mine" / "segeval" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert own_engines() == tmp_path / ".cache" / "segeval" / "engines"


def test_every_command_that_runs_engines_takes_the_same_settings() -> None:
    options = [
        "--threads",
        "2",
        "--cache",
        "c",
        "--memory",
        "cudart",
        "--workspace-mb",
        "64",
        "--cuda-graph",
        "--dla",
        "0",
    ]
    for words in (["build"], ["replay", "--out", "o"], ["bench", "--out", "o"]):
        given = command_line().parse_args([*words, *options])
        assert (given.threads, given.cache, given.memory) == (2, Path("c"), "cudart")
        assert (given.workspace_mb, given.cuda_graph, given.dla) == (64, True, 0)


def test_the_limit_is_the_command_lines_then_the_bundles_then_left_to_the_device(make_bundle: MakeBundle) -> None:
    bundle = Bundle(make_bundle())
    own = SimpleNamespace(manifest=replace(bundle.manifest, run=replace(bundle.manifest.run, workspace_mb=512)))
    for asked, of, expected in (
        ([], bundle, None),
        ([], own, 512),
        (["--workspace-mb", "64"], own, 64),
        (["--workspace-mb", "0"], own, 0),
    ):
        given = command_line().parse_args(["build", *asked])
        assert settings(given, of).workspace_mb == expected  # type: ignore[arg-type]


def test_copies_of_a_bundle_share_nothing(make_bundle: MakeBundle, tmp_path: Path) -> None:
    """A bundle can lie on a medium that cannot be written."""
    bundle = make_bundle()
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy)
    assert main(["build", "--bundle", str(copy)]) == 0
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == sorted(
        path.relative_to(bundle) for path in bundle.rglob("*")
    )
