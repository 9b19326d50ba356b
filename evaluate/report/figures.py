"""The report's charts as SVG text to be put inside HTML.

Drawn with matplotlib's object interface, so that no global state is touched. Colours become CSS variables and text
stays text: the page's own light and dark themes apply, and the same numbers give the same bytes.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from segeval.console import visible
from segeval.files.sets import AttackSpec, Scope
from segeval.precision import PRECISION_ORDER

from ..measure.estimate_records import Estimate
from ..measure.report_records import Curve, CurvePoint, SurvivalRow
from .wording import attack_name

# Placeholders that matplotlib can draw with, and the CSS they turn into.
INK, GRID = "#010101", "#020202"
SERIES = tuple(f"#0101{number:02x}" for number in range(16, 24))
CSS = {INK: "currentColor", GRID: "var(--grid)"} | {
    colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, start=1)
}
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "segeval",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.7,
    "lines.dashed_pattern": (4, 2),
}
LINES: Mapping[Scope, str] = {"full": "solid", "local": "dashed"}
JOINT_LINES: Mapping[Scope, str] = {"full": "dotted", "local": "dashdot"}
MARKERS: Mapping[Scope, str] = {"full": "o", "local": "s"}
MEASURES: Mapping[str, Callable[[CurvePoint, Scope], float | None]] = {
    "success": lambda point, scope: point.success,
    "source accuracy": lambda point, scope: point.accuracy,
    "ratio": lambda point, scope: point.ratio,
    "perturbation, levels of 255": lambda point, scope: point.mean_phi if scope == "local" else point.mean,
}
"""What a curve has at each step, by the title of its panel."""
FILE_MARKERS = ("", "o", "s", "^", "D", "v")
"""Of the deployed files in a chart of curves; the first has none, since it is mostly the only one."""
LEAST_MARGIN = 0.02
"""Of an axis of shares beyond its data, so that a single value is no axis of no length."""
UNBOUNDED = ("ratio", "perturbation, levels of 255")


def colours_of(attacks: Iterable[AttackSpec]) -> dict[str, str]:
    """A colour for every attack of a set by label, the same in every chart of a report."""
    return {attack.label: SERIES[index % len(SERIES)] for index, attack in enumerate(attacks)}


def curves_figure(
    curves: Sequence[Curve], scopes: Mapping[str, Scope], colours: Mapping[str, str], name: str, description: str
) -> str:
    """The four metrics of each attack over its steps, means over images.

    Args:
        curves: of one model, one per attack, victims, of which it is one, and deployed file; joint ones are dotted, and
            files are told apart by markers.
        scopes: of the attacks; local ones are dashed, or dash-dotted if joint, and their perturbation is over φ.
        colours: of the attacks.
        name: prefix of the ids inside.
        description: what a reader who cannot see it is told.
    """
    known = known_measures(curves, scopes)
    markers = dict(zip(dict.fromkeys(curve.file for curve in curves), cycle(FILE_MARKERS), strict=False))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 2.75 * ((len(known) + 1) // 2)), layout="constrained")
        panels = figure.subplots((len(known) + 1) // 2, 2, squeeze=False).ravel()
        for axes, title in zip(panels, known, strict=False):
            axes.set_title(title)
            for curve in curves:
                scope = scopes[curve.attack]
                dashes = (JOINT_LINES if len(curve.victims) > 1 else LINES)[scope]
                marks = {"marker": markers[curve.file], "markersize": 4, "markevery": max(1, len(curve.points) // 10)}
                look = {"color": colours[curve.attack], "linestyle": dashes, **marks}
                over_steps(axes, curve, title, scope, **look, label=measured(attack_name(curve.key), curve))
            heights = [value for curve in curves for value in values_of(curve, title, scopes[curve.attack])]
            axes.set_ylim(data_limits([value for value in heights if value is not None], title not in UNBOUNDED))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.set_xlabel("step")
        for axes in panels[len(known) :]:
            axes.set_visible(False)
        key_of_colours(figure, panels[0])
        return inline(figure, name, description)


def measured(name: str, curve: Curve) -> str:
    """A name of an attack, with the deployed file that its curve was measured on, if any."""
    return f"{name}, seen by {curve.file}" if curve.file else name


def known_measures(curves: Sequence[Curve], scopes: Mapping[str, Scope]) -> list[str]:
    """Titles of the measures that any of the curves has.

    Args:
        curves: of the figure.
        scopes: of the attacks.
    """
    return [
        title
        for title, measure in MEASURES.items()
        if any(measure(point, scopes[curve.attack]) is not None for curve in curves for point in curve.points)
    ]


def over_steps(axes: Axes, curve: Curve, title: str, scope: Scope, **look: Any) -> None:
    """One measure of a curve, with a gap where it does not exist."""
    heights = [float("nan") if value is None else value for value in values_of(curve, title, scope)]
    axes.plot([point.step for point in curve.points], heights, **look)
    axes.margins(x=0.01)


def values_of(curve: Curve, title: str, scope: Scope) -> list[float | None]:
    """One measure of a curve at each of its steps."""
    return [MEASURES[title](point, scope) for point in curve.points]


def data_limits(values: Iterable[float], share: bool = True) -> tuple[float, float]:
    """Ends of an axis that begins where the data begin, with a margin.

    Args:
        values: on the axis.
        share: whether they are shares, whose axis ends a little beyond 0 and 1.
    """
    known = sorted(values) or [0.0, 1.0]
    margin = max(0.06 * (known[-1] - known[0]), LEAST_MARGIN if share else 0.02 * abs(known[-1]) or LEAST_MARGIN)
    low, high = known[0] - margin, known[-1] + margin
    if share:
        beyond = 0.04 * (min(high, 1.0) - max(low, 0.0))
        return max(low, -beyond), min(high, 1.0 + beyond)
    return (max(low, 0.0) if known[0] >= 0 else low), high


def ends(estimates: Iterable[Estimate]) -> list[float]:
    """Means and bounds of estimates, as far as they exist."""
    return [value for each in estimates for value in (each.mean, each.low, each.high) if value is not None]


def error_bars(estimates: Iterable[Estimate]) -> NDArray[np.float64]:
    """(2, estimates) lengths below and above the means; 0 where there is no interval.

    A bootstrap interval need not hold the mean when there are few images.
    """
    bounds = [(e.mean, e.low, e.high) for e in estimates]
    lengths = [
        (0.0, 0.0) if mean is None or low is None or high is None else (max(0.0, mean - low), max(0.0, high - mean))
        for mean, low, high in bounds
    ]
    return np.array(lengths).T


def survival_figure(rows: Sequence[SurvivalRow], colours: Mapping[str, str], name: str, description: str) -> str:
    """Success on the engine against survival with its interval, one point per attack.

    There is a panel per precision and per file of the user's.

    Args:
        rows: of one model and of attacks made for it, without the single tasks; the points of joint attacks are hollow.
        colours: of the attacks.
        name: prefix of the ids inside.
        description: what a reader who cannot see it is told.
    """
    finest_first = sorted(rows, key=lambda row: -PRECISION_ORDER.index(row.precision))
    kinds = list(dict.fromkeys(row.kind for row in finest_first))
    shown = [row for row in rows if row.survival.mean is not None and row.engine_success.mean is not None]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        panels = figure.subplots(1, len(kinds), sharey=True, squeeze=False).ravel()
        for axes, kind in zip(panels, kinds, strict=True):
            for row in rows:
                if row.kind == kind and row.survival.mean is not None and row.engine_success.mean is not None:
                    _point(axes, row, row.engine_success.mean, row.survival.mean, colours[row.attack])
            axes.set_title(kind)
            axes.set_xlim(data_limits(ends(row.engine_success for row in shown)))
            axes.set_ylim(data_limits(ends(row.survival for row in shown)))
            axes.set_xlabel("success on the engine")
        panels[0].set_ylabel("survival")
        key_of_colours(figure, *panels)
        return inline(figure, name, description)


def _point(axes: Axes, row: SurvivalRow, x: float, y: float, colour: str) -> None:
    axes.errorbar(
        [x],
        [y],
        xerr=error_bars([row.engine_success]),
        yerr=error_bars([row.survival]),
        color=colour,
        marker=MARKERS[row.scope],
        markerfacecolor="none" if len(row.victims) > 1 else colour,
        markersize=6,
        elinewidth=1,
        linestyle="none",
        label=attack_name(row.key),
    )


def key_of_colours(figure: Figure, *panels: Axes) -> None:
    """A legend above the panels, each label once."""
    entries = {
        label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if entries:
        figure.legend(entries.values(), entries.keys(), loc="outside upper left", ncols=4, columnspacing=1.6)


def inline(figure: Figure, name: str, description: str) -> str:
    """The figure as an <svg> element: no prolog, no metadata, no fixed size, ids that are unique in the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = visible(buffer.getvalue(), "\n\t")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], count=1, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    for colour, css in CSS.items():
        svg = svg.replace(colour, css)
    opening = re.search(r'viewBox="([^"]+)"', svg)
    assert opening is not None, "matplotlib wrote no viewBox"
    body = svg[svg.index(">") + 1 :]
    return (
        f'<svg class="chart" role="img" aria-label="{escape(visible(description))}" viewBox="{opening[1]}" '
        f'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{body}'
    )
