"""Survival by margin, distance to the border, object size and class, as SVG text."""

from collections.abc import Mapping, Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segeval.files.sets import AttackSpec

from ..measure.report_records import BreakdownRow, Dimension
from .figures import MARKERS, STYLE, data_limits, ends, error_bars, inline, key_of_colours

TITLES: dict[Dimension, str] = {
    "margin": "by margin on the desktop, logits",
    "border": "by distance to the border of φ, pixels",
    "size": "by size of the connected part of φ, pixels",
    "class": "by class without the attack",
}
SPREAD = 0.5
"""Of the points of different attacks in one bin, in bins."""
MOST_LETTERS = 42
"""Below a panel, if all names were as long as the longest; more are slanted."""


def breakdown_figure(
    rows: Sequence[BreakdownRow],
    attacks: Sequence[AttackSpec],
    colours: Mapping[str, str],
    name: str,
    description: str,
) -> str:
    """One panel per property, one line per attack with intervals; empty text where nothing can be drawn.

    Args:
        rows: of one model and engine, and of the attacks made for it.
        attacks: of the set.
        colours: of the attacks.
        name: prefix of the ids inside.
        description: what a reader who cannot see it is told.
    """
    known = [row for row in rows if row.survival.mean is not None]
    shown = [by for by in TITLES if len({row.bin for row in known if row.by == by}) > 1]
    if not shown:
        return ""
    with mpl.rc_context(STYLE):
        lines = (len(shown) + 1) // 2
        figure = Figure(figsize=(8.6, 2.75 * lines), layout="constrained")
        panels = figure.subplots(lines, 2, sharey=True, squeeze=False).ravel()
        for axes, by in zip(panels, shown, strict=False):
            _panel(axes, [row for row in known if row.by == by], attacks, colours)
            axes.set_title(TITLES[by])
            axes.set_ylim(data_limits(ends(row.survival for row in known if row.by in shown)))
        for axes in panels[len(shown) :]:
            axes.set_visible(False)
        for axes in panels[::2]:
            axes.set_ylabel("survival")
        key_of_colours(figure, *panels)
        return inline(figure, name, description)


def _panel(axes: Axes, rows: Sequence[BreakdownRow], attacks: Sequence[AttackSpec], colours: Mapping[str, str]) -> None:
    """One property. A line joins bins that have an order; classes have none."""
    bins = sorted({(row.place, row.bin) for row in rows})
    places = {place: x for x, (place, _) in enumerate(bins)}
    present = [attack for attack in attacks if any(row.attack == attack.label for row in rows)]
    for index, attack in enumerate(present):
        own = sorted((row for row in rows if row.attack == attack.label), key=lambda row: row.place)
        shift = SPREAD * ((index + 0.5) / len(present) - 0.5)
        for number, run in enumerate(neighbours(own)):
            axes.errorbar(
                [places[row.place] + shift for row in run],
                [row.survival.mean or 0.0 for row in run],
                yerr=error_bars(row.survival for row in run),
                color=colours[attack.label],
                marker=MARKERS[attack.scope],
                markersize=4,
                elinewidth=0.8,
                linewidth=1.1,
                linestyle="none" if own[0].by == "class" else "solid",
                label=None if number else attack.label,
            )
    names = [name for _, name in bins]
    crowded = len(names) * max(map(len, names)) > MOST_LETTERS
    axes.set_xticks(list(places.values()), names, rotation=30 if crowded else 0, ha="right" if crowded else "center")


def neighbours(rows: Sequence[BreakdownRow]) -> list[list[BreakdownRow]]:
    """Rows in order, cut where bins between them are missing: no line crosses what was not measured."""
    runs: list[list[BreakdownRow]] = []
    for row in rows:
        if not runs or row.place != runs[-1][-1].place + 1:
            runs.append([])
        runs[-1].append(row)
    return runs
