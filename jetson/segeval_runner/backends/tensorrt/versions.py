"""Every difference between the versions of TensorRT, 8.5 to 11, with its reason. Nothing else asks for a version.

It looks for symbols, never for version numbers: a symbol shows what this release has.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

import numpy as np

from segeval_runner.errors import BackendError

WEAK = "weak"
STRONG = "strong"


class Range(NamedTuple):
    """Major versions that have a name: from `first`, or the release `minor` of it, to `last`."""

    first: int
    last: int
    minor: int = 0


NEWEST = 11
PARTIAL: Dict[str, Range] = {
    "NetworkDefinitionCreationFlag.EXPLICIT_BATCH": Range(8, 10),
    "NetworkDefinitionCreationFlag.STRONGLY_TYPED": Range(10, NEWEST),
    "BuilderFlag.FP16": Range(8, 10),
    "BuilderFlag.INT8": Range(8, 10),
    "BuilderFlag.OBEY_PRECISION_CONSTRAINTS": Range(8, 10),
    "ILayer.precision": Range(8, 10),
    "ILayer.set_output_type": Range(8, 10),
    "DataType.INT64": Range(10, NEWEST),
    "IProgressMonitor": Range(10, NEWEST),
    "IProgressMonitor.phase_start": Range(10, NEWEST),
    "IProgressMonitor.step_complete": Range(10, NEWEST),
    "IProgressMonitor.phase_finish": Range(10, NEWEST),
    "IBuilderConfig.progress_monitor": Range(10, NEWEST),
    "ICudaEngine.device_memory_size": Range(8, 10),
    "ICudaEngine.device_memory_size_v2": Range(10, NEWEST, 1),
}
"""The names that not every version has. Everything else that is used exists from 8.5 to 11."""

PRECISION_FLAGS = {"fp32": (), "fp16": ("FP16",), "int8": ("INT8",), "int8-fp16": ("INT8", "FP16")}


def require_supported(trt: Any) -> None:
    """Raise BackendError for a TensorRT before 8.5, which has neither named tensors nor `execute_async_v3`."""
    if not hasattr(trt.IExecutionContext, "execute_async_v3"):
        raise BackendError("TensorRT {} is too old".format(trt.__version__), "8.5 or later comes with JetPack 5.1")


def typing_mode(trt: Any, dla: bool) -> str:
    """Who decides the type of a tensor: the builder among those it may use (weak), or the file alone (strong).

    Strong wherever it exists, since then an engine computes what the file says: 8.x has weak typing alone, 11 strong
    typing alone. The accelerator of 10.x is documented with weak typing.
    """
    if not hasattr(trt.BuilderFlag, "FP16"):
        return STRONG
    if dla or takes_flags(trt):
        return WEAK
    return STRONG


def takes_flags(trt: Any) -> bool:
    """Whether only weak typing exists: 8.x, whose parser reads neither opset 19 nor scales in fp16."""
    return not hasattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")


def network_flags(trt: Any, typing: str) -> int:
    """For `Builder.create_network`. 8.x reads ONNX files with an explicit batch only; 10 needs a flag for strong
    typing; 11 is always strongly typed, and calls the flag obsolete."""
    flags = trt.NetworkDefinitionCreationFlag
    if not hasattr(trt.BuilderFlag, "FP16"):
        return 0
    name = "STRONGLY_TYPED" if typing == STRONG else "EXPLICIT_BATCH"
    return 1 << int(getattr(flags, name))


def precision_flags(trt: Any, typing: str, precision: str) -> List[Any]:
    """The builder flags that allow a precision: only weak typing has them, in 8.x for fp16 and for Q/DQ nodes."""
    if typing == STRONG:
        return []
    if precision not in PRECISION_FLAGS:
        what = "TensorRT {} has no way to build precision {!r}".format(trt.__version__, precision)
        raise BackendError(what, "precisions are: {}".format(", ".join(PRECISION_FLAGS)))
    return [getattr(trt.BuilderFlag, name) for name in PRECISION_FLAGS[precision]]


def has_timings(trt: Any) -> bool:
    """Whether a build measures kernels, and can begin with what an earlier one measured.

    TensorRT for RTX compiles and chooses kernels where an engine runs; it has a cache there, and its timing cache is
    deprecated and does nothing.
    """
    return not hasattr(trt, "IRuntimeCache")


def has_progress(trt: Any) -> bool:
    """Whether a build says how far it is and can be stopped; 8.x only returns when it is done."""
    return hasattr(trt, "IProgressMonitor")


def device_memory(engine: Any) -> int:
    """Bytes on the device that an engine needs for each execution context, its weights not counted. 8.x and 10.0 have
    one name for it, 11 has another; in between there are both."""
    if hasattr(engine, "device_memory_size_v2"):
        return int(engine.device_memory_size_v2)
    return int(engine.device_memory_size)


def tensor_types(trt: Any) -> Dict[Any, Any]:
    """NumPy's types of the tensors of an engine, by TensorRT's."""
    kinds = trt.DataType
    known = {kinds.FLOAT: np.float32, kinds.HALF: np.float16, kinds.UINT8: np.uint8, kinds.INT32: np.int32}
    return {**known, kinds.INT64: np.int64} if hasattr(kinds, "INT64") else known
