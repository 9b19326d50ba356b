"""Engines built ahead of time, without a GPU and for GPUs that are elsewhere: TensorRT for RTX can do that."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Sequence

from segeval_runner.backends.backend import Job, Report, Settings
from segeval_runner.backends.tensorrt import library, versions
from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt
from segeval_runner.backends.tensorrt.rtx import TensorRTRTX

CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""The compute capabilities that release 1.7 builds for: Turing, A100, GeForce 30, 40 and 50, GB10."""


class Ahead(NamedTuple):
    """An engine that was built on another machine than it is for.

    Attributes:
        engine: serialized.
        facts: "library", "capabilities", what `summary` says, "engine_bytes", "warnings".
    """

    engine: bytes
    facts: Dict[str, Any]


def build_ahead(job: Job, settings: Settings, capabilities: Sequence[str], report: Report) -> Ahead:
    """Parse and build a file for GPUs of these compute capabilities, as in "8.6". None of them need be here.

    Raises BackendError with TensorRT's reasons if it takes the file for none, KeyboardInterrupt if it was stopped.
    """
    library.use(TensorRTRTX.module)
    from segeval_runner.backends.tensorrt.ahead_builder import AheadBuilder, summary
    from segeval_runner.backends.tensorrt.log import the_log

    log = the_log()
    log.forget()
    with deferred_interrupt() as interrupt:
        builder = AheadBuilder(job, settings, versions.STRONG, log, report, lambda: interrupt.pending)
        builder.capabilities = capabilities
        built = builder.build(None)
    if built is None:
        raise KeyboardInterrupt
    facts = {"library": "TensorRT-RTX {}".format(TensorRTRTX.version()), "capabilities": list(capabilities)}
    found = {**summary(log.layers), "engine_bytes": len(built.engine), "warnings": built.notes["warnings"]}
    return Ahead(built.engine, {**facts, **found})
