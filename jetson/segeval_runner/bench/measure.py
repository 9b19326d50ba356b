"""The measured loops. Times are of one call for a whole batch."""

from __future__ import annotations

import queue
import threading
import time
from array import array
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable, ContextManager, Dict, Iterator, Tuple, Union

import numpy as np

from segeval_runner.bench.rules import Rules

if TYPE_CHECKING:
    from segeval_runner.cuda.pipeline import Pipeline

    Images = np.ndarray[Any, Any]

Infer = Callable[["Images"], "Images"]
Load = Callable[[int], "Images"]
"""Gives the images of the call of that number, uint8 (N, H, W, 3)."""

AHEAD = 2
"""Batches that an offline or throughput run reads ahead."""


class Timings:
    """The calls of a run.

    Attributes:
        started, ended: time.monotonic().
        engine_ms: the engine call alone; of a throughput run, where calls overlap, from one answer to the next.
        with_io_ms: of a latency run also reading the images and copying the labels out; of others empty, since reading
            goes on beside the calls.
        read_ms: reading alone.
        stages_ms: on the device, where the engine tells; "enqueue" is the host's share of them.
    """

    def __init__(self) -> None:
        self.started = self.ended = time.monotonic()
        self.engine_ms = array("d")
        self.with_io_ms = array("d")
        self.read_ms = array("d")
        self.stages_ms: Dict[str, array[float]] = {}

    @property
    def seconds(self) -> float:
        """From the beginning of the first call to the end of the last."""
        return self.ended - self.started

    def keep_stages(self, stages: Dict[str, float]) -> None:
        """Add the stages of the latest call."""
        for name, milliseconds in stages.items():
            self.stages_ms.setdefault(name, array("d")).append(milliseconds)


class Loop:
    """Runs an engine.

    Attributes:
        infer: the call.
        stages: of the latest call.
        load: gives the images.
        pipeline: calls ahead.
        check: raises if labels cannot be right.
        batch: images of a call.
        report: called with the share that is done.
    """

    def __init__(
        self,
        infer: Infer,
        stages: Callable[[], Dict[str, float]],
        pipeline: Callable[[], ContextManager[Pipeline]],
        load: Load,
        check: Callable[[Images], None],
        batch: int,
        report: Callable[[float], None],
    ) -> None:
        self.infer = infer
        self.stages = stages
        self.pipeline = pipeline
        self.load = load
        self.check = check
        self.batch = batch
        self.report = report

    def warm_up(self, rules: Rules) -> Tuple[int, float]:
        """Unmeasured calls, whose labels are checked. Returns calls and seconds."""
        started, calls = time.monotonic(), 0
        while calls < rules.warmup_calls or time.monotonic() - started < rules.warmup_s:
            self.check(self.infer(self.load(calls)))
            calls += 1
        return calls, time.monotonic() - started

    def run(self, scenario: str, rules: Rules) -> Timings:
        """Measure by the rules of a scenario."""
        measure = {"latency": self.latency, "offline": self.offline, "throughput": self.throughput}
        return measure[scenario](rules)

    def latency(self, rules: Rules) -> Timings:
        """Single stream: read, call, copy out, one after the other."""
        timings = Timings()
        timings.started = time.monotonic()
        while not self._enough("latency", rules, timings):
            begun = time.perf_counter()
            images = self.load(len(timings.engine_ms))
            called = time.perf_counter()
            labels = self.infer(images)
            answered = time.perf_counter()
            labels.astype(np.uint8)
            ended = time.perf_counter()
            timings.read_ms.append((called - begun) * 1e3)
            timings.engine_ms.append((answered - called) * 1e3)
            timings.with_io_ms.append((ended - begun) * 1e3)
            timings.keep_stages(self.stages())
        return timings

    def offline(self, rules: Rules) -> Timings:
        """Serial: one call after the other. Another thread reads ahead, so that no call waits for images."""
        timings = Timings()
        with Reader(self.load, timings.read_ms) as reader:
            batches = reader.batches()
            timings.started = time.monotonic()
            while not self._enough("offline", rules, timings):
                images = next(batches)
                called = time.perf_counter()
                labels = self.infer(images)
                timings.engine_ms.append((time.perf_counter() - called) * 1e3)
                labels.astype(np.uint8)
                timings.keep_stages(self.stages())
        return timings

    def throughput(self, rules: Rules) -> Timings:
        """As `offline`, but the next call is queued before the one before it is waited for.

        Its own warm-up comes first, with the labels checked. The clock then runs from one answer to another, many
        calls later.
        """
        timings = Timings()
        with Reader(self.load, timings.read_ms) as reader, self.pipeline() as pipeline:
            batches = reader.batches()
            pipeline.begin(next(batches))
            for _ in range(max(2, rules.warmup_calls)):  # at least one in each of its lanes
                pipeline.begin(next(batches))
                self.check(pipeline.finish())
            timings.started, answered = time.monotonic(), time.perf_counter()
            while not self._enough("throughput", rules, timings):
                pipeline.begin(next(batches))
                pipeline.finish().astype(np.uint8)
                before, answered = answered, time.perf_counter()
                timings.engine_ms.append((answered - before) * 1e3)
        return timings

    def _enough(self, scenario: str, rules: Rules, timings: Timings) -> bool:
        timings.ended = time.monotonic()
        share = rules.share(scenario, len(timings.engine_ms), self.batch, timings.seconds)
        self.report(min(share, 1.0))
        return share >= 1


class Reader:
    """A thread that reads batches ahead while it is entered. read_ms: where the time of each reading is kept."""

    def __init__(self, load: Load, read_ms: array[float]) -> None:
        self._load = load
        self._read_ms = read_ms
        self._ready: queue.Queue[Union[Images, BaseException]] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="reader", daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        while self._thread.is_alive():
            self._drain()
            self._thread.join(0.01)

    def batches(self) -> Iterator[Images]:
        """The batches in order, without end. Raises what reading raised."""
        while True:
            batch = self._ready.get()
            if isinstance(batch, BaseException):
                raise batch
            yield batch

    def _read(self) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                begun = time.perf_counter()
                batch = self._load(number)
                self._read_ms.append((time.perf_counter() - begun) * 1e3)
                self._ready.put(batch)
                number += 1
        except BaseException as error:  # raised again by `batches`
            self._ready.put(error)

    def _drain(self) -> None:
        """Make room, so that a reader that waits for it sees that it shall stop."""
        with suppress(queue.Empty):
            while True:
                self._ready.get_nowait()
