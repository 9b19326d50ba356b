"""docs/side-by-side.md from the reports of `benchmarks.side_by_side.runs`, as far as they exist.

python -m benchmarks.side_by_side.page runs/side-by-side
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.side_by_side.figure import by_step, curves, draw
from benchmarks.side_by_side.runs import CAMVID, CITYSCAPES, RUNS, WITH_BUDGET, WITHIN, Run

DOCS = Path(__file__).parents[2] / "docs"
BEGIN, END = "<!-- tables: written by benchmarks.side_by_side.page -->\n", "<!-- end of tables -->\n"
BUDGETS = (1, 2, 4, 8)
LEAST = 0.05
"""Success from which on an attack is in the table of equal change."""
MOST = 0.9
"""Share of its final success that an attack is to have reached early."""
Cell = Callable[["pd.Series[float]"], str]


def table_of(root: Path, run: Run, name: str) -> pd.DataFrame | None:
    """A CSV file of a run's report, None if there is none."""
    file = root / run.name / "report" / f"{name}.csv"
    return pd.read_csv(file) if file.is_file() else None


def rows_of(
    root: Path, name: str, task: str, engine: str, within: float | None = None
) -> "dict[str, pd.Series[float]]":
    """attacked.csv of a run, by attack. engine: "desktop" or "int8"; within: only iterates saved within this change."""
    table = table_of(root, RUNS[name], "attacked") if name in RUNS else None
    if table is None:
        return {}
    end = "-full" if within is None else f"-full-within-{within:g}"
    chosen = table[(table.task == task) & table.engine.str.endswith(engine) & table.attack.str.endswith(end)]
    return {row.attack.removesuffix(end): row for _, row in chosen.iterrows()}


def scores(row: "pd.Series[float]") -> str:
    """Pixel accuracy and mIoU under attack, %."""
    return f"{100 * row.attacked_pixel_accuracy:.0f} / {100 * row.attacked_miou:.0f}"


def success(row: "pd.Series[float]") -> str:
    """Success with its interval."""
    interval = "" if pd.isna(row.success_low) else f" [{row.success_low:.2f}, {row.success_high:.2f}]"
    return f"{row.success_mean:.2f}{interval}"


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    heads = list(heads)
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def merged(columns: "list[dict[str, pd.Series[float]]]", cell: Cell) -> Iterator[list[str]]:
    """A line per attack, the one with the highest success in the first column where all are measured on top."""
    attacks = {attack for column in columns for attack in column}

    def strength(attack: str) -> tuple[int, float]:
        found = [column[attack].success_mean for column in columns if attack in column]
        return -len(found), -sum(found)

    for attack in sorted(attacks, key=strength):
        yield [f"`{attack}`", *(cell(column[attack]) if attack in column else "–" for column in columns)]


def everything(root: Path, model: str) -> str:
    """Every attack with 20 gradients, those with a budget within 1 level: both tasks, on the desktop and on int8."""
    name = f"{model}-budget-1"
    table = table_of(root, RUNS[name], "survival")
    if table is None:
        return ""
    lines = []
    int8 = {task: rows_of(root, name, task, "int8") for task in RUNS[name].tasks}
    desktop = {task: rows_of(root, name, task, "desktop") for task in RUNS[name].tasks}
    for attack, row in sorted(desktop["untargeted"].items(), key=lambda found: -found[1].success_mean):
        cells = [f"`{attack}`", scores(row)]
        for task in RUNS[name].tasks:
            same = table[(table.task == task) & (table.attack == f"{attack}-full")]
            mean = f"{same.perturbation_mean.iloc[0]:.2f}" if len(same) else "–"
            cells += [mean, success(desktop[task][attack]), success(int8[task][attack])]
        lines.append(cells)
    heads = [f"{head}{task}" for task in RUNS[name].tasks for head in ("mean, ", "success, ", "int8, ")]
    return markdown(["attack", "accuracy / mIoU", *heads], lines)


def by_budget(root: Path, model: str, engine: str, cell: Cell) -> str:
    """Attacks with a budget, untargeted, by budget, and with 100 steps in the last column."""
    names = [f"{model}-budget-{budget}" for budget in BUDGETS] + [f"{model}-steps-100"]
    kept = []
    for head, name in zip(("1", "2", "4", "8", "1, 100 steps"), names, strict=True):
        column = {
            attack: row
            for attack, row in rows_of(root, name, "untargeted", engine).items()
            if attack in (*WITH_BUDGET, *RUNS[name].attacks)
        }
        if column:
            kept.append((head, column))
    table = markdown(["budget, levels", *(head for head, _ in kept)], merged([column for _, column in kept], cell))
    return table if kept else ""


def equal_change(root: Path, model: str, task: str, cell: Cell) -> str:
    """What is reached within a mean change, on the desktop and on int8."""
    columns, heads = [], []
    for within in WITHIN:
        for engine in ("desktop", "int8"):
            columns.append(rows_of(root, f"{model}-budget-1", task, engine, within))
            heads.append(f"within {within:g}, {'fp32' if engine == 'desktop' else engine}")
    if not all(columns):
        return ""
    found = {attack for column in columns[::2] for attack, row in column.items() if row.success_mean >= LEAST}
    kept = [{attack: row for attack, row in column.items() if attack in found} for column in columns]
    return markdown(["attack", *heads], merged(kept, cell))


def early(root: Path) -> str:
    """Gradients that an attack needs for most of what it reaches with all of them."""
    columns: dict[str, dict[str, int]] = {}
    for model in CAMVID:
        network = model.removesuffix("-camvid")
        for task in RUNS[f"{model}-budget-1"].tasks:
            columns[f"{network}, {task}, of 20"] = gradients_needed(curves(root, f"{model}-budget-1", task))
        columns[f"{network}, untargeted, of 100"] = gradients_needed(curves(root, f"{model}-steps-100"))
    attacks = sorted({attack for column in columns.values() for attack in column})
    lines = [[f"`{each}`", *(str(column.get(each, "–")) for column in columns.values())] for each in attacks]
    return markdown(["attack", *columns], lines) if attacks else ""


def gradients_needed(table: pd.DataFrame) -> dict[str, int]:
    """By attack, the first step at which the mean success is `MOST` of the last one; none where that is nothing."""
    lines = dict(by_step(table)) if len(table) else {}
    return {
        attack: int(np.argmax(line.to_numpy() >= MOST * line.iloc[-1]))
        for attack, line in lines.items()
        if line.iloc[-1] > 0
    }


def standard(root: Path, model: str) -> str:
    """The suite on 20 images, and its worst case per image."""
    table = table_of(root, RUNS[f"{model}-standard"], "attacked")
    if table is None:
        return ""
    lines = []
    chosen = table[(table.task != "*") & ~table.attack.str.contains("-within-")]
    for (attack, task), rows in chosen.groupby(["attack", "task"], sort=False):
        by_engine = {row.engine.rpartition(".")[2]: row for _, row in rows.iterrows()}
        desktop, int8 = by_engine["desktop"], by_engine["int8"]
        lines.append([f"`{attack}`", str(task), success(desktop), success(int8), scores(desktop), scores(int8)])
    return markdown(["attack", "task", "success", "on int8", "accuracy / mIoU", "on int8"], lines)


def titled(title: str, table: str) -> str:
    """A table below what it shows; nothing without one."""
    return f"{title}\n\n{table}" if table else ""


def sections(root: Path) -> Iterator[str]:
    """The tables, with their headings."""
    yield titled("## Gradients until 90 % of the final success", early(root))
    for model in CAMVID:
        yield f"## {model}\n\n![success against gradients and against mean change](side-by-side-{model}.svg)"
        yield titled("Accuracy and mIoU in %, untargeted; mean change in levels:", everything(root, model))
        yield from budgets(root, model)
        yield from changes(root, model)
        yield titled("`standard`, 20 images:", standard(root, model))
    for model in CITYSCAPES:
        yield f"## {model}"
        yield from budgets(root, model)
        yield from changes(root, model)


def changes(root: Path, model: str) -> Iterator[str]:
    """What attacks reach within a mean change."""
    for task in RUNS[f"{model}-budget-1"].tasks:
        title = f"Success within a mean change, {task}:"
        yield titled(title, equal_change(root, model, task, success))
    table = equal_change(root, model, "untargeted", scores)
    yield titled("Accuracy / mIoU, %, within a mean change, untargeted:", table)


def budgets(root: Path, model: str) -> Iterator[str]:
    """What attacks reach untargeted, by budget."""
    for engine, name in (("desktop", "fp32"), ("int8", "int8")):
        yield titled(f"Accuracy / mIoU, %, untargeted, {name}:", by_budget(root, model, engine, scores))
        yield titled(f"Success, untargeted, {name}:", by_budget(root, model, engine, success))


def main() -> None:
    """Write the tables and figures."""
    root = Path(sys.argv[1])
    page = DOCS / "side-by-side.md"
    before, begun, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert begun and ended, f"{page} lacks its marks"
    text = "\n\n".join(section for section in sections(root) if section)
    page.write_text(f"{before}{BEGIN}\n{text}\n\n{END}{after}", encoding="utf-8")
    for model in CAMVID:
        draw(root, model, DOCS / f"side-by-side-{model}.svg")


if __name__ == "__main__":
    main()
