"""The distribution of latencies as SVG text."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from segeval.files.benches import BenchRun

from ..report.figures import SERIES, STYLE, inline

MOST_POINTS = 400
"""Of a curve; more cannot be seen."""
WIDE = 4.0
"""From this ratio of the slowest call to the fastest the axis is logarithmic."""
PASSES = ("solid", "dashed", "dotted", "dashdot")
"""Line styles: the next one when all colours were used."""


def latency_figure(runs: Sequence[BenchRun], name: str, description: str) -> str:
    """The empirical distribution of each run's calls; dots are the percentiles that their number supports.

    Args:
        runs: single streams, one per engine.
        name: prefix of the ids inside.
        description: for who cannot see it.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        axes = figure.subplots()
        least, most = np.inf, 0.0
        for index, run in enumerate(runs):
            latencies = np.sort(run.latencies())
            least, most = min(least, latencies[0]), max(most, latencies[-1])
            style = PASSES[index // len(SERIES) % len(PASSES)]
            draw(axes, run, latencies, SERIES[index % len(SERIES)], style)
        if most > WIDE * least > 0:
            logarithmic(axes)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("latency of a call, ms")
        axes.set_ylabel("share of the calls")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper left", ncols=3, columnspacing=1.6)
        return inline(figure, name, description)


def draw(axes: Axes, run: BenchRun, latencies: NDArray[np.float64], colour: str, style: str) -> None:
    """One curve.

    Args:
        axes: to draw into.
        run: whose latencies they are.
        latencies: ascending.
        colour: of the line.
        style: of the line, as matplotlib names it.
    """
    count = len(latencies)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).round().astype(int))
    steps = np.concatenate([latencies[:1], latencies[chosen]])
    shares = np.concatenate([[0.0], (chosen + 1) / count])
    axes.step(steps, shares, where="post", color=colour, linestyle=style, label=run.engine)
    marks = [(found.ms, int(name[1:]) / 100) for name, found in run.latency.get("engine", {}).items()]
    axes.plot(*np.array(marks).reshape(-1, 2).T, "o", color=colour, markersize=4)


def logarithmic(axes: Axes) -> None:
    """A logarithmic axis with plain numbers on it."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
