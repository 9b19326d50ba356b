"""Two reports compared image by image: two devices, two JetPacks, two commits."""

from segeval.evaluate.compare.compare import compare_runs, write
from segeval.evaluate.compare.records import RunComparison
from segeval.evaluate.compare.terminal import comparison_view

__all__ = ["RunComparison", "compare_runs", "comparison_view", "write"]
