"""A backend on one TensorRT, for the ways through it in `ways/`. `inside.py` sets it up, with Python 3.8 too."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from segeval_runner.backends import Job, Settings
from segeval_runner.backends.tensorrt import TensorRT, backend, board
from segeval_runner.backends.tensorrt.log import the_log
from segeval_runner.backends.tensorrt.rtx import TensorRTRTX
from segeval_runner.errors import BackendError
from segeval_runner.telemetry import Machine
from tests.tensorrt_api.contract import is_rtx, major
from tests.tensorrt_api.fake_cuda import FakeCuda
from tests.tensorrt_api.library import Library, World

SHAPE = World().shape
CHANNELS_FIRST = (1, 3, 4, 6)
PRECISIONS = ("fp32", "fp16", "int8")
EXACT = "OBEY_PRECISION_CONSTRAINTS"


def images(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (*SHAPE, 3)).astype(np.uint8)


class Drive(unittest.TestCase):
    library: Library

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, str(self.folder))
        self.root = self.folder / "root"
        here = mock.patch.object(board, "MACHINE", Machine(self.root, str(self.folder / "bin")))
        here.start()
        self.addCleanup(here.stop)
        self.library.module.calls.clear()
        self.major = major(self.library.module)
        self.rtx = is_rtx(self.library.module.real)
        self.kind = TensorRTRTX if self.rtx else TensorRT
        self.said: list[tuple[str, int, int]] = []
        self.renew()

    def renew(self, **changes: Any) -> World:
        """A new process on the same device: only files remain."""
        the_log().forget()
        self.world = World(**changes)
        self.library.world = self.world
        return self.world

    def jetson(self, **files: str) -> None:
        """Let these files be there: "release", "mode", "memory"."""
        places = {"release": "etc/nv_tegra_release", "mode": "var/lib/nvpmodel/status", "memory": "proc/meminfo"}
        for name, text in files.items():
            path = self.root / places[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def job(self, precision: str = "fp32", shape: tuple[int, int, int] = SHAPE) -> Job:
        file = self.folder / f"net.{precision}.onnx"
        file.write_text(precision + " network", encoding="utf-8")
        return Job(file, hashlib.sha256(file.read_bytes()).hexdigest(), precision, shape)

    def settings(self, **changes: Any) -> Settings:
        return Settings(1, self.folder / "engines")._replace(**changes)

    def backend(self, job: Job | None = None, **changes: Any) -> TensorRT:
        return self.kind(job or self.job(), self.settings(**changes), lambda *each: self.said.append(each))

    def opened(self, kind: str, graphs: bool) -> FakeCuda:
        self.asked = (kind, graphs)
        return self.world.cuda

    @contextmanager
    def active(self, job: Job | None = None, **changes: Any) -> Iterator[TensorRT]:
        opened = mock.patch.object(backend, "open_cuda", self.opened)
        with opened, self.backend(job, **changes) as running:
            assert isinstance(running, TensorRT)
            yield running
        self.assertTrue(self.world.cuda.closed)

    def facts(self, job: Job | None = None, **changes: Any) -> dict[str, Any]:
        """Activate once and say how it went; the run computes what it must."""
        with self.active(job, **changes) as running:
            expected = images().argmax(axis=-1)
            self.assertTrue(np.array_equal(running.infer(images()), expected))
            facts: dict[str, Any] = json.loads(json.dumps(running.facts()))
        return facts

    def refused(self, *words: str, job: Job | None = None, **changes: Any) -> BackendError:
        """Activating fails, says these words and leaves nothing on the device."""
        with self.assertRaises(BackendError) as caught, self.active(job, **changes):
            pass
        for word in words:
            self.assertIn(word, caught.exception.what + "\n" + caught.exception.hint)
        self.assertTrue(self.world.cuda.closed)
        return caught.exception

    def engine_file(self) -> Path:
        (file,) = (self.folder / "engines").glob("*.engine")
        return file

    def config(self) -> dict[str, Any]:
        """The builder's configuration of the only build."""
        (values,) = self.world.built
        assert isinstance(values, dict)
        return values

    def timings(self) -> bytes | None:
        """What the only build began with; None where a build measures nothing."""
        timings = self.config()["timings"]
        return None if timings is None else bytes(timings.values["data"])

    def flag_names(self) -> set[str]:
        return {flag.name for flag in self.config()["flags"]}
