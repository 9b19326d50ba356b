"""Gates on the numbers of a report: what each is about, and whether it holds there."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

from segeval.errors import ConfigurationError, GateMissedError, counted
from segeval.files.sets import AttackSpec
from segeval.precision import in_gates, spelled

from ..measure.attack_lines import rows_by_attack
from ..measure.clean import miou_difference, same_truth
from ..measure.comparisons import float_attacks
from ..measure.inputs import Sources
from ..measure.report_records import DESKTOP, SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import RowKey
from ..report.wording import attack_name
from .expressions import Gate, value_of
from .fitting import GAP, fitting
from .under_attack_numbers import NO_TRUTH, UNDER_ATTACK, WORST, UnderAttackNumbers

LACKING: Mapping[str, str] = {
    "evaded": "an earlier segeval made this report, and did not count it: evaluate again",
    GAP: "replay the same attack made on the float network on this engine too, then evaluate again",
    **dict.fromkeys((*UNDER_ATTACK, *WORST), NO_TRUTH),
}
"""What to do where a metric has no value, by metric."""
NO_VALUE = "without ground truth there is no mIoU; without a pixel hit on the desktop, no survival"


@dataclass(frozen=True)
class Finding:
    """A gate on one attack of one network, and the numbers in it.

    Attributes:
        key: on all engines.
        engines: by precision.
    """

    gate: str
    key: RowKey
    engines: tuple[str, ...]
    numbers: tuple[tuple[str, float], ...]
    held: bool

    @property
    def described(self) -> str:
        """The attack, and whether it was made for the network alone: ``tanh-full, joint``."""
        return attack_name(self.key)

    @property
    def told(self) -> str:
        """In words: ``tanh-full on espnet-camvid: int8.success = 0.63``."""
        numbers = ", ".join(f"{name} = {value:.4g}" for name, value in self.numbers)
        return f"{self.described} on {self.key.model}: {numbers}"


def require_known(gates: Sequence[Gate], set_root: Path, replays: Sequence[Path]) -> None:
    """Raise ConfigurationError for an attack that the set does not have or a precision that no replay ran.

    For before the evaluation, which may take minutes; `check` finds what only its numbers tell.
    """
    if not gates:
        return
    sources = Sources(set_root, replays)
    run = [spelled(engine.kind) for engine in sources.engines]
    for gate in gates:
        attacks_of(gate, sources.manifest.attacks)
        for precision, _ in gate.names:
            if precision not in run:
                raise not_run(gate, precision, run)


def attacks_of(gate: Gate, attacks: Sequence[AttackSpec]) -> frozenset[str]:
    """Labels of the attacks that a gate is about. Raises ConfigurationError if there is none."""
    return fitting(gate.text, gate.attack, (metric for _, metric in gate.names), attacks)


def not_run(gate: Gate, precision: str, run: Iterable[str]) -> ConfigurationError:
    """The error for a gate about a precision that is not among those that were run."""
    known = ", ".join(dict.fromkeys(map(in_gates, run)))
    return ConfigurationError(f"--gate {gate.text!r}: nothing ran at {precision}", f"precisions here: {known}")


def check(report: SurvivalReport, gates: Sequence[Gate]) -> list[Finding]:
    """Every gate on everything that it is about.

    Raises ConfigurationError for a gate that is about nothing here, or about numbers that the report does not have.
    """
    found = []
    rows = ReportRows.of(report).as_shipped
    pairs, under_attack = float_attacks(report.set.attacks), UnderAttackNumbers(report)
    for gate in gates:
        require_whole(rows, [model.name for model in report.set.models], gate)
        metrics = [metric for _, metric in gate.names]
        value = partial(number, rows=rows, gate=gate, pairs=pairs, under_attack=under_attack)
        findings = findings_of(rows, gate, attacks_of(gate, report.set.attacks), value)
        found += [replace(finding, key=under_attack.subject(finding.key, metrics)) for finding in findings]
    return found


def require_held(findings: Sequence[Finding]) -> str:
    """Raise GateMissedError naming each gate that was missed; else say how many held."""
    missed = [finding for finding in findings if not finding.held]
    gates, checks = counted(len({finding.gate for finding in findings}), "gate"), counted(len(findings), "check")
    if missed:
        lines = "".join(f"\n  {finding.gate}: {finding.told}" for finding in missed)
        raise GateMissedError(f"{gates}, {checks}, {len(missed)} failed{lines}", "")
    return f"{gates}, {checks}, all passed"


def require_whole(rows: ReportRows, models: Sequence[str], gate: Gate) -> None:
    """Raise ConfigurationError if a network of the set was not run at one of the gate's precisions, or an engine of
    them has not run every image.

    Of an attack whose images are all missing there is no row, so engines are looked at, and not rows alone.

    Args:
        rows: of engines as they ship.
        models: of the set.
        gate: the condition.
    """
    precisions = {precision for precision, _ in gate.names}
    run = {(engine.model, spelled(engine.kind)) for engine in rows.engines}
    known = {spelled(engine.kind) for engine in rows.engines if not engine.own}
    for model, precision in product(models, sorted(precisions & known)):
        if (model, precision) not in run:
            what = f"--gate {gate.text!r} is about every network of the set, and {model} was not run at {precision}"
            raise ConfigurationError(what, "replay the whole bundle, then evaluate again")
    own = rows.own
    for engine in rows.engines:
        missing = sum(row.missing for row in own if row.engine == engine.label)
        if spelled(engine.kind) in precisions and (missing or not engine.complete):
            lacking = f"{missing} results are missing from its rows" if missing else "its replay is not finished"
            what = f"--gate {gate.text!r}: {engine.label} has not run every image; {lacking}"
            raise ConfigurationError(what, "finish segeval replay, then evaluate again")


def findings_of(
    rows: ReportRows, gate: Gate, attacks: Collection[str], number: Callable[[SurvivalRow, str], float]
) -> list[Finding]:
    """A gate on every attack of every network, and every choice of engines that its precisions have.

    Args:
        rows: of engines as they ship.
        gate: the condition.
        attacks: labels of those that it is about.
        number: a metric of an engine.

    Raises:
        ConfigurationError: if there is none.
    """
    found = []
    about = [row for row in rows.own if row.attack in attacks]
    for key, by_engine in rows_by_attack(about).items():
        own = list(by_engine.values())
        precisions = list(dict.fromkeys(precision for precision, _ in gate.names))
        of_others = {spelled(engine.own) for engine in rows.engines if engine.own and engine.model != key.model}
        if of_others.intersection(precisions).difference(spelled(row.kind) for row in own):
            continue
        for chosen in product(*(engines_of(own, precision, gate) for precision in precisions)):
            engines = dict(zip(precisions, chosen, strict=True))
            numbers = {(precision, metric): number(engines[precision], metric) for precision, metric in gate.names}
            told = tuple((f"{in_gates(precision)}.{metric}", value) for (precision, metric), value in numbers.items())
            held = bool(value_of(gate.expression, numbers, gate.text))
            found.append(Finding(gate.text, key, tuple(row.engine for row in chosen), told, held))
    if not found:
        what = f"--gate {gate.text!r}: nothing that it is about was made for a network that was run"
        raise ConfigurationError(what, f"attacks: {', '.join(dict.fromkeys(row.attack for row in rows.own))}")
    return found


def engines_of(rows: Sequence[SurvivalRow], precision: str, gate: Gate) -> list[SurvivalRow]:
    """The rows of a precision. Raises ConfigurationError if there is none."""
    found = [row for row in rows if spelled(row.kind) == precision]
    if not found:
        raise not_run(gate, precision, (row.kind for row in rows))
    return found


def gap(row: SurvivalRow, rows: ReportRows, pairs: Mapping[str, str]) -> float | None:
    """Success of an attack minus that of the same one made on the float network, on the same engine."""
    plain = rows.row(replace(row.key, attack=pairs.get(row.attack, "")))
    here, there = row.engine_success.mean, plain.engine_success.mean if plain else None
    return None if here is None or there is None else here - there


def number(
    row: SurvivalRow,
    metric: str,
    rows: ReportRows,
    gate: Gate,
    pairs: Mapping[str, str],
    under_attack: UnderAttackNumbers,
) -> float:
    """A metric of an engine. Raises ConfigurationError where it does not exist."""
    engine, desktop = (rows.clean_by_engine[row.model, label] for label in (row.engine, DESKTOP))
    if metric == "miou_drop" and not same_truth(engine, desktop):
        images = counted(engine.images, "clean image")
        what = f"--gate {gate.text!r}: {row.engine} has {images}, the desktop {desktop.images}"
        raise ConfigurationError(what, "a drop of mIoU is told on the same images; replay and evaluate again")
    values: dict[str, float | None] = {
        "survival": row.survival.mean,
        "success": row.engine_success.mean,
        "control": row.control.mean,
        "evaded": row.evaded.mean if row.evaded else None,
        GAP: gap(row, rows, pairs),
        "accuracy": row.engine_accuracy.mean,
        "levels": row.perturbation.mean,
        "miou": engine.miou,
        "miou_drop": miou_difference(desktop, engine),
        **under_attack.of(row.key),
    }
    value = values[metric]
    if value is None:
        what = f"--gate {gate.text!r}: {row.engine} has no {metric} under {attack_name(row.key)}"
        raise ConfigurationError(what, LACKING.get(metric, NO_VALUE))
    return value
