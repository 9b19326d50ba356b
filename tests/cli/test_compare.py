"""``segeval compare`` given what it cannot use: exit code 2, what was wrong and what to do, nothing on stdout."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "is not a report: no readable report.json"),
        ("{}", "report.json: Object missing required field"),
        ('{"schema": "segeval.report/99"}', "report.json"),
        ("not json", "report.json"),
    ],
)
def test_a_folder_that_is_no_report(call: Call, tmp_path: Path, content: str | None, complaint: str) -> None:
    if content is not None:
        (tmp_path / "report.json").write_text(content)
    ended = call("compare", tmp_path, tmp_path, "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (2, "")
    assert complaint in ended.err and "what to do: " in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


def test_one_run_is_not_enough(call: Call, tmp_path: Path) -> None:
    ended = call("compare", tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert "Missing argument 'RUN_B'" in ended.err
