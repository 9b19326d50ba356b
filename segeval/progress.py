"""The callback by which long work reports its progress."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total); stages come one after another."""


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing of it."""
