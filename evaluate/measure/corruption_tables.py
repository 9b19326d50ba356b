"""Survival through what a camera pipeline does to an image before the network sees it, as tables of a report.

The desktop stays what it is everywhere else: the network in torch, fp32, on the image as it was made. So the fp32
engine behind a corruption shows what the corruption alone destroys, and the other engines what deployment adds to that.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .engines import together, variant_of
from .report_records import CleanRow, EngineSummary, SurvivalReport, SurvivalRow


@dataclass(frozen=True)
class CorruptionColumn:
    """One engine behind one corruption, on the clean images.

    corruption: as in ``jpeg-75``; empty for images as they are.   engine: its label in the report's rows; plain: that
    of the same engine without a corruption.   images: clean ones that were compared.   miou, accuracy: of the labelled
    pixels, None without ground truth.   equal: share of pixels labelled as on the desktop without the corruption.
    """

    corruption: str
    engine: str
    plain: str
    precision: str
    images: int
    miou: float | None
    accuracy: float | None
    equal: float | None


@dataclass(frozen=True)
class CorruptionLine:
    """One attack, all tasks together. cells: as many as the table has columns; None where nothing was counted."""

    victims: tuple[str, ...]
    attack: str
    task: str | None
    cells: tuple[SurvivalRow | None, ...]


@dataclass(frozen=True)
class CorruptionTable:
    """One model: attacks in rows; corruptions in columns, images as they are first, and in each of them the engines."""

    model: str
    columns: tuple[CorruptionColumn, ...]
    lines: tuple[CorruptionLine, ...]


def corruption_tables(report: SurvivalReport) -> tuple[CorruptionTable, ...]:
    """One table per model whose images went through a corruption; none if no bundle had any.

    Only the first calibration of an engine enters, the one that ships, and attacks that were made for the model, alone
    or with others.
    """
    tables = []
    for model in dict.fromkeys(engine.model for engine in report.engines if engine.corruption):
        columns = tuple(_columns(report, model))
        lines = tuple(_lines(_overall(report.survival, model), columns))
        tables.append(CorruptionTable(model, columns, lines))
    return tuple(tables)


def _columns(report: SurvivalReport, model: str) -> Iterator[CorruptionColumn]:
    engines = [engine for engine in report.engines if engine.model == model and not variant_of(engine)]
    clean = {row.engine: row for row in report.clean if row.model == model}
    plain = {(engine.name, engine.replay): engine.label for engine in engines if not engine.corruption}
    for corruption in dict.fromkeys(["", *(engine.corruption for engine in engines)]):
        for engine in engines:
            if engine.corruption == corruption and engine.label in clean:
                yield _column(engine, clean[engine.label], plain[engine.name, engine.replay])


def _column(engine: EngineSummary, row: CleanRow, plain: str) -> CorruptionColumn:
    return CorruptionColumn(
        corruption=engine.corruption,
        engine=engine.label,
        plain=plain,
        precision=engine.precision,
        images=row.images,
        miou=row.miou,
        accuracy=row.pixel_accuracy,
        equal=row.equal,
    )


def _overall(rows: Sequence[SurvivalRow], model: str) -> list[SurvivalRow]:
    """The rows of all tasks together, or of the only task, of attacks made for a model, whatever the images went
    through.
    """
    return together([row for row in rows if row.model == model and model in row.victims and not row.variant])


def _lines(rows: Sequence[SurvivalRow], columns: Sequence[CorruptionColumn]) -> Iterator[CorruptionLine]:
    cells = {(row.victims, row.attack, row.task, row.engine): row for row in rows}
    for victims, attack, task in dict.fromkeys((row.victims, row.attack, row.task) for row in rows):
        found = (cells.get((victims, attack, task, column.engine)) for column in columns)
        yield CorruptionLine(victims, attack, task, tuple(found))
