"""The runtime library: how it is found, what its errors become, and graphs."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segeval_runner.cuda import library, open_cuda
from segeval_runner.cuda.library import Library
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import Compile, HostDevice

Open = Callable[[], Cudart]


def test_an_error_says_what_failed_why_and_what_to_do(open_cudart: Open, device: HostDevice) -> None:
    cuda = open_cudart()
    device.fail_on("cudaMalloc", 2)
    with pytest.raises(BackendError) as failed:
        cuda.allocate(16)
    assert failed.value.what == "cudaMalloc: out of memory (CUDA error 2)"
    assert "smaller batch" in failed.value.hint
    device.fail_on("cudaMalloc", 719)
    with pytest.raises(BackendError) as failed:
        cuda.allocate(16)
    assert (failed.value.what, failed.value.hint) == ("cudaMalloc: unrecognized error code (CUDA error 719)", "")


def test_an_error_that_was_told_is_not_found_by_the_next_who_asks(open_cudart: Open, device: HostDevice) -> None:
    cuda = open_cudart()
    with pytest.raises(BackendError, match="out of memory"):
        cuda.allocate(2**40)
    assert device.functions.cudaGetLastError() == 0


def test_memory_freed_behind_its_back_is_an_error(open_cudart: Open, device: HostDevice) -> None:
    buffer = open_cudart().allocate(16)
    assert device.functions.cudaFree(ctypes.c_void_p(buffer.address)) == 0
    with pytest.raises(BackendError, match="cudaFree: invalid argument"):
        buffer.free()


def test_a_graph_runs_what_was_captured_every_time(open_cudart: Open, device: HostDevice) -> None:
    cuda = open_cudart()
    buffer, stream = cuda.allocate(4), cuda.stream()
    there, back = cuda.pinned((4,), np.uint8), cuda.pinned((4,), np.uint8)

    def launch() -> None:
        cuda.to_device(buffer, there, stream)
        cuda.to_host(back, buffer, stream)

    back[:] = 0
    graph = cuda.graph(stream, launch)
    stream.synchronize()
    assert not back.any(), "capturing runs nothing"
    assert device.held()["launchers"] == 1 and "graphs" not in device.held()
    for value in (3, 7):
        there[:] = value
        graph.launch(stream)
        stream.synchronize()
        assert back.tolist() == [value] * 4
    graph.destroy()
    with pytest.raises(BackendError, match="this graph was already released"):
        graph.launch(stream)
    for array in (there, back):
        cuda.free_pinned(array)
    buffer.free()
    stream.destroy()


def test_a_capture_that_fails_leaves_the_stream_as_it_was(open_cudart: Open, device: HostDevice) -> None:
    cuda = open_cudart()
    buffer, stream, array = cuda.allocate(4), cuda.stream(), np.full(4, 5, np.uint8)

    def waits() -> None:
        cuda.to_device(buffer, array, stream)
        stream.synchronize()

    def stumbles() -> None:
        cuda.to_device(buffer, array, stream)
        raise ZeroDivisionError

    with pytest.raises(BackendError, match="not permitted when stream is capturing"):
        cuda.graph(stream, waits)
    with pytest.raises(ZeroDivisionError):
        cuda.graph(stream, stumbles)
    device.fail_on("cudaGraphInstantiateWithFlags", 2)
    with pytest.raises(BackendError, match="cudaGraphInstantiateWithFlags: out of memory"):
        cuda.graph(stream, lambda: None)
    assert device.held() == {"device memory": 1, "streams": 1}
    back = np.zeros(4, np.uint8)
    cuda.to_device(buffer, array, stream)
    cuda.to_host(back, buffer, stream)
    stream.synchronize()
    assert back.tolist() == [5] * 4
    buffer.free()
    stream.destroy()


def test_a_library_that_is_too_old_is_passed_over(
    compile_library: Compile, device_library: HostDevice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "old.c"
    source.write_text("int cudaGetDeviceCount(int *count) { return *count = 0; }\n")
    old = compile_library(source, "libcudart.so.9")
    broken = tmp_path / "libcudart.so.12"
    broken.write_bytes(b"not a library")
    with pytest.raises(BackendError, match=r"libcudart\.so\.9 is too old: .*cudaSetDevice") as refused:
        Library(ctypes.CDLL(str(old)), str(old))
    assert "11.4" in refused.value.hint
    tried = ["/nowhere/libcudart.so.13", str(broken), str(old), str(device_library.file)]
    monkeypatch.setattr(library, "names", lambda: iter(tried))
    assert library.working_library().name == str(device_library.file)
    monkeypatch.setattr(library, "names", lambda: iter(tried[:3]))
    with pytest.raises(BackendError, match="is too old"):
        library.working_library()
    monkeypatch.setattr(library, "names", lambda: iter(tried[:2]))
    with pytest.raises(BackendError, match="no CUDA runtime library") as refused:
        library.working_library()
    assert "nvidia-cuda-runtime" in refused.value.hint


@pytest.mark.parametrize(("code", "hint"), [(35, "driver"), (100, "CUDA_VISIBLE_DEVICES"), (999, "restart")])
def test_a_library_that_sees_no_device_says_so(
    code: int, hint: str, device_library: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "names", lambda: iter([str(device_library.file)]))
    device_library.fail_on("cudaGetDeviceCount", code)
    with pytest.raises(BackendError) as refused:
        open_cuda("cudart")
    assert refused.value.what.startswith(f"{device_library.file}: cudaGetDeviceCount: ")
    assert f"CUDA error {code}" in refused.value.what and hint in refused.value.hint


@pytest.mark.parametrize("folder", library.WHEELS)
def test_the_libraries_of_nvidias_wheels_are_found(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lies = tmp_path / folder
    lies.mkdir(parents=True)
    expected = [str(lies / f"libcudart.so.{version}") for version in ("13", "12", "11.0")]
    for file in (*expected, str(lies / "libcudart.so.10")):
        Path(file).touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [name for name in library.names() if name.startswith(str(tmp_path))] == expected


def test_the_loaders_own_way_comes_first(device_library: HostDevice) -> None:
    program = "from segeval_runner.cuda import open_cuda; cuda = open_cuda('cudart'); print(cuda.device_name())"
    environment = {**os.environ, "LD_LIBRARY_PATH": str(device_library.file.parent)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Host, in place of a device\n"), done.stderr


def test_the_python_of_jetpack_5_reaches_the_device_too(device_library: HostDevice) -> None:
    python38 = Path(__file__).parents[3] / ".venv-py38" / "bin" / "python"
    if not python38.exists():
        pytest.skip("there is no environment of Python 3.8 yet: tests/runner/test_python38.py makes it")
    program = """
import numpy as np
from segeval_runner.cuda import open_cuda
from segeval_runner.cuda.call import DeviceCall
cuda = open_cuda("cudart")
call = DeviceCall(cuda, (1, 4, 6))
expected = np.arange(24, dtype=np.int32).reshape(1, 4, 6)
labels = call.run(np.zeros((1, 4, 6, 3), np.uint8), lambda: cuda.to_device(call.labels, expected, call.stream))
assert np.array_equal(labels, expected) and len(call.stages()) == 3
call.close()
print(cuda.device_name())
"""
    runner = str(Path(library.__file__).parents[2])
    environment = {**os.environ, "LD_LIBRARY_PATH": str(device_library.file.parent), "PYTHONPATH": runner}
    command = [str(python38), "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "Host, in place of a device\n"), done.stderr
