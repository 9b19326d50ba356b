"""What is shown where. A terminal is a real pseudo-terminal; what is written to it is read from its other end."""

import io
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from rich.console import Console

from segeval import console
from segeval.console import LineProgress, say, show_error
from segeval.errors import DataError

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals here")

PROGRAM = """
from segeval.console import progress, say, show_error
from segeval.errors import DataError
with progress() as tick:
    tick('stage [red]x[/red]', 1, 2)
    print('result')
    tick('stage [red]x[/red]', 2, 2)
say('[red]said[/red] :smile:')
show_error(DataError('[bold]what[/bold]', '[link]hint[/link]'))
"""


@dataclass(frozen=True)
class Shown:
    stdout: str
    stderr: str


def shown(terminal: bool, variables: Mapping[str, str] = {}) -> Shown:
    """Run the program with stderr on a terminal, or on a pipe. stdout is always a pipe."""
    ours = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    environment = {**ours, "TERM": "xterm-256color", **variables}
    command = [sys.executable, "-c", PROGRAM]
    if not terminal:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return Shown(done.stdout, done.stderr)
    outer, inner = pty.openpty()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=inner) as process:
        os.close(inner)
        assert process.stdout is not None
        pieces = []
        try:
            while piece := os.read(outer, 4096):
                pieces.append(piece)
        except OSError:  # how Linux says that nobody has the terminal open any more
            pass
        stdout = process.stdout.read().decode()
    os.close(outer)
    assert process.returncode == 0
    return Shown(stdout, b"".join(pieces).decode())


def test_a_log_gets_lines_and_neither_bars_nor_colours() -> None:
    for variables in ({}, {"FORCE_COLOR": "1", "NO_COLOR": "1"}):
        found = shown(terminal=False, variables=variables)
        assert found.stdout == "result\n"
        assert "stage [red]x[/red]: 1/2\nstage [red]x[/red]: 2/2\n" in found.stderr
        assert "━" not in found.stderr
        assert "\x1b[?25l" not in found.stderr  # no cursor is hidden


def test_a_terminal_gets_bars_and_colours_and_stdout_gets_the_results() -> None:
    found = shown(terminal=True)
    assert found.stdout == "result\n"
    assert "━" in found.stderr
    assert "left" in found.stderr
    assert "\x1b[1;31merror: " in found.stderr


def test_no_color_is_honoured() -> None:
    found = shown(terminal=True, variables={"NO_COLOR": "1"})
    assert "error: " in found.stderr
    assert "\x1b[31m" not in found.stderr and ";31m" not in found.stderr and "\x1b[38" not in found.stderr


def test_a_dumb_terminal_gets_lines() -> None:
    assert "1/2\r\n" in shown(terminal=True, variables={"TERM": "dumb"}).stderr


@pytest.mark.parametrize("terminal", [False, True])
def test_nothing_in_a_users_text_is_taken_for_markup(terminal: bool) -> None:
    found = shown(terminal).stderr
    for text in ("stage [red]x[/red]", "[red]said[/red] :smile:", "[bold]what[/bold]", "[link]hint[/link]"):
        assert text in found


def test_messages_are_not_broken_into_lines(capsys: pytest.CaptureFixture[str]) -> None:
    command = "next: segeval score " + "x" * 300
    say(command)
    show_error(DataError("w" * 300, "h" * 300))
    assert capsys.readouterr().err.splitlines() == [command, "error: " + "w" * 300, "what to do: " + "h" * 300]


def test_an_error_without_a_hint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(DataError("what"))
    assert capsys.readouterr().err == "error: what\n"


def test_lines_come_now_and_then_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    tick = LineProgress()
    for done in range(20, 101):  # resumed at 20
        tick("craft", done, 100)
        clock[0] += 0.5
    tick("craft", 100, 100)
    tick("measure", 1, 1)
    assert capsys.readouterr().err.splitlines() == [
        "craft: 20/100",
        "craft: 40/100, about 30 s left",
        "craft: 60/100, about 20 s left",
        "craft: 80/100, about 10 s left",
        "craft: 100/100",
        "measure: 1/1",
    ]


def test_quiet_progress_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(quiet=True) as tick:
        tick("stage", 1, 1)
    assert capsys.readouterr() == ("", "")


def test_control_characters_are_shown_and_not_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    say("a\x1b[31mb\x9bc\u202ed\ne\tf é")
    show_error(DataError("what\x1b]0;title\x07", "hint\r\x1b[2J"))
    err = capfd.readouterr().err
    assert "a\\x1b[31mb\\x9bc\\u202ed\ne" in err and "f é" in err
    assert "what\\x1b]0;title\\x07" in err and "hint\\r\\x1b[2J" in err
    assert not set(err) & set("\x1b\x07\r\x9b\u202e")


def test_columns_sets_the_width_of_what_is_piped(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, width in {"": console.PIPED_WIDTH, "70": 70, "0": console.PIPED_WIDTH, "x": console.PIPED_WIDTH}.items():
        monkeypatch.setenv("COLUMNS", told)
        assert Console(width=console.results_width(), file=io.StringIO()).width == width
