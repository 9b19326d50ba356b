"""The real workflow on the command line, every command in a process of its own: craft, deploy, replay, evaluate."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from segeval.store import SetFolder

Call = Callable[..., Any]


@dataclass(frozen=True)
class Chain:
    """Where everything is, and how each command ended."""

    root: Path
    craft: Any
    deploy: Any
    replay: Any
    evaluate: Any


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, world: Any, spawn: Call) -> Chain:
    root = tmp_path_factory.mktemp("chain")

    def done(*arguments: object) -> Any:
        ended = spawn(*arguments, cwd=root)
        assert ended.code == 0, ended.err
        return ended

    engines = ("--precision", "fp32", "--precision", "int8", "--calibration-images", 2)
    return Chain(
        root,
        done("craft", "--out", "set", *world.crafting),
        done("deploy", "set", "--out", "bundle", *engines),
        done("replay", "bundle", "--out", "replay", "--warmup", 0, "--threads", 1),
        done("evaluate", "set", "replay", "--out", "report", "--json"),
    )


def test_each_command_ends_by_naming_the_next(chain: Chain) -> None:
    last = {name: getattr(chain, name).err.splitlines()[-1] for name in ("craft", "deploy", "replay", "evaluate")}
    assert last == {
        "craft": "next: segeval deploy set --out set-bundle",
        "deploy": "next: segeval replay bundle --out bundle-replay",
        "replay": "next: segeval evaluate SET replay --out replay-report",
        "evaluate": "report: report/report.html",
    }


def test_results_are_on_stdout_and_progress_is_on_stderr(chain: Chain) -> None:
    assert "Crafted" in chain.craft.out and "tanh-local" in chain.craft.out
    assert "espnet-synthetic.int8" in chain.deploy.out
    assert "espnet-synthetic.fp32" in chain.replay.out and "p50 ms" in chain.replay.out
    for ended in (chain.craft, chain.deploy, chain.replay, chain.evaluate):
        assert re.search(r"^.+: \d+/\d+$", ended.err, re.MULTILINE)
        assert not re.search(r"\d+/\d+$", ended.out, re.MULTILINE)
        assert "next: " not in ended.out and "\x1b" not in ended.out + ended.err


def test_the_report_is_there_and_its_json_is_what_was_printed(chain: Chain) -> None:
    report = chain.root / "report"
    assert chain.evaluate.out == (report / "report.json").read_text(encoding="utf-8")
    assert json.loads(chain.evaluate.out)["verdict"]
    page = (report / "report.html").read_text(encoding="utf-8")
    assert "<table" in page and "tanh-full" in page
    assert list(report.glob("*.csv"))


def test_the_same_command_again_finds_everything_done(chain: Chain, world: Any, call: Call) -> None:
    before = (chain.root / "set" / "set.json").stat().st_mtime_ns
    ended = call("craft", "--out", chain.root / "set", *world.crafting)
    assert ended.code == 0
    assert (chain.root / "set" / "set.json").stat().st_mtime_ns == before
    assert ended.out == chain.craft.out
    quiet = call("craft", "--out", chain.root / "set", *world.crafting, "--quiet")
    assert [line for line in quiet.err.splitlines() if not line.startswith("next: ")] == []


def test_paths_with_spaces_are_quoted_in_the_next_command(chain: Chain, world: Any, call: Call) -> None:
    copy = chain.root / "my set"
    shutil.copytree(chain.root / "set", copy)
    last = call("craft", "--out", copy, *world.crafting).err.splitlines()[-1]
    assert shlex.split(last) == ["next:", "segeval", "deploy", str(copy), "--out", f"{copy}-bundle"]


def test_an_engine_without_a_result_has_no_latency(chain: Chain, call: Call, tmp_path: Path) -> None:
    out = shutil.copytree(chain.root / "replay", tmp_path / "replay")
    record = json.loads((out / "replay.json").read_text())
    begun = next(engine for engine in record["engines"] if engine["precision"] == "int8")
    begun["complete"] = False
    (out / "replay.json").write_text(json.dumps(record))
    (out / begun["folder"] / "results.jsonl").write_bytes(b"")
    only = ("--engine", "espnet-synthetic.fp32", "--threads", 1)
    ended = call("replay", chain.root / "bundle", "--out", out, *only)
    assert ended.code == 0, ended.err
    line = next(line for line in ended.out.splitlines() if begun["name"] in line)
    assert line.split()[-2:] == ["–", "–"]


@pytest.mark.parametrize("file", ["models/espnet-synthetic.fp32.onnx", "inputs/shard-00000.npy", "runner.pyz"])
def test_a_tampered_bundle_is_not_run(chain: Chain, call: Call, tmp_path: Path, file: str) -> None:
    bundle = shutil.copytree(chain.root / "bundle", tmp_path / "bundle")
    data = bytearray((bundle / file).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / file).write_bytes(data)
    ended = call("replay", bundle, "--out", tmp_path / "replay")
    assert (ended.code, ended.out) == (2, "")
    assert file in ended.err and "what to do: " in ended.err and "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("set.json", "is not the adversarial set|another set|other set"),
        ("samples.jsonl", "samples.jsonl was changed"),
        ("clean/test-0.png", "test-0.png is not the file|test-0.png cannot be read"),
    ],
)
def test_a_tampered_set_is_not_evaluated(chain: Chain, call: Call, tmp_path: Path, file: str, message: str) -> None:
    root = shutil.copytree(chain.root / "set", tmp_path / "set")
    path = root / file
    path.write_bytes(path.read_bytes().replace(b'"seed":', b'"seed": ') if file != "clean/test-0.png" else b"x")
    ended = call("evaluate", root, chain.root / "replay", "--out", tmp_path / "report")
    assert (ended.code, ended.out) == (2, "")
    assert re.search(message, ended.err), ended.err
    assert not (tmp_path / "report" / "report.html").exists()


def test_samples_name_the_task_that_was_asked_for(chain: Chain, world: Any) -> None:
    sources, _, target = world.task.partition(":")
    tasks = {sample.task for sample in SetFolder(chain.root / "set").samples()}
    assert tasks == {f"{sources.replace(' ', '-')}-to-{target}"}


def test_a_score_in_json(world: Any, call: Call) -> None:
    ended = call("score", world.model, "--dataset", "folder", "--data-root", world.data, "--limit", 2, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["images"] == 2
    assert "score: 2/2" in ended.err


def test_a_training_ends_with_weights_that_can_be_scored(world: Any, call: Call, tmp_path: Path) -> None:
    data = ("--dataset", "folder", "--data-root", world.data)
    small = ("--epochs", 1, "--batch-size", 4, "--crop", "64x64", "--validation", "test")
    ended = call("train", "fast-scnn-synthetic", "--out", tmp_path / "run", *data, *small)
    assert ended.code == 0, ended.err
    assert re.fullmatch(r"epoch 1/1: loss \d+\.\d+, validation mIoU \d\.\d+\n", ended.out)
    name, model, *rest = shlex.split(ended.err.splitlines()[-1].removeprefix("next: segeval "))
    assert (name, *rest) == ("score", "--dataset", "folder")
    scored = call(name, model, *rest, "--data-root", world.data, "--limit", 1, "--size", "64x128")
    assert scored.code == 0, scored.err
    assert "mIoU" in scored.out


def test_int8_on_the_sets_own_images_is_warned_of(chain: Chain, world: Any, call: Call, tmp_path: Path) -> None:
    assert "warning" not in chain.deploy.err
    assert "as unoptimised %" in chain.deploy.out
    other = tmp_path / "data"
    shutil.copytree(world.data / "test", other / "test")
    shutil.copy(world.data / "classes.txt", other)
    data = ("--data-root", other)  # the last one counts
    assert call("craft", "--out", tmp_path / "set", *world.crafting, *data, "--quiet").code == 0
    ended = call("deploy", tmp_path / "set", "--out", tmp_path / "bundle", "--precision", "int8", "--quiet")
    assert ended.code == 0, ended.err
    expected = "warning: the int8 ranges were found on the set's own clean images; folder has no usable train split: "
    assert ended.err.startswith(expected), ended.err


def test_a_set_knows_its_dataset_from_any_folder(
    world: Any, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(world.data.parent))
    monkeypatch.chdir(world.data.parent)
    for number, given in enumerate((world.data.name, f"~/{world.data.name}")):
        out = tmp_path / str(number)
        ended = call("craft", "--out", out, *world.crafting, "--data-root", given, "--quiet")
        assert ended.code == 0, ended.err
        assert SetFolder(out).manifest().config.data_root == str(world.data.resolve())
