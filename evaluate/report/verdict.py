"""The finding in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from segeval.errors import counted
from segeval.files.sets import AttackSpec, DeployedFile
from segeval.stronger import FAILED, ways

from ..measure.adaptive import AdaptiveTable
from ..measure.bootstrap import FEWEST_FOR_INTERVAL
from ..measure.decisive import as_on_desktop, decisive, failed
from ..measure.paired import can_be_significant
from ..measure.paired_records import Paired
from ..measure.report_records import Comparison, EngineSummary, SurvivalRow
from ..measure.report_rows import ReportRows
from .headline import FEW_IMAGES, LEAST_EQUAL, plain_sentence
from .wording import (
    as_desktop_words,
    attack_name,
    counted_images,
    decimals,
    p_in_words,
    percent,
    points,
    with_interval,
    without_gap,
)

MOST_NAMED = 6
"""Engines that are named in one sentence."""


MADE_ON_FILES = (
    "Every attack that was replayed was made on deployed files. Survival is only of attacks that were made on the "
    "float network: craft with --on fp32 too, and replay that."
)
NOTHING_GAINED = (
    "No attack made on a deployed file did better on an engine as it ships than the same one made on the float network."
)


def verdict(
    rows: ReportRows, comparisons: Sequence[Comparison] = (), attacks: Sequence[AttackSpec] = ()
) -> tuple[str, ...]:
    """What was found: the headline, what the precision costs if that is significant, and the range of other rows."""
    row = decisive(rows)
    if row is None and rows.own and not rows.on_network.own:
        return (MADE_ON_FILES,)
    if row is None:
        said = "The attack failed: none reached a single pixel on the desktop, so nothing could have survived."
        return (said, *_stronger([spec for spec in attacks if not spec.on_files]))
    several = len({each.key.over_engines() for each in rows.on_network.as_shipped.by_task}) > 1
    first = plain_sentence(row, several, rows.clean_by_engine.get((row.model, row.engine)), attacks)
    if failed(row):
        return (first, *_stronger([spec for spec in attacks if spec.label == row.attack]))
    return (first, _on_the_engine(row), *_costs(row, comparisons), *_failures(rows), *_ranges(rows))


def _on_the_engine(row: SurvivalRow) -> str:
    """What is left on the engine, and what of it needs no attack."""
    alone = "" if row.gained is None else f" ({percent(row.gained.mean)} % only there, not on the desktop)"
    return (
        f"On {row.engine} the attack succeeds on {percent(row.engine_success.mean)} % of the attacked pixels{alone}; "
        f"the clean image alone gives {percent(row.control.mean)} %."
    )


def _stronger(attacks: Sequence[AttackSpec]) -> tuple[str, ...]:
    """What to try instead of the first of these attacks that can be made stronger."""
    known = next(filter(None, map(ways, attacks)), "")
    return (f"To see what deployment changes, craft again with {known}.",) if known else ()


def _failures(rows: ReportRows) -> tuple[str, ...]:
    """Which attacks achieved next to nothing on the desktop."""
    found = dict.fromkeys(_which(row, rows.survival) for row in rows.on_network.as_shipped.by_task if failed(row))
    if not found:
        return ()
    return (f"Failed on the desktop, with less than {percent(FAILED)} % of the attacked pixels: {', '.join(found)}.",)


def audited(tables: Sequence[AdaptiveTable]) -> tuple[str, ...]:
    """What an attacker gains who has the engine, and what of that a desktop audit would not have seen."""
    shipping = [
        (line, cell)
        for table in tables
        for line in table.lines
        for engine, cell in zip(table.engines, line.cells, strict=True)
        if cell is not None and engine.ships
    ]
    gaps = [
        (line, cell, cell.gap, cell.gap.difference)
        for line, cell in shipping
        if line.has_gap and cell.gap is not None and cell.gap.difference is not None
    ]
    evading = [(line, cell.row, cell.row.evaded) for line, cell in shipping if line.spec.on == "evasive"]
    sentences = []
    if gaps and all(difference <= 0 for *_, difference in gaps):
        sentences.append(NOTHING_GAINED)
    elif gaps:
        line, cell, gap, difference = max(gaps, key=lambda found: found[3])
        brackets = "" if gap.low is None else f" [{points(gap.low)}, {points(gap.high)}]"
        sentences.append(
            f"Made on {line.made_on} instead of the float network, {line.spec.on_float.label} reaches "
            f"{decimals(gap.second)} on {cell.row.engine} instead of {decimals(gap.first)}: the largest adaptive gap, "
            f"{points(difference)} points{brackets}, {_by_chance(gap, cell.p_holm)}."
        )
    sentences += without_float(tables)
    known = [(line, row, evaded) for line, row, evaded in evading if evaded is not None and evaded.mean]
    if known:
        line, row, evaded = max(known, key=lambda found: found[2].mean or 0.0)
        sentences.append(
            f"A desktop audit would not have seen it all: {line.spec.label} evaded it on {with_interval(evaded)} of "
            f"the attacked pixels. It hits them on {row.engine}, while the desktop predicts the same as on the clean "
            f"image; its success on the desktop is {decimals(line.desktop.mean)}."
        )
    return tuple(sentences)


def _by_chance(gap: Paired, p_holm: float | None) -> str:
    """How significant a gap is."""
    if not can_be_significant(gap.images, 1):
        return f"from {counted_images(gap.images)}, too few to tell whether that is chance"
    return f"{p_in_words(p_holm)} after correction"


def without_float(tables: Sequence[AdaptiveTable]) -> list[str]:
    """What to do for a gap, of attacks that were made on deployed files alone, or replayed so.

    A set that has none on the network is not told twice: `MADE_ON_FILES` says it.
    """
    lacking: dict[bool, dict[str, None]] = {}
    for table in (table for table in tables if not table.has_float):
        lacking.setdefault(table.float_crafted, {})[table.attack] = None
    if not any(table.float_crafted for table in tables):
        return []
    return [f"There is no adaptive gap of {', '.join(names)}: {without_gap(made)}." for made, names in lacking.items()]


def _costs(row: SurvivalRow, comparisons: Sequence[Comparison]) -> tuple[str, ...]:
    """What the headline's engine changes, against the first one it is compared with, if that is significant."""
    keys = (row.key, replace(row.key, task=None))
    asked = [("engines", "survival", key) for key in keys]
    pair = next((each for each in comparisons if (each.between, each.quantity, each.second) in asked), None)
    if pair is None or not pair.significant:
        return ()
    paired = pair.paired
    difference = paired.difference or 0.0
    brackets = "" if paired.low is None else f" [{points(paired.low)}, {points(paired.high)}]"
    begin = "Survival" if pair.second == row.key else "Over all tasks, survival"
    return (
        f"{begin} is {points(abs(difference)).lstrip('+')} points {'lower' if difference < 0 else 'higher'} than on "
        f"{pair.first_engine}: {points(difference)}{brackets}, {p_in_words(pair.p_holm)} after correction for all "
        "comparisons of the report.",
    )


def _ranges(rows: ReportRows) -> tuple[str, ...]:
    """Per precision and file of the user's, where survival of the attacks begins and ends."""
    own = [row for row in rows.on_network.as_shipped.by_task if row.survival.mean is not None and not failed(row)]
    kinds = {kind: [row for row in own if row.kind == kind] for kind in dict.fromkeys(row.kind for row in own)}
    same = [kind for kind, known in kinds.items() if all(map(as_on_desktop, known))]
    spoken = {row.kind: repr(row.own) if row.own else row.kind for row in own}
    sentences = [as_desktop_words([spoken[kind] for kind in same])] if same else []
    for kind, known in kinds.items():
        if len(known) < 2 or kind in same:
            continue
        low, high = (choose(known, key=lambda row: row.survival.mean or 0.0) for choose in (min, max))
        least, most = percent(low.survival.mean), percent(high.survival.mean)
        if least == most:
            sentences.append(f"In {spoken[kind]}, {most} % of every attack survived.")
        else:
            sentences.append(
                f"In {spoken[kind]}, survival runs from {least} % ({_which(low, rows.survival)}) "
                f"to {most} % ({_which(high, rows.survival)})."
            )
    return tuple(sentences)


def _which(row: SurvivalRow, rows: Sequence[SurvivalRow]) -> str:
    several = len({other.model for other in rows}) > 1
    task = f", {row.task}" if row.task and len({other.task for other in rows}) > 1 else ""
    return attack_name(row.key) + (f" on {row.model}" if several else "") + task


SIMULATED = (
    "ONNX Runtime on a CPU computes files of lower precision in fp32: of fp16 files only the weights are rounded, of "
    "int8 files what they quantize. The labels show this rounding, but not half arithmetic on activations, which "
    "segeval deploy measures; the times say nothing about a device."
)


def simulated(engine: EngineSummary) -> bool:
    """Whether ONNX Runtime computed a file of lower precision in fp32, as it does unless its record says otherwise."""
    if engine.backend != "onnxruntime" or "fp32" in (engine.precision, engine.arithmetic):
        return False
    return engine.arithmetic.startswith("fp32") or not (engine.arithmetic or engine.own)


def left_out_engines(rows: Sequence[SurvivalRow], not_run: Mapping[str, str]) -> str:
    """Which engines of the bundles were not run, and whether a whole network is missing with them."""
    absent = [model for model in dict.fromkeys(not_run.values()) if all(row.model != model for row in rows)]
    named = ", ".join(list(not_run)[:MOST_NAMED]) + (" …" if len(not_run) > MOST_NAMED else "")
    nothing = f" Nothing here is about {' and '.join(absent)}." if absent else ""
    return f"Not run: {counted(len(not_run), 'engine')} of the bundle ({named}).{nothing}"


def doubtful(report: ReportRows) -> tuple[str, ...]:
    """Sentences about files of the user's that may not be what they were described as."""
    sentences = []
    for engine in report.uncorrupted.engines:
        clean = report.clean_by_engine.get((engine.model, engine.label))
        said = engine.own_file.doubt if engine.own_file else ""
        if engine.own and clean is not None and clean.equal is not None and clean.equal < LEAST_EQUAL:
            said = said or f"on clean images only {percent(clean.equal)} % of its labels are those of the desktop"
        if said:
            what = "Either it is much less accurate, or its card is wrong and its rows mean nothing."
            sentences.append(f"{engine.label} is in doubt: {said}. {what}")
    return tuple(sentences)


def never_judged(report: ReportRows, attacked: Sequence[DeployedFile]) -> list[str]:
    """Per network a sentence about files that attacks were made on, and that did not run here.

    Args:
        report: its rows.
        attacked: files that attacks of the set were made on.
    """
    ran = {engine.file_sha256 for engine in report.engines}
    absent: dict[str, list[str]] = {}
    for file in attacked:
        if "" not in ran and file.sha256 not in ran:
            absent.setdefault(file.model, []).append(file.engine)
    return [
        f"Attacks were made on files of {model} that did not run here ({', '.join(engines)}): what they reach on other "
        "files says little of these. Deploy the set again with them."
        for model, engines in absent.items()
    ]


def limits(
    report: ReportRows,
    missing: int,
    saturating: Sequence[str],
    replaced: Sequence[str],
    not_run: Mapping[str, str],
    attacked: Sequence[DeployedFile] = (),
) -> tuple[str, ...]:
    """What a reader has to know before believing the numbers.

    Args:
        report: its rows.
        missing: samples that engines which did not run every input lack.
        saturating: labels of engines that add products of int8 in 16 bits.
        replaced: labels of engines whose file could not be built there, so that the int8 file was run.
        not_run: engines of the bundles that no replay has begun, and their models.
        attacked: files that attacks of the set were made on.
    """
    notes = never_judged(report, attacked)
    rows, unfinished = report.survival, [engine.label for engine in report.engines if not engine.complete]
    if not_run:
        notes.append(left_out_engines(rows, not_run))
    if unfinished:
        notes.append(
            f"Partial: the replay of {', '.join(unfinished)} is not finished; {missing} "
            f"{'result is' if missing == 1 else 'results are'} missing from its rows."
        )
    fewest, most = min(row.images for row in rows), max(row.images for row in rows)
    some = f"{'All' if fewest == most else 'Some'} rows rest on only {counted_images(fewest)}"
    if fewest < FEWEST_FOR_INTERVAL:
        notes.append(f"{some}: too few to tell how sure their numbers are.")
    elif fewest < FEW_IMAGES:
        notes.append(f"{some}: their intervals are rough and tend to be too narrow.")
    skipped = max(row.skipped for row in rows)
    if skipped:
        notes.append(f"Without a source pixel, and so not attacked: up to {counted_images(skipped)} per row.")
    empty = max((row.survival.left_out for row in report.on_network.survival), default=0)
    if empty:
        notes.append(
            f"Without a pixel reached on the desktop, and so without a survival: up to {counted_images(empty)} per row."
        )
    notes += doubtful(report)
    if any(map(simulated, report.engines)):
        notes.append(SIMULATED)
    if saturating:
        notes.append(
            f"The processor adds products of int8 in 16 bits and cuts large sums: {', '.join(saturating)}. On other "
            "processors int8 may give other labels and another survival."
        )
    if replaced:
        notes.append(
            f"Computed as int8, since TensorRT could not build that device's int8-fp16: {', '.join(replaced)}."
        )
    return tuple(notes)
