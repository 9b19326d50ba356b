"""``segeval compare`` on reports that were really evaluated: one set with two replays, and another set."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segeval.cli import run
from segeval.evaluate import (
    SurvivalReport,
    check_changes,
    check_gates,
    evaluate,
    parse_change_gate,
    parse_gate,
    read_report,
)
from segeval.evaluate.compare import compare_runs
from segeval.files.encoding import encode
from segeval.files.replays import Replay
from segeval.files.storage import write_atomic
from segeval.progress import silent
from segeval_runner.recording import Recording
from segeval_runner.strict import UNPRINTABLE

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

RunOf = Callable[..., Path]
Shared = tuple["World", SurvivalReport]
INT8 = "espnet-camvid.int8"


def segeval(*arguments: object) -> int:
    return run([str(argument) for argument in arguments])


@pytest.fixture
def again(shared: Shared, tmp_path: Path) -> Path:
    """The report of another replay of the shared world, in which int8 is as exact as fp32."""
    world, _ = shared
    replay = tmp_path / "replay"
    shutil.copytree(world.replay_root, replay)
    exact = Replay.open(replay).results("espnet-camvid.fp32")
    shutil.rmtree(replay / INT8)
    with Recording(replay / INT8, list(exact.keys), 1) as recording:
        for key in exact.keys:
            recording.append(key, exact.labels(key), 5.0)
    record = Replay.open(replay).record
    write_atomic(replay / "replay.json", encode(replace(record, environment=replace(record.environment, cpu="other"))))
    evaluate(world.set_root, [replay], tmp_path / "out")
    return tmp_path / "out"


def test_two_replays_of_one_set(shared: Shared, again: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = shared[0].set_root.parent / "out"
    assert segeval("compare", first, again, "--json", "--out", tmp_path / "compared", "--quiet") == 0
    out, err = capfd.readouterr()
    assert err == f"comparison: {tmp_path / 'compared' / 'compare.md'}\n"
    found: dict[str, Any] = json.loads(out)
    assert out.encode() == (tmp_path / "compared" / "compare.json").read_bytes()
    assert (found["schema"], found["same_set"]) == ("segeval.compare/2", True)
    assert found["a"]["machines"] == ["a processor"] and found["b"]["machines"] == ["other"]
    with (first / "samples.csv").open(newline="") as file:
        before = [row for row in csv.DictReader(file) if row["engine"] == INT8 and row["attack"] == "fgsm-full"]
    kept = {image: [0, 0] for image in "abc"}
    for row in before:
        kept[row["image"]][0] += int(row["survived"])
        kept[row["image"]][1] += int(row["desktop_hit"])
    change = next(
        each
        for each in found["changes"]
        if (each["a_engine"], each["attack"], each["task"], each["quantity"]) == (INT8, "fgsm-full", None, "survival")
    )
    assert change["paired"]["second"] == 1.0
    assert change["paired"]["difference"] == pytest.approx(sum(1 - one / other for one, other in kept.values()) / 3)
    fp32 = [each["paired"]["difference"] for each in found["changes"] if each["a_engine"] == "espnet-camvid.fp32"]
    assert fp32 and not any(fp32)
    latency = next(row for row in found["clean"] if row["a_engine"] == INT8)
    assert latency["b_p50_ms"] == 5.0 != latency["a_p50_ms"]
    assert latency["miou_difference"] > 0


@pytest.mark.parametrize(
    ("gate", "code", "told"),
    [
        ("fp32.survival.change == 0 and int8.miou.change > 0", 0, "1 gate, 2 checks, all passed"),
        ("int8.success.change < 0.05 - 0.05", 1, "tanh-local on espnet-camvid: int8.success.change = 0"),
        ("fgsm-full: int8.survival.change < 0.05", 1, "1 gate, 1 check, 1 failed"),
        ("int8.success < 1", 2, "behind the dot: survival.change, success.change"),
        ("int8.success.change.change < 1", 2, "is no number of the report"),
        ("int8.change < 1", 2, "is no number of the report"),
        ("int8_fp16.success.change < 1", 2, "nothing ran at int8-fp16"),
        ("fgsm-ful: int8.success.change < 1", 2, "did you mean fgsm-full?"),
    ],
)
def test_a_gate_judges_what_changed(
    shared: Shared, again: Path, capfd: pytest.CaptureFixture[str], gate: str, code: int, told: str
) -> None:
    first = shared[0].set_root.parent / "out"
    assert segeval("compare", first, again, "--quiet", "--gate", gate) == code
    assert told in capfd.readouterr().err


def test_a_gate_is_about_the_difference_of_what_two_reports_say(shared: Shared, again: Path) -> None:
    first = shared[0].set_root.parent / "out"
    reports = read_report(first), read_report(again)
    comparison = compare_runs(first, again, 0, silent)
    found = check_changes(*reports, comparison, [parse_change_gate("int8.success.change < 2")])
    before, after = (check_gates(report, [parse_gate("int8.success < 2")]) for report in reports)
    for one, earlier, later in zip(found, before, after, strict=True):
        assert one.key == earlier.key == later.key
        assert one.numbers[0][1] == pytest.approx(later.numbers[0][1] - earlier.numbers[0][1])


def test_what_the_second_report_lacks_is_an_error_and_no_pass(
    shared: Shared, build_at: Callable[..., "World"], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world = build_at(tmp_path / "other", seed=1, attacks=(("fgsm", "full"),), precisions=("fp32", "int8"))
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    first = shared[0].set_root.parent / "out"
    for gate, code, told in (
        ("int8.success.change < 2", 2, "do not both have success of tanh-local on espnet-camvid.int8"),
        ("fgsm-full: int8.success.change < 2", 0, "1 gate, 1 check, all passed"),
        ("fgsm-full: fp16.success.change < 2", 2, "do not both have success of fgsm-full on espnet-camvid.fp16"),
    ):
        assert segeval("compare", first, tmp_path / "out", "--quiet", "--gate", gate) == code
        assert told in capfd.readouterr().err


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"names": ("a",)}, "lacks 2 images of out"),
        ({"tasks": ("vehicle-to-road",)}, "lacks the task vehicle-to-building of out"),
    ],
)
def test_a_gate_is_not_judged_on_fewer_images_or_tasks(
    shared: Shared,
    build_at: Callable[..., "World"],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    other: dict[str, Any],
    told: str,
) -> None:
    world = build_at(tmp_path / "other", **other)
    evaluate(world.set_root, [world.replay_root], tmp_path / "fewer")
    runs = shared[0].set_root.parent / "out", tmp_path / "fewer"
    assert segeval("compare", *runs, "--quiet") == 0
    assert segeval("compare", *runs, "--quiet", "--gate", "int8.success.change < 2") == 2
    assert told in capfd.readouterr().err
    assert segeval("compare", *reversed(runs), "--quiet", "--gate", "int8.success.change < 2") == 0


def test_a_change_of_miou_needs_the_same_ground_truth(
    shared: Shared, build_at: Callable[..., "World"], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world = build_at(tmp_path / "other", seed=1)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    runs = shared[0].set_root.parent / "out", tmp_path / "out"
    assert segeval("compare", *runs, "--quiet", "--gate", "int8.miou.change < 2") == 2
    assert "both need this engine, and the same ground truth of the same images" in capfd.readouterr().err


def test_another_set_with_the_same_images(
    shared: Shared, build_at: Callable[..., "World"], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    world = build_at(tmp_path / "other", seed=1, attacks=(("fgsm", "full"),), precisions=("fp32", "int8"))
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    assert segeval("compare", shared[0].set_root.parent / "out", tmp_path / "out", "--quiet") == 0
    out, err = capfd.readouterr()
    told = " ".join(out.split())
    assert err == ""
    assert "the perturbations differ" in told
    assert "only in A: 1 engine: espnet-camvid.fp16" in told
    assert "only in A: 1 attack: tanh-local on espnet-camvid" in told
    assert max(map(len, out.splitlines())) <= 120  # plain, and no wider than a pipe may be
    assert "\x1b" not in out


def test_markup_in_a_name_is_shown_as_it_is(run_of: RunOf, capfd: pytest.CaptureFixture[str]) -> None:
    a, b = run_of("a", engine="[bold]x[/]"), run_of("b", engine="[bold]x[/]", lost=0.5)
    assert segeval("compare", a, b, "--quiet") == 0
    assert "[bold]x[/]" in capfd.readouterr().out


def test_control_characters_in_a_name_are_refused_and_shown(
    run_of: RunOf, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segeval.files.encoding.require_printable", lambda raw, said, where: None)
    a, b = run_of("a", engine="=1+1\x1b[2J\u202edaor\x07"), run_of("b")
    monkeypatch.undo()
    assert segeval("compare", a, b, "--out", tmp_path / "out", "--quiet") == 2
    said = capfd.readouterr().err
    assert "report.json: a text holds control characters: '=1+1\\x1b[2J\\u202edaor\\x07'" in said
    assert set(UNPRINTABLE.findall(said)) == {"\n"} and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("set.json",), "an adversarial set (set.json)"),
        (("bundle.json", "runner.pyz"), "a bundle (bundle.json)"),
        (("bundle.json", "replay.json"), "a replay (replay.json)"),
        (("report.html", "report.json"), "a report (report.json)"),
        (("notes.txt",), "files that segeval did not make"),
    ],
)
def test_nothing_is_written_among_the_files_of_something_else(
    run_of: RunOf, tmp_path: Path, capfd: pytest.CaptureFixture[str], names: tuple[str, ...], what: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in names:
        (out / name).touch()
    assert segeval("compare", run_of("a"), run_of("b"), "--out", out, "--quiet") == 2
    told, err = capfd.readouterr()
    assert told == "" and f"{out} holds {what}" in err and "choose a new folder with --out" in err
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
