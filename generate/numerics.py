"""Process-wide settings of PyTorch that decide speed and exactness."""

import ctypes
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from segeval.errors import EngineError


def prepare_torch() -> None:
    """Flush denormals, which makes these networks 2 to 13 times faster on the CPU and changes no logit; no TF32.

    On one thread every algorithm of the CPU is deterministic. A GPU's are not asked to be: PyTorch has no such kernel
    for some of what is used here, and those it has take Fast-SCNN's gradient 2 to 3 times as long (docs/speed.md).
    """
    torch.set_flush_denormal(True)
    keep_freed_memory()
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False


M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of mallopt(3)."""


def keep_freed_memory() -> None:
    """Let glibc keep up to 1 GiB that is freed for what is asked for next, where this is glibc.

    Every step of an attack frees and asks for the same tensors. Given back to the system and mapped again, page by
    page, they take a twentieth of a step, and a seventh with eight images (docs/speed.md).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)  # what is mapped by itself is always given back
        mallopt(M_TRIM_THRESHOLD, 1 << 30)


def use_one_thread() -> None:
    """Compute on one thread: how a kernel divides its work among several decides the last bit of what it gives."""
    torch.set_num_threads(1)


def is_cpu(device: str) -> bool:
    """Whether this is PyTorch's name for the CPU, such as ``cpu`` and ``cpu:0``."""
    return torch.device(device).type == "cpu"


@contextmanager
def one_thread(device: str) -> Iterator[None]:
    """One thread for the block, where `device` is the CPU."""
    before = torch.get_num_threads()
    if is_cpu(device):
        use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def naming_memory(device: str) -> Iterator[None]:
    """Turn PyTorch's errors for too little memory, whatever its type and whichever process it is from, into ours."""
    try:
        yield
    except RuntimeError as error:
        if not re.search("out of memory|ALLOC_FAILED|not enough memory", str(error)):
            raise
        hint = "go on with --resume and fewer --workers, or start again with a smaller --batch-size"
        raise EngineError(f"{device} has too little memory", hint) from error
