"""The releases of TensorRT whose bindings are checked, and how to have them here without TensorRT itself."""

import ctypes
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("numpy", "coverage")


class CheckError(Exception):
    """What keeps the check from saying that all is well: something missing, or a fault."""


@dataclass(frozen=True)
class Release:
    """python: that it is used with.   package: on PyPI, with the bindings alone.   why: where a user meets it.

    module: that the runner imports.
    """

    version: str
    python: str
    package: str
    why: str
    module: str = "tensorrt"


RELEASES = (
    Release("8.6.1", "3.8", "tensorrt-bindings", "JetPack 6.0 (8.6.2); nearest to JetPack 5.1 (8.5.2)"),
    Release("10.0.1", "3.10", "tensorrt-cu12-bindings", "the first 10"),
    Release("10.3.0", "3.10", "tensorrt-cu12-bindings", "JetPack 6.1, 6.2"),
    Release("10.13.3.9", "3.12", "tensorrt-cu13-bindings", "JetPack 7.0, 7.1"),
    Release("10.16.1.11", "3.12", "tensorrt-cu13-bindings", "JetPack 7.2"),
    Release("11.0.0.114", "3.12", "tensorrt-cu13-bindings", "the first 11"),
    Release("11.4.0.106", "3.12", "tensorrt-cu13-bindings", "the newest"),
    Release("1.7.1.116", "3.12", "tensorrt-rtx-cu13-bindings", "TensorRT for RTX", "tensorrt_rtx"),
)


def run(command: list[str], what: str) -> str:
    """The output of a command. Raises CheckError if there is no such program or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CheckError(f"{what}: {error}") from error
    if done.returncode:
        raise CheckError(f"{what}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def interpreter(version: str) -> str:
    """A Python of this version that starts: on the path, or among pyenv's."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [shutil.which(f"python{version}"), *map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))]
    for candidate in filter(None, candidates):
        answer = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.startswith(f"Python {version}."):
            return candidate
    raise CheckError(f"there is no Python {version} on this machine, neither on the path nor in {root}")


def environment(version: str) -> Path:
    """The interpreter of a virtual environment with what the check needs in every release of this Python."""
    folder = ROOT / f".venv-trt-{version}"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        run([interpreter(version), "-m", "venv", "--clear", str(folder)], f"an environment of Python {version}")
        run([*pip(python), *PACKAGES], f"{', '.join(PACKAGES)} for Python {version}")
        ready.touch()
    return python


def pip(python: Path) -> list[str]:
    return [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"]


def bindings(release: Release) -> tuple[Path, Path]:
    """The interpreter for a release, and the folder with its bindings and stubs of the libraries they load."""
    python = environment(release.python)
    folder = python.parents[1] / "bindings" / release.version
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        wanted = f"{release.package}=={release.version}"
        run([*pip(python), "--no-deps", "--target", str(folder), wanted], wanted)
        (extension,) = folder.glob("tensorrt*_bindings/tensorrt*.so")
        stub_libraries(extension)
        (folder / "ready").touch()
    return python, folder


def stub_libraries(extension: Path) -> None:
    """Put libraries beside an extension, where it looks first, that have the functions it names and do nothing."""
    source = extension.with_name("stub.c")
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in unresolved(extension)))
    for library in needed(extension):
        target = str(extension.with_name(library))
        run(
            ["cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{library}", "-o", target, str(source)],
            f"a stub of {library}",
        )


def needed(extension: Path) -> list[str]:
    """The libraries of TensorRT that an extension is linked with."""
    lines = run(["readelf", "--dynamic", "--wide", str(extension)], "readelf").splitlines()
    names = [line.partition("[")[2].partition("]")[0] for line in lines if "(NEEDED)" in line]
    return [name for name in names if name.startswith(("libnv", "libtensorrt"))]


def unresolved(extension: Path) -> list[str]:
    """The functions that an extension expects from them: not versioned, not weak, not Python's and not libc's."""
    here = ctypes.CDLL(None)
    lines = [line.split() for line in run(["nm", "-D", "--undefined-only", str(extension)], "nm").splitlines()]
    names = [parts[1] for parts in lines if parts[0] == "U" and "@" not in parts[1]]
    return [name for name in names if not name.startswith(("Py", "_Py")) and not hasattr(here, name)]
