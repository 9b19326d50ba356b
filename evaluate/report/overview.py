"""Attacks against engines on the first screen: what each attack achieves there, and how much of it survives."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..measure.attack_lines import AttackLine, attack_lines, rows_by_attack
from ..measure.decisive import added, as_on_desktop, decisive, removed
from ..measure.estimate_records import Estimate
from ..measure.report_records import SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model

MOST_LINES = 8
"""Attacks on each model on the first screen; all are in the table of survival."""
FINE = ("fp32", "fp16")
"""Precisions that take one line together where they show what the desktop shows."""


@dataclass(frozen=True)
class OverviewGroup:
    """The attacks on one model, the one with the most success on the desktop first.

    Attributes:
        lines: cells are of the columns of the overview.
        desktop: success of each attack on the desktop.
        left_out: attacks for which there was no room.
    """

    model: str
    lines: tuple[AttackLine, ...]
    desktop: tuple[Estimate, ...]
    left_out: int


@dataclass(frozen=True)
class Overview:
    """The matrix.

    Attributes:
        same: engines that show what the desktop shows under every attack, without their model's name.
        columns: the other engines, likewise, the one that removes or adds most first.
        groups: the model that the report begins with first.
    """

    same: tuple[str, ...]
    columns: tuple[str, ...]
    groups: tuple[OverviewGroup, ...]


def overview(rows: ReportRows) -> Overview | None:
    """The attacks that were made for a model on its network, on engines as they ship; None if there are none."""
    own = rows.on_network.as_shipped.by_task
    if not own:
        return None
    first = decisive(rows)
    models = list(dict.fromkeys(row.model for row in own))
    models.sort(key=lambda model: first is not None and model != first.model)
    same = shown_as_on_desktop(own)
    changes = {name: 0.0 for row in own if (name := within_model(row.engine, row.model)) not in same}
    for row in own:
        name = within_model(row.engine, row.model)
        if name in changes:
            changes[name] = max(changes[name], removed(row), added(row))
    columns = sorted(changes, key=changes.__getitem__, reverse=True)
    groups = tuple(group([row for row in own if row.model == model], model, columns) for model in models)
    return Overview(same, tuple(columns), groups)


def group(rows: Sequence[SurvivalRow], model: str, columns: Sequence[str]) -> OverviewGroup:
    """The lines of one model.

    Args:
        rows: of it.
        model: its name.
        columns: engines without its name.
    """
    labels = {within_model(row.engine, model): row.engine for row in rows}
    desktop = {
        key: max(found.values(), key=lambda row: row.images).desktop_success
        for key, found in rows_by_attack(rows).items()
    }
    lines = list(attack_lines(rows, [labels.get(name, "") for name in columns]))
    lines.sort(key=lambda line: desktop[line.key].mean or 0.0, reverse=True)
    shown = tuple(lines[:MOST_LINES])
    return OverviewGroup(model, shown, tuple(desktop[line.key] for line in shown), len(lines) - len(shown))


def shown_as_on_desktop(rows: Iterable[SurvivalRow]) -> tuple[str, ...]:
    """The fp32 and fp16 engines that show what the desktop shows wherever an attack reached a pixel, without models."""
    alike: dict[str, bool] = {}
    for row in rows:
        if row.precision in FINE and row.survival.mean is not None:
            name = within_model(row.engine, row.model)
            alike[name] = alike.get(name, True) and as_on_desktop(row)
    return tuple(name for name, same in alike.items() if same)
