"""How much of each attack survived deployment: counting, statistics and the report. Imports neither torch nor onnx."""

from segeval.evaluate.benchmark.records import read_benchmark_report
from segeval.evaluate.benchmark.terminal import benchmark_table
from segeval.evaluate.evaluate import evaluate
from segeval.evaluate.report_records import SurvivalReport
from segeval.evaluate.terminal import survival_table

__all__ = ["SurvivalReport", "benchmark_table", "evaluate", "read_benchmark_report", "survival_table"]
