"""Success against gradients and against mean change, all attacks in one picture."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("svg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from segeval.files.set_folder import SetFolder

TASK = "untargeted"
CHANGES = np.geomspace(0.1, 8, 60)
LEADING = 4
"""Of each picture, so many attacks in colour; the rest are grey."""


def curves(root: Path, name: str, task: str = TASK) -> pd.DataFrame:
    """A row per image, attack and step: success and mean change of that iterate."""
    folder = root / name / "set"
    if not (folder / "set.json").is_file():
        return pd.DataFrame()
    rows = [
        (sample.image, sample.attack.removesuffix("-full"), step, next(iter(found.counts.values())).success, found.mean)
        for sample in SetFolder(folder).samples()
        if sample.task == task and sample.attack.endswith("-full")
        for step, found in enumerate(sample.curve)
    ]
    return pd.DataFrame(rows, columns=["image", "attack", "step", "success", "mean"])


def by_step(table: pd.DataFrame) -> "Iterator[tuple[str, pd.Series[float]]]":
    """Best success so far, mean over images, by step."""
    for attack, rows in table.groupby("attack"):
        wide = rows.pivot_table(index="step", columns="image", values="success")
        yield str(attack), wide.cummax().mean(axis=1)


def by_change(table: pd.DataFrame) -> "Iterator[tuple[str, pd.Series[float]]]":
    """Best success of any iterate whose mean change is at most that, mean over images."""
    images = table.image.nunique()
    for attack, rows in table.groupby("attack"):
        best = [rows[rows["mean"] <= change].groupby("image").success.max().sum() / images for change in CHANGES]
        yield str(attack), pd.Series(best, index=CHANGES)


def panel(axes: Axes, lines: "Sequence[tuple[str, pd.Series[float]]]") -> None:
    """Draw lines, those with the largest area in colour with a legend."""
    ordered = sorted(lines, key=lambda line: -float(line[1].mean()))
    for place, (attack, line) in enumerate(ordered):
        if place < LEADING:
            axes.plot(line.index, line.to_numpy(), zorder=-place, label=attack, linewidth=1.8)
        else:
            axes.plot(line.index, line.to_numpy(), zorder=-place, color="0.75", linewidth=0.8)
            axes.annotate(attack, (line.index[-1], line.iloc[-1]), fontsize=5, color="0.5")
    axes.set_ylim(0, 1)
    axes.set_ylabel("success, untargeted")
    axes.legend(fontsize=7, loc="upper left")


def draw(root: Path, model: str, file: Path) -> None:
    """Write the picture of one network, unless nothing was run."""
    first = curves(root, f"{model}-budget-1")
    if first.empty:
        return
    budgets = [curves(root, f"{model}-budget-{budget}") for budget in (1, 2, 4, 8)]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    panel(left, list(by_step(first)))
    left.set_xlabel("gradients per image (attacks with a budget: 1 level)")
    panel(right, list(by_change(pd.concat(budgets))))
    right.set_xscale("log")
    right.set_xlabel("mean change, levels")
    right.set_xticks([0.25, 0.5, 1, 2, 4, 8], ["0.25", "0.5", "1", "2", "4", "8"])
    with matplotlib.rc_context({"svg.hashsalt": model}):  # the same names of its parts every time
        figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)
