"""What sweeps read of a report's rows: quantized engines, and differences between what saw the same images."""

from segeval.precision import QUANTIZED

from .report_records import EngineSummary, SurvivalRow
from .report_rows import ReportRows


def quantized(rows: ReportRows) -> list[EngineSummary]:
    """The engines whose calibration is known, on images as they are."""
    engines = rows.uncorrupted.engines
    return [engine for engine in engines if engine.precision in QUANTIZED and engine.calibration]


def is_whole(engine: EngineSummary) -> bool:
    """Whether it is the int8 engine that ships."""
    return engine.precision == "int8" and engine.ships


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
