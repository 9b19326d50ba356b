"""CUDA's runtime library: finding it, its functions, and its error codes."""

from __future__ import annotations

import ctypes
import sys
from ctypes import POINTER, c_char_p, c_float, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from ctypes.util import find_library
from pathlib import Path
from typing import Any, Iterator, List, Tuple

from segeval_runner.errors import BackendError

VERSIONS = ("13", "12", "11.0")
"""Ends of the library's file name. All releases of CUDA 11 call it 11.0."""

WHEELS = ("nvidia/cu13/lib", "nvidia/cuda_runtime/lib")
"""Where NVIDIA's wheels put it, below site-packages."""

FOLDERS = ("/usr/local/cuda/lib64", "/usr/local/cuda*/lib64", "/usr/local/cuda*/targets/*/lib", "/usr/lib/*-linux-gnu")
"""Where JetPack and NVIDIA's installers put it; the loader often does not look there."""

INSTALL = (
    "install CUDA's runtime library 11.4 or later: it comes with JetPack (apt-get install nvidia-jetpack); elsewhere, "
    "pip install nvidia-cuda-runtime (CUDA 13) or nvidia-cuda-runtime-cu12"
)

HANDLE = c_void_p
SIGNATURES = {
    "cudaGetDeviceCount": (POINTER(c_int),),
    "cudaSetDevice": (c_int,),
    "cudaGetDeviceProperties": (c_void_p, c_int),
    "cudaDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cudaDriverGetVersion": (POINTER(c_int),),
    "cudaGetLastError": (),
    "cudaMalloc": (POINTER(c_void_p), c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, HANDLE),
    "cudaStreamCreateWithFlags": (POINTER(HANDLE), c_uint),
    "cudaStreamSynchronize": (HANDLE,),
    "cudaStreamDestroy": (HANDLE,),
    "cudaEventCreateWithFlags": (POINTER(HANDLE), c_uint),
    "cudaEventRecord": (HANDLE, HANDLE),
    "cudaEventSynchronize": (HANDLE,),
    "cudaEventElapsedTime": (POINTER(c_float), HANDLE, HANDLE),
    "cudaEventDestroy": (HANDLE,),
    "cudaStreamBeginCapture": (HANDLE, c_int),
    "cudaStreamEndCapture": (HANDLE, POINTER(HANDLE)),
    # cudaGraphInstantiate takes other arguments in CUDA 11 than from 12 on; this one has been the same since 11.4.
    "cudaGraphInstantiateWithFlags": (POINTER(HANDLE), HANDLE, c_ulonglong),
    "cudaGraphDestroy": (HANDLE,),
    "cudaGraphLaunch": (HANDLE, HANDLE),
    "cudaGraphExecDestroy": (HANDLE,),
}
"""The functions that are used and what they take. All of them return a cudaError_t, as they do in CUDA 11 to 13."""

HINTS = {
    2: "close what else uses the device's memory (on a Jetson, the CPU's programs share it), or use a smaller batch",
    35: "is there an NVIDIA GPU with its driver? Update the driver, or install a CUDA runtime library as old as it is",
    100: "CUDA sees no device here: look at nvidia-smi (on a Jetson, tegrastats) and at CUDA_VISIBLE_DEVICES",
    999: "often the driver was updated while loaded; restart the machine",
}
"""What to do about an error code: cudaErrorMemoryAllocation, InsufficientDriver, NoDevice, Unknown."""


class Library:
    """A loaded libcudart. Raises BackendError if it lacks a function.

    Attributes:
        functions: the library.
        name: where it came from.
    """

    def __init__(self, functions: ctypes.CDLL, name: str) -> None:
        self.name = name
        self._functions = functions
        try:
            for function, arguments in SIGNATURES.items():
                found = getattr(functions, function)
                found.restype, found.argtypes = c_int, list(arguments)
            functions.cudaGetErrorString.restype = c_char_p
            functions.cudaGetErrorString.argtypes = [c_int]
        except AttributeError as error:
            raise BackendError("{} is too old: {}".format(name, error), INSTALL) from error

    def call(self, function: str, *arguments: Any) -> None:
        """Call one of SIGNATURES. Raises BackendError with what CUDA says if it fails."""
        code = getattr(self._functions, function)(*arguments)
        if code != 0:
            # The failure is told here: it must not be found again by whoever asks for the latest error.
            self._functions.cudaGetLastError()
            message = self._functions.cudaGetErrorString(code).decode("utf-8", "replace")
            raise BackendError("{}: {} (CUDA error {})".format(function, message, code), HINTS.get(code, ""))


def names() -> Iterator[str]:
    """Where to look: what the loader finds, then NVIDIA's wheels, then the usual folders; newest first."""
    yield from ("libcudart.so.{}".format(version) for version in VERSIONS)
    known = find_library("cudart")
    if known:
        yield known
    places: List[Tuple[Path, str]] = [(Path(entry), wheel) for entry in sys.path if entry for wheel in WHEELS]
    places += [(Path("/"), folder[1:]) for folder in FOLDERS]
    for root, folder in places:
        for version in VERSIONS:
            yield from map(str, sorted(root.glob("{}/libcudart.so.{}".format(folder, version))))


def working_library() -> Library:
    """The first libcudart that sees a device; one that is newer than the driver sees none.

    Raises BackendError with what the last of them said.
    """
    refusal = BackendError("no CUDA runtime library (libcudart) that can be loaded", INSTALL)
    for name in names():
        try:
            functions = ctypes.CDLL(name)
        except OSError:
            continue
        try:
            library = Library(functions, name)
            library.call("cudaGetDeviceCount", ctypes.byref(c_int()))
        except BackendError as error:
            refusal = BackendError("{}: {}".format(name, error.what), error.hint)
        else:
            return library
    raise refusal
