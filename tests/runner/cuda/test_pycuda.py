"""What only pycuda does. The real pycuda, compiled from its sources, over a driver made of host memory."""

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from segeval_runner.cuda import library, open_cuda
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice

PRIMARY = 0x1234
"""The primary context of the host device."""


def test_the_primary_context_is_current_while_open(pycuda_device: HostDevice) -> None:
    depth, retained = pycuda_device.functions.device_depth, pycuda_device.functions.device_contexts
    assert depth() == 0
    for _ in range(20):
        first, second = open_cuda("pycuda"), open_cuda("pycuda")
        assert (depth(), retained()) == (1, 1)  # pycuda pops the first for the second
        second.close()
        second.close()
        first.allocate(8).free()  # its context is current again
        first.close()
        assert (depth(), retained()) == (0, 1)


def test_another_context_that_was_current_is_so_again(pycuda_device: HostDevice) -> None:
    functions, popped = pycuda_device.functions, ctypes.c_void_p()
    assert functions.cuCtxPushCurrent_v2(ctypes.c_void_p(PRIMARY)) == 0
    cuda = open_cuda("pycuda")
    assert functions.device_depth() == 2
    cuda.close()
    assert functions.device_depth() == 1
    assert functions.cuCtxPopCurrent_v2(ctypes.byref(popped)) == 0


def test_the_context_is_released_when_the_process_ends(pycuda_build: Path, device_library: HostDevice) -> None:
    program = """
import atexit, ctypes, os, sys
library, build = sys.argv[1:]
functions = ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL)
atexit.register(lambda: print(functions.device_contexts()))  # runs last
sys.setdlopenflags(os.RTLD_LAZY)
sys.path.insert(0, build)
from segeval_runner.cuda import open_cuda
for _ in range(2):
    cuda = open_cuda("pycuda")
    cuda.allocate(8).free()
    cuda.close()
print(functions.device_contexts())
"""
    command = [sys.executable, "-c", program, str(device_library.file), str(pycuda_build)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "1\n0\n", "")


def test_what_outlives_its_device_is_no_crash(pycuda_device: HostDevice) -> None:
    cuda = open_cuda("pycuda")
    stream, buffer = cuda.stream(), cuda.allocate(8)
    buffer.free()
    stream.destroy()
    cuda.close()
    with pytest.raises(BackendError, match="already released"):
        cuda.to_device(buffer, np.zeros(8, np.uint8), stream)


def test_without_a_device_it_says_so(pycuda_device: HostDevice) -> None:
    pycuda_device.functions.show_device(0)
    try:
        with pytest.raises(BackendError, match="cuInit failed: no CUDA-capable device is detected"):
            open_cuda("pycuda")
    finally:
        pycuda_device.functions.show_device(1)


def test_auto_prefers_it_where_it_works(pycuda_device: HostDevice) -> None:
    cuda = open_cuda("auto")
    assert cuda.name == "pycuda"
    cuda.close()


def test_graphs_are_refused_with_the_way_that_has_them(pycuda_device: HostDevice) -> None:
    cuda = open_cuda("pycuda")
    stream = cuda.stream()
    with pytest.raises(BackendError, match="cannot capture CUDA graphs") as refused:
        cuda.graph(stream, lambda: None)
    assert "--memory auto or cudart" in refused.value.hint
    assert not [name for name in dir(sys.modules["pycuda.driver"]) if "capture" in name.lower()], (
        "pycuda has graphs now"
    )
    stream.destroy()
    cuda.close()


def test_graphs_choose_the_way_that_has_them_before_anything_else_happens(
    pycuda_device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "names", lambda: iter([str(pycuda_device.file)]))
    for kind in ("auto", "cudart"):
        assert open_cuda(kind, graphs=True).name == "cudart"
    with pytest.raises(BackendError, match="cannot capture CUDA graphs"):
        open_cuda("pycuda", graphs=True)
    monkeypatch.setattr(library, "names", lambda: iter([]))
    with pytest.raises(BackendError, match="no CUDA runtime library"):
        open_cuda("auto", graphs=True)
