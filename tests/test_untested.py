"""The last lines of pytest say what was not tested for want of a tool."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.untested import TOOLS, Tool

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_a_run_without_tools_ends_with_the_commands_that_would_test_the_rest(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SEGEVAL_DATA"} | {
        "PATH": str(tmp_path)
    }
    tests = ["tests/models/test_golden.py", "tests/evaluate/report/test_gallery.py"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    _, _, last = ended.stdout.rpartition("not tested here")
    lines = last.splitlines()[1:]
    assert len(lines) == 3, "two tools, and the counts of pytest itself"
    assert "real images and published weights (1 skipped): SEGEVAL_DATA=FOLDER" in last
    assert "the report in a browser (" in last and "apt-get install chromium chromium-driver" in last


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.reason)
def test_there_is_a_skip_with_this_reason(tool: Tool) -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py") if path.name != "untested.py"]
    assert any(f'skip("{tool.reason}' in text or f'skip(f"{tool.reason}' in text for text in texts)
