"""TensorRT that does not load: errors of the real loader, from a module that is linked as TensorRT's is."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from segeval_runner.backends.tensorrt.library import INSTALL
from segeval_runner.backends.tensorrt.missing import DLA_COMPILER, remedy

DOCTOR = "import sys; sys.path.insert(0, sys.argv[1]); from segeval_runner.cli import main; sys.exit(main(['doctor']))"


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A folder with a module `tensorrt` that needs libnvdla_compiler.so, and that library, which does nothing."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc on this machine to link a module with")
    source = tmp_path / "nothing.c"
    source.write_text("int nothing(void) { return 0; }\n")
    library, module = tmp_path / DLA_COMPILER, tmp_path / f"tensorrt{sysconfig.get_config_var('EXT_SUFFIX')}"
    shared = [compiler, "-shared", "-fPIC", str(source)]
    subprocess.run([*shared, "-o", str(library)], check=True)
    needs = ["-Wl,--no-as-needed", f"-L{tmp_path}", "-l:" + DLA_COMPILER, f"-Wl,-rpath,{tmp_path}"]
    subprocess.run([*shared, *needs, "-o", str(module)], check=True)
    return tmp_path


def said_by_doctor(folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", DOCTOR, str(folder)], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("empty", [False, True])
def test_the_library_that_a_container_was_not_lent_is_named_with_the_remedy(linked: Path, empty: bool) -> None:
    """NVIDIA's images hold a file of 0 bytes in its place, which stays so if the device has none to mount."""
    (linked / DLA_COMPILER).unlink()
    if empty:
        (linked / DLA_COMPILER).touch()
    said = said_by_doctor(linked)
    reason = "file too short" if empty else "cannot open shared object file"
    assert "backend tensorrt: TensorRT cannot be used: " in said
    assert DLA_COMPILER in said and reason in said
    assert "nvidia-l4t-dla-compiler" in said and "mount" in said
    assert INSTALL["tensorrt"] not in said


def test_a_module_that_is_not_there_at_all_has_another_remedy() -> None:
    for error in (
        ModuleNotFoundError("No module named 'tensorrt'"),
        OSError("libnvinfer.so.10: cannot open shared object file: No such file or directory"),
    ):
        assert remedy(error, "install it") == "install it"
