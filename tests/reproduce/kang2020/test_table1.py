"""Table 1 against a slow reference that counts the saved pictures again."""

import csv
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.classes import IGNORE
from segeval.files.experiments import ExperimentFolder
from segeval.files.set_folder import SetFolder
from segeval.progress import silent
from segeval.reproduce.kang2020 import write_report
from segeval.reproduce.kang2020.kang2020_records import Cell, Kang2020Report
from segeval.reproduce.kang2020.kang2020_terminal import read

Build = Callable[..., ExperimentFolder]


def reference(folder: ExperimentFolder, cell: Cell) -> dict[str, Any]:
    """Numbers of a cell from the PNG files, one pixel class at a time."""
    source = SetFolder(folder.set("table1"))
    tasks = {task.name: task for task in source.manifest().tasks}
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sample in source.samples():
        if (sample.attack, sample.victims) != (cell.attack, cell.victims) or cell.task not in (None, sample.task):
            continue
        task, image = tasks[sample.task], sums[sample.image]
        phi = source.mask(sample.files["phi"])
        seen = source.labels(sample.files[f"adversarial_prediction:{cell.model}"])
        clean = source.labels(sample.files[f"prediction:{cell.model}"])
        truth = source.labels(sample.files["truth"])
        change = np.abs(
            source.image(sample.files["adversarial"]).astype(int) - source.image(sample.files["clean"]).astype(int)
        )
        own = sum((truth == label).astype(int) for label in task.sources) > 0
        rest = ~own & (truth != IGNORE)
        image["phi"] += phi.sum()
        image["hit"] += (seen[phi] == task.target).sum()
        image["clean_hit"] += (clean[phi] == task.target).sum()
        image["own"] += own.sum()
        image["own_right"] += (seen == truth)[own].sum()
        image["rest"] += rest.sum()
        image["rest_right"] += (seen == truth)[rest].sum()
        image["mean"] += change.mean()
        image["mean_phi"] += change[phi].mean()
        image["linf"] = max(image["linf"], change.max())
        image["samples"] += 1
    each = list(sums.values())
    accuracy = [image["own_right"] / image["own"] for image in each]
    return {
        "images": len(each),
        "success": np.mean([image["hit"] / image["phi"] for image in each]),
        "pooled": sum(image["hit"] for image in each) / sum(image["phi"] for image in each),
        "control": np.mean([image["clean_hit"] / image["phi"] for image in each]),
        "accuracy": np.mean(accuracy),
        "ratio": np.mean([a / (i["rest_right"] / i["rest"]) for a, i in zip(accuracy, each, strict=True)]),
        "mean": np.mean([image["mean"] / image["samples"] for image in each]),
        "mean_phi": np.mean([image["mean_phi"] / image["samples"] for image in each]),
        "linf": max(image["linf"] for image in each),
    }


def cell_of(report: Kang2020Report, attack: str, victims: tuple[str, ...], model: str, task: str | None = None) -> Cell:
    (found,) = (
        cell
        for cell in report.cells
        if (cell.attack, cell.victims, cell.model, cell.task) == (attack, victims, model, task)
    )
    return found


def test_every_cell_is_what_the_pictures_say(shared: ExperimentFolder) -> None:
    report = read(shared)
    assert len(report.cells) == 6 * 3 * 2 + 6 * 4 * 2  # attacks × victims × models, attacks × columns × tasks
    for cell in report.cells:
        expected = reference(shared, cell)
        got = {
            "images": cell.images,
            "success": cell.success.mean,
            "pooled": cell.success.pooled,
            "control": cell.control.mean,
            "accuracy": cell.accuracy.mean,
            "ratio": cell.ratio.mean,
            "mean": cell.mean.mean,
            "mean_phi": cell.mean_phi.mean,
            "linf": cell.linf,
        }
        assert got == pytest.approx(expected), (cell.attack, cell.victims, cell.model, cell.task)
        assert cell.success.low is not None and cell.success.high is not None
        assert cell.perturbation == (cell.mean_phi if cell.scope == "local" else cell.mean)


def test_the_csv_files_say_the_same(shared: ExperimentFolder) -> None:
    report, root = read(shared), shared.root / "report"
    with (root / "table1.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6 * 4
    for row in rows:
        cell = cell_of(report, row["attack"], tuple(row["victims"].split("+")), row["model"])
        assert float(row["success"]) == cell.success.mean and float(row["mean_phi"]) == cell.mean_phi.mean
        assert row["paper_success"] == ("" if cell.paper is None else str(cell.paper.success))
    assert {row["paper_misprint"] for row in rows if row["method"] != "tanh"} == {"False"}
    with (root / "table1-tasks.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 6 * 4 * 2
    with (root / "transfer.csv").open() as file:
        transfer = list(csv.DictReader(file))
    assert len(transfer) == 6 * 3 * 2
    assert sum(row["is_victim"] == "False" for row in transfer) == 6 * 2


@pytest.mark.long
def test_the_order_in_which_the_models_were_given_changes_no_cell(build_at: Build, tmp_path: Path) -> None:
    models = ("fast-scnn-camvid", "espnet-camvid")
    found = []
    for number, order in enumerate((models, models[::-1])):
        folder = build_at(tmp_path / str(number), models=order, parts=("table1",))
        write_report(folder, silent)
        report = read(folder)
        found.append([(cell.attack, cell.victims, cell.model, cell.task) for cell in report.cells])
        assert {claim.kind for claim in report.claims} >= {"joint", "transfer"}
        assert any(len(curve.victims) == 2 for curve in report.curves)
    assert found[0] == found[1]


def test_images_without_a_source_pixel_are_counted(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, empty=[("b", "espnet-camvid")], parts=("table1",))
    write_report(folder, silent)
    report = read(folder)
    cell = cell_of(report, "tanh-local-paper", ("espnet-camvid",), "espnet-camvid")
    assert (cell.images, cell.skipped, cell.success.images) == (2, 1, 2)
    other = cell_of(report, "tanh-local-paper", ("fast-scnn-camvid",), "fast-scnn-camvid")
    assert (other.images, other.skipped) == (3, 0)
    assert any("without a source pixel" in note.lower() for note in report.notes)


def test_without_ground_truth_accuracy_is_unknown(build_at: Build, tmp_path: Path) -> None:
    folder = build_at(tmp_path, truth=False, parts=("table1",))
    write_report(folder, silent)
    report = read(folder)
    for cell in report.cells:
        assert cell.accuracy.mean is None and cell.ratio.mean is None and cell.success.mean is not None
        assert cell.accuracy.left_out == cell.images
    ordering = [claim for claim in report.claims if claim.metric in ("accuracy", "ratio")]
    assert ordering and {claim.verdict for claim in ordering} == {"undecided"}


def test_an_image_where_nothing_else_is_right_has_no_ratio() -> None:
    from segeval.reproduce.kang2020.tallies import COLUMNS, Tally

    tally = Tally()
    for image, other_correct in (("a", 0.0), ("b", 5.0)):
        row = dict.fromkeys(COLUMNS, 0.0) | {"source": 10.0, "source_correct": 4.0, "other": 10.0}
        tally.sums[image] = np.array([{**row, "other_correct": other_correct}[name] for name in COLUMNS])
    ratio, success = tally.estimate("ratio", 0), tally.estimate("success", 0)
    assert ratio.mean == pytest.approx(0.8) and (ratio.images, ratio.left_out) == (1, 1)
    assert (success.mean, success.images, success.left_out) == (None, 0, 2)
    assert tally.values("ratio") == {"b": pytest.approx(0.8)}
