"""What a gate says: a comparison of a report's numbers that a build must hold, such as ``int8.success < 0.5``.

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
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from sys import float_info
from typing import Any

from segeval.errors import ConfigurationError
from segeval.precision import spelled

from .fitting import GAP
from .under_attack_numbers import UNDER_ATTACK, WORST

LONGEST = 1000
ATTACK_FIRST = re.compile(r"\s*([A-Za-z0-9_.+-]+)\s*:(.*)", re.DOTALL)
METRICS: Mapping[str, str] = {
    "survival": "of the pixels hit on the desktop, the share also hit on the engine; of attacks made on the network",
    "success": "share of the attacked pixels that is hit on the engine",
    "control": "the same on the clean image",
    "evaded": "share of the attacked pixels hit on the engine by the attack, while the desktop predicts the same as on "
    "the clean image",
    GAP: "success minus that of the same attack made on the float network; of attacks made on deployed files",
    "accuracy": "source accuracy on the attacked image",
    "levels": "mean change of the image in levels",
    "miou": "mIoU on the clean images",
    "miou_drop": "mIoU of the desktop minus that of the engine, in 0..1",
    **UNDER_ATTACK,
    **WORST,
}
"""The names allowed after the dot; means over images."""
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
"""Characters that no gate has, such as quotes and backslashes, which mean more to Python than to a gate."""
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


def parse_gate(text: str, metrics: Collection[str] = METRICS) -> Gate:
    """Read a gate. Raises ConfigurationError that says what in it is not understood.

    Args:
        text: the gate.
        metrics: that may stand behind a precision.
    """
    found = ATTACK_FIRST.fullmatch(text)
    attack, source = found.groups() if found else ("", text)
    expression = parsed(source.strip(), text)
    require_condition(expression, text)
    names = tuple(dict.fromkeys(named(node, text, metrics) for node in attributes(expression)))
    if not names:
        raise ConfigurationError(f"--gate {text!r} names no number of the report", FORM)
    return Gate(text, attack, expression, names)


def attributes(node: ast.AST) -> Iterator[ast.Attribute]:
    """The names with dots in an expression, each as a whole."""
    if isinstance(node, ast.Attribute):
        yield node
    else:
        for part in ast.iter_child_nodes(node):
            yield from attributes(part)


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
            if value > float_info.max:
                raise too_large(text)
        case ast.Attribute():
            pass  # `named` knows which there are
        case ast.UnaryOp(op=ast.USub(), operand=part):
            require_number(part, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            require_number(left, text)
            require_number(right, text)
        case _:
            raise ConfigurationError(f"--gate {text!r}: {ast.unparse(node)!r} is no number", FORM)


def named(node: ast.Attribute, text: str, metrics: Collection[str]) -> tuple[str, str]:
    """The precision and metric of ``PRECISION.METRIC``. Raises ConfigurationError for a metric that does not exist."""
    precision, metric = parted(node)
    if not precision.isidentifier() or metric not in metrics:
        raise ConfigurationError(
            f"--gate {text!r}: {ast.unparse(node)!r} is no number of the report",
            f"behind the dot: {', '.join(metrics)}",
        )
    return spelled(precision), metric


def parted(node: ast.Attribute) -> tuple[str, str]:
    """What is before the first dot of a name, and what is behind it."""
    precision, _, metric = ast.unparse(node).partition(".")
    return precision, metric


def too_large(text: str) -> ConfigurationError:
    """The error for a gate with a number beyond those of a computer, which would compare as infinite or as nothing."""
    return ConfigurationError(f"--gate {text!r}: a number in it is too large", FORM)


def computed(op: ast.operator, left: float, right: float, text: str) -> float:
    """A sum, difference, product or quotient. Raises ConfigurationError where there is none."""
    try:
        value = BINARY[type(op)](left, right)
    except ZeroDivisionError as error:
        raise ConfigurationError(f"--gate {text!r} divides by 0", "compare a product instead") from error
    if not isfinite(value):
        raise too_large(text)
    return value


def value_of(node: Any, numbers: Names, text: str) -> float | bool:
    """The value of an expression that was found to be allowed. Raises ConfigurationError where it has none."""
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
            return computed(op, value_of(left, numbers, text), value_of(right, numbers, text), text)
        case ast.Attribute():
            precision, metric = parted(node)
            return numbers[spelled(precision), metric]
        case _:
            return float(node.value)
