"""CUDA without a GPU: the same functions over host memory, compiled from the C files of this folder."""

import ctypes
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval_runner.cuda import Cuda
from segeval_runner.cuda.library import Library
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.cuda.with_pycuda import Pycuda

HERE = Path(__file__).parent
KINDS = {
    "device memory": "d",
    "page-locked memory": "h",
    "streams": "s",
    "events": "e",
    "graphs": "g",
    "launchers": "x",
}
PYCUDA = "pycuda==2026.1"
HEADERS = ("nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cuda-profiler-api-cu12==12.9.79")
"""What pycuda is compiled with; neither a compiler of CUDA nor a driver is needed."""

Compile = Callable[..., Path]
Fetch = Callable[..., Path]


class HostDevice:
    """The device that a compiled library plays."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.functions = ctypes.CDLL(str(file))

    def held(self) -> dict[str, int]:
        """What was taken and not given back."""
        counts = {name: int(self.functions.device_held(ord(kind))) for name, kind in KINDS.items()}
        return {name: count for name, count in counts.items() if count}

    def fail_on(self, function: str, code: int, nth: int = 1) -> None:
        """Make the nth call of a function fail."""
        self._name = ctypes.c_char_p(function.encode())
        self.functions.fail_on(self._name, nth, code)


@pytest.fixture(scope="session")
def compile_library(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles a C file to a shared library of some name."""

    def make(source: Path, name: str) -> Path:
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("there is no gcc on this machine to compile a stand-in for CUDA's libraries with")
        library = tmp_path_factory.mktemp("library") / name
        flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        subprocess.run([compiler, *flags, str(source), "-o", str(library)], check=True)
        return library

    return make


@pytest.fixture(scope="session")
def device_library(compile_library: Compile) -> HostDevice:
    return HostDevice(compile_library(HERE / "cuda_on_host.c", "libcudart.so.13"))


@pytest.fixture
def device(device_library: HostDevice) -> Iterator[HostDevice]:
    """Holds nothing before a test, and must hold nothing after it."""
    yield device_library
    assert device_library.held() == {}, "the test left something on the device"
    assert device_library.functions.device_depth() == 0, "the test left a context current"


@pytest.fixture
def open_cudart(device: HostDevice) -> Callable[[], Cudart]:
    def make() -> Cudart:
        return Cudart(Library(device.functions, str(device.file)))

    return make


@pytest.fixture(scope="session")
def fetch(pytestconfig: pytest.Config) -> Fetch:
    """The unpacked contents of a package of a registry, kept between runs."""

    def get(requirement: str) -> Path:
        cache = pytestconfig.cache
        assert cache is not None
        folder = cache.mkdir("fetched") / requirement
        if not folder.is_dir():
            part = cache.mkdir("fetched") / f"{requirement}.part"
            shutil.rmtree(part, ignore_errors=True)
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
            command += ["--disable-pip-version-check", "--retries", "1", "--dest", str(part), requirement]
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                pytest.skip(f"no package registry gave {requirement}: {ended.stderr.strip()[-300:]}")
            (archive,) = part.iterdir()
            with zipfile.ZipFile(archive) if archive.suffix == ".whl" else tarfile.open(archive) as opened:
                opened.extractall(part)
            archive.unlink()
            part.rename(folder)
        return folder

    return get


@pytest.fixture(scope="session")
def pycuda_build(fetch: Fetch, pytestconfig: pytest.Config) -> Path:
    """The folder with pycuda for this Python, compiled from its sources; minutes at the first time."""
    cache = pytestconfig.cache
    assert cache is not None
    built = cache.mkdir("pycuda") / f"{PYCUDA}-{sysconfig.get_config_var('SOABI')}-numpy-{np.__version__}"
    if built.is_dir():
        return built
    if "SEGEVAL_BUILD_PYCUDA" not in os.environ:
        pytest.skip("pycuda was not compiled yet: make check-device-memory does it")
    (source,) = fetch(PYCUDA).iterdir()
    includes = [str(path.parent) for each in HEADERS for path in fetch(each).rglob("include/cuda*.h")]
    # Without an optimiser, since only its behaviour matters; names are looked up when they are called, so that a
    # driver suffices which has the functions that are called.
    settings = {"CUDA_INC_DIR": sorted(set(includes)), "CUDADRV_LIBNAME": [], "CUDA_ENABLE_CURAND": False}
    settings |= {"CXXFLAGS": ["-O0", "-w", "-g0"], "LDFLAGS": ["-Wl,-z,lazy"]}
    lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
    (source / "siteconf.py").write_text("".join(lines), encoding="utf-8")
    part = built.with_name(built.name + ".part")
    command = [sys.executable, "setup.py", "--quiet", "build", "--build-lib", str(part)]
    ended = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    part.rename(built)
    return built


@pytest.fixture(scope="session")
def pycuda_modules(pycuda_build: Path, device_library: HostDevice) -> dict[str, Any]:
    """pycuda as imported over the host device; compiled modules can be imported once only."""
    ctypes.CDLL(str(device_library.file), mode=ctypes.RTLD_GLOBAL)
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_LAZY)
    sys.path.insert(0, str(pycuda_build))
    try:
        importlib.import_module("pycuda.driver")
    finally:
        sys.path.remove(str(pycuda_build))
        sys.setdlopenflags(flags)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "pycuda"}


@pytest.fixture
def pycuda_device(pycuda_modules: dict[str, Any], device: HostDevice, monkeypatch: pytest.MonkeyPatch) -> HostDevice:
    """In this test pycuda can be imported."""
    for name, module in pycuda_modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return device


@pytest.fixture(params=["cudart", "pycuda"])
def cuda(request: pytest.FixtureRequest, device: HostDevice) -> Iterator[Cuda]:
    """Either implementation, on the host device."""
    if request.param == "cudart":
        opened: Cuda = request.getfixturevalue("open_cudart")()
    else:
        request.getfixturevalue("pycuda_device")
        opened = Pycuda()
    yield opened
    opened.close()
