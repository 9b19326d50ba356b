"""Model cards: drafted from an ONNX file, and checked."""

from .check import check_card
from .draft import draft_card

__all__ = ["check_card", "draft_card"]
