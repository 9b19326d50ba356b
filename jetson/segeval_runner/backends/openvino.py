"""OpenVINO on the CPU: an engine that really multiplies int8."""

from __future__ import annotations

import platform
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from segeval_runner.backends import arithmetic
from segeval_runner.backends.backend import Backend, Job
from segeval_runner.errors import BackendError

ASKED_FOR = {"fp16": "f16", "int8-fp16": "f16"}
"""In which type the operators that are not int8 compute; fp32 for every other precision. Left to itself OpenVINO
computes an fp32 file in bf16 where the processor can. A processor without fp16 arithmetic computes in fp32 instead."""

INTEGERS = ("i8", "u8")

MOVED_ALONG = ("Convert", "Relu")
"""Operators that may be between a concatenation and a quantization that OpenVINO moves in front of it."""

WIDE_SUMS = {"avx_vnni", "avx512_vnni", "amx_int8"}
"""Processors with one of these, in the words of /proc/cpuinfo, add products of int8 in 32 bits. Other x86 processors
add them in pairs in 16 bits, which saturate: a quarter of an ESPNet's labels came out otherwise on some images."""


def import_engine() -> Any:
    """The openvino module, 2024.4 or later. Raises BackendError if it is not installed or does not load."""
    try:
        import openvino
    except ImportError as error:
        raise BackendError("OpenVINO cannot be used: {}".format(error), "pip install openvino") from error
    if not hasattr(openvino, "Core"):
        raise BackendError("this OpenVINO is too old", "pip install 'openvino>=2024.4'")
    return openvino


class OpenVino(Backend):
    """CPU device with every hint spelled out: the type to compute in, accuracy before speed, one stream."""

    name = "openvino"
    package = "openvino"
    fills_cores = True
    device = "CPU"
    gives_logits = True

    @classmethod
    def version(cls) -> str:
        """See `Backend`."""
        # Without the number of the build and its revision.
        return str(import_engine().get_version()).partition("-")[0]

    def activate(self) -> None:
        """See `Backend`. Raises BackendError, too, if the model would be computed in a type that was not asked for."""
        self._core = import_engine().Core()
        try:
            model = self._core.read_model(str(self.job.file))
            require_deployed_form(model, self.job)
            if self.settings.logits:
                model.add_outputs([self.settings.logits])
            self._kept_apart = keep_apart(model)
            self._compiled = self._core.compile_model(model, self.device, self.hints())
            self._request = self._compiled.create_infer_request()
        except RuntimeError as error:
            raise BackendError("{}: OpenVINO cannot load it: {}".format(self.job.file, error)) from error
        self._computes_in = str(self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name())
        if self._computes_in not in (self.asked_for, "f32"):
            what = "{}: OpenVINO computes in {}, though {} was requested"
            raise BackendError(what.format(self.job.file, self._computes_in, self.asked_for), "use another backend")

    @property
    def asked_for(self) -> str:
        """The type to compute in, in OpenVINO's words."""
        return ASKED_FOR.get(self.job.precision, "f32")

    def hints(self) -> Dict[str, Any]:
        """What the model is compiled with."""
        return {
            "INFERENCE_PRECISION_HINT": self.asked_for,
            # Forbids lower precisions than the hint, such as dynamic quantization.
            "EXECUTION_MODE_HINT": "ACCURACY",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": self.settings.threads,
            # As every backend does; they change no label.
            "CPU_DENORMALS_OPTIMIZATION": True,
        }

    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        return self.output("labels", images)

    def logits(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """See `Backend`."""
        return self.output(self.settings.logits, images)

    def output(self, name: str, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """One output of the model. Raises BackendError."""
        try:
            # Shared: only this one is copied, not what `keep_apart` made an output.
            outputs = self._request.infer({"image": images}, share_outputs=True)
        except RuntimeError as error:
            raise BackendError("{}: OpenVINO failed: {}".format(self.job.file, error)) from error
        values: np.ndarray[Any, Any] = outputs[name].copy()
        return values

    def facts(self) -> Dict[str, Any]:
        """See `Backend`. Hints as the compiled model gives them back; int8_kernels: how many convolutions by kernel.

        saturates: whether they add in 16 bits, so that large sums are cut; null if unknown.
        """
        compiled = self._compiled
        kernels = int8_kernels(compiled)
        cut = saturates() if kernels else False
        count = sum(kernels.values())
        return {
            "arithmetic": arithmetic.openvino(self.job.precision, self._computes_in, count, cut is True),
            "device": self._core.get_property(self.device, "FULL_DEVICE_NAME"),
            "asked_for": self.asked_for,
            "computes_in": self._computes_in,
            "execution_mode": compiled.get_property("EXECUTION_MODE_HINT").name,
            "streams": compiled.get_property("NUM_STREAMS"),
            "threads": compiled.get_property("INFERENCE_NUM_THREADS"),
            "denormals_flushed": compiled.get_property("CPU_DENORMALS_OPTIMIZATION"),
            "int8_kernels": kernels,
            "saturates": cut,
            "kept_apart": self._kept_apart,
        }

    def deactivate(self) -> None:
        """See `Backend`."""
        del self._request, self._compiled, self._core


def require_deployed_form(model: Any, job: Job) -> None:
    """Raise BackendError unless the model takes and gives what a deployed file does."""
    batch, height, width = job.shape
    expected = [("image", "u8", [batch, height, width, 3]), ("labels", "i32", [batch, height, width])]
    found = [described(port, "image") for port in model.inputs] + [described(port, "labels") for port in model.outputs]
    if found != expected:
        raise BackendError("{} takes and gives {}, not {}".format(job.file, found, expected))


def described(port: Any, wanted: str) -> Tuple[str, str, List[int]]:
    """Name, type and shape of an input or output, which may have several names; -1 for a size that is not fixed."""
    name = wanted if wanted in port.get_names() else port.get_any_name()
    sizes = [size.get_length() if size.is_static else -1 for size in port.get_partial_shape()]
    return name, port.get_element_type().get_type_name(), sizes


def keep_apart(model: Any) -> List[str]:
    """Make every concatenation that is quantized right away an output as well, and return their names.

    OpenVINO 2024.4 and 2026.4 move such a quantization in front of the concatenation, and what comes out is noise: two
    thirds of an int8 ESPNet's labels were wrong. A value that somebody else reads stays where it is.
    """
    found = {}
    for operation in model.get_ops():
        if operation.get_type_name() == "FakeQuantize":
            source = operation.input(0).get_source_output()
            while source.get_node().get_type_name() in MOVED_ALONG:
                source = source.get_node().input(0).get_source_output()
            if source.get_node().get_type_name() == "Concat":
                found[source.get_node().get_friendly_name()] = source
    if found:
        model.add_outputs(list(found.values()))
    return sorted(found)


def int8_kernels(compiled: Any) -> Dict[str, int]:
    """How many convolutions compute in int8, by the kernel that OpenVINO chose."""
    counted: Counter[str] = Counter()
    for operation in compiled.get_runtime_model().get_ordered_ops():
        about = operation.get_rt_info()
        kind, precision, kernel = (about[key].value for key in ("layerType", "runtimePrecision", "primitiveType"))
        if kind == "Convolution" and precision in INTEGERS:
            counted[kernel] += 1
    return dict(counted)


def saturates() -> Optional[bool]:
    """Whether this processor adds products of int8 in 16 bits; None if that is unknown here."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return None
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not WIDE_SUMS & set(flags.split())
