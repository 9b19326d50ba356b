"""A report is one file that can be sent: small, whatever was measured."""

import base64
import gzip
import random
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from segeval.evaluate import SurvivalReport, evaluate
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import SurvivalRow
from segeval.evaluate.report.downloads import LINK, MAIN, OTHERS, SHARE, downloads, kept_free
from segeval.evaluate.report.page import BUDGET
from segeval.files.engine_records import Calibration, CalibrationImage

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

MODELS = ("espnet-camvid", "fast-scnn")


@pytest.mark.long
def test_fifty_images_fit_into_3_megabytes_and_each_is_shown(build_at: Callable[..., "World"], tmp_path: Path) -> None:
    names = [f"frame-{number:03}" for number in range(50)]
    world = build_at(
        tmp_path,
        names=names,
        tasks=("vehicle-to-road",),
        attacks=(("fgsm", "full"),),
        precisions=("int8",),
        size=(288, 384),
        photographs=True,
        grain=8,
        margins=False,
    )
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert {sample.partition("/")[0] for sample, _ in report.examples} == set(names)
    assert 1_000_000 < len(page.encode()) <= BUDGET < 3_000_000
    assert "All 50 cases are here" in page
    pictures = re.findall(r"data:image/webp;base64,([^)]*)", page)
    assert len(pictures) == 50 * 8  # clean, attacked, change, two of the desktop, two of the engine, fates


def test_tables_are_embedded_whatever_they_take_and_others_as_far_as_they_fit() -> None:
    chance = random.Random(0)
    files = {
        "samples.csv": b"x" * 100_000,
        "report.json": chance.randbytes(SHARE),
        "survival.csv": chance.randbytes(9_000),
        "clean.csv": b"a,b\n1,2\n",
        "curves.csv": b"1,2\n" * 100,
    }
    found = {download.file: download for download in downloads(files, 15_000)}
    assert list(found) == list(files)
    assert [file for file, download in found.items() if not download.uri] == ["report.json"]
    assert (found["report.json"].name, found["report.json"].size) == ("report.json.gz", "300 kB")
    assert found["clean.csv"].uri == "data:text/csv;base64," + base64.b64encode(files["clean.csv"]).decode()
    assert (found["clean.csv"].name, found["clean.csv"].size) == ("clean.csv", "1 kB")
    compressed = found["samples.csv"]
    assert compressed.name == "samples.csv.gz" and compressed.uri.startswith("data:application/gzip;base64,")
    assert gzip.decompress(base64.b64decode(compressed.uri.partition(",")[2])) == files["samples.csv"]
    assert [each.file for each in downloads(files, -1) if each.uri] == ["survival.csv", "clean.csv"]
    assert downloads(files, 15_000) == downloads(files, 15_000)


def test_pictures_leave_room_to_every_table_and_to_a_share_of_the_others() -> None:
    chance = random.Random(0)
    tables = {"survival.csv": chance.randbytes(500_000), "breakdown.csv": chance.randbytes(9_000)}
    others = {"report.json": chance.randbytes(SHARE), "samples.csv": chance.randbytes(90_000), "curves.csv": b"1\n"}
    free = kept_free(tables | others)
    assert 4 / 3 * (500_000 + 9_000 + 90_000) < free < 4 / 3 * (500_000 + 9_000 + SHARE)
    embedded = downloads(tables | others, free + LINK * 5)
    assert [each.file for each in embedded if not each.uri] == ["report.json"]


SHIPS = Calibration("percentile", 99.99, "elsewhere", 0, (CalibrationImage("i", "0" * 64),), ("Conv",))
OTHERS_OF_INT8 = (
    *(replace(SHIPS, name=f"percentile-{percentile}", percentile=percentile) for percentile in (90, 95, 99, 99.9)),
    *(replace(SHIPS, name=f"only-b{number}", only=(f"b{number}",)) for number in range(9)),
)
CORRUPTIONS = ("jpeg-75", "jpeg-50", "resize-256", "blur-1")


def disturbed(row: SurvivalRow, chance: random.Random, **changes: Any) -> SurvivalRow:
    """A row with other numbers in it, so that a file of many does not compress better than a real one."""
    for name, value in vars(row).items():
        if isinstance(value, Estimate):
            changes[name] = replace(value, mean=chance.random(), low=chance.random(), pooled=chance.random())
    return replace(row, **changes)


def in_every_way(report: SurvivalReport) -> SurvivalReport:
    """As if attacks were also made jointly, transferred, and run by 13 more int8 files and after 4 corruptions."""
    chance = random.Random(0)
    int8 = [engine for engine in report.engines if engine.precision == "int8"]
    swept = [(e, other, "", f"{e.label}-{other.name}") for e in int8 for other in OTHERS_OF_INT8]
    through = [(e, SHIPS, corruption, f"{e.label}+{corruption}") for e in int8 for corruption in CORRUPTIONS]
    engines = [replace(e, calibration=SHIPS) if e in int8 else e for e in report.engines]
    survival, clean = list(report.survival), list(report.clean)
    for engine, calibration, corruption, label in swept + through:
        engines.append(replace(engine, label=label, calibration=calibration, corruption=corruption))
        clean += [replace(row, engine=label) for row in report.clean if row.engine == engine.label]
        rows = [row for row in report.survival if row.engine == engine.label]
        survival += [
            disturbed(row, chance, engine=label, variant=calibration.name, corruption=corruption) for row in rows
        ]
    other = dict(zip(MODELS, reversed(MODELS), strict=True))
    for row in tuple(survival):
        survival += [disturbed(row, chance, victims=victims) for victims in ((other[row.model],), MODELS)]
    return replace(report, engines=tuple(engines), survival=tuple(survival), clean=tuple(clean))


@pytest.mark.long
def test_everything_at_once_fits_as_well(
    build_at: Callable[..., "World"], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build_at(
        tmp_path,
        names=[f"frame-{number:03}" for number in range(9)],
        models=MODELS,
        precisions=("fp32", "int8"),
        size=(288, 384),
        photographs=True,
        grain=4,
        margins=False,
    )
    module = import_module("segeval.evaluate.evaluate")
    summarise = module.summarise
    monkeypatch.setattr(module, "summarise", lambda *given: in_every_way(summarise(*given)))
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert len(report.engines) == 38
    assert BUDGET - 400_000 < len(page.encode()) <= BUDGET
    assert 4 < len(report.examples) < 72
    assert f"{72 - len(report.examples)} did not fit into the page" in page
    assert set(re.findall(r'data-engine="([^"]*)"', page)) == {"fp32", "int8"}
    embedded = {name.removesuffix(".gz") for name in re.findall(r'download="([^"]*)"', page)}
    beside = {path.name for path in (tmp_path / "out").iterdir()}
    assert embedded >= beside & set(MAIN) >= {"survival.csv", "calibrations.csv", "attribution.csv", "corruptions.csv"}
    named = set(re.findall(r"<code>([^<]*)</code> <span>[^<]*too large to embed", page))
    assert embedded | named == beside & {*MAIN, *OTHERS} and not embedded & named
