"""How much of each attack survived deployment: counting, statistics and the report. Imports neither torch nor onnx."""

from segeval.evaluate.evaluate import evaluate
from segeval.evaluate.report_records import SurvivalReport
from segeval.evaluate.terminal import survival_table

__all__ = ["SurvivalReport", "evaluate", "survival_table"]
