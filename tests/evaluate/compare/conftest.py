"""Runs to compare: the report of the shared world, with counts of 20 images in place of its own."""

import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.report_records import SurvivalRow
from segeval.evaluate.measure.survival import SampleCounts
from segeval.evaluate.report.report_csv import csv_bytes, flat
from segeval.files.encoding import encode
from segeval.files.storage import write_atomic

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

MODEL = "espnet-camvid"
ATTACKS = ("fgsm-full", "tanh-local")
TASKS = ("vehicle-to-road", "vehicle-to-building")
IMAGES = tuple(f"image-{number:02}" for number in range(20))


@dataclass(frozen=True)
class Made:
    """What the counts of a run are made of. lost: share of A that int8 loses.   engine: what int8 is called."""

    images: tuple[str, ...] = IMAGES
    attacks: tuple[str, ...] = ATTACKS
    tasks: tuple[str, ...] = TASKS
    lost: float = 0.4
    engine: str = f"{MODEL}.int8"
    truth: bool = True


def counts(made: Made) -> list[SampleCounts]:
    """A pixel count per sample; what the images share comes from their names, whatever else is asked for."""
    rows = []
    for image in made.images:
        rng = np.random.default_rng(list(image.encode()))
        for attack, task in product(made.attacks, made.tasks):
            phi = int(rng.integers(100, 2000))
            reached = int(phi * rng.uniform(0.5, 1))
            noise = float(rng.uniform(-0.05, 0.05))
            for engine, lost in ((f"{MODEL}.fp32", 0.0), (made.engine, made.lost + noise)):
                rows.append(sample(image, attack, task, engine, phi, reached, lost, made.truth))
    return rows


def sample(
    image: str, attack: str, task: str, engine: str, phi: int, reached: int, lost: float, truth: bool
) -> SampleCounts:
    kept = int(reached * (1 - lost))
    return SampleCounts(
        sample=f"{image}/{task}/{attack}/{MODEL}",
        image=image,
        task=task,
        attack=attack,
        victims=(MODEL,),
        model=MODEL,
        engine=engine,
        pixels=10_000,
        phi=phi,
        desktop_hit=reached,
        engine_hit=kept + 3,
        survived=kept,
        clean_hit=1,
        changed=20,
        changed_phi=5,
        source=phi if truth else None,
        desktop_source_correct=10 if truth else None,
        engine_source_correct=10 + int(30 * lost) if truth else None,
        other=3000 if truth else None,
        desktop_other_correct=2500 if truth else None,
        engine_other_correct=2500 if truth else None,
        mean=1.0,
        mean_phi=2.0,
        l2=3.0,
        linf=4,
    )


def survival_of(rows: list[SampleCounts], like: SurvivalRow) -> tuple[SurvivalRow, ...]:
    """How many samples each task has, and all together; the rest is as in another row."""
    samples = Counter(
        (row.model, row.victims, row.attack, row.engine, task) for row in rows for task in (row.task, None)
    )
    return tuple(
        replace(like, model=model, victims=victims, attack=attack, engine=engine, task=task, samples=number)
        for (model, victims, attack, engine, task), number in samples.items()
    )


@pytest.fixture
def base(shared: tuple["World", SurvivalReport]) -> SurvivalReport:
    """A report of engines called ``espnet-camvid.fp32``, ``.fp16`` and ``.int8``."""
    return shared[1]


@pytest.fixture
def run_of(base: SurvivalReport, tmp_path: Path) -> Callable[..., Path]:
    """Write a run: ``run_of("name", lost=0.5)``; `report` changes its report, the rest are the fields of `Made`.

    It has no hashes, as one of an earlier version.
    """

    def write(name: str, report: dict[str, Any] | None = None, **changes: Any) -> Path:
        made = Made(**changes)
        engines = tuple(
            replace(each, label=made.engine, name=made.engine) if each.precision == "int8" else each
            for each in base.engines
        )
        clean = tuple(replace(row, engine=made.engine) if row.precision == "int8" else row for row in base.clean)
        rows = counts(made)
        survival = survival_of(rows, base.survival[0])
        whole = replace(
            base, **{"engines": engines, "clean": clean, "survival": survival, "files": {}, **(report or {})}
        )
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        write_atomic(folder / "report.json", encode(whole))
        write_atomic(folder / "samples.csv", csv_bytes(map(flat, rows)))
        return folder

    return write
