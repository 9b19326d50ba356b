"""Benchmarks that are really run, with rules that are short."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from segeval.files.benches import Energy, open_bench
from segeval.files.bundles import BundleFolder
from segeval_runner.backends import Settings
from segeval_runner.backends.onnx_runtime import OnnxRuntime
from segeval_runner.bench import command
from segeval_runner.bench.benchmark import BenchOptions, benchmark
from segeval_runner.bench.rules import PRESETS, Rules
from segeval_runner.bench.table import table
from segeval_runner.cli import parser
from segeval_runner.errors import BackendError, BundleError, ConditionError, OutputError
from segeval_runner.progress import Progress
from segeval_runner.telemetry import Machine, energy

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]
SHORT = ("--warmup", 2, "--warmup-seconds", 0, "--seconds", 0.05, "--calls", 70, "--images", 40, "--idle-seconds", 0.01)
QUIET = "cpu  0 0 0 0 0 0 0\n"


def run(command: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended


def rules(**own: Any) -> Rules:
    short = PRESETS["quick"]._replace(warmup_calls=2, warmup_s=0.0, seconds=0.7, calls=70, images=40, idle_s=0.6)
    return short._replace(period_s=0.01, **own)


def options(bundle: Path, out: Path, preset: str = "custom", **own: Any) -> BenchOptions:
    return BenchOptions(bundle, out, "", ["single"], ["latency"], preset, rules(**own), Settings(1, out))


def test_every_engine_in_both_scenarios(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    bundle, out = make_bundle(5), tmp_path / "out"
    ended = run(runner(bundle, "bench", "--out", out, "--threads", 1, *SHORT))
    record = open_bench(out)
    assert record.bundle_sha256 == BundleFolder(bundle).sha256()
    assert record.preset == "custom"
    assert [(found.engine, found.scenario) for found in record.runs] == [
        (name, scenario) for name in ("single", "batched") for scenario in ("latency", "offline")
    ]
    for found in record.runs:
        assert found.images == found.calls * found.batch
        assert found.calls >= 70 if found.scenario == "latency" else found.images >= 40
        assert found.seconds >= 0.05
        assert ("with_io" in found.latency) == (found.scenario == "latency")
        latencies = np.sort(found.latencies())
        assert len(latencies) == found.calls
        if "p90" in found.latency["engine"]:
            nearest = latencies[int(np.ceil(0.9 * found.calls)) - 1]
            assert found.latency["engine"]["p90"].ms == pytest.approx(nearest, abs=2e-4)
        assert not found.publishable
        assert "load unknown" in {flag.kind for flag in found.flags}
    (latency_of_two,) = [flag for flag in record.run("batched", "latency").flags if flag.kind == "batch"]
    assert "2 images" in latency_of_two.detail
    for line in ("single   latency", "batched  offline", "images/s", "preset custom: at least 0.05 s"):
        assert line in ended.stdout
    assert "single latency: 100/100 (100 %)" in ended.stderr
    assert list(out.iterdir()) == [out / "bench.json"]


def test_absent_power_is_said_plainly(make_bundle: MakeBundle, tmp_path: Path) -> None:
    record = benchmark(options(make_bundle(), tmp_path / "out"), Progress(), Machine(tmp_path / "bare", str(tmp_path)))
    run = open_bench(tmp_path / "out").run("single", "latency")
    assert isinstance(run.energy, str)
    assert run.energy.startswith("not available: no power rails")
    assert "power and energy not available: no power rails" in table(record)
    row = table(record).splitlines()[2].split()
    assert row[-2:] == ["-", "-"], "not zero"
    assert run.other_cores is None


@pytest.fixture
def jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a quiet Orin Nano that takes 7.5 W; windows may be short."""
    monkeypatch.setattr(energy, "LEAST_SECONDS", 0.3)
    monkeypatch.setattr(energy, "LEAST_SAMPLES", 10)
    root = tmp_path / "jetson"
    rails = root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
    thermal = root / "sys/class/thermal/cooling_device0"
    files = {
        rails / "in1_label": "VDD_IN",
        rails / "in1_input": "5000",
        rails / "curr1_input": "1500",
        thermal / "type": "gpu-throttle-alert",
        thermal / "cur_state": "0",
        root / "proc/stat": QUIET,
        root / "var/lib/nvpmodel/status": "pmode:0000",
    }
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def test_energy_per_image(make_bundle: MakeBundle, tmp_path: Path, jetson: Path) -> None:
    out = tmp_path / "out"
    record = benchmark(options(make_bundle(), out), Progress(), Machine(jetson, ""))
    run = open_bench(out).run("single", "latency")
    assert isinstance(run.energy, Energy)
    assert run.energy.gross_j_per_image == pytest.approx(7.5 * run.seconds / run.images)
    assert run.energy.net_j_per_image == pytest.approx(0, abs=1e-9)
    assert run.telemetry.power_modes == ("mode 0",)
    assert "W: module-rail power (VDD_IN); J/image: gross" in table(record)
    assert {flag.kind for flag in run.flags} <= {"few calls", "steadiness undecided", "not steady"}


def test_the_input_of_a_board_is_told_beside_the_modules_power(
    make_bundle: MakeBundle, tmp_path: Path, jetson: Path
) -> None:
    """Thor has both: energy is that of the module."""
    monitor = jetson / "sys/bus/i2c/drivers/ina238/2-0044/hwmon/hwmon5"
    monitor.mkdir(parents=True)
    (monitor / "label").write_text("VIN")
    (monitor / "power1_input").write_text("26686000")
    record = benchmark(options(make_bundle(), tmp_path / "out"), Progress(), Machine(jetson, ""))
    assert record["runs"][0]["energy"]["mean_w"] == pytest.approx(7.5)
    said = "W: module-rail power (VDD_IN); J/image: gross, of that power; board-input power (VIN): 26.69 W"
    assert said in table(record)


def test_a_run_of_another_file_than_the_engines_is_flagged(
    make_bundle: MakeBundle, tmp_path: Path, jetson: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"file": "single.flags.onnx", "fallback": "computes as int8"}
    monkeypatch.setattr(OnnxRuntime, "facts", lambda self: told)
    record = benchmark(options(make_bundle(), tmp_path / "out"), Progress(), Machine(jetson, ""))
    assert {"kind": "fallback", "detail": "single.flags.onnx: computes as int8"} in record["runs"][0]["flags"]


def test_what_goes_wrong_during_the_run_is_flagged(make_bundle: MakeBundle, tmp_path: Path, jetson: Path) -> None:
    class Interfering(Progress):
        """Throttles the machine, changes its mode and puts other work on it in the middle of the run."""

        def update(self, stage: str, done: int, total: int) -> None:
            if stage == "single latency" and done >= 50:
                (jetson / "sys/class/thermal/cooling_device0/cur_state").write_text("3")
                (jetson / "var/lib/nvpmodel/status").write_text("pmode:0001")
                (jetson / "proc/stat").write_text("cpu  900 0 0 0 0 0 0\n")

    out = tmp_path / "out"
    benchmark(options(make_bundle(), out), Interfering(), Machine(jetson, ""))
    flags = {flag.kind: flag.detail for flag in open_bench(out).run("single", "latency").flags}
    assert {"throttled", "power mode changed", "other work"} <= flags.keys()
    assert flags["power mode changed"] == "mode 0, then mode 1"
    assert flags["throttled"] == "gpu-throttle-alert was at state 3"
    assert "during the run" in flags["other work"]


@pytest.mark.parametrize("trouble", ["throttled", "busy", "unknown"])
def test_strict_rules_refuse_an_unfit_machine(
    make_bundle: MakeBundle, tmp_path: Path, jetson: Path, trouble: str
) -> None:
    class Busy(Progress):
        def update(self, stage: str, done: int, total: int) -> None:
            if stage.endswith("idle") and done > 0:
                (jetson / "proc/stat").write_text("cpu  900 0 0 0 0 0 0\n")

    if trouble == "throttled":
        (jetson / "sys/class/thermal/cooling_device0/cur_state").write_text("1")
    elif trouble == "unknown":
        (jetson / "proc/stat").unlink()
    progress = Busy() if trouble == "busy" else Progress()
    messages = {
        "throttled": "at state 1",
        "busy": "kept .* cores busy before",
        "unknown": "cannot tell whether other work ran",
    }
    with pytest.raises(ConditionError, match=messages[trouble]):
        benchmark(options(make_bundle(), tmp_path / "out", "publishable"), progress, Machine(jetson, ""))
    assert not (tmp_path / "out/bench.json").exists()


def test_an_interrupted_benchmark_is_continued(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    command = runner(bundle, "bench", "--out", out, "--threads", 1, *SHORT)
    run([*command, "--scenario", "latency"])
    first = open_bench(out)
    run(command)
    whole = open_bench(out)
    assert len(first.runs) == 2 and len(whole.runs) == 4
    assert [found for found in whole.runs if found.scenario == "latency"] == list(first.runs)


@pytest.mark.parametrize("change", ["rules", "bundle", "threads", "damage"])
def test_runs_that_do_not_compare_are_not_put_together(
    make_bundle: MakeBundle, tmp_path: Path, jetson: Path, change: str
) -> None:
    out, machine = tmp_path / "out", Machine(jetson, "")
    asked = options(make_bundle(), out, seconds=0.01, idle_s=0.01)
    benchmark(asked, Progress(), machine)
    before = (out / "bench.json").read_bytes()
    if change == "rules":
        asked = asked._replace(rules=asked.rules._replace(calls=71))
    elif change == "bundle":
        asked = asked._replace(bundle=make_bundle(name="other", count=6))
    elif change == "threads":
        asked = asked._replace(settings=asked.settings._replace(threads=2))
    else:
        before = before[:-20]
        (out / "bench.json").write_bytes(before)
    with pytest.raises(OutputError, match="is not a benchmark" if change == "damage" else "was begun with"):
        benchmark(asked, Progress(), machine)
    assert (out / "bench.json").read_bytes() == before


def test_an_engine_that_computes_nonsense_is_not_measured(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    ended = run(runner(make_bundle(offset=7), "bench", "--out", tmp_path / "out", *SHORT), 2)
    assert "gave labels from 7 to 9; it has 3 classes" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seconds", "-1"], "is negative or no number"),
        (["--seconds", "nan"], "is negative or no number"),
        (["--calls", "many"], "invalid int value"),
        (["--scenario", "server"], "invalid choice"),
    ],
)
def test_mistakes_are_named(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["bench", "--out", "out", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


class Ahead(OnnxRuntime):
    """ONNX Runtime that says of itself what an engine on a GPU does; a call is made when it is waited for.

    Without ArgMax it gives labels that cannot be, as nobody writes them there.
    """

    calls_ahead = cuts_argmax = True

    @contextmanager
    def pipeline(self) -> Iterator[Any]:
        begun: list[Any] = []
        yield SimpleNamespace(begin=begun.append, finish=lambda: self.infer(begun.pop(0)))

    def infer(self, images: Any) -> Any:
        return super().infer(images) + 100 * self.settings.without_argmax

    def stages(self) -> dict[str, float]:
        return {"compute": 2.0}

    def enqueue_ms(self) -> float:
        return 1.9


def test_an_engine_with_calls_ahead_is_measured_in_every_way(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segeval_runner.bench.benchmark.load_backend", lambda name: Ahead)
    out = tmp_path / "out"
    asked = options(make_bundle(), out, seconds=0.01)._replace(scenarios=[])
    benchmark(asked, Progress(), Machine(tmp_path, ""))
    first = open_bench(out)
    assert [run.scenario for run in first.runs] == ["latency", "offline", "throughput"]
    assert (first.without_argmax, first.layers) == ((), ())
    record = benchmark(asked._replace(layers=True, without_argmax=True), Progress(), Machine(tmp_path, ""))
    found = open_bench(out)
    assert found.runs == first.runs, "what was measured is not measured again"
    ahead = found.run("single", "throughput")
    assert ahead.ms("p50") is None and ahead.ms("p50", "interval") is not None and "compute" not in ahead.latency
    assert len(ahead.latencies()) == ahead.calls and ahead.images >= 40
    for scenario in ("latency", "offline"):
        run = found.run("single", scenario)
        assert (run.ms("p50", "compute"), run.ms("p50", "enqueue")) == (2.0, 1.9)
        assert "bound by launching" in {flag.kind for flag in run.flags}
    (alone,) = found.without_argmax
    assert (alone.engine, alone.scenario) == ("single", "latency") and alone.calls >= 70
    (profile,) = found.layers
    assert [layer.kind for layer in profile.layers] == ["Cast", "ArgMax", "Cast", "Add"]
    printed = table(record)
    assert "single  no argmax" in printed and "single  throughput" in printed
    assert "single layers: " in printed and " in 4, of it " in printed


def test_the_time_per_layer_of_an_engine_that_really_runs(
    make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = run(runner(make_bundle(), "bench", "--out", out, "--scenario", "latency", "--layers", *SHORT))
    record = open_bench(out)
    assert [profile.engine for profile in record.layers] == ["single", "batched"]
    for profile in record.layers:
        assert (profile.backend, profile.backend_version) == ("onnxruntime", onnxruntime.__version__)
        assert [layer.kind for layer in profile.layers] == ["Cast", "ArgMax", "Cast", "Add"]
        assert 0 < sum(layer.ms for layer in profile.layers) < profile.call_ms
    assert "batched layers: " in ended.stdout
    ended = run(runner(make_bundle(name="b"), "bench", "--out", tmp_path / "b", "--without-argmax", *SHORT), 2)
    assert "onnxruntime cannot compute a network without its ArgMax" in ended.stderr
    assert "--layers tells the time of ArgMax" in ended.stderr


def test_an_engine_that_does_not_tell_its_layers_is_refused(
    make_bundle: MakeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OnnxRuntime, "tells_layers", False)
    with pytest.raises(BackendError, match="does not tell the time per layer"):
        benchmark(options(make_bundle(), tmp_path / "out")._replace(layers=True), Progress(), Machine(tmp_path, ""))


def test_a_call_ahead_on_a_cpu_is_refused(make_bundle: MakeBundle, tmp_path: Path) -> None:
    asked = options(make_bundle(), tmp_path / "out")._replace(scenarios=["throughput"])
    with pytest.raises(BackendError, match="onnxruntime computes one call at a time") as refused:
        benchmark(asked, Progress(), Machine(tmp_path, ""))
    assert "offline" in refused.value.hint
    assert not (tmp_path / "out").exists()


def test_an_engine_that_is_not_there_is_named(make_bundle: MakeBundle, tmp_path: Path) -> None:
    asked = options(make_bundle(), tmp_path / "out")._replace(engines=["none"])
    with pytest.raises(BundleError, match="no engine 'none'"):
        benchmark(asked, Progress(), Machine(tmp_path, ""))


def test_rules_of_ones_own_are_not_called_a_preset() -> None:
    def asked(*arguments: str) -> tuple[str, Rules]:
        return command.rules(parser().parse_args(["bench", "--out", "out", *arguments]))

    assert asked() == ("quick", PRESETS["quick"])
    assert asked("--preset", "publishable") == ("publishable", PRESETS["publishable"])
    assert asked("--preset", "publishable", "--seconds", "600") == ("publishable", PRESETS["publishable"])
    name, found = asked("--preset", "publishable", "--seconds", "60", "--calls", "0")
    assert (name, found) == ("custom", PRESETS["publishable"]._replace(seconds=60.0, calls=1))


def test_the_wall_clock_of_an_idle_window_is_kept(make_bundle: MakeBundle, tmp_path: Path, jetson: Path) -> None:
    begun = time.monotonic()
    benchmark(options(make_bundle(), tmp_path / "out", seconds=0.01, idle_s=0.5), Progress(), Machine(jetson, ""))
    assert time.monotonic() - begun >= 0.5
