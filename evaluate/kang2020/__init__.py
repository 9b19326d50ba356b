"""Kang et al. 2020 done again: its tables and figures from a reproduction on disk, beside the paper's own numbers."""

from segeval.evaluate.kang2020.records import KEPT
from segeval.evaluate.kang2020.terminal import summary_table
from segeval.evaluate.kang2020.write import write_report

__all__ = ["KEPT", "summary_table", "write_report"]
