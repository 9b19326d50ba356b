"""What an engine must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple, Type

import numpy as np

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done and how much there is."""


class Job(NamedTuple):
    """One deployed model to run. file: ONNX.   sha256: of it.   shape: (batch, height, width) of its input.

    integers: type of the activations that are to be multiplied as integers where a kernel does; empty for none.
    """

    file: Path
    sha256: str
    precision: str
    shape: Tuple[int, int, int]
    integers: str = ""


class Settings(NamedTuple):
    """How engines are run here; a backend takes what concerns it.

    threads: CPU threads.   cache: folder for what is built on this machine.   memory: how device memory is reached,
    "auto", "pycuda" or "cudart".   workspace_mb: most memory for building an engine, 0 for the engine's own choice.
    cuda_graph: launch a call as one graph.   dla: core of the deep learning accelerator, -1 for the GPU.
    """

    threads: int
    cache: Path
    memory: str = "auto"
    workspace_mb: int = 0
    cuda_graph: bool = False
    dla: int = -1


class Backend(ABC):
    """Runs one deployed model. Used as a context manager: activated on entry, deactivated on exit."""

    name: str
    package: str
    contract = 1
    """The oldest contract of files that it reads. 2: a Cast alone reads the uint8 image."""

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

    @abstractmethod
    def deactivate(self) -> None:
        """Free what `activate` took."""

    def stages(self) -> Dict[str, float]:
        """Milliseconds of the latest call on the device: "host_to_device", "compute", "device_to_host"; or nothing."""
        return {}

    def facts(self) -> Dict[str, Any]:
        """What a record must say about how the model runs here, as JSON; asked while active."""
        return {}

    def __enter__(self) -> Backend:
        self.activate()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.deactivate()
