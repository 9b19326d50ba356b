import io
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import segeval_runner
from segeval.deploy.runner_archive import RUN_SCRIPT, SHEBANG, runner_archive


def test_the_archive_depends_on_nothing_but_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = runner_archive()
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert runner_archive() == first
    names = zipfile.ZipFile(io.BytesIO(first)).namelist()
    assert names == sorted(names)
    assert "__main__.py" in names
    assert "segeval_runner/backends/onnx_runtime.py" in names
    assert all(name.endswith(".py") for name in names), "compiled files differ from one Python to the next"


def test_the_archive_runs_its_own_code_and_not_what_lies_around(tmp_path: Path) -> None:
    """Started as the host starts it, with a repository in PYTHONPATH and in the current folder."""
    (tmp_path / "segeval_runner").mkdir()
    (tmp_path / "segeval_runner" / "__init__.py").write_text("raise SystemExit('wrong code')")
    pyz = tmp_path / "elsewhere" / "runner.pyz"
    pyz.parent.mkdir()
    pyz.write_bytes(runner_archive())
    ended = subprocess.run(
        [sys.executable, "-E", "-P", pyz, "--version"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.strip() == segeval_runner.__version__


def test_the_script_is_plain_sh_and_starts_the_runner_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "a bundle"
    folder.mkdir()
    (folder / "run.sh").write_text(RUN_SCRIPT)
    (folder / "runner.pyz").write_text("import sys; print(sys.argv[1:])")
    command = ["sh", str(folder / "run.sh"), "my out", "--warmup", "0"]
    environment = {**os.environ, "PYTHON": sys.executable}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == str(["replay", "--bundle", str(folder), "--out", "my out", "--warmup", "0"])
    assert SHEBANG == b"#!/usr/bin/env python3\n"
