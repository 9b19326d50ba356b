"""What an engine must offer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Tuple, Type

import numpy as np


class Backend(ABC):
    """Runs one deployed model. Used as a context manager: activated on entry, deactivated on exit.

    file: the model.   shape: (batch, height, width) of its input.   threads: CPU threads it may use.
    """

    name: str
    package: str

    def __init__(self, file: Path, shape: Tuple[int, int, int], threads: int) -> None:
        self.file = file
        self.shape = shape
        self.threads = threads

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Version of the engine. Raises BackendError if it is not installed."""

    @abstractmethod
    def activate(self) -> None:
        """Load the model, with denormals flushed to zero. Raises BackendError if it cannot be used."""

    @abstractmethod
    def infer(self, images: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """uint8 (N, H, W, 3) RGB to int32 (N, H, W) labels; N is the batch size. Raises BackendError."""

    @abstractmethod
    def deactivate(self) -> None:
        """Free what `activate` took."""

    def __enter__(self) -> Backend:
        self.activate()
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.deactivate()
