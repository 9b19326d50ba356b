"""Model cards: written from what an ONNX file says, and tried."""

from .check import check_card
from .draft import draft_card

__all__ = ["check_card", "draft_card"]
