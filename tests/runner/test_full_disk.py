import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval.deploy.bundle import Input, write_inputs
from segeval.errors import StorageError
from segeval.files.new_folder import new_folder
from segeval.files.replays import Replay

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


@pytest.fixture
def small_disk(mount_disk: Callable[[str], Path]) -> Path:
    """A file system of 256 KiB."""
    return mount_disk("256k")


def test_a_replay_onto_a_full_disk_says_so_and_continues_when_there_is_space(
    make_bundle: MakeBundle, runner: Runner, small_disk: Path, tmp_path: Path
) -> None:
    bundle, out = make_bundle(60), small_disk / "out"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(170 << 10))
    command = runner(bundle, "replay", "--out", out)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
    assert "no space left on the disk" in ended.stderr
    assert "run the same command again" in ended.stderr
    done = len(Replay.open(out).results("single").keys)
    assert 0 < done < 60
    ballast.unlink()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"single: {done}/60" in ended.stderr
    assert Replay.open(out).complete


def test_a_bundle_onto_a_full_disk_says_so_and_leaves_nothing(small_disk: Path) -> None:
    import numpy as np

    inputs = [Input(f"clean/{number}", lambda: np.zeros((64, 128, 3), np.uint8)) for number in range(20)]
    with pytest.raises(StorageError, match="no space left"), new_folder(small_disk / "bundle", "bundle") as part:
        write_inputs(part, inputs, 64, 128, lambda done, total: None)
    assert not list(small_disk.iterdir())
