"""``segeval reproduce`` on a tiny world: the whole of it, again from its own record, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval_runner.digests import sealed

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def tiny(world: Any) -> tuple[str, ...]:
    """Options of a reproduction that is over soon."""
    data = ("--dataset", "folder", "--data-root", str(world.data), "--split", "test")
    models = ("--model", world.model, "--model", "fast-scnn-synthetic")
    return (
        *data,
        *models,
        "--task",
        world.task,
        "--limit",
        "2",
        "--budget-limit",
        "1",
        "--steps",
        "2",
        "--workers",
        "1",
    )


@pytest.fixture(scope="module")
def made(tiny: tuple[str, ...], spawn: Call, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    root = tmp_path_factory.mktemp("reproduction") / "first"
    ended = spawn("reproduce", "kang2020", "--out", root, *tiny)
    assert ended.code == 0, ended.err
    return root, ended


def files(root: Path) -> dict[str, bytes]:
    """Everything but the manifests, which name the git revision, and what tells the time."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name not in ("set.json", "experiment.json") and "report" not in path.parts
    }


def test_one_command_makes_tables_figures_and_the_report(made: tuple[Path, Any]) -> None:
    root, ended = made
    assert "gradients of espnet-synthetic" in ended.out and "table1" in ended.out
    assert "time per gradient" in ended.err and "report: " in ended.err
    assert ended.err.splitlines()[-1].startswith("next: segeval deploy ")
    record = json.loads((root / "experiment.json").read_text(encoding="utf-8"))
    assert record["complete"] is True
    assert {"table1", "fgsm-within", "radius-1", "penalty-1000", "maps", "report"} <= set(record["seconds"])
    report = {path.name for path in (root / "report").iterdir()}
    assert {"report.html", "kang2020.json", "table1.csv", "transfer.csv", "claims.csv", "figures"} <= report
    figures = {path.name[:4] for path in (root / "report/figures").iterdir()}
    assert {f"fig{number}" for number in range(1, 9)} <= figures


@pytest.mark.long
def test_it_can_be_made_again_from_its_record_alone(made: tuple[Path, Any], spawn: Call, tmp_path: Path) -> None:
    root, _ = made
    ended = spawn("reproduce", "--from", root, "--out", tmp_path / "again", "--workers", "1", "--quiet")
    assert ended.code == 0, ended.err
    assert files(tmp_path / "again") == files(root)


@pytest.mark.long
def test_a_finished_reproduction_is_found_done(made: tuple[Path, Any], tiny: tuple[str, ...], call: Call) -> None:
    root, _ = made
    before = (root / "sets/table1/samples.jsonl").stat().st_mtime_ns
    assert call("reproduce", "--out", root, *tiny, "--quiet").code == 0
    assert (root / "sets/table1/samples.jsonl").stat().st_mtime_ns == before


def test_a_dry_run_says_what_it_costs_and_writes_nothing(tiny: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    ended = call("reproduce", "--out", tmp_path / "out", *tiny, "--dry-run")
    assert ended.code == 0, ended.err
    rows = {line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if line.split()[:1]}
    # two images, each alone and jointly, two scopes, two steps: fgsm, tanh, and fgsm matched to tanh
    assert rows["table1"] == ["2", "36", "48", "48"]
    assert rows["fgsm-within"] == ["1", "24", "4", "4"]
    assert "total about" in ended.err
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_reproduced(made: tuple[Path, Any], tiny: tuple[str, ...], call: Call, tmp_path: Path) -> None:
    root, _ = made

    def refusal(*arguments: object) -> str:
        ended = call("reproduce", *arguments)
        assert ended.code == 2
        assert "Traceback" not in ended.err
        return " ".join(ended.err.split())

    assert "give --dataset, or --from" in refusal("--out", tmp_path / "a")
    assert "give --out" in refusal(*tiny)
    assert "is not a reproduction" in refusal("--from", tmp_path, "--out", tmp_path / "a")
    assert "holds a reproduction with other options" in refusal("--out", root, *tiny, "--seed", 1)
    (tmp_path / "thesis.txt").write_text("mine")
    assert "holds files that segeval did not make" in refusal("--out", tmp_path, *tiny)
    assert "no model given for folder" in refusal("--dataset", "folder", "--out", tmp_path / "a")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "experiment.json").write_text('{"schema": "segeval.experiment/9"}')
    assert "experiment.json" in refusal("--from", damaged, "--out", tmp_path / "a")
    record = json.loads((root / "experiment.json").read_bytes())
    for name, value in (("models", ["theirs:network=w.pth"]), ("dataset", "theirs:open")):
        foreign = {**record, "config": {**record["config"], name: value}}
        (damaged / "experiment.json").write_text(json.dumps(sealed(foreign)))
        said = refusal("--from", damaged, "--out", tmp_path / "a")
        assert "which is unregistered code that segeval would have to run" in said and "--allow theirs:" in said
    assert not (tmp_path / "a").exists()
