"""The make-believe behind the doubles: a builder, a parser, engines that say which channel is brightest.

An ONNX file is here a text with its precision; an engine is a JSON text after MAGIC. Runs on Python 3.8 too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.tensorrt_api.double import Double, Module
from tests.tensorrt_api.fake_cuda import FakeCuda

MAGIC = b"engine:"
TIMINGS = b"timings of "
FORMATS = {
    "fp32": "Row major linear FP32",
    "fp16": "Channel major FP16 format where channel % 8 == 0",
    "int8": "Int8",
    "int8-fp16": "Int8",
}


@dataclass
class World:
    """What the next run meets. shape: of the engine's labels.   loads: whether engines can be deserialized.

    phases: what a build tells its monitor.   during_build: called in the middle of it.   layers: of the network, each
    its type and the name of its output.   unbuildable: precisions of which no engine is made.

    own: tensors of an engine that was built elsewhere, the image first, each with its type and shape; its scores are
    the image.   linear: whether their elements lie in a row.
    """

    shape: tuple[int, int, int] = (1, 4, 6)
    cuda: FakeCuda = field(default_factory=FakeCuda)
    starts: bool = True
    dla_cores: int = 2
    complaints: tuple[str, ...] = ()
    builds: bool = True
    unbuildable: tuple[str, ...] = ()
    loads: bool = True
    has_context: bool = True
    takes_addresses: bool = True
    executes: bool = True
    image_name: str = "image"
    own: tuple[tuple[str, str, tuple[int, ...]], ...] = ()
    linear: bool = True
    logits: tuple[int, ...] = (1, 19, 4, 6)
    reports: bool = True
    description: str | None = ""
    phases: tuple[tuple[str, str | None, int], ...] = (("Building", None, 2), ("Timing", "Building", 4))
    during_build: Callable[[], None] = lambda: None
    messages: tuple[tuple[str, str], ...] = ()
    layers: tuple[tuple[str, str], ...] = (
        ("SHUFFLE", "levels"),
        ("ELEMENTWISE", "centred"),
        ("ELEMENTWISE", "network_input"),
        ("CONVOLUTION", "features"),
        ("ELEMENTWISE", "sum"),
        ("DECONVOLUTION", "network_output"),
        ("TOPK", "index"),
        ("CAST", "labels"),
    )
    built: list[Any] = field(default_factory=list)
    network: list[Any] = field(default_factory=list)
    kernels: list[bytes] = field(default_factory=list)
    flags: int = 0
    profiled: int = 0


class Library:
    """Makes the doubles of one TensorRT. real: the bindings.   world: replaced before each test."""

    def __init__(self, real: Any, declared: list[str]) -> None:
        self.world = World()
        self.module = Module(real, declared)
        self.module.makers.update(Builder=self.builder, OnnxParser=self.parser, Runtime=self.runtime)
        self.strong_only = not hasattr(real.BuilderFlag, "FP16")

    def make(self, kind: type[Double], **values: Any) -> Double:
        """An object of the library. Which real class it stands for is in its class's name."""
        made = kind(self.module, kind.__name__, **values)
        object.__setattr__(made, "library", self)
        return made

    def started(self, logger: Any) -> Any:
        """Where the real ones are handed a null pointer."""
        for severity, text in self.world.messages:
            logger.log(getattr(self.module.real.ILogger.Severity, severity), text)
        if not self.world.starts:
            raise TypeError("pybind11::init(): factory function returned nullptr")
        return logger

    def builder(self, logger: Any) -> Double:
        return self.make(Builder, logger=self.started(logger))

    def runtime(self, logger: Any) -> Double:
        return self.make(Runtime, logger=self.started(logger), num_DLA_cores=self.world.dla_cores, DLA_core=-1)

    def layer(self, kind: str, output: str) -> Double:
        return self.make(ILayer, type=self.module.real.LayerType.__members__[kind], output=output, num_outputs=1)

    def parser(self, network: Double, logger: Any) -> Double:
        return self.make(OnnxParser, network=network, num_errors=0)


class Builder(Double):
    library: Library

    def do_create_network(self, flags: int = 0) -> Double:
        self.library.world.flags = flags
        layers = [self.library.layer(*each) for each in self.library.world.layers]
        outputs = [self.library.make(ITensor, name="labels")]
        values = {"num_layers": len(layers), "num_outputs": 1, "outputs": outputs}
        return self.library.make(INetworkDefinition, layers=layers, **values)

    def do_create_builder_config(self) -> Double:
        tf32 = self.library.module.real.BuilderFlag.TF32
        return self.library.make(IBuilderConfig, flags={tf32}, pools={}, timings=None)

    def do_build_serialized_network(self, network: Double, config: Double) -> memoryview | None:
        world = self.library.world
        world.built.append(config.values)
        world.network = network.values["layers"]
        if not self.told(config.values.get("progress_monitor")) or not world.builds:
            return None
        names = [flag.name for flag in config.values["flags"]]
        typed = network.values["precision"]
        if typed in world.unbuildable:
            return None
        strong = self.library.strong_only or bool(world.flags & strong_bit(self.library.module.real))
        allowed = {"FP16": "fp16", "INT8": "int8"}
        computed = typed if strong or typed in [allowed.get(name) for name in names] else "fp32"
        (output,) = network.values["outputs"]
        plan = {"precision": computed, "flags": sorted(names), "output": output.values["name"]}
        # Buffers are all that an IHostMemory is to Python.
        return memoryview(MAGIC + json.dumps(plan).encode())

    def told(self, monitor: Any) -> bool:
        """Go through the phases. Returns whether the monitor wants the build to go on."""
        world = self.library.world
        going = True
        for index, (name, parent, steps) in enumerate(world.phases):
            if monitor is not None:
                monitor.phase_start(name, parent, steps)
            if index == len(world.phases) - 1:
                world.during_build()
            for step in range(steps if monitor is not None else 0):
                going = going and monitor.step_complete(name, step)
        for name, _, _ in reversed(world.phases if monitor is not None else ()):
            monitor.phase_finish(name)
        return going


def strong_bit(real: Any) -> int:
    """The bit of strong typing, 0 where there is none."""
    flag = getattr(real.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


class INetworkDefinition(Double):
    library: Library

    def do_get_layer(self, index: int) -> Double:
        layer: Double = self.values["layers"][index]
        return layer

    def do_get_output(self, index: int) -> Double:
        tensor: Double = self.values["outputs"][index]
        return tensor

    def do_mark_output(self, tensor: Double) -> None:
        self.values["outputs"].append(tensor)
        self.values["num_outputs"] = len(self.values["outputs"])

    def do_unmark_output(self, tensor: Double) -> None:
        self.values["outputs"].remove(tensor)
        self.values["num_outputs"] = len(self.values["outputs"])


class ILayer(Double):
    library: Library

    def do_get_output(self, index: int) -> Double:
        return self.library.make(ITensor, name=self.values["output"])

    def do_set_output_type(self, index: int, dtype: Any) -> None:
        self.values["output_type"] = dtype


class ITensor(Double):
    library: Library


class IBuilderConfig(Double):
    library: Library

    def do_set_flag(self, flag: Any) -> None:
        self.values["flags"].add(flag)

    def do_clear_flag(self, flag: Any) -> None:
        self.values["flags"].discard(flag)

    def do_set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.values["pools"][pool.name] = size

    def do_create_timing_cache(self, data: bytes) -> Double | None:
        # Garbage gives no cache; one of another device gives a cache that is refused later.
        if data and not data.startswith(TIMINGS):
            return None
        return self.library.make(ITimingCache, data=data)

    def do_set_timing_cache(self, cache: Any, ignore_mismatch: bool) -> bool:
        self.values["timings"] = cache
        return bool(cache.values["data"] in (b"", TIMINGS + b"this device"))

    def do_get_timing_cache(self) -> Double:
        return self.library.make(ITimingCache, data=TIMINGS + b"this device")


class ITimingCache(Double):
    library: Library

    def do_serialize(self) -> memoryview:
        return memoryview(self.values["data"])


class OnnxParser(Double):
    library: Library

    def do_parse_from_file(self, model: str) -> bool:
        complaints = self.library.world.complaints
        self.values["num_errors"] = len(complaints)
        with open(model, encoding="utf-8") as file:  # noqa: PTH123
            self.values["network"].values["precision"] = file.read().split()[0]
        return not complaints

    def do_get_error(self, index: int) -> Double:
        return self.library.make(ParserError, text=self.library.world.complaints[index])


class ParserError(Double):
    library: Library

    def __str__(self) -> str:
        self._module.used.add("ParserError.__str__")
        return str(self.values["text"])


class Runtime(Double):
    library: Library

    def do_deserialize_cuda_engine(self, data: bytes) -> Double | None:
        if not self.library.world.loads or not data.startswith(MAGIC):
            return None
        tensors = len(self.library.world.own) or 2
        values = {"num_io_tensors": tensors, "device_memory_size": 5 << 20, "device_memory_size_v2": 5 << 20}
        return self.library.make(ICudaEngine, plan=json.loads(data[len(MAGIC) :].decode()), **values)


class ICudaEngine(Double):
    library: Library

    def own(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Type and shape of a tensor of an engine that was built elsewhere."""
        return next((kind, shape) for each, kind, shape in self.library.world.own if each == name)

    def do_get_tensor_format(self, name: str) -> Any:
        formats = self.library.module.real.TensorFormat
        return formats.LINEAR if self.library.world.linear else formats.CHW4

    def do_get_tensor_name(self, index: int) -> str:
        if self.library.world.own:
            return self.library.world.own[index][0]
        return str((self.library.world.image_name, self.values["plan"]["output"])[index])

    def do_get_tensor_mode(self, name: str) -> Any:
        mode = self.library.module.real.TensorIOMode
        if self.library.world.own:
            return mode.INPUT if name in ("x", "z") else mode.OUTPUT
        return mode.INPUT if name == self.library.world.image_name else mode.OUTPUT

    def do_get_tensor_dtype(self, name: str) -> Any:
        kind = self.library.module.real.DataType
        if self.library.world.own:
            return getattr(kind, self.own(name)[0])
        return {"labels": kind.INT32, "network_output": kind.FLOAT}.get(name, kind.UINT8)

    def do_get_tensor_shape(self, name: str) -> Any:
        if self.library.world.own:
            return self.library.module.real.Dims(self.own(name)[1])
        shape = self.library.world.shape
        shapes = {"labels": shape, "network_output": self.library.world.logits}
        return self.library.module.real.Dims(shapes.get(name, (*shape, 3)))

    def do_create_runtime_config(self) -> Double:
        return self.library.make(IRuntimeConfig)

    def do_create_execution_context(self, config: Double | None = None) -> Double | None:
        if not self.library.world.has_context:
            return None
        return self.library.make(IExecutionContext, addresses={}, output=self.values["plan"]["output"], profiler=None)

    def do_create_engine_inspector(self) -> Double | None:
        if self.library.world.description is None:
            return None
        return self.library.make(EngineInspector, precision=self.values["plan"]["precision"])


class IRuntimeConfig(Double):
    library: Library

    def do_create_runtime_cache(self) -> Double:
        return self.library.make(IRuntimeCache, data=b"")

    def do_set_runtime_cache(self, cache: Double) -> bool:
        self.library.world.kernels.append(cache.values["data"])
        cache.values["data"] = b"kernels of this device"
        return True


class IRuntimeCache(Double):
    library: Library

    def do_deserialize(self, blob: bytes) -> bool:
        self.values["data"] = blob
        return True

    def do_serialize(self) -> memoryview:
        return memoryview(self.values["data"])


class EngineInspector(Double):
    library: Library

    def do_get_engine_information(self, format: Any) -> str:
        assert format.name == "JSON"
        if self.library.world.description:
            return self.library.world.description
        words = FORMATS[self.values["precision"]]
        # One field until TensorRT 10, two since.
        field = {"DataType": words, "Format": "kLINEAR"} if self.library.strong_only else {"Format/Datatype": words}
        tensor = {"Name": "x", "Location": "Device", "Dimensions": [1, 8, 4, 6], **field}
        layer = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [tensor], "Outputs": [tensor]}
        return json.dumps({"Layers": [layer, layer]})


class IExecutionContext(Double):
    library: Library

    def do_set_tensor_address(self, name: str, memory: int) -> bool:
        self.values["addresses"][name] = memory
        return self.library.world.takes_addresses

    def do_execute_async_v3(self, stream_handle: int) -> bool:
        world = self.library.world
        if world.executes:
            world.cuda.streams[stream_handle].queue.append(self.compute)
        if self.values["profiler"] is not None and world.reports:
            # Waits and tells before it returns.
            world.cuda.streams[stream_handle].synchronize()
            world.profiled += 1
            for name, ms in (("conv", float(world.profiled)), ("TopK", 4.0), ("conv", 0.5)):
                self.values["profiler"].report_layer_time(name, ms)
        return world.executes

    def compute(self) -> None:
        """The label of a pixel is its brightest channel; the logits of a pixel are all the same."""
        world, addresses = self.library.world, self.values["addresses"]
        if world.own:
            given, answer = (tensor for tensor, _, _ in world.own)
            world.cuda.memory[addresses[answer]][:] = world.cuda.memory[addresses[given]]
            return
        image = world.cuda.memory[addresses["image"]].reshape((*world.shape, 3))
        if self.values["output"] == "network_output":
            logits = np.full(world.logits, image.sum(), np.float32)
            world.cuda.memory[addresses["network_output"]][:] = logits.reshape(-1).view(np.uint8)
            return
        labels = image.argmax(axis=-1).astype(np.int32)
        world.cuda.memory[addresses["labels"]][:] = labels.reshape(-1).view(np.uint8)
