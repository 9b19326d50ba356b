"""The whole chain with images that go through corruptions, and what --corruption is told when it is wrong."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.corruptions import KINDS

Call = Callable[..., Any]
IDENTITY, HARSH = "gamma-1", "bits-1"


@pytest.fixture(scope="module")
def crafted(tmp_path_factory: pytest.TempPathFactory, world: Any, spawn: Call) -> Path:
    """A set of two images."""
    root = tmp_path_factory.mktemp("corruptions") / "set"
    attack = ("--attack", "tanh", "--scope", "full", "--steps", 30)
    ended = spawn("craft", "--out", root, *world.crafting, *attack)
    assert ended.code == 0, ended.err
    return root


def test_the_next_command_deploys_what_attacks_were_made_to_survive(world: Any, call: Call, tmp_path: Path) -> None:
    attack = ("--attack", "fgsm", "--scope", "full", "--robust-to", "bits:5", "--limit", 1)
    ended = call("craft", "--out", tmp_path / "set", *world.crafting, *attack)
    assert ended.code == 0, ended.err
    assert ended.err.rstrip().endswith(f"--out {tmp_path / 'bundle'} --corruption bits:5")


def test_a_corruption_that_changes_nothing_changes_no_number_and_a_harsh_one_does(
    crafted: Path, call: Call, least_survival: Callable[..., float], tmp_path: Path
) -> None:
    out = {name: tmp_path / name for name in ("bundle", "replay", "report")}
    engines = (
        "--precision",
        "fp32,int8",
        "--calibration-images",
        2,
        "--corruption",
        "gamma:1",
        "--corruption",
        "bits:1",
    )
    ended = call("deploy", crafted, "--out", out["bundle"], *engines)
    assert ended.code == 0, ended.err
    count = len((out["bundle"] / "inputs" / "index.jsonl").read_text(encoding="utf-8").splitlines())
    assert f"{count} images to run: each unchanged, and after gamma-1, bits-1" in ended.err
    ended = call("replay", out["bundle"], "--out", out["replay"], "--warmup", 0, "--threads", 1)
    assert ended.code == 0, ended.err
    model = "espnet-synthetic"
    least = least_survival(crafted, out["bundle"] / "models" / f"{model}.fp32.onnx", model, (model,)) - 1e-6
    gate = ("--gate", f"fp32.survival >= {least:.9f}")  # does not hold after bits:1, which does not ship
    ended = call("evaluate", crafted, out["replay"], "--out", out["report"], *gate)
    assert ended.code == 0, ended.err
    shown = " ".join(ended.out.split())
    assert "Survival through the input path on espnet-synthetic" in shown and HARSH in shown
    report = json.loads((out["report"] / "report.json").read_text(encoding="utf-8"))
    rows = {row["engine"]: row for row in report["survival"]}
    labels = [f"espnet-synthetic.{end}" for end in ("fp32", "int8")]
    assert list(rows) == [label + end for label in labels for end in ("", f"+{IDENTITY}", f"+{HARSH}")]
    for label in labels:
        plain, same, other = rows[label], rows[f"{label}+{IDENTITY}"], rows[f"{label}+{HARSH}"]
        assert same["evaded"] is None  # the desktop that it is to be held against saw no corruption
        assert {**same, "engine": label, "corruption": "", "evaded": plain["evaded"]} == plain
        assert other["corruption"] == HARSH and other["survival"] != plain["survival"]
    assert rows[labels[0]]["survival"]["mean"] >= least > 0.9 > rows[f"{labels[0]}+{HARSH}"]["survival"]["mean"]
    with (out["report"] / "corruptions.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["engine"], line["corruption"]) for line in lines] == [
        (label, corruption) for corruption in ("", IDENTITY, HARSH) for label in labels
    ]
    assert (out["report"] / "report.html").is_file()


@pytest.mark.parametrize(
    ("corruptions", "message"),
    [
        (("jpeg:0",), "the quality is a whole number from 1 to 100"),
        (("jpeg:abc",), "the quality is a whole number from 1 to 100"),
        (("resize:2",), "the factor is a number of at most three decimals from 0.05 to 0.99"),
        (("jpgg:75",), "did you mean jpeg?"),
        (("sharpen:1",), "Known: jpeg, resize, gamma, blur, bits"),
        (("jpeg:75", "jpeg:75"), "jpeg:75 is given twice"),
    ],
)
def test_a_mistake_in_a_corruption_is_named(
    crafted: Path, call: Call, tmp_path: Path, corruptions: tuple[str, ...], message: str
) -> None:
    words = [word for corruption in corruptions for word in ("--corruption", corruption)]
    ended = call("deploy", crafted, "--out", tmp_path / "bundle", "--precision", "fp32", *words)
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err and "what to do: " in ended.err and "Traceback" not in ended.err
    assert not list(tmp_path.iterdir())


def test_the_help_names_every_corruption(call: Call) -> None:
    shown = call("deploy", "--help").out
    assert all(f"{kind}:" in shown for kind in KINDS)


def test_channels_can_stand_in_a_file(crafted: Path, call: Call, tmp_path: Path) -> None:
    (tmp_path / "segeval.toml").write_text('[deploy]\ncorruption = ["jpeg:75", "blur:0"]\n')
    ended = call("--config", tmp_path / "segeval.toml", "deploy", crafted, "--out", tmp_path / "bundle")
    assert ended.code == 2 and "--corruption 'blur:0'" in ended.err


def test_what_it_was_called_before_still_works_and_says_so(crafted: Path, call: Call, tmp_path: Path) -> None:
    ended = call("deploy", crafted, "--out", tmp_path / "bundle", "--channel", "nosuch:1")
    assert ended.code == 2 and "--channel is called --corruption now" in ended.err
    assert "--corruption 'nosuch:1'" in ended.err
