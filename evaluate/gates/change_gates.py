"""Gates on what changed between two reports, such as ``int8.success.change < 0.05``."""

from collections.abc import Mapping, Sequence
from functools import partial

from segeval.errors import ConfigurationError, counted, some

from ..compare.compare_records import RunComparison
from ..measure.report_records import SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows
from ..measure.row_key import RowKey
from ..report.wording import attack_name
from .expressions import Gate, parse_gate
from .fitting import fitting
from .gates import Finding, findings_of, require_whole

QUANTITIES: Mapping[str, str] = {"survival": "survival", "success": "engine_success", "accuracy": "engine_accuracy"}
"""What a comparison calls the metrics of gates."""
MIOU = "miou"
CHANGE = ".change"
METRICS = tuple(f"{metric}{CHANGE}" for metric in (*QUANTITIES, MIOU))
"""The names allowed behind a precision: differences, B minus A."""
LACKING: Mapping[str, str] = {
    f"survival{CHANGE}": "both need this engine and attack, and an image with a pixel won on the desktop",
    f"accuracy{CHANGE}": "both need this engine and attack, and ground truth",
    f"{MIOU}{CHANGE}": "both need this engine, and the same ground truth of the same images",
}
"""What to do where a difference has no value, by metric, unless only the engine or the attack can be missing."""
Differences = Mapping[tuple[RowKey, str], float | None]
"""By what they are about, all tasks together on the engine of A, and metric."""


def parse_change_gate(text: str) -> Gate:
    """Read a gate on changes. Raises ConfigurationError that says what in it is not understood."""
    return parse_gate(text, METRICS)


def check_changes(
    a: SurvivalReport, b: SurvivalReport, comparison: RunComparison, gates: Sequence[Gate]
) -> list[Finding]:
    """Every gate on everything of A that it is about.

    Raises ConfigurationError if nothing is, if a replay of its precisions is not finished, and for what B lacks.
    """
    if gates:
        require_all_there(a, b, comparison)
    found = []
    earlier, later = (ReportRows.of(report).as_shipped for report in (a, b))
    known = differences(comparison, earlier)
    for gate in gates:
        for rows, report in ((earlier, a), (later, b)):
            require_whole(rows, [model.name for model in report.set.models], gate)
        metrics = [metric.removesuffix(CHANGE) for _, metric in gate.names]
        attacks = fitting(gate.text, gate.attack, metrics, a.set.attacks)
        found += findings_of(earlier, gate, attacks, partial(difference, gate=gate, known=known))
    return found


def require_all_there(a: SurvivalReport, b: SurvivalReport, comparison: RunComparison) -> None:
    """Raise ConfigurationError if B is about fewer tasks or images than A: a gate would pass on what is left.

    B may lack an image in which its networks see nothing to attack.
    """
    others = {task.name for task in b.set.tasks}
    tasks = [task.name for task in a.set.tasks if task.name not in others]
    images = len(comparison.a.only.images)
    lacking = [f"the task {some(tasks, 3)}"] if tasks else []
    if images > b.set.images - b.set.attacked:
        lacking.append(counted(images, "image"))
    if lacking:
        what = f"--gate: {comparison.b.name} lacks {' and '.join(lacking)} of {comparison.a.name}"
        raise ConfigurationError(what, "craft both with the same images and tasks; without --gate, compare them anyway")


def differences(comparison: RunComparison, rows: ReportRows) -> Differences:
    """What gates can ask for, of the rows of A."""
    names = {quantity: metric for metric, quantity in QUANTITIES.items()}
    found: dict[tuple[RowKey, str], float | None] = {}
    for change in sorted(comparison.changes, key=lambda each: each.task is None):  # all tasks together come last
        found[change.key.over_tasks(), names[change.quantity] + CHANGE] = change.paired.difference
    clean = {(row.model, row.a_engine): row.miou_difference for row in comparison.clean}
    for row in rows.own:
        found[row.key.over_tasks(), MIOU + CHANGE] = clean.get((row.model, row.engine))
    return found


def difference(row: SurvivalRow, metric: str, gate: Gate, known: Differences) -> float:
    """A difference on an engine of A. Raises ConfigurationError where one of the reports lacks what it is of."""
    value = known.get((row.key.over_tasks(), metric))
    if value is None:
        lacking = f"{metric.removesuffix(CHANGE)} of {attack_name(row.key)} on {row.engine}"
        hint = LACKING.get(metric, "both need this engine and attack")
        one = "one attack alone is judged by --gate 'ATTACK: EXPRESSION'"
        raise ConfigurationError(f"--gate {gate.text!r}: the reports do not both have {lacking}", f"{hint}; {one}")
    return value
