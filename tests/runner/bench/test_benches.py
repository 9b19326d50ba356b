"""Reading bench.json: what comes back from a device is not believed."""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.errors import ConfigurationError, DataError, FormatError, SegevalError
from segeval.files.benches import open_bench
from segeval_runner.backends import Settings
from segeval_runner.bench.benchmark import BenchOptions, benchmark
from segeval_runner.bench.record import opened, packed
from segeval_runner.bench.rules import PRESETS
from segeval_runner.bundle import Bundle
from segeval_runner.errors import OutputError
from segeval_runner.progress import Progress
from segeval_runner.telemetry import Machine
from tests.sealing import write_sealed

MakeBundle = Callable[..., Path]


@pytest.fixture
def out(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    rules = PRESETS["quick"]._replace(warmup_calls=1, warmup_s=0.0, seconds=0.01, calls=20, idle_s=0.0)
    out = tmp_path / "out"
    options = BenchOptions(make_bundle(), out, "", ["single"], ["latency"], "custom", rules, Settings(1, out))
    benchmark(options, Progress(), Machine(tmp_path / "bare", ""))
    return out


def change(out: Path, **fields: Any) -> None:
    """Change fields of the first run."""
    record = json.loads((out / "bench.json").read_text())
    record["runs"][0].update(fields)
    write_sealed(out / "bench.json", record)


def refused(out: Path, kind: type[SegevalError], message: str) -> None:
    with pytest.raises(kind, match=message):
        open_bench(out).run("single", "latency").latencies()


def test_what_was_written_is_read(out: Path) -> None:
    run = open_bench(out).run("single", "latency")
    assert len(run.latencies()) == run.calls >= 20
    middle = np.sort(run.latencies())[int(np.ceil(0.5 * run.calls)) - 1]
    assert run.latency["engine"]["p50"].ms == pytest.approx(middle, abs=2e-4)


def test_what_is_no_benchmark_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, DataError, "is not a benchmark")
    (tmp_path / "bench.json").write_text("{}")
    refused(tmp_path, FormatError, r"bench\.json")
    (tmp_path / "bench.json").write_text('{"schema": "segeval.bench/2"}')
    refused(tmp_path, FormatError, "segeval.bench/2")


def test_a_run_that_is_not_there_is_named(out: Path) -> None:
    with pytest.raises(ConfigurationError, match="no run of 'double'") as caught:
        open_bench(out).run("double", "offline")
    assert "single (latency)" in caught.value.hint


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"calls": -1}, r"\.calls"),
        ({"scenario": "server"}, r"\.scenario"),
        ({"energy": "zero"}, r"\.energy"),
        ({"energy": 0}, r"\.energy"),
        ({"batch": 0}, r"\.batch"),
        ({"latency": {"engine": {"p50": {"ms": -1.0, "upper_ms": 1.0}}}}, r"\.ms|latency"),
        ({"flags": [{"kind": 1, "detail": ""}]}, r"\.kind"),
        ({"telemetry": {}}, r"\.telemetry"),
    ],
)
def test_fields_that_cannot_be_are_refused(out: Path, fields: dict[str, Any], where: str) -> None:
    change(out, **fields)
    refused(out, FormatError, where)


def test_latencies_that_are_damaged_or_do_not_fit_are_refused(out: Path) -> None:
    calls = open_bench(out).run("single", "latency").calls
    good = packed([1.0] * calls)
    change(out, calls_ms={**good, "data": "*" + good["data"]})
    refused(out, FormatError, "cannot be unpacked")
    change(out, calls_ms={**good, "data": base64.b64encode(b"not zlib").decode()})
    refused(out, FormatError, "cannot be unpacked")
    change(out, calls_ms=packed([1.0] * (calls + 1)))
    refused(out, FormatError, f"are not {calls} numbers")
    bomb = base64.b64encode(zlib.compress(bytes(64 << 20))).decode()
    change(out, calls_ms={**good, "data": bomb})
    refused(out, FormatError, f"are not {calls} numbers")


def test_latencies_survive_packing_to_a_tenth_of_a_microsecond(out: Path) -> None:
    calls = open_bench(out).run("single", "latency").calls
    latencies = np.random.default_rng(0).lognormal(1, 2, calls)
    change(out, calls_ms=packed(latencies.tolist()))
    read = open_bench(out).run("single", "latency").latencies()
    assert np.abs(read - latencies).max() <= 0.5e-4 + 1e-9


def test_two_runs_of_the_same_are_refused(out: Path) -> None:
    record = json.loads((out / "bench.json").read_text())
    record["runs"] *= 2
    write_sealed(out / "bench.json", record)
    refused(out, FormatError, "two runs of one engine")


@pytest.mark.parametrize(
    "fields",
    [
        {"engine": "\x1b[2J"},
        {"facts": {"arithmetic": "\x1b[2J"}},
        {"flags": [{"kind": "other work", "detail": "\x1b[2J"}]},
        {"energy": "not available: \x1b[2J"},
    ],
)
def test_texts_that_a_terminal_would_obey_are_refused(out: Path, fields: dict[str, Any]) -> None:
    """Also by the runner, which shows what it continues."""
    change(out, **fields)
    refused(out, FormatError, r"bench\.json: a text holds control characters")
    record = json.loads((out / "bench.json").read_text())
    with pytest.raises(OutputError, match="is not a benchmark"):
        opened(out, Bundle(out.parent / "bundle"), "custom", record["rules"], record["environment"])
