"""A run to compare: the folder of a report, opened and checked."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.errors import FormatError

from ..measure.report_records import EngineSummary, SurvivalReport
from ..measure.row_key import RowKey
from ..measure.survival import SampleCounts
from ..report.report_reading import read_whole_report
from ..report.wording import attack_name
from .compare_records import Only, Run
from .samples_csv import FILE, HINT, read_samples


@dataclass(frozen=True)
class OpenRun:
    """A report and the counts it was made from, by row of all tasks together."""

    folder: Path
    report: SurvivalReport
    samples: Mapping[RowKey, Sequence[SampleCounts]]

    @property
    def images(self) -> set[str]:
        """Ids of the images that were evaluated."""
        return {row.image for rows in self.samples.values() for row in rows}

    @property
    def attacks(self) -> set[str]:
        """The attacks as `Only` names them: ``tanh-full on espnet-camvid``."""
        return {f"{attack_name(key)} on {key.model}" for key in self.samples}

    @property
    def tasks(self) -> set[str]:
        """Names of the tasks."""
        return {row.task for rows in self.samples.values() for row in rows}


def open_run(folder: Path) -> OpenRun:
    """Read report.json and samples.csv, once every file that is there proved to be the recorded one.

    Raises DataError, FormatError, IntegrityError.
    """
    report, samples = read_whole_report(folder), read_samples(folder)
    known = {(engine.model, engine.label) for engine in report.engines}
    for key in samples:
        if (key.model, key.engine) not in known:
            raise FormatError(f"{folder / FILE}: report.json has no engine {key.engine} of {key.model}", HINT)
    require_whole(folder / FILE, report, samples)
    return OpenRun(folder, report, samples)


def require_whole(path: Path, report: SurvivalReport, samples: Mapping[RowKey, Sequence[SampleCounts]]) -> None:
    """Raise FormatError unless the rows of samples.csv are as many as report.json says, of every group and task."""
    told: Counter[RowKey] = Counter()
    for row in report.survival:
        if row.task is not None:  # a row of all tasks counts the same samples again
            told[row.key] += row.samples
    found = Counter(row.key for rows in samples.values() for row in rows)
    if told - found:
        raise FormatError(f"{path} has {(told & found).total()} of {told.total()} rows of report.json", HINT)
    if found - told:
        raise FormatError(f"{path} has {(found - told).total()} rows that report.json does not count", HINT)


def names_of(a: Path, b: Path) -> tuple[str, str]:
    """What the two runs are called: their folders, with the folder above where both are called the same."""
    one, other = a.resolve(), b.resolve()
    if one.name != other.name:
        return one.name, other.name
    return f"{one.parent.name}/{one.name}", f"{other.parent.name}/{other.name}"


def summary(name: str, run: OpenRun, other: OpenRun, unmatched: Sequence[EngineSummary]) -> Run:
    """What the comparison says about a run.

    Args:
        name: of the run.
        run: the run.
        other: the one that it is compared with.
        unmatched: its engines that the other run lacks.
    """
    report = run.report
    return Run(
        name=name,
        set_sha256=report.set.sha256,
        machines=unique(replay.environment.name for replay in report.replays),
        backends=unique(f"{engine.backend} {engine.backend_version}" for engine in report.engines),
        segeval=report.versions.get("segeval-embedded", "unknown"),
        images=len(run.images),
        only=Only(
            engines=tuple(engine.label for engine in unmatched),
            attacks=tuple(sorted(run.attacks - other.attacks)),
            tasks=tuple(sorted(run.tasks - other.tasks)),
            images=tuple(sorted(run.images - other.images)),
        ),
    )


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once."""
    return tuple(dict.fromkeys(names))
