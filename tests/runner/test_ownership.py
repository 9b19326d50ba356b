"""Whose a folder is, by what lies in it."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval_runner.ownership import KINDS, NOTHING, OTHER, Kind, kind_of, refusal
from tests.interrupting import held

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


def filled(folder: Path, *names: str) -> Path:
    """A folder with these files."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_known_by_its_manifest_and_refused_to_all_others(kind: Kind, tmp_path: Path) -> None:
    folder = filled(tmp_path / "out", *kind.manifests)
    assert kind_of(folder) == kind.name
    for other in KINDS:
        said = refusal(folder, other.name)
        assert said == ("" if other == kind else f"{folder} holds {kind.words} ({kind.manifests[0]})")


def test_a_replay_is_not_taken_for_the_bundle_whose_manifest_it_has(tmp_path: Path) -> None:
    assert kind_of(filled(tmp_path, "bundle.json", "replay.json")) == "replay"
    assert kind_of(filled(tmp_path, "runner.pyz")) == "replay"


def test_nothing_is_what_is_not_there_or_was_left_by_a_writer_that_was_killed(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "new") == NOTHING
    assert kind_of(tmp_path) == NOTHING
    filled(tmp_path, "replay.json.part")
    (tmp_path / ".unpacked.x.part").mkdir()
    assert kind_of(tmp_path) == NOTHING
    assert refusal(tmp_path, "bench") == ""


def test_what_was_begun_is_only_its_makers(tmp_path: Path) -> None:
    filled(tmp_path, "bundle.json")
    assert refusal(tmp_path, "replay", ("bundle.json",)) == ""
    assert refusal(tmp_path, "bench") == f"{tmp_path} holds files that segeval did not make"


def test_other_files_and_what_is_no_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "mine", "thesis.tex")
    assert kind_of(folder) == OTHER
    assert refusal(folder, "set") == f"{folder} holds files that segeval did not make"
    file = folder / "thesis.tex"
    assert kind_of(file) == OTHER
    assert refusal(file, "set") == f"{file} is not a folder"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path / "dangling", "set") == f"{tmp_path / 'dangling'} is not a folder"


def test_an_own_folder_stays_ones_own_beside_another_kind(tmp_path: Path) -> None:
    """As earlier versions allowed: a benchmark was written into any folder."""
    filled(tmp_path, "set.json", "bench.json")
    assert refusal(tmp_path, "bench") == ""
    assert "an adversarial set (set.json)" in refusal(tmp_path, "replay")


SHORT = ("--warmup", 0, "--warmup-seconds", 0, "--seconds", 0.001, "--calls", 1, "--images", 1, "--idle-seconds", 0)


def refused(command: list[str], folder: Path) -> str:
    """What a command says that is refused and changes nothing."""
    before = held(folder)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert held(folder) == before
    return ended.stderr


@pytest.mark.parametrize("command", ["replay", "bench", "start"])
@pytest.mark.parametrize(
    ("names", "holds"),
    [
        (["set.json", "samples.jsonl"], "an adversarial set (set.json)"),
        (["bundle.json", "runner.pyz"], "a bundle (bundle.json)"),
        (["report.json", "report.html"], "a report (report.json)"),
        (["thesis.tex"], "files that segeval did not make"),
    ],
)
def test_the_runner_writes_into_no_folder_of_another(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path, command: str, names: list[str], holds: str
) -> None:
    out = filled(tmp_path / "out", *names)
    words = ["start", "--folder", out, "verify"] if command == "start" else [command, "--out", out]
    assert f"{out} holds {holds}" in refused(runner(make_bundle(), *words), out)


@pytest.mark.long
def test_replay_and_benchmark_keep_out_of_each_others_folders(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle = make_bundle()
    words = {
        "replay": ["replay", "--out", tmp_path / "replay", "--warmup", 0],
        "bench": ["bench", "--out", tmp_path / "bench", *SHORT],
        "run": ["start", "--folder", tmp_path / "run", "--follow", "verify"],
    }
    for command in words.values():
        subprocess.run(runner(bundle, *command), check=True, capture_output=True)
    held_by = {
        "replay": "a replay (replay.json)",
        "bench": "a benchmark (bench.json)",
        "run": "the log of a detached run",
    }
    for name, command in words.items():
        for other in words.keys() - {name}:
            into = [tmp_path / other if word == tmp_path / name else word for word in command]
            assert f"holds {held_by[other]}" in refused(runner(bundle, *into), tmp_path / other)
    for command in words.values():
        subprocess.run(runner(bundle, *command), check=True, capture_output=True)


def test_looking_for_a_run_leaves_nothing_in_a_folder(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    folder = filled(tmp_path / "set", "set.json")
    ended = subprocess.run(
        runner(make_bundle(), "stop", "--folder", folder), capture_output=True, text=True, check=True
    )
    assert ended.stdout == '{"stopped": false}\n'
    assert held(folder) == {"set.json": b""}


def test_packed_results_replace_nothing_but_packed_results(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    subprocess.run(runner(bundle, "replay", "--out", out, "--warmup", 0), check=True, capture_output=True)
    thesis = filled(tmp_path / "mine", "set.json") / "set.json"
    thesis.write_text("precious")
    said = refused(runner(bundle, "pack", out, "--to", thesis), thesis.parent)
    assert f"{thesis} is not a file of packed results" in said and "--to" in said
    (tmp_path / "mine" / "link").symlink_to(thesis)
    assert "is a symbolic link" in refused(runner(bundle, "pack", out, "--to", thesis.parent / "link"), thesis.parent)
    assert "mine is a folder" in refused(runner(bundle, "pack", out, "--to", thesis.parent), thesis.parent)
    for _ in range(2):
        subprocess.run(runner(bundle, "pack", out, "--to", tmp_path / "results.tar"), check=True, capture_output=True)
