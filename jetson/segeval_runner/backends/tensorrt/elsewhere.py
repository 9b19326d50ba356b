"""An engine that the user built: loaded as it is, its images prepared, its answers turned into labels."""

from __future__ import annotations

import hashlib
from typing import Any, Callable, Tuple

import numpy as np

from segeval_runner.backends.backend import Job, Settings
from segeval_runner.backends.tensorrt import versions
from segeval_runner.backends.tensorrt.engine import Engine, described
from segeval_runner.backends.tensorrt.execution import tensors
from segeval_runner.backends.tensorrt.library import trt
from segeval_runner.backends.tensorrt.log import Log
from segeval_runner.cuda import Cuda
from segeval_runner.cuda.call import DeviceCall, End, Ends
from segeval_runner.described import Input, Output, answer_faults, label_maps, prepared
from segeval_runner.errors import BackendError

BUILD = (
    "an engine runs on the TensorRT and the GPU that it was built with: build it on this device, and deploy it again"
)
AGAIN = "describe it as it is, and deploy it again"


def loaded(job: Job, settings: Settings, log: Log) -> Engine:
    """The engine of a job as its file has it. Raises BackendError if it does not load here, or another was asked for.

    Whether its code may run was decided before (`segeval_runner.choice.chosen`).
    """
    if settings.without_argmax or settings.dla >= 0:
        what = "{} was built before: neither its output nor where it runs can be chosen".format(job.file.name)
        raise BackendError(what, "choose other engines with --engine, or leave out --without-argmax and --dla")
    data = job.file.read_bytes()
    try:
        engine = trt.Runtime(log).deserialize_cuda_engine(data)
    except TypeError as error:  # what pybind11 makes of a null pointer
        raise BackendError("TensorRT cannot start{}".format(log.told())) from error
    if engine is None:
        what = "{}: TensorRT {} cannot load this engine{}"
        raise BackendError(what.format(job.file.name, trt.__version__, log.told()), BUILD)
    facts = {
        "engine": "yours",
        "engine_bytes": len(data),
        "engine_sha256": hashlib.sha256(data).hexdigest(),
        "preparation": "images and labels by numpy on the processor, within the latency",
    }
    return Engine(engine, {**facts, **described(engine)})


def description(job: Job) -> Tuple[Input, Output, int]:
    """How the input and the output of a job's engine look, and the number of the network's classes."""
    own = job.own
    assert own is not None and own.input is not None and own.output is not None
    return own.input, own.output, own.classes


def ends_of(engine: trt.ICudaEngine, job: Job) -> Ends:
    """What the engine of a job takes and gives. Raises BackendError if that is not what was described."""
    images, answer, classes = description(job)
    found = tensors(engine)
    inputs = {name: each for name, each in found.items() if each[0] == trt.TensorIOMode.INPUT}
    outputs = {name: each for name, each in found.items() if name not in inputs}
    if len(inputs) != 1 or len(outputs) != 1:
        what = "{} has the inputs {} and the outputs {}; one of each is needed"
        raise BackendError(what.format(job.file.name, ", ".join(inputs), ", ".join(outputs)), BUILD)
    ((given, (_, kind, shape)),) = inputs.items()
    batch, height, width = job.shape
    wanted = (batch, 3, height, width) if images.layout == "NCHW" else (batch, height, width, 3)
    if shape != wanted:
        dynamic = "it was built for several sizes" if min(shape, default=-1) < 0 else "it takes {}".format(shape)
        what = "{}: {}, and images of this bundle are {} as {}"
        raise BackendError(what.format(job.file.name, dynamic, wanted, images.layout), BUILD)
    ((name, (_, answered, sizes)),) = outputs.items()
    faults = answer_faults(sizes, answer, batch, (height, width), classes)
    if answer.name not in ("", name):
        faults = "it is called {!r}, not {!r}".format(name, answer.name)
    if faults:
        raise BackendError("{}: its answer does not fit its description: {}".format(job.file.name, faults), AGAIN)
    before, after = numpy_type(engine, given, kind), numpy_type(engine, name, answered)
    return Ends(End(given, shape, before), End(name, sizes, after))


def numpy_type(engine: trt.ICudaEngine, name: str, kind: Any) -> Any:
    """NumPy's type of a tensor. Raises BackendError for one that it lacks, or whose elements do not lie in a row."""
    known = versions.tensor_types(trt)
    if kind not in known or engine.get_tensor_format(name) != trt.TensorFormat.LINEAR:
        what = "{} of the engine is {}, or its elements do not lie in the order of its axes".format(name, kind)
        raise BackendError(what, "build it with plain inputs and outputs, as in trtexec --inputIOFormats=fp32:chw")
    return known[kind]


class PreparedCall(DeviceCall):
    """Takes camera images and gives label maps, whatever the engine between them takes and gives."""

    def __init__(self, cuda: Cuda, job: Job, ends: Ends) -> None:
        super().__init__(cuda, job.shape, ends)
        self._shape = job.shape
        self._wanted, self._answer, _ = description(job)

    def begin(self, images: np.ndarray[Any, Any], compute: Callable[[], None]) -> None:
        """See `DeviceCall`."""
        super().begin(prepared(images, self._wanted, self.ends.images.dtype), compute)

    def finish(self) -> np.ndarray[Any, Any]:
        """See `DeviceCall`. The answer as int32 (N, H, W) labels."""
        return label_maps(super().finish(), self._answer, self._shape[1:])
