"""How attacks do on models that they were not made for, and joint ones on each of their victims: read off the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .estimate_records import Estimate
from .report_records import DESKTOP, SurvivalRow
from .report_rows import ReportRows
from .row_key import within_model


@dataclass(frozen=True)
class TransferColumn:
    """What the images are shown to: a model on the desktop or on one of its engines. name: without the model's."""

    model: str
    engine: str
    name: str


@dataclass(frozen=True)
class TransferCell:
    """Success over the φ of the victims.

    Attributes:
        own: whether the model is one of them.
        control: what it shows as the adversarial class there on the clean image; None for the desktop.
    """

    success: Estimate
    control: Estimate | None
    own: bool


@dataclass(frozen=True)
class TransferRow:
    """Images made for these victims. cells: one per column, None where they were not shown to it."""

    victims: tuple[str, ...]
    cells: tuple[TransferCell | None, ...]


@dataclass(frozen=True)
class TransferMatrix:
    """One attack. task: None for all together."""

    attack: str
    task: str | None
    rows: tuple[TransferRow, ...]


@dataclass(frozen=True)
class Transfer:
    """Every attack that was shown to another model than it was made for, or was made for several."""

    columns: tuple[TransferColumn, ...]
    matrices: tuple[TransferMatrix, ...]


def transfer(report: ReportRows) -> Transfer | None:
    """The matrices of a report; None if every attack was made for one model and shown to it alone."""
    rows = report.as_shipped.together
    if all(row.key.alone for row in rows):
        return None
    columns = tuple(_columns(rows))
    attacks = dict.fromkeys((row.attack, row.task) for row in rows if not row.key.alone)
    return Transfer(columns, tuple(_matrix(rows, columns, attack, task) for attack, task in attacks))


def _columns(rows: Sequence[SurvivalRow]) -> Iterator[TransferColumn]:
    for model in dict.fromkeys(row.model for row in rows):
        yield TransferColumn(model, DESKTOP, DESKTOP)
        for engine in dict.fromkeys(row.engine for row in rows if row.model == model):
            yield TransferColumn(model, engine, within_model(engine, model))


def _matrix(
    rows: Sequence[SurvivalRow], columns: Sequence[TransferColumn], attack: str, task: str | None
) -> TransferMatrix:
    own = [row for row in rows if (row.attack, row.task) == (attack, task)]
    lines = []
    for victims in dict.fromkeys(row.victims for row in own):
        made_for = [row for row in own if row.victims == victims]
        lines.append(TransferRow(victims, tuple(_cell(made_for, column) for column in columns)))
    return TransferMatrix(attack, task, tuple(lines))


def _cell(rows: Sequence[SurvivalRow], column: TransferColumn) -> TransferCell | None:
    """rows: of one attack and its victims. The desktop's value is from the row with the most images."""
    shown = [row for row in rows if row.model == column.model and column.engine in (row.engine, DESKTOP)]
    if not shown:
        return None
    row = max(shown, key=lambda row: row.images)
    if column.engine == DESKTOP:
        return TransferCell(row.desktop_success, None, row.key.own)
    return TransferCell(row.engine_success, row.control, row.key.own)
