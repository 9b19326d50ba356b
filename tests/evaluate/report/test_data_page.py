"""The notebook of docs/data.md runs on a real report, and its checks can fail."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from segeval.evaluate import evaluate

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture(scope="module")
def notebook() -> str:
    """The code blocks of the page, one after another."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", (DOCS / "data.md").read_text(encoding="utf-8"), re.M | re.S))


@pytest.fixture(scope="module")
def runs(build_at: Callable[..., "World"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a report of two networks."""
    root = tmp_path_factory.mktemp("data")
    world = build_at(root / "world", models=("espnet-camvid", "fast-scnn"), precisions=("fp32", "int8"))
    evaluate(world.set_root, [world.replay_root], root / "runs" / "report", label_maps=True)
    return root / "runs"


@pytest.fixture
def place(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the notebook runs: beside a copy of the report and the schemas."""
    shutil.copytree(runs, tmp_path / "runs")
    shutil.copytree(DOCS / "schema", tmp_path / "docs" / "schema")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    return tmp_path


def test_the_notebook_runs(notebook: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(notebook)
    assert "tanh-local" in capsys.readouterr().out
    with Image.open(place / "paired.png") as picture:
        assert picture.size[0] > 100


def test_the_notebook_sees_a_number_that_does_not_follow_from_the_samples(notebook: str, place: Path) -> None:
    path = place / "runs" / "report" / "report.json"
    report = json.loads(path.read_bytes())
    report["survival"][0]["survival"]["mean"] += 0.001
    path.write_text(json.dumps(report))
    with pytest.raises(AssertionError):
        run(notebook)


def run(notebook: str) -> None:
    """In a namespace of its own."""
    exec(compile(notebook, "docs/data.md", "exec"), {})
