"""Table 1 as it is laid out: metrics and attacks down, victims across."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segeval.evaluate.measure.report_records import Estimate
from segeval.files.sets import Scope
from segeval.reproduce.kang2020.kang2020_records import METHODS, SCOPES, Cell, Metric
from segeval.reproduce.kang2020.table1 import columns_of

METHOD_NAMES: dict[str, str] = {"fgsm": "FGSM", "tanh": "tanh", "fgsm-as-tanh": "FGSM at tanh's perturbation"}
METRIC_NAMES: dict[Metric, str] = {
    "accuracy": "Segmentation accuracy",
    "ratio": "Ratio of accuracy",
    "success": "Success rate",
    "perturbation": "Perturbation, levels of 255",
}
Placed = dict[tuple[tuple[str, ...], str, str], Cell]
CLEAN: dict[Metric, str] = {"accuracy": "clean_accuracy", "ratio": "clean_ratio", "success": "control"}
"""Field of `Cell` that holds a metric of the clean image."""


@dataclass(frozen=True)
class Entry:
    """What stands in one place. paper: its figure, if it has one.   misprint: it is not what is printed."""

    estimate: Estimate | None
    paper: float | None = None
    misprint: bool = False


@dataclass(frozen=True)
class Row:
    """One attack, or the clean image."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Column:
    """Who was attacked and who looked. cell: any of the column, for its numbers of images."""

    title: str
    cell: Cell | None


@dataclass(frozen=True)
class Grid:
    """One half of Table 1.

    groups: the metrics, by name.   misprint: whether an entry is one.   sizes: for L2 and L∞ of
    each attack, by column.
    """

    scope: Scope
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[Row, ...]], ...]
    misprint: bool
    sizes: tuple[tuple[str, tuple[Cell | None, ...]], ...]


def grids(cells: Sequence[Cell], models: Sequence[str], task: str | None = None) -> list[Grid]:
    """The local and the whole-image half, as far as there are cells. task: None for all together."""
    found = []
    for scope in SCOPES:
        ours: Placed = {
            (cell.victims, cell.model, cell.method): cell
            for cell in cells
            if cell.scope == scope and cell.task == task and cell.model in cell.victims
        }
        if ours:
            found.append(grid(scope, ours, models))
    return found


def grid(scope: Scope, cells: Placed, models: Sequence[str]) -> Grid:
    """One half. cells: by victims, model and method."""
    places = columns_of(models)
    columns = []
    for victims, model in places:
        anyone = next((cells[victims, model, m] for m in METHODS if (victims, model, m) in cells), None)
        columns.append(Column(model if len(victims) == 1 else f"joint on {model}", anyone))
    methods = [method for method in METHODS if any((*place, method) in cells for place in places)]
    groups = tuple((name, tuple(rows(metric, cells, places, methods))) for metric, name in METRIC_NAMES.items())
    sizes = tuple((METHOD_NAMES[m], tuple(cells.get((*place, m)) for place in places)) for m in methods)
    misprint = any(cell.paper is not None and cell.paper.misprint for cell in cells.values())
    return Grid(scope, tuple(columns), groups, misprint, sizes)


def rows(
    metric: Metric, cells: Placed, places: Sequence[tuple[tuple[str, ...], str]], methods: Sequence[str]
) -> Iterator[Row]:
    """The rows of one metric: the clean image, then the attacks; perturbation has a second row for the other region."""
    if metric in CLEAN:
        first = [next((cells[(*place, m)] for m in methods if (*place, m) in cells), None) for place in places]
        yield Row("clean image", tuple(Entry(None if c is None else getattr(c, CLEAN[metric])) for c in first))
    for method in methods:
        found = [cells.get((*place, method)) for place in places]
        local = any(cell is not None and cell.scope == "local" for cell in found)
        if metric != "perturbation":
            yield Row(METHOD_NAMES[method], tuple(entry(cell, metric) for cell in found))
            continue
        here, there = ("over φ", "over the image") if local else ("over the image", "over φ")
        yield Row(f"{METHOD_NAMES[method]}, {here}", tuple(entry(cell, metric) for cell in found))
        other = "mean" if local else "mean_phi"
        yield Row(
            f"{METHOD_NAMES[method]}, {there}", tuple(Entry(None if c is None else getattr(c, other)) for c in found)
        )


def entry(cell: Cell | None, metric: Metric) -> Entry:
    """A metric of a cell beside the paper's."""
    if cell is None:
        return Entry(None)
    if cell.paper is None:
        return Entry(getattr(cell, metric))
    return Entry(getattr(cell, metric), getattr(cell.paper, metric), metric == "accuracy" and cell.paper.misprint)
