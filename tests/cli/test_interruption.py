"""What happens in the middle of a craft: Ctrl-C, and a disk that is full. Afterwards --resume finishes it."""

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


@pytest.mark.long
def test_ctrl_c_ends_a_craft_that_can_be_resumed(world: Any, call: Call, tmp_path: Path) -> None:
    options = ["craft", "--out", str(tmp_path / "set"), *world.crafting, "--limit", "1", "--steps", "15"]
    options += ["--workers", "1"]
    command = [sys.executable, "-m", "segeval", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    # A shell lets its background jobs ignore Ctrl-C, and what they start inherits that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, preexec_fn=heed) as process:
        assert process.stdout is not None and process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith(("tanh-full on espnet-synthetic (2 of 2): 0/", "interrupted")):
                process.send_signal(signal.SIGINT)  # the second and third are those of a person in a hurry
        out = process.stdout.read()
    assert (process.returncode, out) == (130, "")
    assert said[-1].startswith("interrupted; finished work is saved") and "--resume" in said[-1]
    assert "Traceback" not in "".join(said)
    assert not SetFolder(tmp_path / "set").manifest().complete

    again = call(*options)
    assert again.code == 2 and "continue it with --resume" in again.err
    resumed = call(*options, "--resume")
    assert resumed.code == 0, resumed.err
    assert SetFolder(tmp_path / "set").complete_manifest().sample_count == 2


@pytest.fixture
def small_disk(mount_disk: Callable[[str], Path]) -> Path:
    """A file system of 1 MiB."""
    return mount_disk("1m")


@pytest.mark.long
def test_a_full_disk_ends_a_craft_that_can_be_resumed(
    world: Any, call: Call, spawn: Call, small_disk: Path, tmp_path: Path
) -> None:
    assert call("craft", "--out", tmp_path / "set", *world.crafting).code == 0
    whole = {path.relative_to(tmp_path / "set"): path for path in (tmp_path / "set").rglob("*") if path.is_file()}
    prepared = sum(path.stat().st_size // 4096 + 1 for name, path in whole.items() if "adversarial" not in str(name))
    # Room for what comes before the attacks and a little more; tmpfs counts pages of 4096 bytes.
    (small_disk / "ballast").write_bytes(bytes((1 << 20) - 4096 * (prepared + 8)))

    command = ("craft", "--out", small_disk / "set", *world.crafting)
    ended = spawn(*command)
    assert (ended.code, ended.out) == (2, ""), ended.err
    assert "error: no space left on the disk of " in ended.err and "--resume" in ended.err
    assert "Traceback" not in ended.err
    assert not SetFolder(small_disk / "set").manifest().complete
    assert not list((small_disk / "set").rglob("*.part"))

    (small_disk / "ballast").unlink()
    resumed = call(*command, "--resume")
    assert resumed.code == 0, resumed.err
    whole.pop(Path("set.json"))  # it names the revision of the code
    for name, path in whole.items():
        assert (small_disk / "set" / name).read_bytes() == path.read_bytes(), name
