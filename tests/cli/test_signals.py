"""TERM and HUP take the way of Ctrl-C, unless whoever started the command had them ignored."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from segeval.files.set_folder import SetFolder

Call = Callable[..., Any]


def stopped(number: int, handler: Any, options: list[str]) -> tuple[int, str]:
    """Send a signal to a craft when it has begun to attack. handler: that the command starts with."""
    command = [sys.executable, "-m", "segeval", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = partial(signal.signal, number, handler)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=start) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("tanh-local on espnet-synthetic (1 of 2): "):
                process.send_signal(number)
    return process.returncode, "".join(said)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_they_end_a_craft_that_can_be_resumed(world: Any, call: Call, tmp_path: Path, number: int) -> None:
    options = ["craft", "--out", str(tmp_path / "set"), *world.crafting, "--limit", "1", "--steps", "15"]
    code, said = stopped(number, signal.SIG_DFL, options)
    assert code == 130 and "interrupted; finished work is saved" in said and "Traceback" not in said
    assert not list(tmp_path.rglob("*.part"))
    assert call(*options, "--resume").code == 0
    assert SetFolder(tmp_path / "set").complete_manifest().sample_count == 2


WAITING = """
import sys, time
from segeval import cli
def command_line(*words, **options):
    print("waiting", flush=True)
    time.sleep(float(sys.argv[1]))
cli.command_line = type("Line", (), {"main": staticmethod(command_line)})
cli.main()
"""


@pytest.mark.parametrize(
    ("number", "handler", "seconds", "code"),
    [
        (signal.SIGTERM, signal.SIG_DFL, 600, 130),
        (signal.SIGHUP, signal.SIG_DFL, 600, 130),
        (signal.SIGINT, signal.SIG_DFL, 600, 130),
        (signal.SIGHUP, signal.SIG_IGN, 1, 0),
    ],
)
def test_each_is_an_interruption_or_ignored(number: int, handler: Any, seconds: int, code: int) -> None:
    command = [sys.executable, "-P", "-c", WAITING, str(seconds)]
    start = partial(signal.signal, number, handler)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=start) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == code and "Traceback" not in said
    assert ("interrupted; finished work is saved" in said) == (code == 130)


@pytest.mark.long
def test_nohup_is_heeded(world: Any, tmp_path: Path) -> None:
    options = ["craft", "--out", str(tmp_path / "set"), *world.crafting, "--limit", "1", "--steps", "5"]
    assert stopped(signal.SIGHUP, signal.SIG_IGN, options)[0] == 0
    assert SetFolder(tmp_path / "set").complete_manifest().sample_count == 2


def test_ctrl_c_in_an_exec_is_130_too(tmp_path: Path) -> None:
    """Python ends a module that runs as -m by SIGINT, whatever exit code it asks for, if an exec() was interrupted."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "from segeval import cli\n"
        "def command_line(*words, **options):\n"
        "    exec('raise KeyboardInterrupt')\n"
        "cli.command_line = type('Line', (), {'main': staticmethod(command_line)})\n"
        "sys.exit(cli.run([]))\n"
    )
    ended = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 130, ended.stderr
    assert "interrupted; finished work is saved" in ended.stderr


IMPORTING = """
import sys, time
from segeval import cli
def command_line(*words, **options):
    sys.path.insert(0, sys.argv[1])
    import takes_long
    time.sleep(600)
cli.command_line = type("Line", (), {"main": staticmethod(command_line)})
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_module_is_loaded_first(tmp_path: Path, number: int) -> None:
    """C++ libraries end the process with SIGABRT where an exception meets them while they are loaded."""
    loading = "import time\nprint('loading', flush=True)\ntime.sleep(0.5)\nprint('loaded', flush=True)\n"
    (tmp_path / "takes_long.py").write_text(loading)
    pipe = subprocess.PIPE
    command = [sys.executable, "-P", "-c", IMPORTING, str(tmp_path)]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        process.send_signal(number)
        loaded, said = process.communicate()
    assert process.returncode == 130 and loaded == "loaded\n"
    assert "interrupted; finished work is saved" in said and "Traceback" not in said


MISTAKEN = """
import time
from segeval import cli
from segeval.errors import WeightsError
def command_line(*words, **options):
    print("reading", flush=True)
    try:
        time.sleep(600)
    except BaseException:
        raise WeightsError("the file is damaged")
cli.command_line = type("Line", (), {"main": staticmethod(command_line)})
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_error_made_of_a_signal_is_an_interruption(number: int) -> None:
    """PyTorch says that a tensor has no shape where Ctrl-C meets it while it looks at one."""
    command, pipe = [sys.executable, "-P", "-c", MISTAKEN], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted; finished work is saved" in said and "damaged" not in said
