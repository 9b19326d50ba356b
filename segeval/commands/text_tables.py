"""Tables for the terminal."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from segeval.errors import counted
from segeval.files.sets import AdversarialSample
from segeval.plain_table import as_shown, plain_table

if TYPE_CHECKING:
    from segeval.files.benches import BenchRecord
    from segeval.files.replays import Replay
    from segeval.generate.auditing.audit_records import AuditConfig, NetworkAudit


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash where there is none."""
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # + 0.0: no minus zero


def table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", words: int = 1, caption: str = ""
) -> Table:
    """Rows of text; the first `words` columns are words, the others numbers. Nothing in them is taken for markup."""
    made = plain_table(title, caption)
    for index, heading in enumerate(headings):
        made.add_column(heading, justify="left" if index < words else "right", overflow="fold", no_wrap=index == 0)
    for row in rows:
        made.add_row(*map(as_shown, row))
    return made


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the values that exist."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


CRAFTED_HEADINGS = (
    "made for", "attack", "task", "success", "source accuracy", "ratio", "levels φ", "levels", "L∞", "n"
)  # fmt: skip
CRAFTED_CAPTION = (
    "Measured on the saved files; means over images, of L∞ the largest. source accuracy: share of the pixels of the "
    "source classes that are predicted as their own class. ratio: source accuracy over the accuracy of all other "
    "pixels. levels: mean change per pixel in 8-bit levels; levels φ: over the attacked pixels alone."
)
AUDIT_CAPTION = "success: share of the attacked pixels (φ) that are hit."


def crafted_tables(samples: Iterable[AdversarialSample]) -> Iterator[Table]:
    """Per network the metrics of the paper for each attack and task; the last table has the caption."""
    networks: dict[str, dict[tuple[str, str, str], list[tuple[float | None, ...]]]] = {}
    for sample in samples:
        for model, counts in sample.counts.items():
            size = sample.norms
            row = (counts.success, counts.accuracy, counts.ratio, size.mean_phi, size.mean, float(size.linf))
            key = (made_for(model, sample.victims), sample.attack, sample.task)
            networks.setdefault(model, {}).setdefault(key, []).append(row)
    for place, (model, groups) in enumerate(networks.items(), start=1):
        first = int({made for made, *_ in groups} == {ITSELF})  # as usual: not worth a column
        lines = [[*key, *columns(rows), str(len(rows))][first:] for key, rows in groups.items()]
        caption = CRAFTED_CAPTION if place == len(networks) else ""
        yield table(CRAFTED_HEADINGS[first:], lines, f"Adversarial images on {model}", 3 - first, caption)


def audit_table(config: "AuditConfig", audit: "NetworkAudit") -> Table:
    """The checks of a network, each with what it found and what it says."""
    shown = {"ok": "ok", "sign": "SIGN", "not checked": "–"}
    rows = []
    for check in audit.checks:
        found = "; ".join(f"{each.label} {amount(each.value)}" for each in check.found)
        rows.append((check.name, shown[check.verdict], found or check.told))
    within, images = counted(config.budget, "level"), counted(audit.images, "image")
    title = f"{audit.network}: {config.attack} within {within}, {images}"
    headings = ("check", "", "success, unless it says otherwise")
    return table(headings, rows, title, words=3, caption=AUDIT_CAPTION)


def amount(value: float) -> str:
    """A count as it is, anything else to three digits."""
    return str(value) if isinstance(value, int) else number(value)


ITSELF = "itself"


def made_for(model: str, victims: Sequence[str]) -> str:
    """Whom an adversarial image was made for, beside the model it was shown to."""
    if model not in victims:
        return "+".join(victims)
    return ITSELF if len(victims) == 1 else f"{len(victims)} jointly"


def columns(rows: Sequence[tuple[float | None, ...]]) -> list[str]:
    """Mean of every column of `crafted_tables`; of the last, L∞, the largest."""
    *means, largest = zip(*rows, strict=True)
    cells = [number(mean(column), digits) for column, digits in zip(means, (3, 3, 3, 2, 2), strict=True)]
    return [*cells, number(max(value for value in largest if value is not None), 0)]


def latency_rows(done: "Replay") -> list[tuple[str, str, str, str, str]]:
    """Engine, what it ran on, what it computed in, 50th and 90th percentile in ms; dashes for what is not known yet."""
    rows = []
    for engine in done.engines:
        times = list(done.latencies(engine.name).values())
        half, most = np.percentile(times, [50, 90]).tolist() if times else (None, None)
        runs_on, computes_in = f"{engine.backend} {engine.backend_version}", str(engine.facts.get("arithmetic", "–"))
        rows.append((engine.name, runs_on, computes_in, number(half, 1), number(most, 1)))
    return rows


def bench_rows(record: "BenchRecord") -> list[tuple[str, ...]]:
    """One line per run: percentiles of a call, images per second with I/O, power, gross energy, number of doubts."""
    rows = []
    named = [(run, str(run.scenario)) for run in record.runs]
    for run, scenario in (*named, *((run, "no argmax") for run in record.without_argmax)):
        used = run.measured_energy
        percentiles = (number(run.ms(name), 2) for name in ("p50", "p90", "p99"))
        watts, joules = (
            ("not available",) * 2 if used is None else (f"{used.mean_w:.2f} W", f"{used.gross_j_per_image:.3g} J")
        )
        throughput = number(run.images_per_second.with_io, 1)
        rows.append((run.engine, scenario, *percentiles, throughput, watts, joules, str(len(run.flags))))
    return rows


def layer_notes(record: "BenchRecord") -> list[str]:
    """How much of an engine's time its ArgMax takes, and its slowest layer."""
    lines = []
    for profile in record.layers:
        slowest = max(profile.layers, key=lambda layer: layer.ms, default=None)
        told = "none reported by the engine"
        if slowest is not None:
            argmax, named = number(profile.argmax_ms, 2), f"{slowest.name} {number(slowest.ms, 2)} ms"
            whole = f"{number(profile.total_ms, 2)} of {number(profile.call_ms, 2)} ms of a profiled call"
            whole += f" in {len(profile.layers)}"
            told = f"{whole}, of it {argmax} ms ArgMax; slowest: {named}"
        lines.append(f"{profile.engine} layers: {told}")
    return lines


def bench_notes(record: "BenchRecord") -> list[str]:
    """What the power values mean or why they are missing, and every kind of doubt with an example."""
    powers: dict[str, list[str]] = {}
    doubts: dict[str, list[str]] = {}
    runs = (*record.runs, *record.without_argmax)
    for run in runs:
        told = f"power{' and energy' if run.measured_energy is None else ':'} {run.power_name}"
        powers.setdefault(told, []).append(f"{run.engine} {run.scenario}")
        for kind, detail in {flag.kind: flag.detail for flag in run.flags}.items():
            doubts.setdefault(kind, []).append(detail)
    total = len(runs)
    lines = [told if len(powers) == 1 else f"{told} ({', '.join(named)})" for told, named in powers.items()]
    for kind, details in doubts.items():
        more = f"{details[0]}, …" if len(set(details)) > 1 else details[0]
        lines.append(f"! {kind}, {len(details)} of {total} runs: {more}")
    return lines
