"""Gates: comparisons of a report's numbers that a build must hold, such as ``int8.success < 0.5``.

A gate is ``EXPRESSION`` or ``ATTACK: EXPRESSION``. In an expression stand numbers, names ``PRECISION.METRIC``, + - * /,
comparisons, ``and``, ``or``, ``not`` and parentheses. PRECISION is fp32, fp16, int8 or int8_fp16, or what the user
called a file of their own, with _ in place of -; the metrics are in METRICS. It must hold for every attack on every
network that it was made for, and for every engine of the precision; on a file of the user's, where a network has it;
with survival in it, for every attack that was made on the float network.

Read with Python's own parser and walked node by node: nothing is evaluated that is not listed here.
"""

import ast
import operator
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

from segeval.errors import ConfigurationError
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
from .fitting import GAP, fitting
from .under_attack_numbers import NO_TRUTH, UNDER_ATTACK, WORST, UnderAttackNumbers

LONGEST = 1000
ATTACK_FIRST = re.compile(r"\s*([A-Za-z0-9_.+-]+)\s*:(.*)", re.DOTALL)
METRICS: Mapping[str, str] = {
    "survival": "share of the pixels won on the desktop that the engine shows as won; of attacks made on the network",
    "success": "share of the attacked pixels that the engine shows as the adversarial class",
    "control": "the same share of the clean image",
    "evaded": "share of the attacked pixels that the engine shows as won under the attack alone, while the desktop "
    "shows what it shows without it",
    GAP: "success minus that of the same attack made on the float network; of attacks made on deployed files",
    "accuracy": "segmentation accuracy on the attacked image",
    "levels": "mean change of the image in levels",
    "miou": "mIoU on the clean images",
    "miou_drop": "mIoU of the desktop minus that of the engine, in 0..1",
    **UNDER_ATTACK,
    **WORST,
}
"""What can stand behind the dot; means over images."""

BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
COMPARISONS: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
STRANGE = re.compile(r"[^A-Za-z0-9_.+*/<>=!() \t\n-]")
"""What is in no gate: quotes and backslashes among it, in which Python sees more than we do."""
LACKING: Mapping[str, str] = {
    "evaded": "an earlier segeval made this report, and did not count it: evaluate again",
    GAP: "replay the same attack made on the float network on this engine too, then evaluate again",
    **dict.fromkeys((*UNDER_ATTACK, *WORST), NO_TRUTH),
}
"""What to do where a metric has no value, by metric."""
NO_VALUE = "without ground truth there is no mIoU; without a won pixel, no survival"
FORM = "write it as in --gate 'int8.success < 0.5'"

Names = Mapping[tuple[str, str], float]
"""Numbers by precision and metric."""


@dataclass(frozen=True)
class Gate:
    """One gate.

    Attributes:
        attack: the only one it is about, empty for all.
        names: (precision, metric) pairs in it.
    """

    text: str
    attack: str
    expression: ast.expr
    names: tuple[tuple[str, str], ...]


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


def parse_gate(text: str) -> Gate:
    """Read a gate. Raises ConfigurationError that says what in it is not understood."""
    found = ATTACK_FIRST.fullmatch(text)
    attack, source = found.groups() if found else ("", text)
    expression = parsed(source.strip(), text)
    names: dict[tuple[str, str], None] = {}
    require_condition(expression, text)
    for node in ast.walk(expression):
        if isinstance(node, ast.Attribute):
            names[named(node, text)] = None
    if not names:
        raise ConfigurationError(f"--gate {text!r} names no number of the report", FORM)
    return Gate(text, attack, expression, tuple(names))


def parsed(source: str, text: str) -> ast.expr:
    """The expression of a gate. Raises ConfigurationError if it is none, or one that Python itself warns about."""
    strange = STRANGE.search(source)
    if strange:
        what = f"--gate {text[:LONGEST]!r}: {strange[0]!r} has no place in a gate"
        raise ConfigurationError(what, FORM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # as of 1and, which a later Python refuses
            return ast.parse(source if len(text) <= LONGEST else "", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, Warning) as error:
        raise ConfigurationError(f"--gate {text[:LONGEST]!r} is no expression", FORM) from error


def require_condition(node: ast.expr, text: str) -> None:
    """Raise ConfigurationError unless an expression is true or false, and made of what is allowed."""
    match node:
        case ast.BoolOp(values=parts):
            for part in parts:
                require_condition(part, text)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            require_condition(part, text)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
            for part in (left, *others):
                require_number(part, text)
        case ast.Compare():
            what = f"--gate {text!r}: {ast.unparse(node)!r} is no comparison of a gate"
            raise ConfigurationError(what, "compare numbers with <, <=, >, >=, == or !=")
        case _:
            raise ConfigurationError(f"--gate {text!r}: {ast.unparse(node)!r} is neither true nor false", FORM)


def require_number(node: ast.expr, text: str) -> None:
    """Raise ConfigurationError unless an expression is a number, and made of what is allowed."""
    match node:
        case ast.Constant(value=value) if isinstance(value, int | float) and not isinstance(value, bool):
            if not isfinite(value):
                raise ConfigurationError(f"--gate {text!r}: a number in it is too large", FORM)
        case ast.Attribute():
            named(node, text)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            require_number(part, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            require_number(left, text)
            require_number(right, text)
        case _:
            raise ConfigurationError(f"--gate {text!r}: {ast.unparse(node)!r} is no number", FORM)


def named(node: ast.Attribute, text: str) -> tuple[str, str]:
    """The precision and metric of ``PRECISION.METRIC``. Raises ConfigurationError for a metric that does not exist."""
    if not isinstance(node.value, ast.Name) or node.attr not in METRICS:
        raise ConfigurationError(
            f"--gate {text!r}: {ast.unparse(node)!r} is no number of the report",
            f"behind the dot: {', '.join(METRICS)}",
        )
    return spelled(node.value.id), node.attr


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
        findings = list(findings_of(rows, gate, attacks_of(gate, report.set.attacks), pairs, under_attack))
        if not findings:
            what = f"--gate {gate.text!r}: nothing that it is about was made for a network that was run"
            raise ConfigurationError(what, f"attacks: {', '.join(dict.fromkeys(row.attack for row in rows.own))}")
        found += findings
    return found


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
    rows: ReportRows,
    gate: Gate,
    attacks: Collection[str],
    pairs: Mapping[str, str],
    under_attack: UnderAttackNumbers,
) -> Iterator[Finding]:
    """A gate on every attack of every network, and every choice of engines that its precisions have.

    Args:
        rows: of engines as they ship.
        gate: the condition.
        attacks: labels of those that it is about.
        pairs: attacks made on deployed files, with the same ones made on the float network.
        under_attack: accuracy and mIoU under attack.
    """
    about = [row for row in rows.own if row.attack in attacks]
    for key, found in rows_by_attack(about).items():
        own = list(found.values())
        precisions = list(dict.fromkeys(precision for precision, _ in gate.names))
        of_others = {spelled(engine.own) for engine in rows.engines if engine.own and engine.model != key.model}
        if of_others.intersection(precisions).difference(spelled(row.kind) for row in own):
            continue
        for chosen in product(*(engines_of(own, precision, gate) for precision in precisions)):
            engines = dict(zip(precisions, chosen, strict=True))
            numbers = {
                (precision, metric): number(engines[precision], metric, rows, gate, pairs, under_attack)
                for precision, metric in gate.names
            }
            yield Finding(
                gate.text,
                under_attack.subject(key, [metric for _, metric in gate.names]),
                tuple(row.engine for row in chosen),
                tuple((f"{in_gates(precision)}.{metric}", value) for (precision, metric), value in numbers.items()),
                bool(value_of(gate.expression, numbers, gate.text)),
            )


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
        what = f"--gate {gate.text!r}: {row.engine} has {engine.images} clean images, the desktop {desktop.images}"
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


def value_of(node: Any, numbers: Names, text: str) -> float | bool:
    """The value of an expression that was found to be allowed. Raises ConfigurationError for a division by 0."""
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(value_of(part, numbers, text) for part in parts)
        case ast.BoolOp(values=parts):
            return any(value_of(part, numbers, text) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            return not value_of(part, numbers, text)
        case ast.UnaryOp(operand=part):
            return -value_of(part, numbers, text)
        case ast.Compare(left=left, ops=ops, comparators=others):
            values = [value_of(part, numbers, text) for part in (left, *others)]
            pairs = zip(ops, values, values[1:], strict=False)
            return all(COMPARISONS[type(op)](one, other) for op, one, other in pairs)
        case ast.BinOp(left=left, op=op, right=right):
            try:
                return BINARY[type(op)](value_of(left, numbers, text), value_of(right, numbers, text))
            except ZeroDivisionError as error:
                raise ConfigurationError(f"--gate {text!r} divides by 0", "compare a product instead") from error
        case ast.Attribute(value=ast.Name(id=precision), attr=metric):
            return numbers[spelled(precision), metric]
        case _:
            return float(node.value)
