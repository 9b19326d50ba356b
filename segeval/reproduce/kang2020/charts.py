"""The figures that are charts (1, 6 and the matched budgets), as SVG for the page and as files of their own."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from segeval.evaluate.measure.report_records import Curve, CurvePoint, Estimate
from segeval.evaluate.report.figures import INK, LINES, SERIES, STYLE, UNBOUNDED, inline
from segeval.evaluate.report.report_csv import Cell
from segeval.files.experiments import LEVELS
from segeval.files.sets import Scope
from segeval.reproduce.kang2020.grid import METHOD_NAMES
from segeval.reproduce.kang2020.kang2020_records import EVERY_VICTIM, SCOPES, BudgetPoint
from segeval.reproduce.kang2020.matched_budgets import BUDGETED, places, read_off

COLOURS = {"fgsm": SERIES[0], "tanh": SERIES[1]}
SCOPE_TITLES: dict[Scope, str] = {"local": "local", "full": "whole image"}
STANDALONE = (
    "<style>:root{color-scheme:light dark;color:#1c1d21;background:#fff;--grid:#e3dfd6;--series-1:#2f6fb2;"
    "--series-2:#c8540f}@media (prefers-color-scheme:dark){:root{color:#e9e6df;background:#1b1e24;--grid:#383c45;"
    "--series-1:#6fb0f0;--series-2:#ff9352}}</style>"
)
"""Colours of an SVG file, which has no page around it to say them."""
MEASURES: tuple[tuple[str, Callable[[CurvePoint, Scope], float | None]], ...] = (
    ("segmentation accuracy", lambda point, scope: point.accuracy),
    (UNBOUNDED[0], lambda point, scope: point.ratio),
    ("success rate", lambda point, scope: point.success),
    (UNBOUNDED[1], lambda point, scope: point.mean_phi if scope == "local" else point.mean),
)

SMALLEST_SHOWN = 0.05
"""Mean change in levels below which no point is drawn: a weak attack far to the left would take half of the axis."""


@dataclass(frozen=True)
class Chart:
    """One chart. svg: element for the page.   data: rows of its CSV.   alt: what it shows, in words."""

    name: str
    number: str
    title: str
    caption: str
    alt: str
    svg: str
    data: tuple[dict[str, Cell], ...]

    @property
    def file(self) -> bytes:
        """The chart as an SVG file."""
        opening, body = re.split(r"(?<=>)", self.svg, maxsplit=1)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{opening}{STANDALONE}{body}\n'.encode()


def figure_1() -> Chart:
    """The hyperbolic tangent on [−1.5, 1.5]."""
    x = np.linspace(-1.5, 1.5, 121).round(6)
    y = np.tanh(x)
    alt = "tanh from −1.5 to 1.5: nearly the identity around 0, bending towards −1 and 1"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        axes = figure.subplots()
        axes.plot(x, y, color=COLOURS["tanh"], label="tanh")
        axes.plot(x, x, color=INK, linewidth=0.8, linestyle="dotted", label="identity")
        axes.set_xlim(-1.5, 1.5)
        axes.set_ylim(-1.1, 1.1)
        axes.set_xlabel("x")
        _legend(figure, [axes])
        svg = inline(figure, "fig1", alt)
    data: tuple[dict[str, Cell], ...] = tuple({"x": float(a), "tanh": float(b)} for a, b in zip(x, y, strict=True))
    caption = "The function that Eq. 2 puts the image through. An adversarial image cannot leave the valid range."
    return Chart("fig1", "1", "The hyperbolic tangent", caption, alt, svg, data)


def figure_6(curves: Sequence[Curve], scopes: dict[str, Scope], models: Sequence[str]) -> Chart | None:
    """Four metrics by each model and the joint attack over the steps.

    curves: of the attacks as published.   scopes: of the attacks, by label.
    """
    columns: list[tuple[str, list[Curve]]] = [(m, [c for c in curves if c.victims == (m,)]) for m in models]
    columns.append(("joint, mean of the victims", [c for c in curves if c.model == EVERY_VICTIM]))
    columns = [(title, found) for title, found in columns if found]
    if not columns:
        return None
    known = [
        (name, measure)
        for name, measure in MEASURES
        if any(measure(p, scopes[c.attack]) is not None for c in curves for p in c.points)
    ]
    shown = ", ".join(title for title, _ in columns)
    alt = f"{len(known)} metrics over the steps for {shown}; the numbers are in fig6.csv"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 2.9 * len(columns)), 2.1 * len(known)), layout="constrained")
        panels = figure.subplots(len(known), len(columns), sharey="row", sharex=True, squeeze=False)
        for row, (name, measure) in zip(panels, known, strict=True):
            for axes, (title, found) in zip(row, columns, strict=True):
                _steps(axes, found, scopes, measure)
                if axes in panels[0]:
                    axes.set_title(title)
                if axes in panels[-1]:
                    axes.set_xlabel("step")
            row[0].set_ylabel(name.replace(", levels of 255", ",\nlevels of 255"))
            row[0].set_ylim(bottom=0, top=None if name in UNBOUNDED else 1.02)
        _legend(figure, panels.ravel().tolist())
        svg = inline(figure, "fig6", alt)
    caption = (
        "Means over images of the metrics of the float image, step by step, for FGSM and the tanh method as published. "
        "Perturbation over φ for local attacks, else over the image. Step 0 is the image before the first update."
    )
    data = tuple(row for _, found in columns for curve in found for row in curve_rows(curve))
    return Chart("fig6", "6", "Metrics over the steps", caption, alt, svg, data)


def curve_rows(curve: Curve) -> list[dict[str, Cell]]:
    """A curve as rows of a CSV; its model is * for the mean over the victims."""
    return [
        {
            "model": curve.model,
            "victims": "+".join(curve.victims),
            "attack": curve.attack,
            "step": point.step,
            "images": point.images,
            "accuracy": point.accuracy,
            "ratio": point.ratio,
            "success": point.success,
            "mean": point.mean,
            "mean_phi": point.mean_phi,
        }
        for point in curve.points
    ]


def _steps(
    axes: Axes, curves: Sequence[Curve], scopes: dict[str, Scope], measure: Callable[[CurvePoint, Scope], float | None]
) -> None:
    for curve in curves:
        scope, method = scopes[curve.attack], curve.attack.partition("-")[0]
        values = [measure(point, scope) for point in curve.points]
        axes.plot(
            [point.step for point in curve.points],
            [float("nan") if value is None else value for value in values],
            color=COLOURS[method],
            linestyle=LINES[scope],
            label=f"{METHOD_NAMES[method]}, {SCOPE_TITLES[scope]}",
        )
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.margins(x=0.01)


def budgets_mean(points: Sequence[BudgetPoint]) -> Chart | None:
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
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
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


def budgets_linf(points: Sequence[BudgetPoint]) -> Chart | None:
    """Success within each L∞ radius."""

    def panel(axes: Axes, ours: Sequence[BudgetPoint]) -> None:
        for method in BUDGETED:
            found = [p for p in ours if p.method == method and p.success.mean is not None]
            found.sort(key=lambda point: point.limit)
            if found:
                axes.errorbar(
                    [p.limit for p in found],
                    [p.success.mean or 0.0 for p in found],
                    yerr=np.array([_bar(p.success) for p in found]).T,
                    color=COLOURS[method],
                    marker="o",
                    markersize=4,
                    elinewidth=1,
                    label=METHOD_NAMES[method],
                )
        radii = sorted({p.limit for p in ours})
        axes.xaxis.set_major_locator(FixedLocator(radii))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
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


def _bar(estimate: Estimate) -> tuple[float, float]:
    """Lengths of an error bar; nothing where there is no interval, or where the mean lies outside it."""
    if estimate.mean is None or estimate.low is None or estimate.high is None:
        return 0.0, 0.0
    return max(0.0, estimate.mean - estimate.low), max(0.0, estimate.high - estimate.mean)


def _budget_chart(
    points: Sequence[BudgetPoint],
    panel: Callable[[Axes, Sequence[BudgetPoint]], None],
    name: str,
    title: str,
    unit: str,
    caption: str,
) -> Chart | None:
    models = list(dict.fromkeys(point.model for point in points))
    scopes = [scope for scope in SCOPES if any(point.scope == scope for point in points)]
    if not models:
        return None
    alt = f"{title} of FGSM and the tanh method on {', '.join(models)}; the numbers are in {name}.csv"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(5.0, 4.3 * len(models)), 2.6 * len(scopes)), layout="constrained")
        panels = figure.subplots(len(scopes), len(models), sharex=True, sharey=True, squeeze=False)
        for row, scope in zip(panels, scopes, strict=True):
            for axes, model in zip(row, models, strict=True):
                panel(axes, [p for p in points if (p.scope, p.model) == (scope, model)])
                axes.set_title(f"{model}, {SCOPE_TITLES[scope]}")
                axes.set_ylim(-0.02, 1.02)
                if axes in panels[-1]:
                    axes.set_xlabel(unit)
            row[0].set_ylabel("success rate")
        _legend(figure, panels.ravel().tolist())
        svg = inline(figure, name, alt)
    return Chart(name, "", title, caption, alt, svg, tuple(budget_row(point) for point in points))


def budget_row(point: BudgetPoint) -> dict[str, Cell]:
    """A measured point as a row of a CSV."""
    return {
        "model": point.model,
        "scope": point.scope,
        "method": point.method,
        "set": point.set,
        "attack": point.attack,
        "quantity": point.quantity,
        "limit": point.limit,
        "images": point.images,
        "success": point.success.mean,
        "success_low": point.success.low,
        "success_high": point.success.high,
        "success_pooled": point.success.pooled,
        "change": point.change.mean,
        "change_low": point.change.low,
        "change_high": point.change.high,
        "linf": point.linf,
    }


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    entries = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside upper left", ncols=4, columnspacing=1.6)
