"""What to do where TensorRT's Python module does not load."""

from __future__ import annotations

DLA_COMPILER = "libnvdla_compiler.so"
"""NVIDIA's compiler for the deep learning accelerator. The TensorRT of JetPack 6 and before does not load without it,
used or not; the runtime of NVIDIA's containers mounts it from the device, if the device has it."""
DLA_REMEDY = (
    "this TensorRT needs {}, and does not use it without --dla. JetPack 6: sudo apt install "
    "nvidia-l4t-dla-compiler on the device itself, since a container is lent the device's file; or mount that file "
    "into the container. JetPack 7.2 has no such package: take an image with JetPack 7.2's own TensorRT"
).format(DLA_COMPILER)


def remedy(error: Exception, install: str) -> str:
    """What helps against an error of the import, whose text names the library that the loader misses.

    Args:
        error: of the import.
        install: how the module is installed.
    """
    return DLA_REMEDY if DLA_COMPILER in str(error) else install
