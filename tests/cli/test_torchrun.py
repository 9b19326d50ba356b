"""Several processes of torchrun on one set: the bytes of one process, one voice, and nothing lost with a process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segeval.files.patterns import read_pattern
from segeval.files.set_folder import SetFolder
from tests.cli.conftest import clean_environment

Call = Callable[..., Any]


def torchrun(processes: int, *arguments: object) -> list[str]:
    """The command line that `torchrun --nproc-per-node PROCESSES -m segeval ARGUMENTS` is."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
    return [*launcher, "-m", "segeval", *map(str, arguments)]


def ended(command: list[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command."""
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stdout, done.stderr


def same_files(one: Path, other: Path) -> bool:
    names, others = ({path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (one, other))
    return names == others and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names - {Path("set.json")}
    )


def test_two_processes_make_what_one_does(world: Any, call: Call, tmp_path: Path) -> None:
    given = ("--dataset", "folder", "--data-root", world.data, "--model", world.model, "--task", world.task)
    fit = ("universal", *given, "--limit", 3, "--steps", 3, "--batch-size", 3)
    options = (*world.crafting, "--attack", "tanh", "--attack", "fgsm", "--match", "fgsm=tanh")
    # Both commands in the same processes: most of the time goes into their imports.
    script = "import sys; from segeval.cli import main, run; run(sys.argv[1:{0}]); del sys.argv[1:{0}]; main()"
    first = ("fit", "--out", tmp_path / "fitted-by-two", *fit)
    (tmp_path / "both.py").write_text(script.format(1 + len(first)))
    command = torchrun(2, *first, "craft", "--out", tmp_path / "two", *options, "--json")
    place = command.index("-m", command.index("--nproc-per-node"))
    code, out, err = ended([*command[:place], str(tmp_path / "both.py"), *command[place + 2 :]])
    assert code == 0, err
    assert call("craft", "--out", tmp_path / "one", *options, "--workers", 1).code == 0
    assert same_files(tmp_path / "one", tmp_path / "two")
    assert SetFolder(tmp_path / "two").complete_manifest().sample_count == 12
    assert out == (tmp_path / "two/set.json").read_text()
    assert err.count("next: segeval deploy") == 1
    assert call("fit", "--out", tmp_path / "fitted", *fit).code == 0
    (alone, changes), (together, same) = read_pattern(tmp_path / "fitted"), read_pattern(tmp_path / "fitted-by-two")
    assert replace(alone, revision="") == replace(together, revision="")
    assert changes.any() and (changes == same).all()


@pytest.mark.long
def test_a_set_that_lost_a_process_is_finished_by_three(world: Any, call: Call, tmp_path: Path) -> None:
    options = (*world.crafting, "--steps", 15, "--seed", 1)
    assert call("craft", "--out", tmp_path / "one", *options).code == 0
    craft = ("craft", "--out", tmp_path / "cut", *options, "--resume")
    pipe = subprocess.PIPE
    with subprocess.Popen(torchrun(2, *craft), env=clean_environment(), stderr=pipe, text=True) as launcher:
        until = time.monotonic() + 120
        while time.monotonic() < until and not begun(tmp_path / "cut"):
            time.sleep(0.02)
        os.kill(process_of(launcher.pid, rank=1), signal.SIGKILL)
        assert launcher.stderr is not None
        err = launcher.stderr.read()
    assert launcher.returncode == 1
    assert err.count("interrupted; finished work is saved") + err.count("error: ") == 1, err
    assert not SetFolder(tmp_path / "cut").manifest().complete
    code, _, err = ended(torchrun(3, *craft))
    assert code == 0, err
    assert same_files(tmp_path / "one", tmp_path / "cut")


@pytest.mark.long
def test_an_error_of_all_is_said_once(world: Any, tmp_path: Path) -> None:
    code, out, err = ended(torchrun(2, "craft", "--out", tmp_path / "set", *world.crafting, "--task", "car:nothing"))
    assert (code, out, err.count("error: "), err.count("what to do: ")) == (1, "", 1, 1), err
    code, _, err = ended(torchrun(2, "evaluate", tmp_path / "set", tmp_path / "replay", "--out", tmp_path / "report"))
    assert (code, err.count("error: segeval evaluate is started once")) == (1, 1), err


def begun(root: Path) -> bool:
    """Whether a set has a sample."""
    return (root / "samples.jsonl").exists() and (root / "samples.jsonl").stat().st_size > 0


def process_of(launcher: int, rank: int) -> int:
    """The process of a rank."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    environments = {int(child): Path(f"/proc/{child}/environ").read_bytes().split(b"\0") for child in children}
    return next(child for child, own in environments.items() if f"RANK={rank}".encode() in own)
