"""How much of each attack survived deployment: counting, statistics and the report. Imports neither torch nor onnx."""

from .device.device_records import read_benchmark_report
from .device.device_terminal import benchmark_table
from .evaluate import evaluate
from .gates.change_gates import check_changes, parse_change_gate
from .gates.expressions import parse_gate
from .gates.gate_reports import junit as gates_as_junit
from .gates.gate_reports import summary as gates_as_markdown
from .gates.gates import Finding
from .gates.gates import check as check_gates
from .gates.gates import require_held as require_gates_held
from .gates.gates import require_known as require_known_gates
from .measure.report_records import SurvivalReport
from .report.adaptive_terminal import adaptive_in_terminal
from .report.report_reading import read_report
from .report.report_terminal import (
    clean_in_terminal,
    conclusion,
    corruptions_in_terminal,
    differences_in_terminal,
    survival_in_terminal,
)
from .report.sweep_terminal import sweeps_in_terminal
from .report.under_attack_terminal import under_attack_in_terminal

__all__ = [
    "Finding",
    "SurvivalReport",
    "adaptive_in_terminal",
    "benchmark_table",
    "check_changes",
    "check_gates",
    "clean_in_terminal",
    "conclusion",
    "corruptions_in_terminal",
    "differences_in_terminal",
    "evaluate",
    "gates_as_junit",
    "gates_as_markdown",
    "parse_change_gate",
    "parse_gate",
    "read_benchmark_report",
    "read_report",
    "require_gates_held",
    "require_known_gates",
    "survival_in_terminal",
    "sweeps_in_terminal",
    "under_attack_in_terminal",
]
