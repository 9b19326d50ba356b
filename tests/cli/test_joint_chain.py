"""Joint attacks and transfer through the whole chain: every image goes to every model it was shown to."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.long
def test_every_model_is_evaluated_on_what_was_made_for_each_and_for_both(
    world: Any, call: Callable[..., Any], least_survival: Callable[..., float], tmp_path: Path
) -> None:
    models = ("--model", world.model, "--model", "fast-scnn-synthetic")
    joint = ("--victims", "each", "--victims", "joint", "--transfer")
    attack = ("--attack", "fgsm", "--scope", "full", "--steps", 1)
    data = ("--dataset", "folder", "--data-root", world.data, "--limit", 2, "--task", world.task)
    out = {name: tmp_path / name for name in ("set", "bundle", "replay", "report")}
    for arguments in (
        ("craft", "--out", out["set"], *data, *models, *joint, *attack),
        ("deploy", out["set"], "--out", out["bundle"], "--precision", "fp32"),
        ("replay", out["bundle"], "--out", out["replay"], "--warmup", 0, "--threads", 1),
        ("evaluate", out["set"], out["replay"], "--out", out["report"]),
    ):
        ended = call(*arguments)
        assert ended.code == 0, ended.err
    report = json.loads((out["report"] / "report.json").read_text(encoding="utf-8"))
    names = ("espnet-synthetic", "fast-scnn-synthetic")
    groups = {(names[0],), (names[1],), names}
    attacked = {tuple(json.loads(line)["victims"]) for line in (out["set"] / "samples.jsonl").read_text().splitlines()}
    found = {(row["model"], tuple(row["victims"])) for row in report["survival"]}
    assert attacked <= groups and names in attacked
    assert found == set(product(names, attacked))
    for row in report["survival"]:
        assert row["missing"] == 0
        if row["survival"]["mean"] is not None:
            file = out["bundle"] / "models" / f"{row['model']}.fp32.onnx"
            least = least_survival(out["set"], file, row["model"], tuple(row["victims"]))
            assert row["survival"]["mean"] >= least > 0.9, "the fp32 file sees what torch sees"
    page = (out["report"] / "report.html").read_text(encoding="utf-8")
    assert "fgsm-full, joint" in page


def test_the_table_of_crafting_says_whom_an_image_was_made_for(
    world: Any, call: Callable[..., Any], tmp_path: Path
) -> None:
    models = ("--model", world.model, "--model", "fast-scnn-synthetic", "--victims", "joint", "--transfer")
    attack = ("--attack", "fgsm", "--scope", "full", "--steps", 1, "--limit", 1, "--task", world.task)
    ended = call("craft", "--out", tmp_path / "set", "--dataset", "folder", "--data-root", world.data, *models, *attack)
    assert ended.code == 0, ended.err
    assert ended.out.count("2 jointly") == 2
