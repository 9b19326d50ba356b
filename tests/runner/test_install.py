"""`pip install ./jetson` on a device."""

import configparser
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import segeval_runner

JETSON = Path(__file__).parents[2] / "jetson"
PROJECT = tomllib.loads((JETSON / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of a copy of the sources, so that the build leaves nothing behind in them."""
    if find_spec("pip") is None:
        pytest.skip("pip is not installed here, so no wheel can be built with it")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(JETSON, folder / "jetson", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    command = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder), str(folder / "jetson")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_module_of_the_runner_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == {path.relative_to(JETSON).as_posix() for path in (JETSON / "segeval_runner").rglob("*.py")}


def test_version_command_and_requirements(wheel: zipfile.ZipFile) -> None:
    (folder,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    assert folder == f"segeval_runner-{segeval_runner.__version__}.dist-info"
    scripts = configparser.ConfigParser()
    scripts.read_string(wheel.read(f"{folder}/entry_points.txt").decode())
    assert scripts["console_scripts"]["segeval-runner"] == "segeval_runner.cli:main"
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "Requires-Python: >=3.8\n" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra" not in line]
    assert required == ["Requires-Dist: numpy>=1.17"], "a device has Python, numpy and its engine, nothing else"


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
