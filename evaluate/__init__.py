"""How much of each attack survived deployment: counting, statistics and the report. Imports neither torch nor onnx."""

from segeval.evaluate.benchmark.records import read_benchmark_report
from segeval.evaluate.benchmark.terminal import benchmark_table
from segeval.evaluate.evaluate import evaluate
from segeval.evaluate.gate_reports import junit as gates_as_junit
from segeval.evaluate.gate_reports import summary as gates_as_markdown
from segeval.evaluate.gates import Finding, parse_gate
from segeval.evaluate.gates import check as check_gates
from segeval.evaluate.gates import require_known as require_known_gates
from segeval.evaluate.reading import read_report
from segeval.evaluate.report_records import SurvivalReport
from segeval.evaluate.sweep_terminal import sweeps_in_terminal
from segeval.evaluate.terminal import channels_in_terminal, clean_in_terminal, differences_in_terminal, survival_table

__all__ = [
    "Finding",
    "SurvivalReport",
    "benchmark_table",
    "channels_in_terminal",
    "check_gates",
    "clean_in_terminal",
    "differences_in_terminal",
    "evaluate",
    "gates_as_junit",
    "gates_as_markdown",
    "parse_gate",
    "read_benchmark_report",
    "read_report",
    "require_known_gates",
    "survival_table",
    "sweeps_in_terminal",
]
