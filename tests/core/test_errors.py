"""How messages write numbers of things."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from segeval.errors import counted

ROOT = Path(__file__).parents[2]
FOLDERS = ("segeval", "generate", "deploy", "evaluate", "jetson")
EITHER = re.compile(r"\w\(e?s\)")
"""A writer's way around the plural, as in ``image(s)``."""


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "image", "0 images"),
        (1, "image", "1 image"),
        (3, "image", "3 images"),
        (1, "process", "1 process"),
        (2, "process", "2 processes"),
    ],
)
def test_a_number_of_things_has_its_plural(number: int, noun: str, said: str) -> None:
    assert counted(number, noun) == said


def strings(file: Path) -> Iterator[str]:
    """The texts of a source file outside the code in them, without docstrings."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
            yield node.value


def test_no_message_leaves_the_plural_to_the_reader() -> None:
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(files) > 100
    assert {str(file): text for file in files for text in strings(file) if EITHER.search(text)} == {}
    assert EITHER.search("3 image(s) of") and EITHER.search("process(es)")
