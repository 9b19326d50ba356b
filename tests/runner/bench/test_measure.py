"""The loops, with an engine that is a function."""

import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from segeval_runner.bench.measure import Loop, Reader, Timings
from segeval_runner.bench.record import launch_flags, timing_record
from segeval_runner.bench.rules import PRESETS

SHORT = PRESETS["quick"]._replace(warmup_calls=4, warmup_s=0.0, seconds=0.001, calls=25, images=60)


class Engine:
    """Labels are the number of the batch; it keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.loaded: list[int] = []
        self.checked = 0
        self.under_way: list[Any] = []
        self.most = 0

    def load(self, number: int) -> Any:
        self.loaded.append(number)
        return np.full((2, 4, 4, 3), number % 250, np.uint8)

    def infer(self, images: Any) -> Any:
        self.seen.append(int(images[0, 0, 0, 0]))
        return images[..., 0].astype(np.int32)

    def check(self, labels: Any) -> None:
        assert labels.dtype == np.int32
        self.checked += 1

    def loop(self) -> Loop:
        shares: list[float] = []
        self.shares = shares
        stages = {"compute": 0.5, "host_to_device": 0.25}
        return Loop(self.infer, lambda: stages, self.pipeline, self.load, self.check, 2, shares.append)

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        self.under_way = []
        yield self

    def begin(self, images: Any) -> None:
        self.under_way.append(images)
        self.most = max(self.most, len(self.under_way))

    def finish(self) -> Any:
        return self.infer(self.under_way.pop(0))


def test_a_latency_run_reads_and_calls_in_turn() -> None:
    engine = Engine()
    timings = engine.loop().run("latency", SHORT)
    calls = len(timings.engine_ms)
    assert calls >= 25
    assert engine.seen == engine.loaded == list(range(calls)), "nothing is read ahead"
    for read, call, both in zip(timings.read_ms, timings.engine_ms, timings.with_io_ms, strict=True):
        assert read + call <= both
    assert sum(timings.with_io_ms) <= timings.seconds * 1e3
    assert list(timings.stages_ms["compute"]) == [0.5] * calls
    assert engine.shares == sorted(engine.shares) and engine.shares[-1] == 1.0


def test_an_offline_run_counts_images_and_reads_ahead_in_order() -> None:
    engine = Engine()
    timings = engine.loop().run("offline", SHORT)
    calls = len(timings.engine_ms)
    assert calls * 2 >= 60
    assert engine.seen == [number % 250 for number in range(calls)]
    assert engine.loaded[:calls] == list(range(calls))
    assert len(engine.loaded) <= calls + 4
    assert len(timings.with_io_ms) == 0
    assert not any(thread.name == "reader" for thread in threading.enumerate())
    record = timing_record(timings, "offline", 2)
    assert record["images"] == 2 * record["calls"] == 2 * calls
    assert record["images_per_second"]["with_io"] == pytest.approx(2 * calls / timings.seconds, rel=1e-3)
    assert record["images_per_second"]["engine"] >= record["images_per_second"]["with_io"]
    assert set(record["latency"]) == {"engine", "read", "compute", "host_to_device"}


def test_a_throughput_run_has_a_call_ahead_and_times_from_answer_to_answer() -> None:
    engine = Engine()
    timings = engine.loop().run("throughput", SHORT)
    calls = len(timings.engine_ms)
    assert calls * 2 >= 60
    assert engine.most == 2 and len(engine.under_way) == 1, "there is always one more under way than is waited for"
    assert engine.checked == 4, "its own warm-up, in both lanes"
    assert engine.seen == [number % 250 for number in range(4 + calls)], "every answer belongs to one call, in order"
    assert sum(timings.engine_ms) / 1e3 == pytest.approx(timings.seconds, abs=2e-3)
    record = timing_record(timings, "throughput", 2)
    assert record["images"] == 2 * calls
    assert set(record["latency"]) == {"interval", "read"}, "no latency of a call, and no stages that overlap"
    assert not any(thread.name == "reader" for thread in threading.enumerate())


def test_warm_up_calls_are_checked_and_not_measured() -> None:
    engine = Engine()
    calls, _ = engine.loop().warm_up(SHORT)
    assert calls == engine.checked == len(engine.seen) == 4


def test_what_reading_raises_is_raised_by_the_run() -> None:
    engine = Engine()

    def failing(number: int) -> Any:
        if number == 7:
            raise OSError("the disk is gone")
        return engine.load(number)

    loop = engine.loop()
    loop.load = failing
    with pytest.raises(OSError, match="the disk is gone"):
        loop.run("offline", SHORT)
    assert engine.seen == list(range(7))
    assert not any(thread.name == "reader" for thread in threading.enumerate())


def test_an_error_of_the_engine_ends_the_reader() -> None:
    with pytest.raises(ZeroDivisionError), Reader(Engine().load, array("d")) as reader:
        next(reader.batches())
        raise ZeroDivisionError
    assert not any(thread.name == "reader" for thread in threading.enumerate())


@pytest.mark.parametrize(("enqueue", "flagged"), [(0.79, False), (0.8, True), (1.0, True)])
def test_a_gpu_that_may_wait_for_the_host_is_flagged(enqueue: float, flagged: bool) -> None:
    timings = Timings()
    for compute in (0.5, 1.0, 30.0):
        timings.keep_stages({"compute": compute, "enqueue": enqueue})
    kinds = [flag["kind"] for flag in launch_flags(timings)]
    assert kinds == (["bound by launching"] if flagged else [])
    del timings.stages_ms["enqueue"]
    assert launch_flags(timings) == []
