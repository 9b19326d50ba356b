"""From a set and a replay on disk to the files of a report."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from segeval.errors import ConfigurationError, IntegrityError
from segeval.evaluate import SurvivalReport, evaluate, survival_in_terminal
from segeval.evaluate.evaluate import summarise
from segeval.evaluate.measure.counting import count_everything
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.report.verdict import SIMULATED
from segeval.files.bundles import BundledFile, BundleManifest, DeployOptions, Inputs, SetReference, Shard
from segeval.files.encoding import decode, encode
from segeval.files.engine_records import Calibration, CalibrationImage, EngineRecord, Parity
from segeval.files.replays import Replay, ReplayedEngine
from segeval.files.storage import sha256, write_atomic
from segeval.metrics import ConfusionMatrix
from segeval.progress import silent
from segeval_runner.parts import Part
from segeval_runner.recording import Recording

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
Shared = tuple["World", SurvivalReport]
MODEL = "espnet-camvid"
FP16 = f"{MODEL}.fp16"
FILES = [
    *("attacked.csv", "breakdown.csv", "clean.csv", "comparisons.csv", "curves.csv", "report.html", "report.json"),
    *("samples.csv", "samples.jsonl", "samples.parquet", "survival.csv"),
]


def run(world: "World") -> SurvivalReport:
    return evaluate(world.set_root, [world.replay_root], world.set_root.parent / "out")


def numbers(world: "World", *replays: Path) -> SurvivalReport:
    """The report without its files."""
    sources = Sources(world.set_root, replays or [world.replay_root])
    return summarise(sources, count_everything(sources, silent), 0, silent)


def table(world: "World", name: str) -> list[dict[str, str]]:
    with (world.set_root.parent / "out" / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_counts_of_every_sample_and_engine(shared: Shared) -> None:
    world, _ = shared
    rows = table(world, "samples.csv")
    assert len(rows) == len(world.maps) == 3 * 2 * 2 * 3
    for row in rows:
        maps = world.maps[row["sample"], row["engine"]]
        target = 3 if row["task"] == "vehicle-to-road" else 1
        reached = maps.phi & (maps.desktop_adversarial == target)
        assert int(row["phi"]) == maps.phi.sum() > 0
        assert int(row["desktop_hit"]) == reached.sum()
        assert int(row["survived"]) == (reached & (maps.engine_adversarial == target)).sum()
        assert int(row["clean_hit"]) == (maps.phi & (maps.engine_clean == target)).sum()
        assert int(row["changed"]) == (maps.engine_clean != maps.desktop_clean).sum()


def test_report_follows_from_samples_csv(shared: Shared) -> None:
    world, report = shared
    samples = table(world, "samples.csv")
    for row in report.survival:
        own = [s for s in samples if (s["attack"], s["engine"]) == (row.attack, row.engine)]
        own = [s for s in own if row.task in (None, s["task"])]
        assert (row.samples, row.images, row.skipped) == (len(own), 3, 0 if row.task == "vehicle-to-building" else 1)
        per_image = []
        for image in {s["image"] for s in own}:
            survived = sum(int(s["survived"]) for s in own if s["image"] == image)
            per_image.append(survived / sum(int(s["desktop_hit"]) for s in own if s["image"] == image))
        assert row.survival.mean == pytest.approx(sum(per_image) / len(per_image))
        pooled = sum(int(s["survived"]) for s in own) / sum(int(s["desktop_hit"]) for s in own)
        assert row.survival.pooled == pytest.approx(pooled)
    assert {row.task for row in report.survival} == {None, "vehicle-to-road", "vehicle-to-building"}


def test_unharmed_engine_keeps_everything_and_changes_nothing(shared: Shared) -> None:
    for row in shared[1].survival:
        if row.precision == "fp32":
            assert (row.survival.mean, row.changed.mean, row.control.mean) == (1.0, 0.0, 0.0)
            assert row.engine_success == row.desktop_success
        if row.precision == "int8":
            assert row.survival.mean is not None and 0.5 < row.survival.mean < 0.8


def test_clean_rows(shared: Shared) -> None:
    world, report = shared
    assert [row.engine for row in report.clean] == ["desktop", *(f"{MODEL}.{p}" for p in ("fp32", "fp16", "int8"))]
    for row in report.clean[1:]:
        matrix, equal, pixels = ConfusionMatrix(11), 0, 0
        for image in "abc":
            maps = next(m for (sample, engine), m in world.maps.items() if sample[0] == image and engine == row.engine)
            assert maps.truth is not None
            matrix.update(maps.truth, maps.engine_clean)
            equal += int((maps.engine_clean == maps.desktop_clean).sum())
            pixels += maps.engine_clean.size
        assert (row.images, row.labelled) == (3, 3)
        assert row.miou == pytest.approx(matrix.mean_iou())
        assert row.pixel_accuracy == pytest.approx(matrix.pixel_accuracy())
        assert row.equal == pytest.approx(equal / pixels)
        assert np.array(row.confusion).sum() == pixels
        assert row.latency is not None
        assert [row.latency.inputs, row.latency.p50, row.latency.p90] == pytest.approx([15, 17.0, 22.6])


def test_curves_are_means_over_images_that_hold_their_last_value(shared: Shared) -> None:
    world, report = shared
    curve = next(c for c in report.curves if (c.attack, c.task) == ("tanh-local", "vehicle-to-road"))
    assert [point.step for point in curve.points] == [0, 1, 2, 3]
    # Image b stopped one step early, at 0.3 levels.
    assert [point.mean for point in curve.points] == pytest.approx([0.1, 0.2, 0.3, (0.4 + 0.3 + 0.4) / 3])
    own = [s for s in world.samples if (s.attack, s.task) == ("tanh-local", "vehicle-to-road")]
    success = [s.counts[MODEL].success or 0.0 for s in own]
    assert curve.points[-1].success == pytest.approx(sum(success) / 3)
    assert len(table(world, "curves.csv")) == sum(len(c.points) for c in report.curves)


def test_files_are_complete_deterministic_and_decode(shared: Shared, tmp_path: Path) -> None:
    world, report = shared
    stages: dict[str, tuple[int, int]] = {}
    shutil.copytree(Path(__file__).parent / "earlier" / "d58716e" / "report", tmp_path / "again")
    write_atomic(tmp_path / "again" / "corruptions.csv", b"of that earlier evaluation, which has no hashes")
    again = evaluate(
        world.set_root, [world.replay_root], tmp_path / "again", progress=lambda s, d, n: stages.update({s: (d, n)})
    )
    assert again == report
    assert stages == {
        "counting": (12, 12),
        "gallery": (12, 12),
        "intervals": (18, 18),
        "breakdown": (6, 6),
        "comparing": (14, 14),
    }
    out = world.set_root.parent / "out"
    for folder in (out, tmp_path / "again"):
        assert sorted(path.name for path in folder.iterdir()) == FILES
    for name in FILES:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    text = (out / "report.json").read_bytes()
    assert decode(text, SurvivalReport, "report.json") == report
    assert json.loads(text)["schema"] == "segeval.report/2"
    assert str(world.set_root.parent) not in text.decode() + (out / "report.html").read_text()


def test_two_models_are_kept_apart(build: Build) -> None:
    world = build(models=(MODEL, "fast-scnn"), precisions=("fp32", "int8"))
    report = run(world)
    assert [row.engine for row in report.clean] == [
        *("desktop", f"{MODEL}.fp32", f"{MODEL}.int8"),
        *("desktop", "fast-scnn.fp32", "fast-scnn.int8"),
    ]
    assert report.clean[0].miou != report.clean[3].miou
    for row in report.survival:
        assert row.engine.startswith(row.model) and row.victims == (row.model,)
        assert row.images == 3 and row.samples == (6 if row.task is None else 3)
    assert {row.model for row in report.survival} == {MODEL, "fast-scnn"}
    assert {sample.rpartition("/")[2] for sample, _ in report.examples} == {MODEL, "fast-scnn"}
    html = (world.set_root.parent / "out" / "report.html").read_text()
    assert html.count('<svg class="chart"') == 6
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_without_ground_truth(build: Build) -> None:
    report = numbers(build(truth=False))
    assert all(row.miou is None and row.confusion is None and row.equal for row in report.clean)
    row = report.survival[0]
    assert (row.engine_accuracy.mean, row.engine_accuracy.left_out) == (None, 3)
    assert row.survival.mean == 1.0


def test_image_without_success_is_left_out_and_said(build: Build) -> None:
    report = numbers(build(unreached=("b",)))
    for row in report.survival:
        assert (row.survival.images, row.survival.left_out, row.engine_success.images) == (2, 1, 3)
    assert any("up to 1 image per row" in note for note in report.notes)


def test_what_onnx_runtime_only_simulates_is_said(build: Build) -> None:
    assert SIMULATED in numbers(build()).notes


def test_no_success_at_all(build: Build) -> None:
    report = run(build(unreached=("a", "b", "c")))
    assert report.verdict[0].startswith("The attack failed: none reached a single pixel")
    assert len(report.examples) == 12  # they are shown all the same, and say that nothing was reached


def test_a_row_does_not_depend_on_which_others_there_are(build: Build) -> None:
    world = build(names=tuple("abcdefgh"))
    whole = numbers(world)
    world.rewrite_replay(engines=tuple(each for each in Replay.open(world.replay_root).engines if each.name != FP16))
    fewer = numbers(world)
    assert [row for row in whole.survival if row.engine != FP16] == list(fewer.survival)
    assert [row for row in whole.breakdown if row.engine != FP16] == list(fewer.breakdown)
    same = {(pair.quantity, pair.first_attack, pair.first_engine): pair for pair in fewer.comparisons}
    for pair in whole.comparisons:
        if FP16 not in (pair.first_engine, pair.second_engine):
            assert replace(same[pair.quantity, pair.first_attack, pair.first_engine], p_holm=pair.p_holm) == pair
    assert len({row.survival.low for row in whole.survival if row.engine == f"{MODEL}.int8"}) > 1


def test_single_image_has_no_interval(build: Build) -> None:
    report = numbers(build(names=("a",)))
    assert all(row.survival.low is None and row.survival.mean is not None for row in report.survival)
    assert "(1 image: too few to tell how sure that is)" in report.verdict[0]
    assert any("rest on only 1 image: too few" in note for note in report.notes)


def test_unfinished_replay_is_evaluated_as_partial(build: Build) -> None:
    world = build(done=9)  # of each engine's 15 inputs: two images in full
    report = numbers(world)
    assert any(note.startswith("Partial") for note in report.notes)
    assert {row.missing for row in report.survival if row.task is not None} <= {1, 2}
    assert sum(row.missing for row in report.survival if row.task is not None) == 3 * 5
    assert not any(engine.complete for engine in report.engines)


def differences(world: "World") -> list[str]:
    """The cells of mIoU against the desktop in the report, the desktop's own first."""
    html = (world.set_root.parent / "out" / "report.html").read_text()
    rows = re.findall(
        r"<tr[^>]*>.*?</tr>", html[html.index('<section id="clean">') : html.index('<section id="steps">')], re.S
    )
    return [re.findall(r"<td>(.*?)</td>", row, re.S)[1] for row in rows[1:]]


def test_an_engine_that_ran_fewer_images_is_not_compared_with_the_desktop(shared: Shared, build: Build) -> None:
    world = build(done=9)
    desktop, *engines = run(world).clean
    assert all(0 < row.images < desktop.images and row.miou is not None for row in engines)
    assert differences(world) == ["", "–", "–", "–"]
    nothing, *changes = differences(shared[0])
    assert nothing == "" and all(re.fullmatch("[+−][0-9.]+|0.0", change) for change in changes)


def test_the_header_says_how_many_of_the_images_were_attacked(shared: Shared) -> None:
    world, report = shared
    assert (report.set.attacked, report.set.images) == (3, 4)
    assert "3 of 4 images of camvid (test) attacked" in (world.set_root.parent / "out" / "report.html").read_text()


def test_two_replays_with_engines_of_one_name(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",))
    shutil.copytree(world.replay_root, tmp_path / "jetson")
    report = numbers(world, world.replay_root, tmp_path / "jetson")
    assert [engine.label for engine in report.engines] == [f"{MODEL}.int8@replay", f"{MODEL}.int8@jetson"]
    first, second = (row for row in report.survival if (row.attack, row.task) == ("fgsm-full", None))
    assert first.survival == second.survival


def bundle_of(world: "World") -> BundleManifest:
    """The manifest of a bundle that the replay could be of."""
    images = tuple(CalibrationImage(name, "0" * 64) for name in "abcd")
    calibration = Calibration("percentile", 99.99, "the clean images of the set", 5, images, ("Conv",))
    parity = Parity(3, 0.9, None, None, None)
    engines = tuple(
        EngineRecord(
            e.name,
            MODEL,
            e.precision,
            "m.onnx",
            48,
            64,
            1,
            12,
            (),
            calibration if e.precision == "int8" else None,
            parity,
        )
        for e in Replay.open(world.replay_root).engines
    )
    inputs = Inputs(15, 48, 64, "inputs/index.jsonl", (Shard("inputs/shard-00000.npy", 0, 15),))
    sizes = {"m.onnx": 1, "inputs/index.jsonl": 1, "inputs/shard-00000.npy": 128 + 15 * 48 * 64 * 3}
    files = {name: BundledFile("0" * 64, size) for name, size in sizes.items()}
    options = DeployOptions(("int8",), "percentile", 4, 1)
    return BundleManifest("0.1.0", SetReference("0" * 64), "cpu", options, engines, inputs, files)


def test_calibration_is_told_where_the_bundle_is_known(build: Build) -> None:
    world = build(precisions=("fp32", "int8"))
    assert [engine.calibration for engine in numbers(world).engines] == [None, None]
    data = encode(bundle_of(world))
    write_atomic(world.replay_root / "bundle.json", data)
    with pytest.raises(IntegrityError, match="not of the bundle that was replayed"):
        numbers(world)
    world.rewrite_replay(bundle_sha256=sha256(data))
    report = run(world)
    assert [e.calibration.method if e.calibration else None for e in report.engines] == [None, "percentile"]
    html = (world.set_root.parent / "out" / "report.html").read_text()
    assert "calibrated by percentile 99.99 on 4 images from the clean images of the set, seed 5" in html


def test_engines_of_the_bundle_that_no_replay_began_are_named(build: Build) -> None:
    world = build(precisions=("fp32", "int8"))
    data = encode(bundle_of(world))
    write_atomic(world.replay_root / "bundle.json", data)
    world.rewrite_replay(bundle_sha256=sha256(data))
    assert not any("Not run" in note for note in numbers(world).notes)
    fp32 = Replay.open(world.replay_root).engines[0]
    world.rewrite_replay(engines=(fp32,))
    assert f"Not run: 1 engine of the bundle ({MODEL}.int8)." in numbers(world).notes


def test_terminal_table_shows_names_as_they_are(shared: Shared) -> None:
    _, report = shared
    hostile = replace(report.survival[0], attack="[bold red]x[/]")
    console = Console(width=100, color_system=None, file=io.StringIO(), record=True)
    for table in survival_in_terminal(replace(report, survival=(hostile, *report.survival[1:]))):
        console.print(table)
    text = console.export_text()
    assert "[bold red]x[/]" in text
    survival = report.survival[2].survival
    assert survival.mean is not None and f"{100 * survival.mean:.0f} [" in text


def split(world: "World", parts: int) -> list[Path]:
    """The world's replay as `segeval replay --shard` would have made it in parts."""
    whole = Replay.open(world.replay_root)
    roots = [world.replay_root.with_name(f"part-{number}") for number in range(1, parts + 1)]
    for number, root in enumerate(roots, start=1):
        engines = []
        for engine in whole.engines:
            results = whole.results(engine.name)
            keys = Part(number, parts).of(range(engine.inputs))
            named = [list(results.keys)[index] for index in keys]
            with Recording(root / engine.name, named, 1) as recording:
                for key in named:
                    recording.append(key, results.labels(key), results.latencies()[key])
            engines.append(replace(engine, inputs=len(named)))
        record = replace(whole.record, engines=tuple(engines), shard=f"{number}/{parts}")
        write_atomic(root / "replay.json", encode(record))
    return roots


def test_shards_are_one_replay(build: Build, tmp_path: Path) -> None:
    world = build()
    first, second, third = split(world, 3)
    whole = evaluate(world.set_root, [world.replay_root], tmp_path / "whole")
    joined = evaluate(world.set_root, [third, first, second], tmp_path / "joined")
    assert replace(joined, files={}) == replace(whole, files={})
    names = [path.name for path in (tmp_path / "whole").iterdir()]
    assert all((tmp_path / "joined" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)
    partial = evaluate(world.set_root, [first, third], tmp_path / "partial")
    assert not any(engine.complete for engine in partial.engines) and not partial.replays[0].complete
    assert "is not finished" in partial.notes[0], partial.notes
    shutil.copytree(first, tmp_path / "copy")
    with pytest.raises(ConfigurationError, match="are both shard 1/3"):
        evaluate(world.set_root, [first, tmp_path / "copy"], tmp_path / "never")
    record = Replay.open(second).record
    engine = record.engines[0]

    def with_mode(mode: str) -> tuple[ReplayedEngine, ...]:
        return replace(engine, facts={**engine.facts, "power_mode": mode}), *record.engines[1:]

    other_arithmetic = (replace(engine, facts={**engine.facts, "arithmetic": "another"}), *record.engines[1:])
    last = Replay.open(third).record
    write_atomic(third / "replay.json", encode(replace(last, engines=with_mode("MAXN"))))
    for what, other in (
        ("cpu", replace(record, environment=replace(record.environment, cpu="another"))),
        ("device", replace(record, environment=replace(record.environment, device={"model": "AGX Orin"}))),
        (f"arithmetic of {engine.name}", replace(record, engines=other_arithmetic)),
        (f"power mode of {engine.name}", replace(record, engines=with_mode("15W"))),
    ):
        write_atomic(second / "replay.json", encode(other))
        with pytest.raises(ConfigurationError, match=f"no shards of one replay: they differ in the {what}"):
            evaluate(world.set_root, [first, second, third], tmp_path / "never")
