"""The figures that are charts (1, 6 and the matched budgets), as SVG for the page and as separate files."""

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from segeval.evaluate.measure.report_records import Curve
from segeval.evaluate.report.figures import (
    INK,
    LINES,
    SERIES,
    STYLE,
    UNBOUNDED,
    error_bars,
    inline,
    key_of_colours,
    known_measures,
    over_steps,
)
from segeval.evaluate.report.page import TEMPLATES
from segeval.files.experiments import LEVELS
from segeval.reproduce.kang2020.grid import METHOD_NAMES, SCOPE_NAMES
from segeval.reproduce.kang2020.kang2020_csv import budget_row, curve_rows
from segeval.reproduce.kang2020.kang2020_figures import Figure
from segeval.reproduce.kang2020.kang2020_records import EVERY_VICTIM, SCOPES, BudgetPoint
from segeval.reproduce.kang2020.matched_budgets import BUDGETED, places, read_off
from segeval.reproduce.kang2020.table1 import Counted

COLOURS = {"fgsm": SERIES[0], "tanh": SERIES[1]}
PANELS = ("source accuracy", "ratio", "success", "perturbation, levels of 255")
"""Of Figure 6, from top to bottom."""
SMALLEST_SHOWN = 0.05
"""Mean change in levels below which no point is drawn: a weak attack far to the left would take half of the axis."""


def svg_file(svg: str) -> bytes:
    """A chart as a file, which has no page around it to say its colours."""
    opening, end, body = svg.partition(">")
    colours = (TEMPLATES / "colours.css").read_text(encoding="utf-8")
    style = f"<style>{colours}:root {{ color: var(--ink); background: var(--card); }}</style>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}{end}{style}{body}\n'.encode()


def charts(
    table1: Counted | None, curves: Sequence[Curve], points: Sequence[BudgetPoint]
) -> Sequence[Callable[[], Figure | None]]:
    """Figure 1, Figure 6 and the matched budgets, none drawn yet; each gives None where there is nothing on it."""
    return figure_1, partial(figure_6, table1, curves), partial(budgets_mean, points), partial(budgets_linf, points)


def figure_1() -> Figure:
    """The hyperbolic tangent on [−1.5, 1.5]."""
    x = np.linspace(-1.5, 1.5, 121).round(6)
    y = np.tanh(x)
    alt = "tanh from −1.5 to 1.5: nearly the identity around 0, bending towards −1 and 1"
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(5.2, 2.9), layout="constrained")
        axes = drawing.subplots()
        axes.plot(x, y, color=COLOURS["tanh"], label="tanh")
        axes.plot(x, x, color=INK, linewidth=0.8, linestyle="dotted", label="identity")
        axes.set_xlim(-1.5, 1.5)
        axes.set_ylim(-1.1, 1.1)
        axes.set_xlabel("x")
        key_of_colours(drawing, axes)
        svg = inline(drawing, "fig1", alt)
    data = tuple({"x": a, "tanh": b} for a, b in zip(x.tolist(), y.tolist(), strict=True))
    caption = "The function that Eq. 2 puts the image through. An adversarial image cannot leave the valid range."
    return Figure("fig1", "1", "The hyperbolic tangent", caption, alt, data, svg)


def figure_6(table1: Counted | None, curves: Sequence[Curve]) -> Figure | None:
    """Four metrics by each model and the joint attack over the steps.

    Args:
        table1: the run of Table 1, None without it.
        curves: of the attacks as published.
    """
    if table1 is None:
        return None
    scopes = {label: scope for label, (_, scope) in table1.attacks.items()}
    models = [model.name for model in table1.manifest.models]
    columns = {model: [curve for curve in curves if curve.victims == (model,)] for model in models}
    columns["joint, mean of the victims"] = [curve for curve in curves if curve.model == EVERY_VICTIM]
    columns = {title: found for title, found in columns.items() if found}
    if not columns:
        return None
    known = sorted(known_measures(curves, scopes), key=PANELS.index)
    alt = f"{len(known)} metrics over the steps for {', '.join(columns)}; the numbers are in fig6.csv"
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(max(5.0, 2.9 * len(columns)), 2.1 * len(known)), layout="constrained")
        panels = drawing.subplots(len(known), len(columns), sharey="row", sharex=True, squeeze=False)
        for row, name in zip(panels, known, strict=True):
            for axes, (title, found) in zip(row, columns.items(), strict=True):
                for curve in found:
                    scope, method = scopes[curve.attack], curve.attack.partition("-")[0]
                    label = f"{METHOD_NAMES[method]}, {SCOPE_NAMES[scope]}"
                    over_steps(axes, curve, name, scope, color=COLOURS[method], linestyle=LINES[scope], label=label)
                axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
                if axes in panels[0]:
                    axes.set_title(title)
                if axes in panels[-1]:
                    axes.set_xlabel("step")
            row[0].set_ylabel(name.replace(", levels of 255", ",\nlevels of 255"))
            row[0].set_ylim(bottom=0, top=None if name in UNBOUNDED else 1.02)
        key_of_colours(drawing, *panels.ravel())
        svg = inline(drawing, "fig6", alt)
    caption = (
        "Means over images of the metrics of the float image, step by step, for FGSM and the tanh method as published. "
        "Perturbation over φ for local attacks, else over the image. Step 0 is the image before the first update."
    )
    data = tuple(row for found in columns.values() for curve in found for row in curve_rows(curve))
    return Figure("fig6", "6", "Metrics over the steps", caption, alt, data, svg)


def budgets_mean(points: Sequence[BudgetPoint]) -> Figure | None:
    """Success against mean change: every measured point, and the envelope that is read off."""

    def panel(axes: Axes, ours: Sequence[BudgetPoint]) -> None:
        for method in BUDGETED:
            found = [place for place in places([p for p in ours if p.method == method]) if place[0] > 0]
            shown = [place for place in found if place[0] >= SMALLEST_SHOWN]
            if shown:
                axes.plot(*zip(*shown, strict=True), "o", markersize=4, color=COLOURS[method], alpha=0.75)
                least, most = max(min(found)[0], SMALLEST_SHOWN), max(found)[0]
                changes = np.geomspace(least, most, 200).clip(least, most).tolist()
                heights = [read_off(found, change) or 0.0 for change in changes]
                axes.plot(changes, heights, color=COLOURS[method], label=METHOD_NAMES[method])
        axes.set_xscale("log", base=2)
        levels = [level for level in (1 / 16, 1 / 8, *LEVELS, 8) if axes.get_xlim()[0] <= level <= axes.get_xlim()[1]]
        axes.xaxis.set_major_locator(FixedLocator(levels))
        axes.xaxis.set_minor_locator(NullLocator())

    return _budget_chart(
        points,
        panel,
        "budgets-mean",
        "Success against mean change",
        "mean change, levels of 255",
        "Points are measured: FGSM within a mean change and within L∞ radii, the tanh method with several weights λ "
        "and within the same radii. The line is what the table reads off: linear between the points that no other one "
        "beats with less change. Change over φ for "
        f"local attacks, else over the image; points below {SMALLEST_SHOWN} levels are in the CSV alone.",
    )


def budgets_linf(points: Sequence[BudgetPoint]) -> Figure | None:
    """Success within each L∞ radius."""

    def panel(axes: Axes, ours: Sequence[BudgetPoint]) -> None:
        for method in BUDGETED:
            found = [p for p in ours if p.method == method and p.success.mean is not None]
            found.sort(key=lambda point: point.limit)
            if found:
                axes.errorbar(
                    [p.limit for p in found],
                    [p.success.mean or 0.0 for p in found],
                    yerr=error_bars(p.success for p in found),
                    color=COLOURS[method],
                    marker="o",
                    markersize=4,
                    elinewidth=1,
                    label=METHOD_NAMES[method],
                )
        axes.xaxis.set_major_locator(FixedLocator(sorted({p.limit for p in ours})))
        axes.margins(x=0.1)

    return _budget_chart(
        [point for point in points if point.set.startswith("radius-")],
        panel,
        "budgets-linf",
        "Success within an L∞ radius",
        "L∞ radius, levels of 255",
        "Both methods were given the radius; bars are 95 % intervals. There is no radius below one level, since a "
        "saved 8-bit image changes by whole levels.",
    )


def _budget_chart(
    points: Sequence[BudgetPoint],
    panel: Callable[[Axes, Sequence[BudgetPoint]], None],
    name: str,
    title: str,
    unit: str,
    caption: str,
) -> Figure | None:
    models = list(dict.fromkeys(point.model for point in points))
    scopes = [scope for scope in SCOPES if any(point.scope == scope for point in points)]
    if not models:
        return None
    alt = f"{title} of FGSM and the tanh method on {', '.join(models)}; the numbers are in {name}.csv"
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(max(5.0, 4.3 * len(models)), 2.6 * len(scopes)), layout="constrained")
        panels = drawing.subplots(len(scopes), len(models), sharex=True, sharey=True, squeeze=False)
        for row, scope in zip(panels, scopes, strict=True):
            for axes, model in zip(row, models, strict=True):
                panel(axes, [p for p in points if (p.scope, p.model) == (scope, model)])
                axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.set_title(f"{model}, {SCOPE_NAMES[scope]}")
                axes.set_ylim(-0.02, 1.02)
                if axes in panels[-1]:
                    axes.set_xlabel(unit)
            row[0].set_ylabel("success")
        key_of_colours(drawing, *panels.ravel())
        svg = inline(drawing, name, alt)
    return Figure(name, "", title, caption, alt, tuple(map(budget_row, points)), svg)
