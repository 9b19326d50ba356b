"""The breakdown of survival, and margins, from a set and its replay on disk."""

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from segeval.errors import DataError, IntegrityError
from segeval.evaluate import SurvivalReport, evaluate
from segeval.evaluate.measure.counting import Counted, count_everything
from segeval.evaluate.measure.decomposition import Decomposition, Shape, named_bins
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.measure.report_records import BreakdownRow
from segeval.evaluate.measure.survival_summary import survival_rows
from segeval.evaluate.report.report_csv import csv_bytes, flat, survival_line
from segeval.files.encoding import encode
from segeval.files.engine_records import Calibration
from segeval.files.npy import save_npy
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file, write_atomic
from segeval.goals import Goal
from segeval.progress import silent

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
Shared = tuple["World", SurvivalReport]
MODEL = "espnet-camvid"
GOALS = {"vehicle-to-road": Goal((), 3), "vehicle-to-building": Goal((), 1)}


def counted(world: "World") -> tuple[Sources, Counted]:
    sources = Sources(world.set_root, [world.replay_root])
    return sources, count_everything(sources, silent)


def breakdown(world: "World") -> list[BreakdownRow]:
    sources, found = counted(world)
    return list(found.breakdown.rows(sources, 0, silent))


def put_back(world: "World", files: dict[str, object]) -> None:
    """Put other files into the first sample, and make set and replay agree with that."""
    folder = SetFolder(world.set_root)
    first = replace(world.samples[0], files=files)  # type: ignore[arg-type]
    folder.samples_path.write_bytes(b"".join(encode(each) + b"\n" for each in (first, *world.samples[1:])))
    folder.write_manifest(replace(folder.manifest(), samples_sha256=sha256_file(folder.samples_path)))
    record = replace(Replay.open(world.replay_root).record, set_sha256=sha256_file(folder.manifest_path))
    write_atomic(world.replay_root / "replay.json", encode(record))


def test_rows_are_sums_over_the_samples_of_their_images(build: Build) -> None:
    world = build(precisions=("fp32", "int8"))
    bins = named_bins(world.manifest.models[0].outputs)
    rows = breakdown(world)
    assert {row.by for row in rows} == {"margin", "border", "size", "class"}
    for row in rows:
        place = next(number for number, each in enumerate(bins) if (each.by, each.name) == (row.by, row.bin))
        assert bins[place].place == row.place
        images: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.int64]]] = {}
        for sample in (each for each in world.samples if each.attack == row.attack):
            maps = world.maps[sample.id, row.engine]
            parts = Decomposition(
                Shape.of(maps.phi), maps.desktop_clean, maps.desktop_adversarial, maps.margins, GOALS[sample.task], 12
            )
            pixels = parts.count(maps.engine_adversarial)[place]
            images[sample.image] = images.get(sample.image, 0) + pixels
        total = sum(images.values())
        assert [row.phi, row.desktop_hit, row.engine_hit, row.survived] == np.asarray(total).tolist()
        reached = [pixels for pixels in images.values() if pixels[1]]
        assert row.images == row.survival.images == len(reached)
        if reached:
            assert row.survival.mean == pytest.approx(np.mean([pixels[3] / pixels[1] for pixels in reached]))
            assert row.survival.pooled == pytest.approx(row.survived / row.desktop_hit)


def test_bins_of_a_dimension_add_up_to_the_survival_row(shared: Shared) -> None:
    world, report = shared
    for row in (row for row in report.survival if row.task is None):
        own = [each for each in report.breakdown if (each.attack, each.engine) == (row.attack, row.engine)]
        counts = [world.maps[s.id, row.engine] for s in world.samples if s.attack == row.attack]
        phi = sum(int(maps.phi.sum()) for maps in counts)
        hit = {
            by: sum(each.desktop_hit for each in own if each.by == by) for by in ("margin", "border", "size", "class")
        }
        assert len(set(hit.values())) == 1
        for by in ("border", "size", "class"):
            assert sum(each.phi for each in own if each.by == by) == phi
            survived = sum(each.survived for each in own if each.by == by)
            assert survived / hit[by] == pytest.approx(row.survival.pooled)


def test_tasks_are_taken_together_and_a_single_one_is_named(shared: Shared, build: Build) -> None:
    assert {row.task for row in shared[1].breakdown} == {None}
    assert {row.task for row in breakdown(build(tasks=("vehicle-to-road",)))} == {"vehicle-to-road"}


def test_rows_come_in_the_order_of_the_set(build: Build) -> None:
    rows = breakdown(build(models=(MODEL, "fast-scnn"), precisions=("int8", "fp32")))
    keys = list(dict.fromkeys((row.model, row.attack, row.engine) for row in rows))
    assert keys == [
        (model, attack, f"{model}.{precision}")
        for model in (MODEL, "fast-scnn")
        for attack in ("fgsm-full", "tanh-local")
        for precision in ("int8", "fp32")
    ]
    for key in keys:
        own = [row for row in rows if (row.model, row.attack, row.engine) == key]
        for by in ("margin", "border", "size", "class"):
            places = [row.place for row in own if row.by == by]
            assert places == sorted(places)


def test_only_engines_as_they_ship_are_broken_down(build: Build) -> None:
    sources = Sources((world := build()).set_root, [world.replay_root])
    calibration = Calibration("minmax", None, "somewhere", 0, (), ("Conv",), name="minmax")
    fp32, fp16, int8 = sources.engines
    sources.engines = [fp32, replace(fp16, corruption=""), replace(int8, calibration=calibration)]
    found = count_everything(sources, silent)
    assert {row.precision for row in found.breakdown.rows(sources, 0, silent)} == {"fp32", "fp16"}
    assert {row.engine for row in found.rows} == {f"{MODEL}.{each}" for each in ("fp32", "fp16", "int8")}
    variants = {row.precision: row.variant for row in survival_rows(sources, found, 0, silent)}
    assert variants == {"fp32": "", "fp16": "", "int8": "minmax"}


def test_margins_of_survivors_and_losses(shared: Shared) -> None:
    world, report = shared
    row = next(
        r for r in report.survival if (r.attack, r.task, r.precision) == ("tanh-local", "vehicle-to-road", "int8")
    )
    kept, lost = [], []
    for sample in (s for s in world.samples if (s.attack, s.task) == ("tanh-local", "vehicle-to-road")):
        maps = world.maps[sample.id, row.engine]
        assert maps.margins is not None
        engine = maps.engine_adversarial[maps.phi] == 3
        margins, desktop = maps.margins.astype(float), maps.desktop_adversarial[maps.phi] == 3
        kept.append(margins[desktop & engine].mean())
        lost.append(margins[desktop & ~engine].mean())
    assert row.margin_survived is not None and row.margin_lost is not None
    assert row.margin_survived.mean == pytest.approx(np.mean(kept))
    assert row.margin_lost.mean == pytest.approx(np.mean(lost))
    unharmed = next(r for r in report.survival if r.precision == "fp32")
    assert unharmed.margin_lost is not None and unharmed.margin_lost.images == 0


def test_a_set_without_margins_is_evaluated_all_the_same(build: Build) -> None:
    sources, found = counted(build(margins=False))
    rows = list(survival_rows(sources, found, 0, silent))
    assert all(row.margin_survived is None and row.margin_lost is None for row in rows)
    assert all(row.survival.mean and row.damage is not None for row in rows)
    assert {row.by for row in found.breakdown.rows(sources, 0, silent)} == {"border", "size", "class"}


def test_lines_with_and_without_margins_have_the_same_columns(build: Build) -> None:
    world = build(names=("a", "b"), precisions=("int8",))
    key = f"margin:{MODEL}"
    put_back(world, {name: file for name, file in world.samples[0].files.items() if name != key})
    sources, found = counted(world)
    rows = list(survival_rows(sources, found, 0, silent))
    without = replace(rows[0], margin_survived=None, margin_lost=None)
    lines = list(csv.DictReader(io.StringIO(csv_bytes(map(survival_line, [rows[0], without])).decode())))
    assert lines[0].keys() == lines[1].keys()
    assert lines[0]["margin_lost_mean"] and not lines[1]["margin_lost_mean"]
    assert (lines[1]["margin_lost_images"], lines[1]["margin_lost_left_out"]) == ("0", "2")
    assert lines[1]["survival_mean"] == lines[0]["survival_mean"]


@pytest.mark.parametrize("change", ["sign", "length"])
def test_margins_of_another_sample_are_refused(build: Build, change: str) -> None:
    world = build()
    files = dict(world.samples[0].files)
    own = SetFolder(world.set_root).margins(files[f"margin:{MODEL}"])
    other = -own if change == "sign" else own[:-1]
    files[f"margin:{MODEL}"] = save_npy(world.set_root, "other.npy", other)
    put_back(world, dict(files))
    with pytest.raises(IntegrityError, match=r"other\.npy: its margins are not those of sample a/vehicle-to-road"):
        counted(world)


def test_margins_that_are_gone_are_named(build: Build) -> None:
    world = build()
    (world.set_root / world.samples[0].files[f"margin:{MODEL}"].path).unlink()
    with pytest.raises(DataError, match=r"margin\.npy is missing"):
        counted(world)


def test_breakdown_csv_has_the_rows_of_the_report(build: Build) -> None:
    world = build(names=("a", "b"), precisions=("int8",))
    out = world.set_root.parent / "out"
    report = evaluate(world.set_root, [world.replay_root], out)
    assert (out / "breakdown.csv").read_bytes() == csv_bytes(map(flat, report.breakdown))
    lines = list(csv.DictReader(io.StringIO((out / "breakdown.csv").read_text())))
    assert len(lines) == len(report.breakdown) > 0
    for line, row in zip(lines, report.breakdown, strict=True):
        assert (line["by"], line["bin"], line["task"]) == (row.by, row.bin, "*")
        assert int(line["survived"]) == row.survived
        assert line["survival_mean"] == ("" if row.survival.mean is None else str(row.survival.mean))
