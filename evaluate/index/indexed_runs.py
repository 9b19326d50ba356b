"""Runs to be put side by side: the reports in folders, and why one of them cannot be read."""

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from segeval.errors import DataError, SegevalError
from segeval.files.sets import AttackSpec
from segeval.files.storage import explaining

from ..measure.decisive import as_on_desktop
from ..measure.estimate_records import Estimate
from ..measure.report_records import SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model
from ..report.overview import FINE
from ..report.report_reading import FILE, read_report
from ..report.wording import attack_limits, attack_name

PAGE = "report.html"
Column = tuple[str, str]
"""An attack and an engine, without the model's name; of the desktop the engine is empty."""


@dataclass(frozen=True)
class IndexedRun:
    """One network of one report.

    Attributes:
        name: of its folder, from the one that all have in common.
        page: its report.html; None if that is not there.
        written: when report.json was, by the clock of the file; it has no date itself.
        revision: of segeval that made the set, as far as known.
        devices: that it was replayed on.
        task: all its attacks are about it; empty for several together.
        limits: budget and steps of its attacks, in words.
        identity: equal for reports of the same set and replays that say the same of every sample.
        same_as: name of a newer run with the same identity; empty if there is none.
        desktop: success there by attack.
        cells: by column.
    """

    name: str
    page: Path | None
    written: datetime
    revision: str
    devices: tuple[str, ...]
    model: str
    task: str
    images: int
    desktop: Mapping[str, Estimate]
    cells: Mapping[Column, SurvivalRow]
    limits: str = ""
    identity: Hashable = None
    same_as: str = ""


@dataclass(frozen=True)
class UnreadRun:
    """A folder whose report cannot be read."""

    name: str
    reason: str


@dataclass(frozen=True)
class RunIndex:
    """What the page shows.

    Attributes:
        runs: the newest report first.
        same: engines that show what the desktop shows in every run; they are no columns.
        attacks: with their engines, those of the columns.
    """

    runs: tuple[IndexedRun, ...]
    unread: tuple[UnreadRun, ...]
    same: tuple[str, ...]
    attacks: Mapping[str, tuple[str, ...]]


def index_runs(folders: Sequence[Path]) -> RunIndex:
    """Read every report in these folders and below them.

    A report that cannot be read is listed with the reason. Raises DataError if none can be, StorageError.

    Args:
        folders: each of a report, or with such folders in it.
    """
    runs: list[IndexedRun] = []
    unread: list[UnreadRun] = []
    found: set[Path] = set()
    for given in folders:
        below = reports_below(given)
        if not below:
            unread.append(UnreadRun(name_of(given, folders), f"there is no {FILE} in it or below it"))
        for folder in below:
            if folder.resolve() in found:
                continue
            found.add(folder.resolve())
            name = name_of(folder, folders)
            try:
                runs += indexed(folder, name)
            except SegevalError as error:
                reason = str(error).replace(f"{folder}{os.sep}", "").replace(str(folder), "it")
                unread.append(UnreadRun(name, reason))
    if not found:
        named = ", ".join(map(str, folders))
        raise DataError(f"there is no report in {named}, nor below", "name folders made by segeval evaluate --out")
    if not runs:
        reasons = "".join(f"\n  {each.name}: {each.reason}" for each in unread)
        raise DataError(f"no report can be read{reasons}", "make them again with segeval evaluate")
    runs.sort(key=lambda run: run.written, reverse=True)
    return RunIndex(same_marked(runs), tuple(unread), *columns_of(runs))


def same_marked(runs: Sequence[IndexedRun]) -> tuple[IndexedRun, ...]:
    """Runs, the newest first, of which those that are the same as a newer one say so."""
    names: dict[tuple[Hashable, str], str] = {}
    marked = []
    for run in runs:
        first = names.setdefault((run.identity, run.model), run.name)
        marked.append(run if first == run.name else replace(run, same_as=first))
    return tuple(marked)


def name_of(folder: Path, given: Sequence[Path]) -> str:
    """A folder as seen from the one that all given ones have in common, with forward slashes: no path of a machine."""
    common = Path(os.path.commonpath([path.resolve() for path in given]))
    inside = folder.resolve().relative_to(common).as_posix()
    return common.name if inside == "." else inside


def reports_below(folder: Path) -> list[Path]:
    """Folders of reports: the given one, or those below it; hidden ones are of writers that were killed."""
    if (folder / FILE).exists():
        return [folder]
    with explaining(folder):
        return sorted(_below(folder))


def _below(folder: Path) -> Iterator[Path]:
    for above, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if FILE in files:
            yield Path(above)


def indexed(folder: Path, name: str) -> Iterator[IndexedRun]:
    """One run per network of a report. Raises DataError, FormatError, IntegrityError.

    Args:
        folder: of the report.
        name: what it is called.
    """
    report = read_report(folder)
    with explaining(folder):
        written = datetime.fromtimestamp((folder / FILE).stat().st_mtime, UTC)
        page = folder / PAGE if (folder / PAGE).is_file() else None
    rows = ReportRows.of(report).as_shipped.on_network
    for model in rows.models:
        own = rows.about(model).own
        yield IndexedRun(
            name=name,
            page=page,
            written=written,
            revision=report.set.revision,
            devices=devices_of(report),
            model=model,
            task=next((row.task or "" for row in own), ""),
            images=max((row.images for row in own), default=0),
            desktop=desktop_of(own),
            cells={(attack_name(row.key), within_model(row.engine, model)): row for row in own},
            limits=limits_of(own, report.set.attacks),
            identity=identity_of(report),
        )


def limits_of(rows: Sequence[SurvivalRow], attacks: Sequence[AttackSpec]) -> str:
    """``2 levels, 10 steps`` of all attacks; where they differ, ``pgd-full 2 levels, 10 steps; tanh-full 20 steps``."""
    shown = {row.attack for row in rows}
    told = {spec.label: attack_limits(spec) for spec in attacks if spec.label in shown}
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    return "; ".join(f"{label} {limits}".rstrip() for label, limits in told.items())


def identity_of(report: SurvivalReport) -> Hashable:
    """What two reports of one run share: the set, the bundles, the machines, and the counts of every sample."""
    replays = tuple((each.bundle_sha256, repr(each.environment)) for each in report.replays)
    return report.set.sha256, replays, report.files.get("samples.csv", "")


def devices_of(report: SurvivalReport) -> tuple[str, ...]:
    """What the machines of its replays are called, each once."""
    return tuple(dict.fromkeys(replay.environment.name for replay in report.replays))


def desktop_of(rows: Sequence[SurvivalRow]) -> dict[str, Estimate]:
    """Success on the desktop by attack, of the engine that ran most images."""
    found: dict[str, SurvivalRow] = {}
    for row in rows:
        name = attack_name(row.key)
        if name not in found or row.images > found[name].images:
            found[name] = row
    return {name: row.desktop_success for name, row in found.items()}


def columns_of(runs: Sequence[IndexedRun]) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Engines that are as the desktop in every run, and of every attack the others."""
    alike: dict[str, bool] = {}
    for run in runs:
        for (_, engine), row in run.cells.items():
            if row.survival.mean is not None:
                alike[engine] = alike.get(engine, True) and row.precision in FINE and as_on_desktop(row)
    same = tuple(engine for engine, is_same in alike.items() if is_same)
    columns = dict.fromkeys(column for run in runs for column in run.cells if column[1] not in same)
    attacks = dict.fromkeys(attack for run in runs for attack in run.desktop)
    return same, {name: tuple(engine for attack, engine in columns if attack == name) for name in attacks}
