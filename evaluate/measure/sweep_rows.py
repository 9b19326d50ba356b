"""What sweeps read of a report: its quantized engines, their rows, and differences between what saw the same images."""

from segeval.precision import QUANTIZED

from .engines import ships, together
from .report_records import CleanRow, EngineSummary, SurvivalReport, SurvivalRow

Attack = tuple[tuple[str, ...], str, str | None]
"""(victims, attack, task) of a row."""


def rows_by_attack(report: SurvivalReport, model: str) -> dict[Attack, dict[str, SurvivalRow]]:
    """The rows of a model by attack and engine, of all tasks together or of the only task, images as they are.

    Attacks that were made for other models alone are left out.
    """
    plain = [row for row in report.survival if row.model == model and model in row.victims and not row.corruption]
    found: dict[Attack, dict[str, SurvivalRow]] = {}
    for row in together(plain):
        found.setdefault((row.victims, row.attack, row.task), {})[row.engine] = row
    return found


def models_of(report: SurvivalReport) -> list[str]:
    """The models of a report's engines, in order."""
    return list(dict.fromkeys(engine.model for engine in report.engines))


def quantized(report: SurvivalReport, model: str) -> list[EngineSummary]:
    """A model's engines whose calibration is known, on images as they are."""
    return [
        engine
        for engine in report.engines
        if engine.model == model and engine.precision in QUANTIZED and engine.calibration and not engine.corruption
    ]


def is_whole(engine: EngineSummary) -> bool:
    """Whether it is the int8 engine that ships."""
    return engine.precision == "int8" and ships(engine)


def clean(report: SurvivalReport, model: str, engine: str) -> CleanRow | None:
    """The row of an engine, or of the desktop, on clean images."""
    return next((row for row in report.clean if (row.model, row.engine) == (model, engine)), None)


def survival(row: SurvivalRow | None) -> float | None:
    """Mean survival of a row, None if there is no row."""
    return row.survival.mean if row is not None else None


def survival_difference(first: SurvivalRow | None, second: SurvivalRow | None) -> float | None:
    """Mean survival of the first minus that of the second; None if one is not known or they rest on other samples."""
    if first is None or second is None or counted(first) != counted(second):
        return None
    return difference(first.survival.mean, second.survival.mean)


def counted(row: SurvivalRow) -> tuple[int, int, int]:
    """Images that survival rests on, those without, and samples. A replay runs them in the bundle's order."""
    return row.survival.images, row.survival.left_out, row.samples


def difference(first: float | None, second: float | None) -> float | None:
    """first - second, None if one is missing."""
    return None if first is None or second is None else first - second
