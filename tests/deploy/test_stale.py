"""A deploy that is killed leaves a half-made folder; the next one removes it and says so, unless somebody is at it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from segeval.errors import ConfigurationError
from segeval.files.new_folder import new_folder

MAKE = """
import os, signal, sys
from pathlib import Path
from segeval.files.new_folder import new_folder
with new_folder(Path(sys.argv[1]), "bundle") as part:
    (part / "half").write_text("made")
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    sys.stdin.read()
"""


def making(out: Path, signal_name: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-P", "-c", MAKE, str(out), signal_name], stdin=subprocess.PIPE)


def parts(out: Path) -> list[Path]:
    return list(out.parent.glob(".bundle.*.part"))


def test_what_a_killed_process_left_is_removed_and_named(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with making(out, "SIGKILL") as process:
        process.wait()
    (stale,) = parts(out)
    assert (stale / "half").exists()
    told: list[str] = []
    with new_folder(out, "bundle", told.append) as part:
        assert parts(out) == [part]
    assert told == [f"removed {stale}: a run that was killed left it unfinished"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_another_process_makes_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    with making(out, "SIGSTOP") as process:
        os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped itself
        (theirs,) = parts(out)
        with new_folder(out, "bundle") as part:
            assert set(parts(out)) == {theirs, part}
        assert (theirs / "half").exists()
        process.send_signal(signal.SIGKILL)


def test_a_folder_of_another_kind_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text("{}")
    with (
        pytest.raises(ConfigurationError, match=r"holds an adversarial set \(set.json\)"),
        new_folder(tmp_path, "bundle"),
    ):
        pass
