"""Accuracy beside speed: which engine is which, what is refused, and what the files say."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from segeval.errors import ConfigurationError, DataError, FormatError, SegevalError
from segeval.evaluate import benchmark_table, evaluate, read_benchmark_report
from segeval.evaluate.device.device_records import Accuracy, BenchmarkReport, EngineRow
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.files.benches import open_bench

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
Write = Callable[..., Path]
FP32, FP16, INT8 = (f"espnet-camvid.{precision}" for precision in ("fp32", "fp16", "int8"))


def cells(folder: Path) -> list[dict[str, str]]:
    with (folder / "benchmark.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def row(report: BenchmarkReport, engine: str, benchmark: int = 0) -> EngineRow:
    (found,) = [each for each in report.benchmarks[benchmark].engines if each.engine == engine]
    return found


def test_percentiles_and_accuracy_stand_beside_each_other(world: "World", write_bench: Write, tmp_path: Path) -> None:
    bench = write_bench(tmp_path / "bench", world, calls=700)
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    lines = cells(tmp_path / "out")
    assert [(line["engine"], line["scenario"]) for line in lines] == [
        (FP32, "latency"),
        (FP32, "offline"),
        (INT8, "latency"),
        (INT8, "offline"),
        (FP16, "not benchmarked"),
    ]
    measured = {(run["engine"], run["scenario"]): run for run in json.loads((bench / "bench.json").read_text())["runs"]}
    clean = {each.engine: each for each in report.clean}
    first = ReportRows.of(report).strongest
    assert first is not None
    for line in lines:
        assert float(line["miou"]) == clean[line["engine"]].miou
        assert float(line["pixel_accuracy"]) == clean[line["engine"]].pixel_accuracy
        (attacked,) = [
            each
            for each in report.survival
            if (each.engine, each.attack, each.task) == (line["engine"], first.attack, first.task)
        ]
        assert (line["attack"], float(line["survival"])) == (first.attack, attacked.survival.mean)
        assert float(line["success"]) == attacked.engine_success.mean
    for line in lines[:4]:
        run = measured[line["engine"], line["scenario"]]
        for name in ("p50", "p90", "p95", "p99"):
            assert float(line[f"{name}_ms"]) == run["latency"]["engine"][name]["ms"]
            assert float(line[f"{name}_upper_ms"]) == run["latency"]["engine"][name]["upper_ms"]
        assert float(line["images_per_second"]) == run["images_per_second"]["with_io"]
    assert float(lines[0]["with_io_p50_ms"]) == pytest.approx(float(lines[0]["p50_ms"]) + 0.7, abs=2e-4)
    assert lines[4]["p50_ms"] == lines[4]["images_per_second"] == lines[4]["power"] == ""


def test_what_a_call_is_made_of_stands_in_the_first_line_of_an_engine(
    world: "World", write_bench: Write, tmp_path: Path
) -> None:
    bench = write_bench(
        tmp_path / "bench", world, on_gpu=True, engines=[FP32], scenarios=["latency", "offline", "throughput"]
    )
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    first, second, ahead = cells(tmp_path / "out")[:3]
    runs = json.loads((bench / "bench.json").read_text())
    alone = runs["without_argmax"][0]["latency"]["engine"]["p50"]["ms"]
    assert (float(first["compute_p50_ms"]), float(first["enqueue_p50_ms"])) == (30.0, 2.0)
    assert (float(first["without_argmax_p50_ms"]), float(first["without_argmax_compute_p50_ms"])) == (alone, 40.0)
    assert (float(first["layers_ms"]), float(first["layers_argmax_ms"])) == (4.5, 1.5)
    assert {line["device_memory_bytes"] for line in (first, second, ahead)} == {"12300000"}
    assert second["without_argmax_p50_ms"] == second["layers_ms"] == ahead["compute_p50_ms"] == ahead["p50_ms"] == ""
    assert float(ahead["interval_p50_ms"]) == runs["runs"][2]["latency"]["interval"]["p50"]["ms"]
    found = row(read_benchmark_report(tmp_path / "out"), FP32)
    assert found.layers is not None and found.layers.argmax_ms == 1.5
    assert found.without_argmax is not None and found.without_argmax.ms("p50") == alone


def test_an_interval_that_is_not_that_of_its_calls_is_refused(
    world: "World", write_bench: Write, tmp_path: Path
) -> None:
    def shift(record: dict[str, Any]) -> None:
        record["runs"][0]["latency"]["interval"]["p50"]["ms"] += 1.0

    bench = write_bench(tmp_path / "bench", world, engines=[FP32], scenarios=["throughput"], changes=shift)
    with pytest.raises(FormatError, match=r"p50 of espnet-camvid\.fp32 \(throughput\)"):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])


def test_the_latencies_behind_the_figure_lie_beside_the_report(
    world: "World", write_bench: Write, tmp_path: Path
) -> None:
    bench = write_bench(tmp_path / "bench", world)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    read = read_benchmark_report(str(tmp_path / "out"))
    run, before = row(read, INT8).run("latency"), open_bench(bench).run(INT8, "latency")
    assert run is not None
    np.testing.assert_array_equal(run.latencies(), before.latencies())
    assert [each.engine for each in read.unmeasured] == [FP16]


def test_absent_power_is_words_and_never_zero(world: "World", write_bench: Write, tmp_path: Path) -> None:
    evaluate(
        world.set_root, [world.replay_root], tmp_path / "out", benches=[write_bench(tmp_path / "b", world, watts=None)]
    )
    for line in cells(tmp_path / "out")[:4]:
        assert line["power"].startswith("not available: no power rails")
        assert line["mean_w"] == line["gross_j_per_image"] == line["net_j_per_image"] == ""
    text = shown(tmp_path / "out")
    assert "Power and energy are not available: no power rails" in text
    assert " W" not in text and "energy/image" not in text


def test_power_and_energy_are_the_benchmarks(world: "World", write_bench: Write, tmp_path: Path) -> None:
    bench = write_bench(tmp_path / "b", world, watts=7.5)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    lines = cells(tmp_path / "out")
    assert [float(line["mean_w"]) for line in lines[:4]] == pytest.approx([7.5, 7.5, 8.5, 8.5])
    for line in lines[:4]:
        assert line["power"] == "module-rail power (VDD_IN)"
        joules = float(line["mean_w"]) * float(line["seconds"]) / float(line["images"])
        assert float(line["gross_j_per_image"]) == pytest.approx(joules)
        assert float(line["net_j_per_image"]) == pytest.approx(joules * (1 - 2 / float(line["mean_w"])))
    text = shown(tmp_path / "out")
    assert "8.50 W" in text and "Power: module-rail power (VDD_IN)." in text


def shown(folder: Path) -> str:
    """The terminal's table, as one line."""
    console = Console(width=150)
    with console.capture() as capture:
        console.print(benchmark_table(read_benchmark_report(folder)))
    return " ".join(capture.get().split())


@pytest.mark.parametrize(
    "change", [{"backend_version": "9.9"}, {"cpu": "another processor"}, {"device": {"model": "a board"}}]
)
def test_labels_of_another_engine_or_machine_are_not_its_accuracy(
    world: "World", write_bench: Write, tmp_path: Path, change: dict[str, Any]
) -> None:
    bench = write_bench(tmp_path / "bench", world, engines=[INT8], **change)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    read = read_benchmark_report(tmp_path / "out")
    said = "not replayed with this engine; there are labels by onnxruntime 1.27.0 on a processor"
    assert row(read, INT8).accuracy == said
    assert [each.engine for each in read.unmeasured] == [FP32, FP16, INT8]
    assert cells(tmp_path / "out")[0]["miou"] == "" and cells(tmp_path / "out")[0]["accuracy"] == said


def test_an_engine_that_was_not_replayed_is_shown(build: Build, write_bench: Write, tmp_path: Path) -> None:
    world = build(precisions=("fp32", "fp16"))
    bench = write_bench(tmp_path / "bench", world, engines=[FP32, INT8], scenarios=["offline"])
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    read = read_benchmark_report(tmp_path / "out")
    assert row(read, INT8).accuracy == "not replayed"
    assert isinstance(row(read, FP32).accuracy, Accuracy)
    assert "not replayed" in shown(tmp_path / "out") and "not benchmarked" in shown(tmp_path / "out")


def test_two_benchmarks_stay_apart(world: "World", write_bench: Write, tmp_path: Path) -> None:
    here = write_bench(tmp_path / "here", world)
    there = write_bench(tmp_path / "there", world, cpu="another processor", preset="publishable", calls=2000)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[here, there])
    read = read_benchmark_report(tmp_path / "out")
    assert [each.preset for each in read.benchmarks] == ["quick", "publishable"]
    assert isinstance(row(read, INT8).accuracy, Accuracy) and isinstance(row(read, INT8, 1).accuracy, str)
    assert [line["benchmark"] for line in cells(tmp_path / "out")] == ["1"] * 4 + ["2"] * 4 + [""]


def test_without_a_pixel_reached_there_is_no_attack(build: Build, write_bench: Write, tmp_path: Path) -> None:
    world = build(unreached=("a", "b", "c"))
    bench = write_bench(tmp_path / "bench", world)
    evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    assert cells(tmp_path / "out")[0]["attack"] == cells(tmp_path / "out")[0]["survival"] == ""
    assert "no attack on the network reached a pixel" in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_an_attack_made_on_files_reached_the_desktop_all_the_same(
    build: Build, write_bench: Write, tmp_path: Path
) -> None:
    world = build(on=("int8",), names=("a",), precisions=("int8",))
    bench = write_bench(tmp_path / "bench", world, engines=[INT8])
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    assert any(found.desktop_success.mean for found in report.survival)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "no attack on the network reached a pixel" in page and "no attack reached a pixel" not in page


def test_without_a_benchmark_nothing_is_said_of_a_device(world: "World", tmp_path: Path) -> None:
    evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "On the device" not in page and "benchmark" not in page
    assert not list((tmp_path / "out").glob("benchmark.*"))


def foreign(record: dict[str, Any]) -> None:
    record["bundle_sha256"] = "c" * 64


def empty(record: dict[str, Any]) -> None:
    record["runs"] = []


def flattered(record: dict[str, Any]) -> None:
    record["runs"][0]["latency"]["engine"]["p50"]["ms"] -= 0.01


def unknown_percentile(record: dict[str, Any]) -> None:
    given = record["runs"][0]["latency"]["engine"]
    given["p50 <b>"] = given["p50"]


def damaged(record: dict[str, Any]) -> None:
    record["runs"][1]["calls_ms"]["data"] = "AAAA"


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        (foreign, ConfigurationError, "benchmark of another bundle"),
        (empty, DataError, "has no run"),
        (flattered, FormatError, "p50 of espnet-camvid.fp32 .* is not that of its latencies"),
        (unknown_percentile, FormatError, "is not that of its latencies"),
        (damaged, FormatError, "cannot be unpacked"),
    ],
)
def test_what_does_not_belong_or_contradicts_itself_is_refused(
    world: "World", write_bench: Write, tmp_path: Path, changes: Any, kind: type[SegevalError], message: str
) -> None:
    bench = write_bench(tmp_path / "bench", world, changes=changes)
    with pytest.raises(kind, match=message):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench])
    assert not (tmp_path / "out").exists()


def test_a_benchmark_that_is_given_twice_is_refused(world: "World", write_bench: Write, tmp_path: Path) -> None:
    bench = write_bench(tmp_path / "bench", world)
    with pytest.raises(ConfigurationError, match="bench is given twice") as caught:
        evaluate(world.set_root, [world.replay_root], tmp_path / "out", benches=[bench, tmp_path / "x/../bench"])
    assert caught.value.hint == "name each benchmark once"


def test_the_same_input_gives_the_same_bytes(world: "World", write_bench: Write, tmp_path: Path) -> None:
    bench = write_bench(tmp_path / "bench", world, watts=5.0)
    for name in ("one", "two"):
        evaluate(world.set_root, [world.replay_root], tmp_path / name, benches=[bench])
    for name in ("report.html", "benchmark.json", "benchmark.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
