"""The real workflow on the command line, every command in a process of its own, from craft to evaluate."""

import csv
import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from segeval.files.set_folder import SetFolder
from tests.sealing import write_sealed

Call = Callable[..., Any]


@dataclass(frozen=True)
class Chain:
    """Where everything is, and how each command ended."""

    root: Path
    craft: Any
    deploy: Any
    replay: Any
    bench: Any
    evaluate: Any


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, world: Any, spawn: Call) -> Chain:
    root = tmp_path_factory.mktemp("chain")

    def done(*arguments: object) -> Any:
        ended = spawn(*arguments, cwd=root)
        assert ended.code == 0, ended.err
        return ended

    engines = ("--precision", "fp32,int8", "--calibration-images", 2)
    warm_up = ("--warmup", 1, "--warmup-seconds", 0, "--idle-seconds", 0.01)
    short = ("--seconds", 0.05, "--calls", 12, "--images", 12, *warm_up, "--period", 0.02)
    return Chain(
        root,
        done("craft", "--out", "set", *world.crafting),
        done("deploy", "set", "--out", "bundle", *engines),
        done("replay", "bundle", "--out", "replay", "--warmup", 0, "--threads", 1),
        done("bench", "bundle", "--out", "bench", "--threads", 1, *short),
        done("evaluate", "set", "replay", "--out", "report", "--json"),
    )


def test_a_gate_that_is_missed_is_exit_code_1_and_one_that_holds_is_0(
    chain: Chain, spawn: Call, tmp_path: Path
) -> None:
    arguments = (
        "evaluate",
        "set",
        "replay",
        "--out",
        tmp_path / "report",
        "--quiet",
        "--junit",
        tmp_path / "gates.xml",
    )
    ended = spawn(*arguments, "--gate", "int8.success <= 1", "--summary", tmp_path / "gates.md", cwd=chain.root)
    assert ended.code == 0, ended.err
    assert "1 gate, " in ended.err and "all passed" in ended.err
    assert (tmp_path / "gates.md").read_text().startswith("### segeval: all of")
    ended = spawn(*arguments, "--gate", "int8.success <= 1", "--gate", "fp32.levels < 0", cwd=chain.root)
    assert ended.code == 1
    assert "fp32.levels < 0: " in ended.err and "fp32.levels = " in ended.err and "int8.success" not in ended.err
    assert "Traceback" not in ended.err
    assert (tmp_path / "report" / "report.html").is_file()
    assert 'failures="' in (tmp_path / "gates.xml").read_text()
    ended = spawn(*arguments, cwd=chain.root)
    assert ended.code == 2 and "add --gate" in ended.err
    ended = spawn(*arguments, "--gate", "int8.sucess < 1", cwd=chain.root)
    assert ended.code == 2 and "'int8.sucess' is no number of the report" in ended.err


def test_each_command_ends_by_naming_the_next(chain: Chain) -> None:
    last = {
        name: getattr(chain, name).err.splitlines()[-1] for name in ("craft", "deploy", "replay", "bench", "evaluate")
    }
    assert last == {
        "craft": "next: segeval deploy set --out bundle",
        "deploy": "next: segeval replay bundle --out replay",
        "replay": "next: segeval evaluate set replay --out report",
        "bench": "next: segeval evaluate set replay --bench bench --out report",
        "evaluate": "report: report/report.html",
    }


def test_results_are_on_stdout_and_progress_is_on_stderr(chain: Chain) -> None:
    assert "Adversarial images" in chain.craft.out and "tanh-local" in chain.craft.out
    assert "espnet-synthetic.int8" in chain.deploy.out
    assert "in half" in chain.deploy.out and "noise floor %" in chain.deploy.out
    assert "espnet-synthetic.fp32" in chain.replay.out and "p50 ms" in chain.replay.out
    assert "computes in" in chain.replay.out and "fp32 on values rounded to int8" in chain.replay.out
    assert "espnet-synthetic.int8" in chain.bench.out and "p99 ms" in chain.bench.out
    for ended in (chain.craft, chain.deploy, chain.replay, chain.bench, chain.evaluate):
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


def test_the_files_of_every_stage_follow_their_schemas(chain: Chain) -> None:
    schemas = Path(__file__).parents[2] / "docs" / "schema"
    whole = {"set": "set", "bundle": "bundle", "replay": "replay", "bench": "bench", "report": "report"}
    documents = [(name, chain.root / folder / f"{name}.json") for name, folder in whole.items()]
    by_line = [
        ("set-sample", chain.root / "set" / "samples.jsonl"),
        ("report-sample", chain.root / "report" / "samples.jsonl"),
        ("bundle-input", chain.root / "bundle" / "inputs" / "index.jsonl"),
        *(("replay-result", path) for path in (chain.root / "replay").glob("*/results.jsonl")),
    ]
    assert len(by_line) == 5
    for name, path in documents + by_line:
        schema = Draft202012Validator(json.loads((schemas / f"{name}.schema.json").read_bytes()))
        texts = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        assert texts
        for text in texts:
            schema.validate(json.loads(text))


def test_a_benchmark_stands_beside_the_accuracy(chain: Chain, call: Call, tmp_path: Path) -> None:
    replay, bench = chain.root / "replay", chain.root / "bench"
    ended = call("evaluate", chain.root / "set", replay, "--bench", bench, "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert "On the device" in ended.out
    runs = json.loads((bench / "bench.json").read_text(encoding="utf-8"))["runs"]
    clean = {row["engine"]: row for row in json.loads((tmp_path / "report.json").read_text())["clean"]}
    with (tmp_path / "benchmark.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(runs) == len(lines) == 4
    for run, line in zip(runs, lines, strict=True):
        assert (run["engine"], run["scenario"]) == (line["engine"], line["scenario"])
        assert float(line["p50_ms"]) == run["latency"]["engine"]["p50"]["ms"]
        assert float(line["miou"]) == clean[run["engine"]]["miou"]
        assert (line["mean_w"] == "") == isinstance(run["energy"], str)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="device"' in page and "share of the calls" in page
    if isinstance(runs[0]["energy"], str):  # as on every machine without readable sensors, and in so short a run
        assert "not available" in chain.bench.out and "not available" in ended.out


def test_a_benchmark_in_json_is_the_file_and_is_not_measured_twice(chain: Chain, call: Call, tmp_path: Path) -> None:
    out = shutil.copytree(chain.root / "bench", tmp_path / "bench")
    before = (out / "bench.json").read_text(encoding="utf-8")
    rules = json.loads(before)["rules"]
    own = {
        "seconds": rules["seconds"],
        "calls": rules["calls"],
        "images": rules["images"],
        "warmup": rules["warmup_calls"],
        "warmup-seconds": rules["warmup_s"],
        "idle-seconds": rules["idle_s"],
        "period": rules["period_s"],
    }
    options = [word for name, value in own.items() for word in (f"--{name}", value)]
    ended = call("bench", chain.root / "bundle", "--out", out, "--threads", 1, *options, "--json")
    assert (ended.code, ended.out) == (0, before), ended.err
    layers = call("bench", chain.root / "bundle", "--out", out, "--threads", 1, *options, "--layers")
    assert layers.code == 0, layers.err
    after = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    assert after["runs"] == json.loads(before)["runs"]
    for profile in after["layers"]:
        assert f"{profile['engine']} layers: " in layers.out
        assert [layer["kind"] for layer in profile["layers"]].count("ArgMax") == 1
    other = call("bench", chain.root / "bundle", "--out", out, "--threads", 1)
    assert (other.code, other.out) == (2, "")
    assert "was begun with preset 'custom'" in other.err and "--out" in other.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "none"), "no engine 'none'"),
        (("--backend", "none"), "invalid choice: 'none'"),
        (("--seconds", "nan"), "'--seconds'"),
        (("--scenario", "server"), "server"),
        (("--scenario", "throughput"), "computes one call at a time"),
        (("--without-argmax",), "cannot compute a network without its ArgMax"),
        (("--preset", "slow"), "slow"),
    ],
)
def test_a_mistake_in_a_benchmark_is_named(
    chain: Chain, call: Call, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    ended = call("bench", chain.root / "bundle", "--out", tmp_path / "out", *options)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err and "Traceback" not in ended.err
    assert not (tmp_path / "out" / "bench.json").exists()


def test_ctrl_c_ends_a_benchmark(chain: Chain, tmp_path: Path) -> None:
    only = ("--engine", "espnet-synthetic.fp32", "--threads", "1", "--seconds", "600")
    command = [sys.executable, "-m", "segeval", "bench", str(chain.root / "bundle"), "--out", str(tmp_path), *only]
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell lets its background jobs ignore Ctrl-C
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed) as process:
        assert process.stdout is not None and process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("espnet-synthetic.fp32 latency idle"):
                process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 130
    assert said[-1].startswith("interrupted; finished work is saved")
    assert not list(tmp_path.iterdir())


def test_the_benchmark_of_another_bundle_is_refused(chain: Chain, call: Call, tmp_path: Path) -> None:
    bench = shutil.copytree(chain.root / "bench", tmp_path / "bench")
    record = json.loads((bench / "bench.json").read_text(encoding="utf-8"))
    write_sealed(bench / "bench.json", {**record, "bundle_sha256": "c" * 64})
    place = ("--out", tmp_path / "report")
    ended = call("evaluate", chain.root / "set", chain.root / "replay", "--bench", bench, *place)
    assert (ended.code, ended.out) == (2, "")
    assert "is a benchmark of another bundle" in ended.err and "what to do: " in ended.err
    assert not (tmp_path / "report").exists()


def test_the_same_command_again_finds_everything_done(chain: Chain, world: Any, call: Call) -> None:
    before = (chain.root / "set" / "set.json").stat().st_mtime_ns
    ended = call("craft", "--out", chain.root / "set", *world.crafting)
    assert ended.code == 0
    assert (chain.root / "set" / "set.json").stat().st_mtime_ns == before
    assert ended.out == chain.craft.out
    quiet = call("craft", "--out", chain.root / "set", *world.crafting, "--quiet")
    told = ("next: ", "the attack failed: ")  # two steps are too few
    assert [line for line in quiet.err.splitlines() if not line.startswith(told)] == []


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
    write_sealed(out / "replay.json", record)
    (out / begun["folder"] / "results.jsonl").write_bytes(b"")
    only = ("--engine", "espnet-synthetic.fp32", "--threads", 1)
    ended = call("replay", chain.root / "bundle", "--out", out, *only)
    assert ended.code == 0, ended.err
    line = next(line for line in ended.out.splitlines() if begun["name"] in line)
    assert line.split()[-2:] == ["–", "–"]


@pytest.mark.parametrize(
    ("verb", "file"),
    [
        ("replay", "models/espnet-synthetic.fp32.onnx"),
        ("replay", "inputs/shard-00000.npy"),
        ("replay", "runner.pyz"),
        ("bench", "models/espnet-synthetic.fp32.onnx"),
        ("bench", "runner.pyz"),
    ],
)
def test_a_tampered_bundle_is_not_run(chain: Chain, call: Call, tmp_path: Path, verb: str, file: str) -> None:
    bundle = shutil.copytree(chain.root / "bundle", tmp_path / "bundle")
    data = bytearray((bundle / file).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / file).write_bytes(data)
    ended = call(verb, bundle, "--out", tmp_path / "out")
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
    assert (name, *rest) == ("score", "--dataset", "folder", "--data-root", str(world.data))
    scored = call(name, model, *rest, "--limit", 1, "--size", "64x128")
    assert scored.code == 0, scored.err
    assert "mIoU" in scored.out


@pytest.mark.long
def test_int8_on_the_sets_own_images_is_warned_of(chain: Chain, world: Any, call: Call, tmp_path: Path) -> None:
    assert "warning" not in chain.deploy.err
    assert "unoptimised" in chain.deploy.out
    other = tmp_path / "data"
    shutil.copytree(world.data / "test", other / "test")
    shutil.copy(world.data / "classes.txt", other)
    data = ("--data-root", other)  # the last one counts
    assert call("craft", "--out", tmp_path / "set", *world.crafting, *data, "--quiet").code == 0
    asked = ("--precision", "int8", "--calibration-images", "99")
    ended = call("deploy", tmp_path / "set", "--out", tmp_path / "bundle", *asked, "--quiet")
    assert ended.code == 0, ended.err
    expected = "warning: the int8 ranges were found on the set's own clean images; folder has no usable train split: "
    assert ended.err.startswith(expected) and "--data-root" in ended.err, ended.err
    assert re.search(r"^warning: 99 calibration images were requested, only \d exist$", ended.err, re.MULTILINE)


@pytest.mark.long
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
