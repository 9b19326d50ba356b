"""From counts to the report's rows."""

from collections.abc import Iterator, Sequence
from typing import Any

from segeval.progress import Progress

from .bootstrap import derived
from .counting import Counted
from .inputs import Sources
from .report_records import SurvivalRow
from .statistics import estimates, perturbation
from .survival import SampleCounts

Group = tuple[str, tuple[str, ...], str, str | None, str]


def group_of(row: SampleCounts, task: str | None) -> Group:
    """The report row that a sample belongs to; task None is the row of all tasks."""
    return row.model, row.victims, row.attack, task, row.engine


def grouped(sources: Sources, rows: Sequence[SampleCounts]) -> dict[Group, list[SampleCounts]]:
    """Samples by report row, in the order of the set's models, attacks, tasks and of the engines.

    All tasks together come before the single ones, and only where there are several.
    """
    tasks = [task.name for task in sources.manifest.tasks]
    labels: list[str | None] = [None, *tasks] if len({row.task for row in rows}) > 1 else [*tasks]
    groups: dict[Group, list[SampleCounts]] = {}
    for row in rows:
        for task in (row.task, None):
            if task in labels:
                groups.setdefault(group_of(row, task), []).append(row)
    models = [model.name for model in sources.manifest.models]
    attacks = [attack.label for attack in sources.manifest.attacks]
    engines = [engine.label for engine in sources.engines]

    def place(group: Group) -> tuple[int, tuple[str, ...], int, int, int]:
        model, victims, attack, task, engine = group
        return models.index(model), victims, attacks.index(attack), labels.index(task), engines.index(engine)

    return {group: groups[group] for group in sorted(groups, key=place)}


def survival_rows(sources: Sources, counted: Counted, seed: int, progress: Progress) -> Iterator[SurvivalRow]:
    """One row per model, attack, task and engine, with every estimate."""
    engines = {engine.label: engine for engine in sources.engines}
    scopes = {attack.label: attack.scope for attack in sources.manifest.attacks}
    groups = grouped(sources, counted.rows)
    for done, (group, rows) in enumerate(groups.items(), start=1):
        model, victims, attack, task, engine = group
        images = {row.image for row in rows}
        quantities: dict[str, Any] = estimates(rows, derived(seed, "survival", *group))  # each is a field of the row
        yield SurvivalRow(
            model=model,
            victims=victims,
            attack=attack,
            scope=scopes[attack],
            task=task,
            engine=engine,
            precision=engines[engine].record.precision,
            images=len(images),
            samples=len(rows),
            skipped=len(skipped_images(sources, victims, task) - images),
            missing=missing_samples(counted, group),
            perturbation=perturbation(rows),
            variant=engines[engine].variant,
            corruption=engines[engine].corruption,
            **quantities,
        )
        progress("intervals", done, len(groups))


def skipped_images(sources: Sources, victims: tuple[str, ...], task: str | None) -> set[str]:
    """Images that were not attacked because they have no source pixel."""
    return {s.image for s in sources.manifest.skipped if s.victims == victims and task in (None, s.task)}


def missing_samples(counted: Counted, group: Group) -> int:
    """Samples of a row that an unfinished replay does not have."""
    model, victims, attack, task, engine = group
    return sum(
        count
        for (m, v, a, t, e), count in counted.missing.items()
        if (m, v, a, e) == (model, victims, attack, engine) and task in (None, t)
    )
