"""From counts to the report's rows."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from segeval.progress import Progress

from .bootstrap import derived
from .counting import Counted
from .inputs import Sources
from .report_records import SurvivalRow
from .row_key import RowKey
from .statistics import estimates, perturbation
from .survival import SampleCounts


def grouped(sources: Sources, rows: Sequence[SampleCounts]) -> dict[RowKey, list[SampleCounts]]:
    """Samples by report row, in order. There are rows of all tasks together only where there are several tasks."""
    several = len({row.task for row in rows}) > 1
    groups: dict[RowKey, list[SampleCounts]] = {}
    for row in rows:
        for key in (row.key, row.key.over_tasks()) if several else (row.key,):
            groups.setdefault(key, []).append(row)
    return {key: groups[key] for key in sources.ordered(groups)}


def survival_rows(sources: Sources, counted: Counted, seed: int, progress: Progress) -> Iterator[SurvivalRow]:
    """One row per model, attack, task and engine, with every estimate."""
    engines = {engine.label: engine for engine in sources.engines}
    scopes = {attack.label: attack.scope for attack in sources.manifest.attacks}
    groups = grouped(sources, counted.rows)
    for done, (key, rows) in enumerate(groups.items(), start=1):
        engine, about = engines[key.engine], asdict(key)
        images = {row.image for row in rows}
        # Each is a field of the row.
        quantities: dict[str, Any] = estimates(rows, derived(seed, "survival", *about.values()))
        yield SurvivalRow(
            **about,
            scope=scopes[key.attack],
            precision=engine.record.precision,
            images=len(images),
            samples=len(rows),
            skipped=len(skipped_images(sources, key) - images),
            missing=missing_samples(counted, key),
            perturbation=perturbation(rows),
            variant=engine.variant,
            corruption=engine.corruption,
            own=engine.own,
            **quantities,
        )
        progress("intervals", done, len(groups))


def skipped_images(sources: Sources, key: RowKey) -> set[str]:
    """Images of a row that were not attacked because they have no source pixel."""
    return {s.image for s in sources.manifest.skipped if s.victims == key.victims and key.task in (None, s.task)}


def missing_samples(counted: Counted, key: RowKey) -> int:
    """Samples of a row that an unfinished replay does not have."""
    return sum(count for each, count in counted.missing.items() if key.covers(each))
