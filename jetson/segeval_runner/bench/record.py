"""bench.json, segeval.bench/1: one entry for each run of an engine in a scenario, and what was asked for besides.

"without_argmax" has entries of the same form, of the network alone; "layers" has one for each engine that was profiled.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from pathlib import Path
from statistics import median
from typing import Any, Dict, List, Sequence

import numpy as np

from segeval_runner.bench.conditions import Flag, flag
from segeval_runner.bench.measure import Timings
from segeval_runner.bench.rules import LEAST_COUNTS, percentiles
from segeval_runner.bench.steady import Steadiness, steadiness
from segeval_runner.bundle import Bundle
from segeval_runner.digests import CHANGED, is_intact
from segeval_runner.errors import OutputError
from segeval_runner.exclusive import ELSEWHERE
from segeval_runner.recording import write_json
from segeval_runner.strict import loads, printable, read_regular

SCHEMA = "segeval.bench/1"
FILE = "bench.json"
MOST_BYTES = 1 << 28
"""Of bench.json: some 60 million calls."""
TICKS_PER_MS = 10_000
"""Latencies are kept in whole ticks of 0.1 us."""
LATER: Dict[str, Any] = {"without_argmax": [], "layers": []}
"""Lists that earlier runners did not write."""
SAME = ("schema", "bundle_sha256", "preset", "rules")
SAME_MACHINE = ("machine", "cpu", "threads", "backends")
"""What the runs of a file must have in common."""
LAUNCHING = 0.8
"""Share of the GPU's time for the model that queueing it may take the host, before the GPU is taken to wait for it."""


def packed(latencies_ms: Sequence[float]) -> Dict[str, Any]:
    """Every latency, compactly: base64 of zlib of little-endian uint32, in ticks. A call may take up to 7 minutes."""
    ticks = np.clip(np.rint(np.asarray(latencies_ms) * TICKS_PER_MS), 0, np.iinfo(np.uint32).max).astype("<u4")
    data = base64.b64encode(zlib.compress(ticks.tobytes(), 6)).decode("ascii")
    return {"count": len(ticks), "ticks_per_ms": TICKS_PER_MS, "data": data}


def timing_record(timings: Timings, scenario: str, batch: int) -> Dict[str, Any]:
    """Latencies and throughput. There is no mean of latencies: it hides what the percentiles show."""
    images = len(timings.engine_ms) * batch
    calls = "interval" if scenario == "throughput" else "engine"
    series: Dict[str, array[float]] = {calls: timings.engine_ms, "read": timings.read_ms, **timings.stages_ms}
    if scenario == "latency":
        series["with_io"] = timings.with_io_ms
    given = {name: percentiles(values)[0] for name, values in series.items()}
    return {
        "calls": len(timings.engine_ms),
        "images": images,
        "seconds": round(timings.seconds, 6),
        "latency": given,
        "unsupported": percentiles(timings.engine_ms)[1],
        "least_counts": {"p{}".format(percent): count for percent, count in LEAST_COUNTS.items()},
        "images_per_second": {
            "engine": round(images / (sum(timings.engine_ms) / 1e3), 4),
            "with_io": round(images / timings.seconds, 4),
        },
        "calls_ms": packed(timings.engine_ms),
    }


def steady_record(found: Steadiness) -> Dict[str, Any]:
    """Whether the run was steady."""
    medians = [round(value, 4) for value in found.medians]
    return {
        "steady": found.steady,
        "drift": round(found.drift, 5),
        "noise": round(found.noise, 5),
        "medians_ms": medians,
    }


def run_flags(timings: Timings, batch: int, scenario: str, percents: Dict[str, str]) -> List[Flag]:
    """Doubts that the timings themselves cast."""
    found = steadiness(timings.engine_ms)
    flags = []
    if found.steady is False:
        flags.append(flag("not steady", "the latency drifted by {:+.1%} or jumped in between".format(found.drift)))
    elif found.steady is None:
        flags.append(flag("steadiness undecided", "too few calls, or too noisy, to exclude a drift of 3 %"))
    if percents:
        flags.append(flag("few calls", "; ".join("{}: {}".format(*item) for item in sorted(percents.items()))))
    if scenario == "latency" and batch > 1:
        flags.append(flag("batch", "each latency is of a call for {} images".format(batch)))
    return flags + launch_flags(timings)


def launch_flags(timings: Timings) -> List[Flag]:
    """Whether the GPU may have waited for the host, which queues a model kernel by kernel."""
    stages = timings.stages_ms
    if "enqueue" not in stages or "compute" not in stages:
        return []
    host, device = median(stages["enqueue"]), median(stages["compute"])
    if host < LAUNCHING * device:
        return []
    detail = "queueing a call took the host {:.2f} ms, the GPU {:.2f} ms to compute it: try --cuda-graph"
    return [flag("bound by launching", detail.format(host, device))]


def opened(
    out: Path, bundle: Bundle, preset: str, rules: Dict[str, Any], environment: Dict[str, Any]
) -> Dict[str, Any]:
    """The record in a folder, to be continued, or a new one.

    Raises OutputError if what is there is of another bundle, other rules or another machine, or is no benchmark, or was
    changed after it was written.
    """
    record: Dict[str, Any] = {
        "schema": SCHEMA,
        "bundle_sha256": bundle.sha256,
        "set_sha256": bundle.manifest.set_sha256,
        "environment": environment,
        "preset": preset,
        "rules": rules,
        "runs": [],
        **{part: [] for part in LATER},
    }
    if not (out / FILE).exists():
        return record
    try:
        found = loads(read_regular(out / FILE, MOST_BYTES))
        intact, before = is_intact(found), {**LATER, **found}
        entries = {part: [dict(entry) for entry in before[part]] for part in ("runs", *LATER)}
        whole = printable(found) == found  # what it holds is shown
        begun = [before[part] for part in SAME] + [before["environment"][part] for part in SAME_MACHINE]
    except (OSError, ValueError, KeyError, TypeError):
        whole = False
    if not whole:
        raise OutputError("{} is not a benchmark of this runner".format(out / FILE), ELSEWHERE)
    if not intact:
        raise OutputError("{} {}".format(out / FILE, CHANGED), "restore the file, or " + ELSEWHERE)
    now = [record[part] for part in SAME] + [environment[part] for part in SAME_MACHINE]
    for part, old, new in zip((*SAME, *SAME_MACHINE), begun, now):
        if old != new:
            what = "{} was begun with {} {!r}; this run has {!r}".format(out / FILE, part, old, new)
            raise OutputError(what, ELSEWHERE)
    return {**record, **entries}


def write(out: Path, record: Dict[str, Any]) -> None:
    """Write bench.json, whole or not at all. Raises OutputError."""
    write_json(out / FILE, printable(record))
