"""How much of each attack survived deployment: counting, statistics and the report. Imports neither torch nor onnx."""

from segeval.evaluate.benchmark.records import read_benchmark_report
from segeval.evaluate.benchmark.terminal import benchmark_table
from segeval.evaluate.evaluate import evaluate
from segeval.evaluate.gate_reports import junit as gates_as_junit
from segeval.evaluate.gate_reports import summary as gates_as_markdown
from segeval.evaluate.gates import Finding, parse_gate
from segeval.evaluate.gates import check as check_gates
from segeval.evaluate.report_records import SurvivalReport
from segeval.evaluate.terminal import survival_table

__all__ = [
    "Finding",
    "SurvivalReport",
    "benchmark_table",
    "check_gates",
    "evaluate",
    "gates_as_junit",
    "gates_as_markdown",
    "parse_gate",
    "read_benchmark_report",
    "survival_table",
]
