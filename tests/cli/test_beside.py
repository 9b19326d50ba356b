"""The next command names what lies beside a bundle: the set it was made of, and a replay of it."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from segeval.commands.beside import replay_beside, say_how_to_evaluate, set_beside
from segeval.files.bundles import BundledFile, BundleManifest, DeployOptions, Inputs, SetReference
from segeval.files.encoding import encode, encode_sealed
from segeval.files.replays import Environment, ReplayedEngine, ReplayRecord
from segeval.files.storage import sha256_file
from segeval.places import neighbour

ENVIRONMENT = Environment("0", "3.11.2", "2.4.6", "Linux", "x86_64", "a processor", 2, 2, {})
ENGINE = ReplayedEngine("m.fp32", "m", "fp32", "onnxruntime", "1", 8, 8, 1, 2, "m.fp32", 1, True, 0, 1.0)
Write = Callable[..., Path]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle with its set beside it, as far as the next command reads them."""
    (tmp_path / "attacks").mkdir()
    (tmp_path / "attacks" / "set.json").write_text("{}")
    options = DeployOptions(("fp32",), "percentile", 1, 1)
    made_of = SetReference(sha256_file(tmp_path / "attacks" / "set.json"))
    index = "inputs/index.jsonl"
    files = {index: BundledFile("0" * 64, 1)}
    manifest = BundleManifest("0", made_of, "cpu", options, (), Inputs(0, 8, 8, index, ()), files)
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_bytes(encode_sealed(manifest))
    return tmp_path / "bundle"


@pytest.fixture
def write(bundle: Path) -> Write:
    """Write a replay of the bundle; the keywords are fields of its record. age: in seconds."""

    def written(name: str, age: int = 0, complete: bool = True, **changes: object) -> Path:
        engines = (replace(ENGINE, complete=complete),)
        record = ReplayRecord(sha256_file(bundle / "bundle.json"), "a" * 64, ENVIRONMENT, engines)
        file = bundle.parent / name / "replay.json"
        file.parent.mkdir()
        file.write_bytes(encode(replace(record, **changes)))  # type: ignore[arg-type]
        os.utime(file, (1e9 - age, 1e9 - age))
        return file.parent

    return written


def test_the_latest_finished_replay_of_the_whole_bundle_is_named(bundle: Path, write: Write) -> None:
    assert replay_beside(bundle) is None
    write("unfinished", complete=False)
    write("part", shard="1/2")
    write("other", bundle_sha256="b" * 64)
    (bundle.parent / "broken").mkdir()
    (bundle.parent / "broken" / "replay.json").write_text("{")
    assert replay_beside(bundle) is None
    earlier, latest = write("a", age=100), write("b", age=10)
    write("c", age=50)
    assert replay_beside(bundle) == latest != earlier


def test_the_command_can_be_pasted_and_says_so_where_it_cannot(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle.parent)
    here = Path("bundle")
    say_how_to_evaluate(here, [Path("replay")], Path("bench"), "--bench", "bench")
    assert capfd.readouterr().err == "next: segeval evaluate attacks replay --bench bench --out report\n"
    Path("attacks/set.json").write_text("another set")
    assert set_beside(here) is None
    say_how_to_evaluate(here, [Path("replay")], Path("replay"))
    said = capfd.readouterr().err
    assert "next: " not in said
    assert said.startswith(
        "the set that bundle was made of is not beside it; where it is: segeval evaluate SET replay "
    )


def test_a_folder_that_is_called_by_a_dot_has_neighbours_too(
    bundle: Path, write: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replay = write("replay")
    monkeypatch.chdir(bundle)
    assert (set_beside(Path()), replay_beside(Path())) == (bundle.parent / "attacks", replay)
    (replay / "deeper").mkdir()
    monkeypatch.chdir(replay / "deeper")
    for out in (Path(".."), replay):
        say_how_to_evaluate(bundle, [out], out)
        assert f"--out {bundle.parent / 'report'}" in "".join(capsys.readouterr().err.split("\n"))
    monkeypatch.chdir(replay)
    assert neighbour(Path(), "report") == bundle.parent / "report"


@pytest.mark.parametrize(
    ("folder", "kind", "made"),
    [
        ("runs/set", "bundle", "runs/bundle"),
        ("runs/on-mine", "bundle", "runs/on-mine-bundle"),
        ("runs/orin-bundle", "replay", "runs/orin-replay"),
        ("my set", "bundle", "my set-bundle"),
    ],
)
def test_what_is_made_of_a_folder_lies_beside_it_and_is_called_like_it(folder: str, kind: str, made: str) -> None:
    assert neighbour(Path(folder), kind) == Path(made)
