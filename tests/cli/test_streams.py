"""Results on stdout, everything else on stderr; pipes that close early and disks that are full."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from segeval.classes import TASKS
from segeval.cli import command_line
from segeval.registry import ATTACKS, DATASETS, MODELS, TARGETS, suites

Call = Callable[..., Any]
COMMAND = [sys.executable, "-m", "segeval"]


def written_to(stdout: int | IO[bytes], *arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and stderr of a command whose stdout is this file."""
    environment = {**os.environ, **variables}
    done = subprocess.run(
        [*COMMAND, *arguments], stdout=stdout, stderr=subprocess.PIPE, env=environment, text=True, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("arguments", [("ls", "tasks"), ("ls", "tasks", "--json"), ("--help",)], ids=" ".join)
def test_a_pipe_that_nobody_reads_ends_a_command_in_silence(arguments: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert written_to(writing, *arguments) == (141, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [("ls", "tasks"), ("ls", "tasks", "--json")], ids=" ".join)
def test_results_that_do_not_fit_on_the_disk_are_not_lost_in_silence(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full:
        code, said = written_to(full, *arguments)
    assert code == 2
    assert "error: no space left on the disk" in said
    assert "Traceback" not in said and "Exception ignored" not in said


def test_a_terminal_without_the_characters_still_shows_the_help(tmp_path: Path) -> None:
    for arguments in (("--help",), ("ls", "tasks"), ("ls", "datasets")):
        with (tmp_path / "out").open("wb") as out:
            assert written_to(out, *arguments, PYTHONIOENCODING="latin-1") == (0, "")
        assert (tmp_path / "out").stat().st_size > 100


def test_json_is_utf_8_whatever_the_terminal_speaks(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        assert written_to(out, "ls", "datasets", "--json", PYTHONIOENCODING="latin-1") == (0, "")
    assert "×" in json.loads((tmp_path / "out").read_bytes())["datasets"][0]["what it holds"]


def test_everything_that_can_be_named_is_listed(call: Call) -> None:
    ended = call("ls", "--json")
    listed = json.loads(ended.out)
    assert (ended.code, ended.err) == (0, "")
    assert {kind: {row[kind[:-1]] for row in rows} for kind, rows in listed.items()} == {
        "models": set(MODELS),
        "datasets": set(DATASETS),
        "attacks": set(ATTACKS),
        "suites": set(suites()),
        "tasks": set(TASKS),
        "targets": set(TARGETS),
    }
    shown = call("ls")
    assert shown.err == ""
    for rows in listed.values():
        for row in rows:
            assert next(iter(row.values())) in shown.out  # names are never broken into lines


def test_the_doctor_tries_things_for_real(call: Call) -> None:
    ended = call("doctor", "--json")
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    engines = {each["name"]: each for each in found["engines"]}
    assert engines["torch on the CPU"]["works"] and engines["onnxruntime on the CPU"]["works"]
    assert all(each["works"] or each["remedy"] for each in engines.values())
    assert found["packages"]["torch"] != "missing"
    assert found["places"]["SEGEVAL_DATA"] == "not set"
    shown = call("doctor")
    assert all(name in shown.out for name in engines)


def test_every_command_that_measures_can_answer_in_json() -> None:
    with_json = {
        name for name, command in command_line.commands.items() if any("--json" in each.opts for each in command.params)
    }
    assert with_json == {
        "audit", "bench", "compare", "craft", "deploy", "doctor", "evaluate", "ls", "replay", "score"
    }  # fmt: skip
