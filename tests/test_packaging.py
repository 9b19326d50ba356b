"""What is in the wheel. A forgotten package or file works in an editable installation and is missing from a wheel."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import segeval

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS: dict[str, str] = SETUPTOOLS["package-dir"]


def packaged(path: Path) -> str:
    """Where a file of the sources lies in the wheel."""
    for package, folder in FOLDERS.items():
        if path.is_relative_to(ROOT / folder):
            return (Path(*package.split(".")) / path.relative_to(ROOT / folder)).as_posix()
    raise AssertionError(f"{path} is in no package")


def files(pattern: str) -> list[Path]:
    return [path for folder in FOLDERS.values() for path in (ROOT / folder).rglob(pattern) if path.is_file()]


def pip(*arguments: object) -> None:
    if find_spec("pip") is None:
        pytest.skip("pip is not installed here, so no wheel can be built with it")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-index", "--no-deps"]
    command = [sys.executable, "-m", "pip", str(arguments[0]), *quiet, *map(str, arguments[1:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, so that a build leaves nothing behind in them."""
    source = tmp_path_factory.mktemp("copy") / "source"
    ignore = shutil.ignore_patterns("__pycache__")
    for name in FOLDERS.values():
        shutil.copytree(ROOT / name, source / name, ignore=ignore)
    for name in ("pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]):
        shutil.copy(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    program = f"from setuptools.build_meta import build_sdist; build_sdist({str(folder)!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.tar.gz")
    return built


def built_wheel(source: Path, folder: Path) -> Path:
    """The wheel of a folder or an sdist."""
    pip("wheel", "--no-build-isolation", "--wheel-dir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_listed_packages_are_the_folders_on_disk() -> None:
    on_disk = {Path(packaged(path)).parent.as_posix().replace("/", ".") for path in files("__init__.py")}
    assert on_disk == set(SETUPTOOLS["packages"])
    assert len(SETUPTOOLS["packages"]) == len(on_disk), "a package is listed twice"
    for path in files("*.py"):
        assert (path.parent / "__init__.py").is_file(), f"{path.parent} has no __init__.py"


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    held = contents(wheel)
    expected = {packaged(path) for path in files("*.py")}
    data = [
        ROOT / "segeval/py.typed",
        *(ROOT / "evaluate/index/templates").iterdir(),
        *(ROOT / "evaluate/report/templates").iterdir(),
        *(ROOT / "segeval/reproduce/kang2020/templates").iterdir(),
        *files("*.safetensors"),
        *files("*.tsv"),
    ]
    assert len(data) > 2
    expected |= {packaged(path) for path in data}
    own = {name for name in held if ".dist-info/" not in name}
    assert own == expected
    sizes = {path.stem: path.stat().st_size for path in files("*.safetensors")}
    assert sizes["espnet-synthetic"] + sizes["fast-scnn-synthetic"] < 8_000_000
    assert max(sizes.values()) < 5_000_000


def test_the_wheel_runs_where_it_is_installed(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    pip("install", "--target", installed, wheel)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = tmp_path / "elsewhere"
    where.mkdir()

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    imported = "import segeval.cli, segeval.evaluate.report.page, segeval_runner"
    program = (
        f"{imported}\nfor module in (segeval.cli, segeval.evaluate.report.page, segeval_runner): print(module.__file__)"
    )
    for line in python("-c", program).splitlines():
        assert Path(line).is_relative_to(installed)
    assert python("-m", "segeval", "--version").startswith(f"segeval {segeval.__version__} (no git checkout)\n")
    assert (installed / "bin" / "segeval").is_file()


def test_an_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    assert contents(built_wheel(sdist, tmp_path)) == contents(wheel)


@pytest.mark.long
def test_an_sdist_installs_and_runs_in_a_clean_environment(sdist: Path, tmp_path: Path) -> None:
    """With all that it depends on, from the package index."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "env")], check=True)
    folder = tmp_path / "env" / ("Scripts" if os.name == "nt" else "bin")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: object) -> None:
        words = [str(word) for word in command]
        ended = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    run(folder / "python", "-m", "pip", "install", "--quiet", "--constraint", ROOT / "constraints.txt", f"{sdist}[cpu]")
    options = (
        "--out",
        "set",
        "--size",
        "64x128",
        "--steps",
        1,
        "--attack",
        "quick",
        "--limit",
        1,
        "--task",
        "untargeted",
    )
    run(folder / "segeval", "craft", "--dataset", "synthetic", "--model", "espnet-synthetic", *options)
    assert (tmp_path / "set/set.json").is_file()


def test_the_versions_agree() -> None:
    assert PROJECT["project"]["version"] == segeval.__version__


def test_type_checkers_find_the_stages() -> None:
    links = {path.name: path.resolve() for path in (ROOT / "tests/typings/segeval").iterdir()}
    stages = {name.partition(".")[2]: ROOT / folder for name, folder in FOLDERS.items() if name.startswith("segeval.")}
    assert links == stages
    assert all((folder / "__init__.py").is_file() for folder in links.values())


def test_what_is_told_to_be_installed_is_an_extra_of_the_checkout() -> None:
    told: set[str] = set()
    for path in [*files("*.py"), ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install '?segeval", text), f"{path}: no index has it under this name"
        told.update(re.findall(r"pip install '\.\[(\w+)\]'", text), re.findall(r'\binstall\("(\w+)"\)', text))
    assert {"cpu", "zoo", "rtx"} <= told <= PROJECT["project"]["optional-dependencies"].keys()
