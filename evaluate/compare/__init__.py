"""Two reports compared image by image: two devices, two JetPacks, two commits."""

from .compare import compare_runs, write
from .compare_csv import change_line
from .compare_records import RunComparison
from .compare_terminal import comparison_view

__all__ = ["RunComparison", "change_line", "compare_runs", "comparison_view", "write"]
