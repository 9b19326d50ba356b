"""Images that went through corruptions: which engines there are, what is counted of them, and what stays as it was."""

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from rich.console import Console

from segeval.errors import ConfigurationError, DataError, FormatError
from segeval.evaluate import SurvivalReport, check_gates, corruptions_in_terminal, evaluate, parse_gate
from segeval.evaluate.measure.corruption_tables import corruption_tables
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.measure.report_records import DESKTOP
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.files.bundles import (
    BundledFile,
    BundleManifest,
    DeployOptions,
    Inputs,
    SetReference,
    Shard,
    corrupted_key,
    corruption_of,
)
from segeval.files.encoding import encode
from segeval.files.engine_records import EngineRecord, Parity
from segeval.files.replays import Replay
from segeval.files.storage import sha256, sha256_file, write_atomic
from segeval.metrics import ConfusionMatrix, Labels
from segeval_runner.recording import Recording
from tests.evaluate.conftest import MODEL, flipped
from tests.sealing import reseal

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
Maps = dict[tuple[str, str], Labels]
CORRUPTIONS = ("jpeg-75", "blur-1")
TASK = "vehicle-to-road"
MOST_FLIPS = {"jpeg-75": 0.1, "blur-1": 0.6}


def through(world: "World", corruptions: Sequence[str] = CORRUPTIONS, done: int | None = None) -> Maps:
    """Let the replay have run every input after each corruption as well, in the order of a bundle.

    done: inputs that it came to, None for all. Returns the label maps by engine and key.
    """
    replay, rng = Replay.open(world.replay_root), np.random.default_rng(5)
    maps: Maps = {}
    engines = []
    for engine in replay.engines:
        plain = {key: replay.labels(engine.name, key) for key in replay.results(engine.name).keys}
        keys = [*plain, *(corrupted_key(corruption, key) for corruption in corruptions for key in plain)]
        with Recording(world.replay_root / engine.folder, keys, 1) as recording:
            for number, key in enumerate(keys):
                corruption = corruption_of(key)
                labels = plain[key.removeprefix(corrupted_key(corruption, ""))]
                maps[engine.name, key] = flipped(rng, labels, MOST_FLIPS[corruption]) if corruption else labels
                if recording.done <= number and (done is None or number < done):
                    recording.append(key, maps[engine.name, key], 100.0)
        engines.append(replace(engine, inputs=len(keys), complete=done is None))
    write_atomic(world.replay_root / "replay.json", encode(replace(replay.record, engines=tuple(engines))))
    return maps


def bundled(world: "World", options: DeployOptions) -> None:
    """Put the manifest of the bundle that was replayed beside replay.json."""
    record = Replay.open(world.replay_root).record
    height, width = world.manifest.height, world.manifest.width
    engines = tuple(
        EngineRecord(
            name=engine.name,
            model=engine.model,
            precision=engine.precision,
            file=f"models/{engine.name}.onnx",
            height=height,
            width=width,
            batch=1,
            classes=engine.classes,
            inputs=((0, engine.inputs),),
            calibration=None,
            parity=Parity(1, 1.0, None, None, None),
        )
        for engine in record.engines
    )
    count = record.engines[0].inputs
    files = {engine.file: BundledFile("0" * 64, 1) for engine in engines}
    files["inputs/index.jsonl"] = BundledFile("0" * 64, 1)
    files["inputs/shard-00000.npy"] = BundledFile("0" * 64, 3 * height * width * count + 128)
    inputs = Inputs(count, height, width, "inputs/index.jsonl", (Shard("inputs/shard-00000.npy", 0, count),))
    set_sha256 = sha256_file(world.set_root / "set.json")
    bundle = encode(BundleManifest("0.1.0", SetReference(set_sha256), "cpu", options, engines, inputs, files))
    write_atomic(world.replay_root / "bundle.json", bundle)
    write_atomic(world.replay_root / "replay.json", encode(replace(record, bundle_sha256=sha256(bundle))))


Measured = tuple["World", Maps, SurvivalReport, Path]


@pytest.fixture(scope="module")
def measured(build_at: Build, tmp_path_factory: pytest.TempPathFactory) -> Measured:
    """A world whose images went through both corruptions, and its report. No attack reached anything on image c."""
    root = tmp_path_factory.mktemp("corruptions")
    world = build_at(root, precisions=("fp32", "int8"), tasks=(TASK,), unreached=("c",))
    maps = through(world)
    return world, maps, evaluate(world.set_root, [world.replay_root], root / "out"), root / "out"


def labels() -> list[str]:
    engines = [f"{MODEL}.fp32", f"{MODEL}.int8"]
    return [
        label for engine in engines for label in (engine, *(f"{engine}+{corruption}" for corruption in CORRUPTIONS))
    ]


def test_every_engine_is_there_once_more_per_channel(measured: Measured) -> None:
    report = measured[2]
    assert [engine.label for engine in report.engines] == labels()
    assert [engine.corruption for engine in report.engines] == ["", *CORRUPTIONS] * 2
    assert [row.engine for row in report.clean] == [DESKTOP, *labels()]
    assert {row.engine: row.corruption for row in report.survival} == {e.label: e.corruption for e in report.engines}


def test_survival_is_that_of_the_label_maps_after_the_corruption(measured: Measured) -> None:
    """Counted again, pixel by pixel: the desktop without a corruption, engine and control after it."""
    world, maps, report, _ = measured
    target = world.manifest.tasks[0].target
    found = {(row.attack, row.engine): row for row in report.survival}
    for engine in (f"{MODEL}.fp32", f"{MODEL}.int8"):
        for corruption in ("", *CORRUPTIONS):
            for attack in ("fgsm-full", "tanh-local"):
                phi = won = survived = success = control = 0
                for sample in (sample for sample in world.samples if sample.attack == attack):
                    seen = world.maps[sample.id, engine]
                    reached = seen.phi & (seen.desktop_adversarial == target)
                    here = maps[engine, corrupted_key(corruption, f"adversarial/{sample.id}")] == target
                    clean = maps[engine, corrupted_key(corruption, f"clean/{sample.image}")] == target
                    phi += int(seen.phi.sum())
                    won += int(reached.sum())
                    survived += int((reached & here).sum())
                    success += int((seen.phi & here).sum())
                    control += int((seen.phi & clean).sum())
                row = found[attack, f"{engine}+{corruption}" if corruption else engine]
                assert row.survival.pooled == pytest.approx(survived / won)
                assert row.engine_success.pooled == pytest.approx(success / phi)
                assert row.control.pooled == pytest.approx(control / phi)
                assert row.desktop_success.pooled == pytest.approx(won / phi)


def test_the_table_puts_channels_beside_each_other(measured: Measured) -> None:
    world, maps, report, _ = measured
    (table,) = corruption_tables(ReportRows.of(report))
    assert table.model == MODEL
    assert [column.corruption for column in table.columns] == ["", "", "jpeg-75", "jpeg-75", "blur-1", "blur-1"]
    assert [column.precision for column in table.columns] == ["fp32", "int8"] * 3
    assert {column.plain for column in table.columns} == {f"{MODEL}.fp32", f"{MODEL}.int8"}
    assert [line.key.attack for line in table.lines] == ["fgsm-full", "tanh-local"]
    for line in table.lines:
        for column, cell in zip(table.columns, line.cells, strict=True):
            assert cell is not None
            assert (cell.attack, cell.engine, cell.precision) == (line.key.attack, column.engine, column.precision)
    for column in table.columns:
        matrix = ConfusionMatrix(len(world.manifest.table))
        for image in ("a", "b", "c"):
            seen = next(seen for (sample, _), seen in world.maps.items() if sample.startswith(f"{image}/"))
            assert seen.truth is not None
            matrix.update(seen.truth, maps[column.plain, corrupted_key(column.corruption, f"clean/{image}")])
        assert column.miou == pytest.approx(matrix.mean_iou())
        assert column.accuracy == pytest.approx(matrix.pixel_accuracy())
        assert column.images == 3
    equal = [column.equal or 0.0 for column in table.columns if column.precision == "fp32"]
    assert equal[0] == 1.0 and equal == sorted(equal, reverse=True)


def test_the_table_is_written_as_csv(measured: Measured) -> None:
    report, out = measured[2:]
    with (out / "corruptions.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    (table,) = corruption_tables(ReportRows.of(report))
    assert len(lines) == len(table.lines) * len(table.columns)
    last = lines[-1]["attack"], f"{lines[-1]['engine']}+{lines[-1]['corruption']}"
    row = next(row for row in report.survival if (row.attack, row.engine) == last)
    assert float(lines[-1]["survival_mean"]) == row.survival.mean
    assert float(lines[-1]["control_high"]) == row.control.high
    assert float(lines[-1]["clean_miou"]) == table.columns[-1].miou
    assert {(line["images"], line["left_out"]) for line in lines} == {("2", "1")}
    page = (out / "report.html").read_text(encoding="utf-8")
    part = page.partition('<section id="corruptions"')[2].partition("</section>")[0]
    assert part.count('<span class="interval">n 2, 1 left out</span>') == len(lines)
    assert [line["corruption"] for line in lines[:6]] == ["", "", "jpeg-75", "jpeg-75", "blur-1", "blur-1"]


def test_the_terminal_shows_every_corruption_and_engine(measured: Measured) -> None:
    (table,) = corruptions_in_terminal(measured[2])
    console = Console(width=120, record=True, color_system=None)
    console.print(table)
    lines = console.export_text().splitlines()
    assert MODEL in lines[0]
    first = [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in ("as", *CORRUPTIONS)]
    assert first == ["as", *CORRUPTIONS]
    assert sum(" int8 " in line or line.strip().startswith("int8 ") for line in lines) == 3
    assert sum(line.rstrip().endswith(" 2 of 3") for line in lines) == 2 * 3


def test_verdict_gates_and_examples_are_about_what_ships(measured: Measured) -> None:
    report = measured[2]
    assert {row.engine for row in ReportRows.of(report).as_shipped.own} == {f"{MODEL}.fp32", f"{MODEL}.int8"}
    assert not any(corruption in sentence for sentence in report.verdict for corruption in CORRUPTIONS)
    assert {engine for _, engine in report.examples} == {f"{MODEL}.int8"}
    findings = check_gates(report, [parse_gate("int8.success < 2"), parse_gate("fp32.miou_drop < 2")])
    assert {engine for finding in findings for engine in finding.engines} == {f"{MODEL}.fp32", f"{MODEL}.int8"}
    with pytest.raises(ConfigurationError, match="nothing ran at jpeg"):
        check_gates(report, [parse_gate("jpeg.success < 1")])


def test_latency_is_that_of_the_own_inputs(measured: Measured) -> None:
    for row in measured[2].clean[1:]:
        assert row.latency is not None
        assert row.latency.inputs == 3 + len(measured[0].samples)
        corruption = "+" in row.engine
        assert (row.latency.p50 == 100.0) == corruption


def test_what_is_without_channels_reads_as_before(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("fp32",), names=("a", "b"), tasks=(TASK,), attacks=(("fgsm", "full"),))
    before = evaluate(world.set_root, [world.replay_root], tmp_path / "before")
    assert not (tmp_path / "before" / "corruptions.csv").exists()
    assert corruption_tables(ReportRows.of(before)) == () and list(corruptions_in_terminal(before)) == []
    through(world)
    after = evaluate(world.set_root, [world.replay_root], tmp_path / "after")
    assert tuple(row for row in after.survival if row.ships) == before.survival
    assert tuple(row for row in after.clean if "+" not in row.engine) == before.clean
    assert after.verdict == before.verdict


def test_an_old_bundle_has_no_corruption(build: Build) -> None:
    world = build(precisions=("fp32",))
    bundled(world, DeployOptions(("fp32",), "percentile", 1, 1))
    old = json.loads((world.replay_root / "bundle.json").read_text())
    del old["options"]["corruptions"]
    data = json.dumps(old).encode()
    write_atomic(world.replay_root / "bundle.json", data)
    record = Replay.open(world.replay_root).record
    write_atomic(world.replay_root / "replay.json", encode(replace(record, bundle_sha256=sha256(data))))
    assert [engine.corruption for engine in Sources(world.set_root, [world.replay_root]).engines] == [""]


def cut_short(world: "World", done: int) -> None:
    """Let the replay have stopped after so many inputs, with the bundle's manifest beside it."""
    through(world, done=done)
    bundled(world, DeployOptions(("int8",), "percentile", 1, 1, corruptions=CORRUPTIONS))


def test_a_replay_that_stopped_in_a_corruption_is_unfinished_there(build: Build, tmp_path: Path) -> None:
    """Two images of two samples: 6 inputs as they are, 6 after each corruption; it stopped half-way in the first."""
    world = build(precisions=("int8",), names=("a", "b"), attacks=(("fgsm", "full"),))
    cut_short(world, 9)
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    engine = f"{MODEL}.int8"
    counted = {row.engine: 0 for row in report.survival}
    missing = dict(counted)
    for row in (row for row in report.survival if row.task is None):
        counted[row.engine] += row.samples
        missing[row.engine] += row.missing
    assert counted == {engine: 4, f"{engine}+jpeg-75": 2}
    assert missing[engine] == 0
    assert [each.label for each in report.engines] == [
        engine,
        *(f"{engine}+{corruption}" for corruption in CORRUPTIONS),
    ]
    assert not any(each.complete for each in report.engines)
    assert any(note.startswith("Partial: ") and f"{engine}+blur-1" in note for note in report.notes)
    assert any("6 results are missing" in note for note in report.notes)  # 2 after jpeg-75, 4 after blur-1
    (table,) = corruption_tables(ReportRows.of(report))
    assert [column.images for column in table.columns] == [2, 1, 0]
    assert [line.cells[2] for line in table.lines] == [None] * len(table.lines)


def test_a_finished_replay_that_lacks_a_corruption_of_its_bundle_is_refused(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8",), names=("a",))
    through(world, CORRUPTIONS[:1])
    bundled(world, DeployOptions(("int8",), "percentile", 1, 1, corruptions=CORRUPTIONS))
    with pytest.raises(DataError, match=r"no result .* for 'corruption/blur-1/clean/a'"):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out")


def test_two_replays_of_a_bundle_keep_their_channels_apart(build_at: Build, tmp_path: Path) -> None:
    small = {"precisions": ("int8",), "names": ("a",), "tasks": (TASK,), "attacks": (("fgsm", "full"),)}
    worlds = [build_at(tmp_path / name, **small) for name in ("here", "there")]
    for world in worlds:
        through(world, CORRUPTIONS[:1])
    moved = worlds[1].replay_root.rename(tmp_path / "orin")
    sources = Sources(worlds[0].set_root, [worlds[0].replay_root, moved])
    names = [f"{MODEL}.int8@replay", f"{MODEL}.int8@orin"]
    assert [engine.label for engine in sources.engines] == [
        label for name in names for label in (name, f"{name}+jpeg-75")
    ]
    report = evaluate(worlds[0].set_root, [worlds[0].replay_root, moved], tmp_path / "out")
    (table,) = corruption_tables(ReportRows.of(report))
    assert [(column.corruption, column.plain) for column in table.columns] == [
        (corruption, name) for corruption in ("", "jpeg-75") for name in names
    ]


def bad_names() -> Iterator[str]:
    yield from ("", "..", "a\x1b[31m", "a b", "-x", "x" * 201)


@pytest.mark.parametrize("name", list(bad_names()))
def test_a_name_that_no_corruption_has_is_refused(build: Build, tmp_path: Path, name: str) -> None:
    world = build(precisions=("int8",), names=("a",))
    path = world.replay_root / f"{MODEL}.int8" / "results.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1])
    lines[-1] = json.dumps({**last, "key": f"corruption/{name}/{last['key']}"})
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    reseal(path)
    with pytest.raises(
        FormatError, match="holds control characters" if "\x1b" in name else "is not the name of a corruption"
    ):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out")


@pytest.mark.parametrize("name", list(bad_names()))
def test_a_manifest_with_such_a_name_is_refused(build: Build, tmp_path: Path, name: str) -> None:
    world = build(precisions=("int8",), names=("a",))
    bundled(world, DeployOptions(("int8",), "percentile", 1, 1, corruptions=(name,)))
    with pytest.raises(
        FormatError, match="holds control characters" if "\x1b" in name else "is not the name of a corruption"
    ):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out")


def test_an_engine_called_like_one_behind_a_corruption_is_refused(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("fp32", "int8"), names=("a",))
    through(world, ("jpeg-75",))
    record = Replay.open(world.replay_root).record
    first, second = record.engines
    impostor = replace(second, name=f"{first.name}+jpeg-75")
    write_atomic(world.replay_root / "replay.json", encode(replace(record, engines=(first, impostor))))
    with pytest.raises(FormatError, match="would be called"):
        evaluate(world.set_root, [world.replay_root], tmp_path / "out")
