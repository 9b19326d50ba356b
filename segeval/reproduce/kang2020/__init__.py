"""Kang et al. 2020 reproduced: its tables and figures from a reproduction on disk, beside the paper's numbers."""

from segeval.reproduce.kang2020.kang2020_records import KEPT
from segeval.reproduce.kang2020.kang2020_terminal import summary_table
from segeval.reproduce.kang2020.write import write_report

__all__ = ["KEPT", "summary_table", "write_report"]
