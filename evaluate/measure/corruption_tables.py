"""Survival through what a camera pipeline does to an image before the network sees it, as tables of a report.

The desktop stays what it is everywhere else: the network in torch, fp32, on the image as it was made. So the fp32
engine behind a corruption shows what the corruption alone destroys, and the other engines what deployment adds to that.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from .attack_lines import AttackLine, attack_lines
from .report_records import CleanRow, EngineSummary
from .report_rows import ReportRows


@dataclass(frozen=True)
class CorruptionColumn:
    """One engine behind one corruption, on the clean images.

    Attributes:
        corruption: as in ``jpeg-75``; empty for images as they are.
        engine: its label in the report's rows.
        plain: that of the same engine without a corruption.
        images: clean ones that were compared.
        miou, accuracy: of the labelled pixels, None without ground truth.
        equal: share of pixels labelled as on the desktop without the corruption.
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
class CorruptionTable:
    """One model: attacks in rows; corruptions in columns, images as they are first, and in each of them the engines."""

    model: str
    columns: tuple[CorruptionColumn, ...]
    lines: tuple[AttackLine, ...]


def corruption_tables(rows: ReportRows) -> tuple[CorruptionTable, ...]:
    """One table per model whose images went through a corruption; none if no bundle had any.

    Only the first calibration of an engine enters, the one that ships, and attacks that were made for the model, alone
    or with others, on the network: those made on deployed files are in the adaptive tables.
    """
    tables = []
    for model in dict.fromkeys(engine.model for engine in rows.engines if engine.corruption):
        about = rows.about(model).first_calibrations
        columns = tuple(_columns(about))
        lines = attack_lines(about.on_network.own, [column.engine for column in columns])
        tables.append(CorruptionTable(model, columns, lines))
    return tuple(tables)


def _columns(rows: ReportRows) -> Iterator[CorruptionColumn]:
    clean = {row.engine: row for row in rows.clean}
    plain = {(engine.name, engine.replay): engine.label for engine in rows.uncorrupted.engines}
    for corruption in dict.fromkeys(["", *(engine.corruption for engine in rows.engines)]):
        for engine in rows.engines:
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
