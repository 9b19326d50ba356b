"""Nothing of somebody else's is written over: not by --out, not by --junit and --summary."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segeval.cli import run
from segeval.evaluate.report.renewal import hashes_below

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
GATE = ("--gate", "int8.success < 2")


@pytest.fixture(scope="module")
def world(build_at: Build, tmp_path_factory: pytest.TempPathFactory) -> "World":
    return build_at(
        tmp_path_factory.mktemp("places"), names=("a",), tasks=("vehicle-to-road",), precisions=("fp32", "int8")
    )


@pytest.fixture
def call(world: "World", capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Evaluate the world; exit code and stderr, unwrapped."""

    def evaluate(*arguments: object) -> tuple[int, str]:
        code = run(["evaluate", *map(str, (world.set_root, world.replay_root, *arguments)), "--quiet"])
        return code, " ".join(capfd.readouterr().err.split())

    return evaluate


@pytest.fixture(scope="module")
def report(world: "World") -> Path:
    out = world.set_root.parent / "report"
    assert run(["evaluate", str(world.set_root), str(world.replay_root), "--out", str(out), "--quiet"]) == 0
    return out


def test_a_set_and_a_replay_are_not_written_over(world: "World", call: Callable[..., tuple[int, str]]) -> None:
    for folder, what in (
        (world.set_root, "an adversarial set (set.json)"),
        (world.replay_root, "a replay (replay.json)"),
        (world.set_root / "0", "files that segeval did not make"),
    ):
        before = hashes_below(folder)
        code, said = call("--out", folder)
        assert code == 2 and f"{folder} holds {what}" in said and "choose a new folder with --out" in said
        assert hashes_below(folder) == before


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (("bundle.json", "runner.pyz"), "holds a bundle (bundle.json)"),
        (("bench.json",), "holds a benchmark (bench.json)"),
        (("compare.json",), "holds a comparison of two reports (compare.json)"),
        (("thesis.txt",), "holds files that segeval did not make"),
    ],
)
def test_folders_of_others_are_not_taken(
    call: Callable[..., tuple[int, str]], tmp_path: Path, names: tuple[str, ...], what: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    code, said = call("--out", tmp_path)
    assert code == 2 and f"{tmp_path} {what}" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    code, said = call("--out", tmp_path / names[0])
    assert code == 2 and "is not a folder" in said


@pytest.mark.long
def test_an_empty_folder_a_new_one_and_one_with_a_report_are_taken(
    call: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for out in ("empty", "link", "new/below", "new/below"):
        assert call("--out", tmp_path / out) == (0, f"report: {tmp_path / out / 'report.html'}")


@pytest.mark.parametrize("option", ["--junit", "--summary"])
def test_gates_are_not_written_over_the_files_of_a_folder(
    world: "World", call: Callable[..., tuple[int, str]], report: Path, option: str, tmp_path: Path
) -> None:
    root = world.set_root.parent
    before = hashes_below(root)
    for file, what in (
        (world.set_root / "set.json", "holds an adversarial set (set.json)"),
        (world.set_root / "0" / "clean.png", "holds an adversarial set (set.json)"),
        (world.replay_root / "new.xml", "holds a replay (replay.json)"),
        (report / "samples.csv", "would be a file of the report itself"),
        (report / "labels" / "x" / "clean" / "a.png", "would be a file of the report itself"),
        (report / ".report.new.part" / "x", "would be a file of the report itself"),
        (tmp_path / "out" / "report.json", "would be a file of the report itself"),
    ):
        code, said = call("--out", tmp_path / "out", *GATE, option, file)
        assert code == 2 and what in said and not (tmp_path / "out").exists()
    assert hashes_below(root) == before


@pytest.mark.long
def test_gates_may_lie_beside_a_report(call: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    out = tmp_path / "out"
    files = ("--junit", out / "gates.xml", "--summary", out / "gates.md")
    for _ in range(2):
        assert call("--out", out, *GATE, *files)[0] == 0
    assert (out / "gates.xml").exists() and (out / "gates.md").exists()
    code, said = call("--out", out, *GATE, "--junit", tmp_path / "x", "--summary", tmp_path / "." / "x")
    assert code == 2 and "is given twice" in said
