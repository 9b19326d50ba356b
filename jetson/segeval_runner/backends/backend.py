"""The interface of an engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, Iterable, List, NamedTuple, Optional, Tuple, Type

import numpy as np

from segeval_runner.own import Own

if TYPE_CHECKING:
    from segeval_runner.cuda.pipeline import Pipeline

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


class Plan(NamedTuple):
    """An engine that was built elsewhere.

    Attributes:
        file: as the library wrote it.
        version: of the library that did.
    """

    file: Path
    version: str


class Job(NamedTuple):
    """One deployed model to run.

    Attributes:
        file: ONNX, or of `own` an engine that was built elsewhere.
        sha256: of it.
        precision: whose arithmetic it is to have; of an engine that was built elsewhere, OWN.
        shape: (batch, height, width) of its input.
        fallback: what to run in its place where the engine cannot build it; None if there is nothing else.
        plan: the engine that the bundle carries for it, None if there is none.
        integers: type of the activations that are to be multiplied as integers where a kernel does; empty for none.
        own: of a file that the user brought, else None.
    """

    file: Path
    sha256: str
    precision: str
    shape: Tuple[int, int, int]
    fallback: Optional[Job] = None
    plan: Optional[Plan] = None
    integers: str = ""
    own: Optional[Own] = None


class Settings(NamedTuple):
    """Settings of engines; a backend uses those that concern it.

    Attributes:
        threads: CPU threads.
        cache: folder for what is built on this machine.
        memory: how device memory is reached, "auto", "pycuda" or "cudart".
        workspace_mb: most memory for building an engine, 0 for the engine's own choice, None for a share of what is
            free where CPU and GPU share their memory, and else the engine's own choice.
        cuda_graph: launch a call as one graph.
        dla: core of the deep learning accelerator, -1 for the GPU.
        prebuilt: run engines that the bundle carries, which are native code.
        without_argmax: compute the network alone. the labels of a call then mean nothing.
        logits: name of the value whose argmax the labels are, which `Backend.logits` is to give; empty for none.
    """

    threads: int
    cache: Path
    memory: str = "auto"
    workspace_mb: Optional[int] = None
    cuda_graph: bool = False
    dla: int = -1
    prebuilt: bool = False
    without_argmax: bool = False
    logits: str = ""


class LayerTime(NamedTuple):
    """The time that a layer of an engine takes.

    Attributes:
        name, kind: as the engine calls them.
        ms: median over some calls.
    """

    name: str
    kind: str
    ms: float


class Backend(ABC):
    """Runs one deployed model. Used as a context manager: activated on entry, deactivated on exit."""

    name: str
    package: str
    contract = 1
    """The oldest contract of files that it reads. 2: a Cast alone reads the uint8 image."""
    fills_cores = False
    """Whether it computes on the processor's cores, where other work would slow it down."""
    calls_ahead = False
    """Whether a call can be queued before the one before it is done: see `pipeline`."""
    tells_layers = False
    """Whether it tells the time per layer: see `layers`."""
    runs_engines = False
    """Whether it runs an engine of TensorRT that was built elsewhere."""
    cuts_argmax = False
    """Whether it can compute the network without its ArgMax: see `Settings`."""
    gives_logits = False
    """Whether it gives logits besides labels: see `logits`."""

    def __init__(self, job: Job, settings: Settings, report: Report) -> None:
        self.job = job
        self.settings = settings
        self.report = report

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Version of the engine. Raises BackendError if it is not installed."""

    @classmethod
    def takes_flags(cls) -> bool:
        """Whether it takes precisions from flags and not from the file. Raises BackendError like `version`."""
        return False

    @abstractmethod
    def activate(self) -> None:
        """Load the model, with denormals flushed to zero. Raises BackendError if it cannot be used."""

    @abstractmethod
    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8 (N, H, W, 3) RGB to int32 (N, H, W) labels; N is the batch size. Raises BackendError."""

    def logits(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """As `infer`, but to the float32 (N, C, H, W) value that `Settings` names. Raises BackendError."""
        raise NotImplementedError("{} gives no logits".format(self.name))

    @abstractmethod
    def deactivate(self) -> None:
        """Free what `activate` took."""

    def stages(self) -> Dict[str, float]:
        """Milliseconds of the latest call on the device: "host_to_device", "compute", "device_to_host"; or nothing."""
        return {}

    def enqueue_ms(self) -> Optional[float]:
        """Milliseconds in which the host queued the model of the latest call; None where it does more than that."""
        return None

    def pipeline(self) -> ContextManager[Pipeline]:
        """The model with a call ahead, while active. Raises BackendError where the device lacks the memory for it."""
        raise NotImplementedError("{} has no calls ahead".format(self.name))

    def layers(self, batches: Iterable[np.ndarray[Any, Any]]) -> List[LayerTime]:
        """The time per layer over calls for these images, in the engine's order. Raises BackendError.

        Profiling slows the calls, and may change what comes later: nothing is measured with this engine afterwards.
        """
        raise NotImplementedError("{} does not tell the time per layer".format(self.name))

    def facts(self) -> Dict[str, Any]:
        """What a record must say about how the model runs here, as JSON; asked while active.

        arithmetic: what numbers it computes with, in words; every backend says it.
        """
        return {}

    def __enter__(self) -> Backend:
        self.activate()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.deactivate()
