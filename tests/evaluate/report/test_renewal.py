"""A report is there as a whole or not at all: whatever fails, is killed, or is changed afterwards."""

import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segeval.errors import ConfigurationError, DataError, IntegrityError, SegevalError
from segeval.evaluate import evaluate, read_benchmark_report
from segeval.evaluate.compare.runs import open_run
from segeval.evaluate.report.renewal import Kept, alone, finish, hashes_below, renewed, require_recorded
from segeval.evaluate.report.report_reading import read_whole_report

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
SMALL: dict[str, Any] = {"names": ("a", "b"), "tasks": ("vehicle-to-road",), "precisions": ("fp32", "int8")}
KEPT = Kept("report", "report.json", ("*.csv", "labels/*.png"))

OLD = ["both.csv", "stale.csv", "labels/e/x/1.png"]
NEW = ["both.csv", "fresh.csv", "labels/e/2.png"]

WRITERS = """
import json, os, signal, sys
from pathlib import Path
from segeval.evaluate.report.renewal import Kept, renewed

def write(out, word, names):
    with renewed(out, Kept("report", "report.json", ("*.csv", "labels/*.png"))) as folder:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(word)
        (folder / "report.json").write_text(json.dumps({"word": word, "files": dict.fromkeys(names, "")}))

def write_and_die(out, names, step):
    def count(event, arguments):
        nonlocal step
        if event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir") and str(out) in str(arguments[0]):
            step -= 1
            if step == 0:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    write(out, "new", names)
    os._exit(0)

root, old, new = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
status, step = None, 0
while status != 0:
    step += 1
    out = root / str(step)
    write(out, "old", old)
    (out / "notes.txt").write_text("mine")
    child = os.fork()
    if child == 0:
        write_and_die(out, new, step)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
"""


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and not path.relative_to(folder).parts[0].startswith(".")
    }


def test_a_writer_killed_at_any_step_leaves_all_old_files_or_all_new_ones_or_no_report(tmp_path: Path) -> None:
    command = [sys.executable, "-P", "-c", WRITERS, str(tmp_path), json.dumps(OLD), json.dumps(NEW)]
    subprocess.run(command, check=True, timeout=300)
    seen = set()
    for out in tmp_path.iterdir():
        found = contents(out)
        assert found.pop("notes.txt") == "mine"
        words = {text for name, text in found.items() if name != "report.json"}
        state = json.loads(found["report.json"])["word"] if "report.json" in found else ""
        if state:
            assert words == {state} and set(found) == {*(OLD if state == "old" else NEW), "report.json"}
        seen.add(state)
        finish(out, KEPT)
        finished = contents(out)
        word = json.loads(finished.pop("report.json"))["word"]
        assert set(finished) == {*(OLD if word == "old" else NEW), "notes.txt"} and word in (state, "new")
        assert {text for name, text in finished.items() if name != "notes.txt"} == {word}
    assert seen == {"old", "", "new"} and len(list(tmp_path.iterdir())) > 10


def test_what_was_ready_is_finished_and_what_was_not_is_thrown_away(tmp_path: Path) -> None:
    with renewed(tmp_path, KEPT) as folder:
        (folder / "a.csv").write_text("whole")
        (folder / "report.json").write_text("{}")
    (tmp_path / KEPT.new).mkdir()
    (tmp_path / KEPT.new / "a.csv").write_text("half")
    finish(tmp_path, KEPT)
    assert contents(tmp_path)["a.csv"] == "whole"
    (tmp_path / KEPT.new / "report.json").write_text("{}")
    (tmp_path / KEPT.new).rename(tmp_path / KEPT.ready)
    finish(tmp_path, KEPT)
    assert contents(tmp_path) == {"a.csv": "half", "report.json": "{}"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "report.json"]


def test_a_report_tells_of_its_files(build: Build, tmp_path: Path) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    evaluate(world.set_root, [world.replay_root], out, label_maps=True)
    report = read_whole_report(out)
    found = hashes_below(out)
    del found["report.json"]
    assert report.files == found and {"report.html", "samples.parquet"} < set(found)
    assert sum(name.startswith("labels/") for name in found) == 2 * 2 * 3
    assert "digest" in json.loads((out / "report.json").read_bytes())


def test_an_evaluation_that_fails_leaves_the_report_as_it_was(build: Build, tmp_path: Path) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    evaluate(world.set_root, [world.replay_root], out, label_maps=True)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    labels = world.replay_root / "espnet-camvid.int8" / "labels.bin"
    labels.write_bytes(labels.read_bytes()[:-5])
    with pytest.raises(SegevalError):
        evaluate(world.set_root, [world.replay_root], out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_what_an_evaluation_no_longer_makes_is_removed_and_what_others_put_there_stays(
    build: Build, build_at: Build, tmp_path: Path
) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    evaluate(world.set_root, [world.replay_root], out, label_maps=True)
    mine = [out / "gates.xml", out / "labels" / "mine.txt"]
    for path in mine:
        path.write_text("mine")
    world.rewrite_replay(engines=())
    with pytest.raises(SegevalError):
        evaluate(world.set_root, [world.replay_root], out)
    assert (out / "comparisons.csv").exists()
    other = build_at(
        tmp_path / "other", names=("a",), tasks=("vehicle-to-road",), attacks=(("fgsm", "full"),), precisions=("int8",)
    )
    evaluate(other.set_root, [other.replay_root], out)
    assert not (out / "comparisons.csv").exists() and not list(out.rglob("*.png"))
    assert all(path.read_text() == "mine" for path in mine)
    read_whole_report(out)


def test_two_do_not_write_into_one_folder(build: Build, tmp_path: Path) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    out.mkdir()
    with alone(out), pytest.raises(ConfigurationError, match="another process is writing"):
        evaluate(world.set_root, [world.replay_root], out)


@pytest.mark.long
def test_a_killed_evaluation_leaves_the_report_as_it_was(build: Build, tmp_path: Path) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    evaluate(world.set_root, [world.replay_root], out)
    before = contents_of_bytes(out)
    command = [sys.executable, "-P", "-m", "segeval", "evaluate", world.set_root, world.replay_root, "--out", out]
    process = subprocess.Popen([*map(str, command), "--seed", "1", "--quiet"], stdout=subprocess.DEVNULL)
    while process.poll() is None and not (out / ".report.new.part" / "report.html").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    report = read_whole_report(out)
    assert (report.seed == 0 and contents_of_bytes(out) == before) or report.seed == 1
    evaluate(world.set_root, [world.replay_root], out)
    assert contents_of_bytes(out) == before, "the same input gives the same bytes"
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def contents_of_bytes(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not name.startswith(".")}


@pytest.mark.long
def test_every_digit_that_was_changed_is_found(build: Build, tmp_path: Path) -> None:
    world, out = build(**SMALL), tmp_path / "out"
    evaluate(world.set_root, [world.replay_root], out)
    open_run(out)
    chance = random.Random(0)
    for name in ("samples.csv", "report.json"):
        path = out / name
        data = path.read_bytes()
        digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
        for place in chance.sample(digits, 60):
            other = chance.choice([digit for digit in b"123456789" if digit != data[place]])
            path.write_bytes(data[:place] + bytes([other]) + data[place + 1 :])
            if name == "report.json" and json.loads(path.read_bytes()) == json.loads(data):
                continue  # the 17th digit of a number, which says the same
            with pytest.raises(SegevalError, match=r"changed|digest|not|must|twice"):
                open_run(out)
        path.write_bytes(data)
    open_run(out)


def test_files_of_two_evaluations_are_no_report(build: Build, tmp_path: Path) -> None:
    world = build(**SMALL)
    for seed in (0, 1):
        evaluate(world.set_root, [world.replay_root], tmp_path / str(seed), seed)
    page = (tmp_path / "1" / "report.html").read_bytes()
    (tmp_path / "0" / "report.html").write_bytes(page)
    with pytest.raises(IntegrityError, match=r"report\.html is not the file that report\.json tells of"):
        open_run(tmp_path / "0")
    (tmp_path / "0" / "report.html").unlink()
    open_run(tmp_path / "0")  # what was not copied along is not missed
    with pytest.raises(DataError, match="is not a report"):
        read_whole_report(tmp_path / "elsewhere")


def test_hashes_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(SegevalError, match="leads out"):
        require_recorded(tmp_path, {"../secret": "0"}, "report.json")
    with pytest.raises(OSError, match="benchmark"):
        read_benchmark_report(tmp_path)
