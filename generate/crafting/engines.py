"""Engines that compute the logits of a deployed file in every step of an attack, as the runner runs them."""

from collections.abc import Callable
from pathlib import Path

from onnx import ModelProto
from torch import Tensor

from segeval.errors import EngineError
from segeval.graphs.differentiable import BackendLogits, OnnxRuntimeLogits
from segeval.graphs.differentiable.graph_segmenter import logits_of
from segeval_runner.backends import Settings, load_backend
from segeval_runner.bundle import Bundle
from segeval_runner.cli import own_engines
from segeval_runner.errors import RunnerError
from segeval_runner.replay import job_of

THREADS = 1
"""Of an engine: with more, the last bits of an attack would depend on the machine's number of cores."""


def engine_logits(root: Path, name: str, model: ModelProto, backend: str) -> Callable[[Tensor], Tensor]:
    """The logits of a file of a bundle by a backend of the runner, a function for `EngineInTheLoop`.

    Args:
        root: folder of the bundle.
        name: of the engine, as in ``espnet-camvid.int8``.
        model: its file.
        backend: which one.

    Raises:
        EngineError: if the backend is not installed, or cannot run the file.
    """
    try:
        bundle, kind = Bundle(root), load_backend(backend)
        engine = next(each for each in bundle.manifest.engines if each.name == name)
        job = job_of(bundle, engine, kind)
        if backend == "onnxruntime":
            return OnnxRuntimeLogits(model, job.integers, job.precision == "int8-fp16", THREADS)
        settings = Settings(THREADS, own_engines(), without_argmax=kind.cuts_argmax, logits=logits_of(model))
        active = kind(job, settings, lambda stage, done, total: None)
        active.activate()
    except RunnerError as error:
        raise EngineError(error.what, error.hint) from error
    return BackendLogits(active)
