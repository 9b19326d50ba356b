import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import segeval
from segeval.cli import command_line
from segeval.commands.defaults import options
from segeval.commands.on_demand import SUMMARIES

Call = Callable[..., Any]
COMMANDS = (
    "demo", "craft", "fit", "audit", "deploy", "replay", "bench", "evaluate", "compare", "report", "train", "score",
    "reproduce", "fetch", "ls", "doctor", "model"
)  # fmt: skip
SPELLED = (*(name for name in COMMANDS if name != "model"), "model init", "model check")


def test_help_names_every_command_and_where_to_start(call: Call) -> None:
    ended = call("--help")
    assert (ended.code, ended.err) == (0, "")
    assert re.findall(r"^  ([a-z]+)  ", ended.out, re.MULTILINE) == list(COMMANDS)
    assert "segeval demo" in " ".join(ended.out.split())


@pytest.mark.parametrize("name", SPELLED)
def test_the_help_of_a_command_shows_an_example_and_explains_every_option(call: Call, name: str) -> None:
    ended = call(*name.split(), "--help")
    assert (ended.code, ended.err) == (0, "")
    example = re.search(rf"^  segeval {name}\b.*$", ended.out, re.MULTILINE)
    assert example is not None
    found = command_line
    for word in name.split():
        found = found.commands[word]
    assert found.help.startswith(SUMMARIES.get(name, "").rstrip("."))
    known = options(found)
    assert set(re.findall(r" --([a-z-]+)", example[0])) <= known.keys()
    for spelling, option in known.items():
        assert (f"--{spelling}" in ended.out) != option.hidden  # hidden: what it was called before


def test_the_version_is_that_of_the_package(call: Call) -> None:
    ended = call("--version")
    assert (ended.code, ended.err) == (0, "")
    assert re.match(rf"segeval {re.escape(segeval.__version__)} \((?:[0-9a-f]{{40}}|no git checkout)", ended.out)


@pytest.mark.parametrize(("words", "found"), [("segeval cr", "craft"), ("segeval craft --ste", "--steps")])
def test_a_shell_completes_commands_and_options(words: str, found: str) -> None:
    asked = {"_SEGEVAL_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    command = [sys.executable, "-m", "segeval"]
    done = subprocess.run(command, env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [found]


def test_the_help_of_all_commands_imports_none() -> None:
    program = "import sys; from segeval.cli import run; run(['-h']); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0


def test_no_help_needs_torch_or_onnx() -> None:
    program = (
        "import sys\n"
        "from segeval.cli import run\n"
        "codes = [run([*name, '--help']) for name in ((), *zip(sys.argv[1:]))]\n"
        "loaded = {'torch', 'onnx', 'onnxruntime', 'matplotlib', 'scipy', 'PIL', 'jinja2'} & set(sys.modules)\n"
        "print(codes, loaded, file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", program, *COMMANDS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == f"{[0] * (1 + len(COMMANDS))} set()\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("crft",), "Did you mean 'craft'?"),
        (("craft", "--datset", "x"), "--dataset"),
        (("craft", "--steps", "0"), "'--steps'"),
        (("craft", "--scope", "locl"), "'local'"),
        (("craft",), "Missing option"),
        (("evaluate",), "Missing argument"),
        (("ls", "modells"), "'models'"),
    ],
)
def test_a_slip_on_the_command_line_is_explained(call: Call, arguments: tuple[str, ...], message: str) -> None:
    ended = call(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
    assert "Traceback" not in ended.err
    assert "segeval" in ended.err.splitlines()[0]


def test_no_command_at_all_shows_the_help(call: Call) -> None:
    ended = call()
    assert ended.code == 2
    assert "Commands:" in ended.out + ended.err
