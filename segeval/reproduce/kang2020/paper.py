"""Table 1 of Kang et al. 2020 as data: validation set of Cityscapes, 512×1024, 50 steps."""

from collections.abc import Sequence
from typing import Literal

from segeval.files.sets import Scope
from segeval.reproduce.kang2020.kang2020_records import Method, Metric, PaperCell

Network = Literal["espnet", "fast-scnn"]
Victims = Literal["single", "joint"]
Column = tuple[Scope, Victims, Network]

COLUMNS: tuple[Column, ...] = (
    ("local", "single", "espnet"),
    ("local", "single", "fast-scnn"),
    ("local", "joint", "espnet"),
    ("local", "joint", "fast-scnn"),
    ("full", "single", "espnet"),
    ("full", "single", "fast-scnn"),
    ("full", "joint", "espnet"),
    ("full", "joint", "fast-scnn"),
)
"""Of the table, from left to right; the joint attack is on both networks, read on one of them."""

ROWS: dict[tuple[Metric, Method], tuple[float, ...]] = {
    ("accuracy", "fgsm"): (0.133, 0.274, 0.115, 0.202, 0.229, 0.300, 0.204, 0.202),
    ("accuracy", "tanh"): (0.002, 0.022, 0.001, 0.012, 0.08, 0.129, 0.078, 0.109),
    ("ratio", "fgsm"): (0.146, 0.302, 0.126, 0.223, 0.275, 0.348, 0.247, 0.238),
    ("ratio", "tanh"): (0.002, 0.025, 0.001, 0.014, 0.086, 0.142, 0.084, 0.119),
    ("success", "fgsm"): (0.659, 0.493, 0.710, 0.611, 0.575, 0.473, 0.635, 0.611),
    ("success", "tanh"): (0.632, 0.696, 0.687, 0.744, 0.770, 0.693, 0.792, 0.730),
    ("perturbation", "fgsm"): (0.792, 0.543, 0.844, 0.844, 0.207, 0.171, 0.244, 0.244),
    ("perturbation", "tanh"): (1.635, 1.097, 2.216, 2.216, 0.724, 0.518, 0.657, 0.657),
}
"""Perturbation in 0–255 levels, over φ for local attacks and else over the image; a joint attack has one."""

MISPRINT: tuple[Metric, Method, Column] = ("accuracy", "tanh", ("full", "single", "espnet"))
PRINTED = 0.008
"""The printed value at `MISPRINT`. With the printed ratio of .086 it would mean that 9 % of the other pixels stayed
right, where every other entry implies 83–100 %; `ROWS` has .08."""

TABLE: dict[tuple[Metric, Method, Column], float] = {
    (metric, method, column): value
    for (metric, method), values in ROWS.items()
    for column, value in zip(COLUMNS, values, strict=True)
}


def network_of(model: str) -> Network | None:
    """Which of the paper's networks a model is, by its name."""
    if model.startswith("espnet-"):
        return "espnet"
    return "fast-scnn" if model.startswith("fast-scnn") else None


def column_of(scope: Scope, victims: Sequence[str], model: str) -> Column | None:
    """The paper's column for an attack on these victims, read on one of them; None for a network it does not have."""
    network = network_of(model)
    if network is None or model not in victims:
        return None
    return scope, "single" if len(victims) == 1 else "joint", network


def paper_cell(method: Method, scope: Scope, victims: Sequence[str], model: str) -> PaperCell | None:
    """The paper's figures for one attack on one model; None if it has none."""
    column = column_of(scope, victims, model)
    if column is None or ("accuracy", method, column) not in TABLE:
        return None
    return PaperCell(
        accuracy=TABLE["accuracy", method, column],
        ratio=TABLE["ratio", method, column],
        success=TABLE["success", method, column],
        perturbation=TABLE["perturbation", method, column],
        misprint=("accuracy", method, column) == MISPRINT,
        same_victims=len(victims) == 1 or sorted(map(str, map(network_of, victims))) == ["espnet", "fast-scnn"],
    )
