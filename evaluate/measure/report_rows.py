"""Which rows and engines of a report an answer is read off."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from segeval.files.sets import AttackSpec
from segeval.precision import PRECISION_ORDER, coarsest

from .report_records import CleanRow, EngineSummary, SurvivalReport, SurvivalRow
from .row_key import RowKey


def coarsest_engine(engines: Sequence[EngineSummary]) -> EngineSummary | None:
    """The first engine of the coarsest precision that ships; None if none does."""
    shipping = [engine for engine in engines if engine.ships]
    return min(shipping, key=lambda engine: PRECISION_ORDER.index(engine.precision), default=None)


def made_on_files(attacks: Iterable[AttackSpec]) -> frozenset[str]:
    """Labels of the attacks that were made on deployed files, by themselves or together with the network."""
    return frozenset(spec.label for spec in attacks if spec.on_files)


@dataclass(frozen=True)
class ReportRows:
    """Rows of a report and the engines that they are of: all of them, or those that were asked for.

    Attributes:
        on_files: labels of the attacks that were made on deployed files.
    """

    survival: tuple[SurvivalRow, ...]
    clean: tuple[CleanRow, ...]
    engines: tuple[EngineSummary, ...]
    on_files: frozenset[str] = frozenset()

    @classmethod
    def of(cls, report: SurvivalReport) -> "ReportRows":
        """All rows of a report."""
        return cls(report.survival, report.clean, report.engines, made_on_files(report.set.attacks))

    def about(self, model: str) -> "ReportRows":
        """What is about one model."""
        return ReportRows(
            tuple(row for row in self.survival if row.model == model),
            tuple(row for row in self.clean if row.model == model),
            tuple(engine for engine in self.engines if engine.model == model),
            self.on_files,
        )

    @property
    def on_network(self) -> "ReportRows":
        """Without the attacks that were made on deployed files: survival is only of those made on the network."""
        return replace(self, survival=tuple(row for row in self.survival if row.attack not in self.on_files))

    @property
    def as_shipped(self) -> "ReportRows":
        """What is about the desktop and engines as they ship: the first calibration, images as they are."""
        return self._where(lambda each: each.ships)

    @property
    def uncorrupted(self) -> "ReportRows":
        """What is about images as they are, by any calibration."""
        return self._where(lambda each: not each.corruption)

    @property
    def first_calibrations(self) -> "ReportRows":
        """What is about the calibrations that ship, whatever the images went through."""
        return self._where(lambda each: not each.variant)

    def _where(self, keep: Callable[[SurvivalRow | EngineSummary], bool]) -> "ReportRows":
        gone = {(engine.model, engine.label) for engine in self.engines if not keep(engine)}
        return ReportRows(
            tuple(row for row in self.survival if keep(row)),
            tuple(row for row in self.clean if (row.model, row.engine) not in gone),
            tuple(engine for engine in self.engines if keep(engine)),
            self.on_files,
        )

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the engines, in order."""
        return tuple(dict.fromkeys(engine.model for engine in self.engines))

    @property
    def together(self) -> tuple[SurvivalRow, ...]:
        """The rows of all tasks together, or of the only task."""
        return tuple(row for row in self.survival if row.task is None) or self.survival

    @property
    def own(self) -> tuple[SurvivalRow, ...]:
        """Of the rows of all tasks together, those of attacks that were made for the model, alone or with others."""
        return tuple(row for row in self.together if row.key.own)

    @property
    def by_task(self) -> tuple[SurvivalRow, ...]:
        """The rows of single tasks, of attacks that were made for the model. Pooled, the largest φ would win."""
        return tuple(row for row in self.survival if row.key.own and row.task is not None)

    @property
    def headline(self) -> tuple[SurvivalRow, ...]:
        """The attack of the verdict on every engine that ships, in order; nothing if no attack reached a pixel."""
        strongest = self.strongest
        if strongest is None:
            return ()
        key = strongest.key.over_engines()
        return tuple(row for row in self.as_shipped.survival if row.key.over_engines() == key)

    @property
    def strongest(self) -> SurvivalRow | None:
        """The row that the verdict is about: the strongest attack on the desktop, on the coarsest precision.

        How attacks transfer to other models is no verdict on them, nor what was made on deployed files. None if no
        attack on the network reached a pixel.
        """
        precisions = {row.precision for row in self.survival}
        known = [row for row in self.on_network.as_shipped.by_task if row.survival.mean is not None]
        candidates = [row for row in known if row.precision == coarsest(precisions)]
        return max(candidates, key=lambda row: row.desktop_success.mean or 0.0, default=None)

    def row(self, key: RowKey) -> SurvivalRow | None:
        """The row of this key; None where an unfinished replay has none."""
        return next((row for row in self.survival if row.key == key), None)

    @property
    def clean_by_engine(self) -> dict[tuple[str, str], CleanRow]:
        """The rows on clean images by model and engine, which may be the desktop."""
        return {(row.model, row.engine): row for row in self.clean}
