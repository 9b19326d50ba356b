"""What earlier versions wrote is read, and evaluated, as it was then.

``earlier/COMMIT`` holds a set, a replay with its bundle.json and the report.json of both, written by the code of that
commit: bcc3529 knew no joint victims, limits, facts, telemetry and defaults of a bundle; d58716e was the last without
margins, corruptions, breakdowns, comparisons and named calibrations.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from segeval.errors import DataError, FormatError
from segeval.evaluate import SurvivalReport, evaluate, read_report
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import SurvivalRow
from segeval.files.bundles import BundleFolder
from segeval.files.encoding import encode
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder

EARLIER = Path(__file__).parent / "earlier"
COMMITS = sorted(path.name for path in EARLIER.iterdir())

every = pytest.mark.parametrize("commit", COMMITS)


def keys(value: Any) -> Iterator[str]:
    """Every key of a JSON document, at every level."""
    if isinstance(value, dict):
        yield from value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys(child)


def test_the_files_are_really_of_earlier_versions() -> None:
    """Were they written anew, these tests would show nothing."""
    assert COMMITS == ["bcc3529", "d58716e"]
    for commit in COMMITS:
        found: set[str] = set()
        for path in EARLIER.joinpath(commit).rglob("*.json*"):
            for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
                found.update(keys(json.loads(line)))
        assert not found & {"breakdown", "comparisons", "channel", "variant", "gained", "per_channel", "margin_lost"}
        assert ("telemetry" in found) == (commit != "bcc3529")


@every
def test_a_set_a_replay_and_its_bundle_are_read(commit: str) -> None:
    folder = SetFolder(EARLIER / commit / "set")
    assert folder.complete_manifest().sample_count == len(list(folder.samples())) == 2
    replay = Replay.open(EARLIER / commit / "replay")
    assert [engine.precision for engine in replay.engines] == ["fp32", "int8"] and replay.complete
    assert replay.engines[0].telemetry is None and not replay.engines[0].facts
    calibrations = [engine.calibration for engine in BundleFolder(replay.root).manifest().engines]
    assert calibrations[0] is None and calibrations[1] is not None
    assert (calibrations[1].name, calibrations[1].per_channel, calibrations[1].activations) == ("", True, "int8")


@every
def test_a_report_is_read_without_what_was_not_measured(commit: str) -> None:
    report = read_report(EARLIER / commit / "report")
    assert (report.breakdown, report.comparisons) == ((), ())
    assert all(engine.corruption == "" for engine in report.engines)
    assert report.survival and all(row.ships for row in report.survival)
    assert all((row.gained, row.damage, row.margin_lost) == (None, None, None) for row in report.survival)


def measured_then(row: SurvivalRow) -> SurvivalRow:
    """The row without the columns that came later."""
    optional: dict[str, Any] = dict.fromkeys(
        ("gained", "already", "damage", "desktop_damage", "engine_damage", "clean_damage", "evaded")
    )
    return replace(row, margin_survived=None, margin_lost=None, **optional)


def shares(row: SurvivalRow) -> dict[str, tuple[float | None, float | None]]:
    """Means and pooled values, which do not depend on how intervals are found."""
    cells = {name: getattr(row, name) for name in vars(row)}
    return {name: (cell.mean, cell.pooled) for name, cell in cells.items() if isinstance(cell, Estimate)}


@every
def test_an_earlier_set_and_replay_give_the_numbers_they_gave(commit: str, tmp_path: Path) -> None:
    root = EARLIER / commit
    then = read_report(root / "report")
    now = evaluate(root / "set", [root / "replay"], tmp_path / "report")
    assert len(now.survival) == len(then.survival) == 2
    for row, before in zip(now.survival, then.survival, strict=True):
        assert shares(measured_then(row)) == shares(before)
        assert (row.engine, row.images, row.perturbation) == (before.engine, before.images, before.perturbation)
    assert [replace(row, latency=None) for row in now.clean] == [replace(row, latency=None) for row in then.clean]
    assert now.curves == then.curves
    assert read_report(tmp_path / "report") == now


def changed(commit: str, folder: Path, **members: object) -> Path:
    """A copy of a report.json with other members."""
    shutil.copytree(EARLIER / commit / "report", folder)
    document = json.loads((folder / "report.json").read_bytes())
    (folder / "report.json").write_text(json.dumps({**document, **members}))
    return folder


def test_comparisons_of_report_1_are_read(shared: tuple[object, SurvivalReport], tmp_path: Path) -> None:
    """There the numbers stood beside what they are of, and a corruption was called a channel."""
    document = json.loads(encode(shared[1]))
    flat = [{**each.pop("paired"), **each} for each in document["comparisons"]]
    for row in (*document["survival"], *document["engines"]):
        row["channel"] = row.pop("corruption")
    document.update(schema="segeval.report/1", comparisons=flat)
    (tmp_path / "report.json").write_text(json.dumps(document))
    assert flat and read_report(tmp_path) == shared[1]


def test_a_report_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="made by a newer segeval"):
        read_report(changed("d58716e", tmp_path / "report", schema="segeval.report/3"))


def test_a_report_of_a_version_that_never_was_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"\$\.schema"):
        read_report(changed("d58716e", tmp_path / "report", schema="segeval.report/0"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"seed": "0"}, r"Expected `int`, got `str` - at `\$\.seed`"),
        ({"survival": [{}]}, r"missing required field `model` - at `\$\.survival\[0\]`"),
        ({"resamples": float("nan")}, "invalid|NaN"),
        ({"resamples": 1 << 80}, "report.json"),
    ],
)
def test_a_malformed_report_is_refused_by_name(tmp_path: Path, members: dict[str, object], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read_report(changed("d58716e", tmp_path / "report", **members))


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not a report: no readable report\.json") as caught:
        read_report(tmp_path)
    assert "segeval evaluate" in caught.value.hint


def test_a_report_is_read_as_it_was_written(shared: tuple[object, SurvivalReport], tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(encode(shared[1], indent=2))
    assert read_report(tmp_path) == shared[1]
