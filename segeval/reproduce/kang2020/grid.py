"""The layout of Table 1: metrics and attacks down, victims across. Also images made for one model, on others."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from segeval.evaluate.measure.estimate_records import Estimate
from segeval.files.sets import Scope
from segeval.reproduce.kang2020.kang2020_records import METHODS, SCOPES, Cell, Method, Metric
from segeval.reproduce.kang2020.table1 import columns_of

METHOD_NAMES: dict[str, str] = {"fgsm": "FGSM", "tanh": "tanh", "fgsm-as-tanh": "FGSM at tanh's perturbation"}
SCOPE_NAMES: dict[Scope, str] = {"local": "local", "full": "whole image"}
METRIC_NAMES: dict[Metric, str] = {
    "accuracy": "Source accuracy",
    "ratio": "Ratio",
    "success": "Success",
    "perturbation": "Perturbation, levels of 255",
}
Placed = Sequence[Cell | None]
"""One attack, column by column."""
CLEAN: dict[Metric, str] = {"accuracy": "clean_accuracy", "ratio": "clean_ratio", "success": "control"}
"""Field of `Cell` that holds a metric of the clean image."""


@dataclass(frozen=True)
class Entry:
    """One entry of the table.

    Attributes:
        paper: its figure, if it has one.
        misprint: it is not what is printed.
    """

    estimate: Estimate | None
    paper: float | None = None
    misprint: bool = False


@dataclass(frozen=True)
class Row:
    """One attack, or the clean image."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Grid:
    """One half of Table 1.

    Attributes:
        columns: who was attacked and who looked, and any cell of theirs, for its numbers of images.
        groups: the metrics, by name.
        misprint: whether an entry is one.
        sizes: for L2 and L∞ of each attack, by column.
    """

    scope: Scope
    columns: tuple[tuple[str, Cell | None], ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    misprint: bool
    sizes: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def grids(cells: Sequence[Cell], models: Sequence[str], task: str | None = None) -> list[Grid]:
    """The local and the whole-image half, as far as there are cells.

    Args:
        cells: of all tasks.
        models: names of the networks.
        task: None for all together.
    """
    ours = [cell for cell in cells if cell.task == task and cell.own]
    return [
        grid(scope, [cell for cell in ours if cell.scope == scope], models)
        for scope in SCOPES
        if any(cell.scope == scope for cell in ours)
    ]


def grid(scope: Scope, cells: Sequence[Cell], models: Sequence[str]) -> Grid:
    """One half."""
    found = {(cell.victims, cell.model, cell.method): cell for cell in cells}
    places = columns_of(models)
    methods = [method for method in METHODS if any((*place, method) in found for place in places)]
    attacks = {method: [found.get((*place, method)) for place in places] for method in methods}
    anyone = [next(filter(None, column), None) for column in zip(*attacks.values(), strict=True)]
    titles = [model if len(victims) == 1 else f"joint on {model}" for victims, model in places]
    return Grid(
        scope=scope,
        columns=tuple(zip(titles, anyone, strict=True)),
        groups=tuple((name, tuple(rows(metric, scope, attacks, anyone))) for metric, name in METRIC_NAMES.items()),
        misprint=any(cell.paper is not None and cell.paper.misprint for cell in cells),
        sizes=tuple((METHOD_NAMES[method], tuple(row)) for method, row in attacks.items()),
    )


def rows(metric: Metric, scope: Scope, attacks: Mapping[Method, Placed], anyone: Placed) -> Iterator[Row]:
    """The rows of one metric: the clean image, then the attacks; perturbation has a second row for the other region.

    Args:
        metric: what is in the rows.
        scope: local or the whole image.
        attacks: cells by attack.
        anyone: any cell of each column.
    """
    if metric in CLEAN:
        yield Row("clean image", entries(anyone, CLEAN[metric]))
    regions = {"mean_phi": "over φ", "mean": "over the image"}
    here, there = ("mean_phi", "mean") if scope == "local" else ("mean", "mean_phi")
    for method, found in attacks.items():
        name = METHOD_NAMES[method]
        if metric != "perturbation":
            yield Row(name, tuple(entry(cell, metric) for cell in found))
            continue
        yield Row(f"{name}, {regions[here]}", tuple(entry(cell, metric) for cell in found))
        yield Row(f"{name}, {regions[there]}", entries(found, there))


def entries(cells: Placed, name: str) -> tuple[Entry, ...]:
    """A number of each cell that the paper does not have."""
    return tuple(Entry(None if cell is None else getattr(cell, name)) for cell in cells)


def entry(cell: Cell | None, metric: Metric) -> Entry:
    """A metric of a cell beside the paper's."""
    if cell is None or cell.paper is None:
        return Entry(None if cell is None else getattr(cell, metric))
    return Entry(getattr(cell, metric), getattr(cell.paper, metric), metric == "accuracy" and cell.paper.misprint)


def matrices(
    cells: Sequence[Cell], models: Sequence[str]
) -> dict[str, list[tuple[tuple[str, ...], list[Cell | None]]]]:
    """By attack: whom its images were made for, and what each model made of these; nothing for a single model."""
    found = {(cell.attack, cell.victims, cell.model): cell for cell in cells if cell.task is None}
    made: dict[str, list[tuple[tuple[str, ...], list[Cell | None]]]] = {}
    for attack, victims in dict.fromkeys(key[:2] for key in found) if len(models) > 1 else ():
        made.setdefault(attack, []).append((victims, [found.get((attack, victims, model)) for model in models]))
    return made
