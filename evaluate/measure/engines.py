"""What kind an engine of a report is, and which rows stand for an attack as a whole."""

from collections.abc import Sequence

from .report_records import EngineSummary, SurvivalRow


def variant_of(engine: EngineSummary) -> str:
    """Name of its calibration, empty for the one that ships and for engines that are not calibrated."""
    return engine.calibration.name if engine.calibration else ""


def ships(engine: EngineSummary) -> bool:
    """Whether it is as it ships: the first calibration, images as they are."""
    return not engine.corruption and not variant_of(engine)


def is_partial(engine: EngineSummary) -> bool:
    """Whether only some blocks of the network are quantized."""
    return engine.calibration is not None and bool(engine.calibration.only or engine.calibration.without)


def together(rows: Sequence[SurvivalRow]) -> list[SurvivalRow]:
    """The rows of all tasks together, or those of the only task."""
    return [row for row in rows if row.task is None] or list(rows)
