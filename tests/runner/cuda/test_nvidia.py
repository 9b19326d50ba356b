"""Held against NVIDIA's own headers and libraries of CUDA 11, 12 and 13, from its wheels. None of it needs a GPU."""

import ctypes
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from segeval_runner.cuda import library, with_cudart, with_pycuda
from segeval_runner.cuda.library import SIGNATURES, Library, working_library
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HERE, Fetch

RUNTIMES = ("nvidia-cuda-runtime-cu11==11.8.89", "nvidia-cuda-runtime-cu12==12.9.79", "nvidia-cuda-runtime==13.0.96")
SHIM = """\
/* In place of crt/host_defines.h, which comes with NVIDIA's compiler: marks that a C compiler has no use for. */
#define __host__
#define __device_builtin__
#define __cudart_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __builtin_align__(n) __attribute__((aligned(n)))
#define __align__(n) __attribute__((aligned(n)))
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define CUDA_CB
"""
CONSTANTS = {
    "cudaMemcpyHostToDevice": with_cudart.HOST_TO_DEVICE,
    "cudaMemcpyDeviceToHost": with_cudart.DEVICE_TO_HOST,
    "cudaStreamNonBlocking": with_cudart.NON_BLOCKING,
    "CU_STREAM_NON_BLOCKING": with_pycuda.NON_BLOCKING,
    "cudaStreamCaptureModeThreadLocal": with_cudart.CAPTURE_THREAD_LOCAL,
    "cudaDevAttrComputeCapabilityMajor": with_cudart.CAPABILITY_MAJOR,
    "cudaDevAttrComputeCapabilityMinor": with_cudart.CAPABILITY_MINOR,
    "cudaDevAttrMultiProcessorCount": with_cudart.MULTIPROCESSORS,
    "cudaErrorMemoryAllocation": 2,
    "cudaErrorInsufficientDriver": 35,
    "cudaErrorNoDevice": 100,
    "cudaErrorUnknown": 999,
}
HANDLES = ("cudaStream_t", "cudaEvent_t", "cudaGraph_t", "cudaGraphExec_t")
TYPES = {
    "int": ctypes.c_int,
    "unsigned int": ctypes.c_uint,
    "size_t": ctypes.c_size_t,
    "unsigned long long": ctypes.c_ulonglong,
    "void *": ctypes.c_void_p,
    "const void *": ctypes.c_void_p,
    "struct cudaDeviceProp *": ctypes.c_void_p,
    "int *": ctypes.POINTER(ctypes.c_int),
    "float *": ctypes.POINTER(ctypes.c_float),
    "void **": ctypes.POINTER(ctypes.c_void_p),
    "enum cudaMemcpyKind": ctypes.c_int,
    "enum cudaDeviceAttr": ctypes.c_int,
    "enum cudaStreamCaptureMode": ctypes.c_int,
    **dict.fromkeys(HANDLES, ctypes.c_void_p),
    **{f"{handle} *": ctypes.POINTER(ctypes.c_void_p) for handle in HANDLES},
}
"""C's types in ctypes."""

runtimes = pytest.mark.parametrize("runtime", RUNTIMES)


def folder_of(wheel: Path, file: str) -> Path:
    (found,) = wheel.rglob(file)
    return found.parent


def compile_with(source: Path, wheel: Path, shims: Path) -> None:
    """Have a C file checked together with the headers of a wheel."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no gcc on this machine to read NVIDIA's headers with")
    (shims / "crt").mkdir()
    (shims / "crt" / "host_defines.h").write_text(SHIM)
    includes = ["-isystem", str(folder_of(wheel, "cuda_runtime_api.h")), "-isystem", str(shims)]
    flags = ["-std=gnu11", "-Wall", "-Werror", "-DNVIDIA_HEADERS", "-fsyntax-only"]
    ended = subprocess.run([compiler, *flags, *includes, str(source)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


@runtimes
@pytest.mark.parametrize("source", ["cudart_on_host.c", "libcuda_on_host.c"])
def test_the_stand_ins_have_nvidias_prototypes(runtime: str, source: str, fetch: Fetch, tmp_path: Path) -> None:
    compile_with(HERE / source, fetch(runtime), tmp_path)


@runtimes
def test_numbers_and_layouts_are_nvidias(runtime: str, fetch: Fetch, tmp_path: Path) -> None:
    lines = ["#include <cuda.h>", "#include <cuda_runtime_api.h>", "#include <stddef.h>"]
    claims = [f"{name} == {value}" for name, value in CONSTANTS.items()]
    claims += [
        f"sizeof(struct cudaDeviceProp) < {with_cudart.PROPERTIES_BYTES}",
        "offsetof(struct cudaDeviceProp, name) == 0",
        f"sizeof(((struct cudaDeviceProp *)0)->name) == {with_cudart.NAME_BYTES}",
        "sizeof(CUdeviceptr) == sizeof(void *)",
    ]
    assert set(library.HINTS) <= set(CONSTANTS.values())
    source = tmp_path / "numbers.c"
    source.write_text("\n".join([*lines, *(f'_Static_assert({claim}, "{runtime}");' for claim in claims)]) + "\n")
    compile_with(source, fetch(runtime), tmp_path)


@runtimes
def test_arguments_are_nvidias(runtime: str, fetch: Fetch) -> None:
    header = (folder_of(fetch(runtime), "cuda_runtime_api.h") / "cuda_runtime_api.h").read_text(encoding="utf-8")
    header = re.sub(r"__dv\([^)]*\)", "", header)  # default values, for C++
    for function, arguments in SIGNATURES.items():
        declared = re.search(rf"cudaError_t CUDARTAPI {function}\(([^)]*)\);", header)
        assert declared, f"{function} is not declared"
        parameters = [each for each in declared[1].split(",") if each.strip() != "void"]
        bare = [re.sub(r"\s*\b\w+$", "", each.strip()) for each in parameters]  # without the names
        assert tuple(TYPES[each] for each in bare) == arguments, function


@runtimes
def test_the_real_library_has_every_function_and_names_its_errors(runtime: str, fetch: Fetch) -> None:
    (file,) = fetch(runtime).rglob("libcudart.so.*")
    real = Library(ctypes.CDLL(str(file)), str(file))
    count = ctypes.c_int(-1)
    try:
        real.call("cudaGetDeviceCount", ctypes.byref(count))
    except BackendError as error:
        # Without a driver, or with one that is older than the library.
        assert re.fullmatch(r"cudaGetDeviceCount: .*(driver|device).* \(CUDA error (35|100|999)\)", error.what)
        assert error.hint
    else:
        assert count.value >= 1


@runtimes
def test_the_real_library_is_found_where_its_wheel_puts_it(
    runtime: str, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = fetch(runtime)
    monkeypatch.syspath_prepend(str(wheel))
    found = [name for name in library.names() if name.startswith(str(wheel))]
    assert [Path(name) for name in found] == list(wheel.rglob("libcudart.so.*"))
    monkeypatch.setattr(library, "names", lambda: iter(found))
    try:
        assert working_library().name == found[0]
    except BackendError as error:
        assert error.what.startswith(found[0])
