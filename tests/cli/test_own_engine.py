"""From a file that somebody quantized to a report, on the command line: beside segeval's own, and wrongly described."""

import csv
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from segeval.models import load_model
from tests.cli.conftest import HEIGHT, WIDTH, World, picture

Call = Callable[..., Any]
NETWORK = "espnet-synthetic"


class Reader(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    """Two pictures, as the network takes them."""

    def __init__(self, images: list[Any]) -> None:
        self._images = images

    def get_next(self) -> dict[str, Any] | None:
        return {"x": self._images.pop()} if self._images else None


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """The network of the world, exported by torch and quantized by ONNX Runtime with its defaults, and a card."""
    folder, segmenter = tmp_path_factory.mktemp("quantized"), load_model(world.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        names: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "opset_version": 13}
        torch.onnx.export(
            segmenter.network, (torch.zeros(1, 3, HEIGHT, WIDTH),), folder / "net.onnx", dynamo=False, **names
        )
    quant_pre_process(folder / "net.onnx", folder / "pre.onnx", skip_symbolic_shape=True)
    levels = torch.from_numpy(np.stack([picture(seed) for seed in range(10, 14)])).permute(0, 3, 1, 2) / 255
    inputs = [each[None] for each in segmenter.normalise(levels).numpy()]
    quantize_static(folder / "pre.onnx", folder / "net-int8.onnx", Reader(inputs))
    before = segmenter.spec.preprocessing
    (folder / "net-int8.toml").write_text(
        f"[input]\nlayout = 'NCHW'\ncolour = 'RGB'\nrange = 255\nmean = {list(before.mean)}\nstd = {list(before.std)}\n"
        "[output]\nkind = 'logits'\n"
    )
    (folder / "wrong.toml").write_text((folder / "net-int8.toml").read_text().replace("RGB", "BGR"))
    return folder


@pytest.mark.long
def test_a_quantized_file_stands_beside_segevals_in_one_report(
    world: World, quantized: Path, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        call(
            "craft",
            "--out",
            "set",
            *world.crafting,
            "--attack",
            "pgd",
            "--scope",
            "full",
            "--set",
            "pgd.budget=64",
            "--steps",
            12,
        ).code
        == 0
    )
    files = [f"--engine-file={name}={quantized / 'net-int8.onnx'}" for name in ("mine", "swapped")]
    deploying = ("deploy", "set", "--out", "bundle", "--precision", "int8", "--calibration-images", 2, *files)
    deployed = call(*deploying, f"--engine-card=swapped={quantized / 'wrong.toml'}")
    assert deployed.code == 0, deployed.err
    assert f"{NETWORK}.mine" in deployed.out
    doubted = [line for line in deployed.err.splitlines() if "is probably wrong" in line]
    assert len(doubted) == 1 and f"{NETWORK}.swapped" in doubted[0] and 'with colour = "RGB"' in doubted[0]
    replayed = call("replay", "bundle", "--out", "replay", "--warmup", 0, "--threads", 1)
    assert replayed.code == 0, replayed.err

    gates = ("--gate", "mine.success <= 1 and int8.success <= 1", "--gate", "swapped.miou_drop < 2")
    evaluated = call("evaluate", "set", "replay", "--out", "report", *gates)
    assert evaluated.code == 0, evaluated.err
    assert "2 gates, 2 checks, all passed" in evaluated.err
    report = json.loads(Path("report/report.json").read_text())
    kinds = [(engine["precision"], engine["own"]) for engine in report["engines"]]
    assert kinds == [("int8", ""), ("own", "mine"), ("own", "swapped")]
    assert report["engines"][1]["own_file"]["source"] == "net-int8.onnx"
    assert "on your own " in report["verdict"][0], "what somebody ships is what the verdict is about"
    assert [note for note in report["notes"] if f"{NETWORK}.swapped is in doubt" in note]
    assert not [note for note in report["notes"] if f"{NETWORK}.mine is in doubt" in note]
    with Path("report/survival.csv").open(newline="") as file:
        assert {(row["precision"], row["own"]) for row in csv.DictReader(file)} == set(kinds)
    page = Path("report/report.html").read_text()
    assert "your file net-int8.onnx" in page and "takes NCHW BGR, white is 255" in page

    on = (*world.crafting, "--attack", "fgsm", "--scope", "full", "--limit", 1, "--steps", 1, "--bundle", "bundle")
    other = call("craft", "--out", "on-int8", *on, "--on", "int8")
    assert other.code == 0 and "the bundle also has your own 'mine', 'swapped': --engine mine" in other.err, other.err
    made = call("craft", "--out", "on-mine", *on, "--on", "int8", "--engine", "mine")
    assert made.code == 0 and "--engine-file mine=net-int8.onnx" in made.err, made.err
    lacking = call("deploy", "on-mine", "--out", "lacking", "--precision", "int8", "--calibration-images", 2)
    assert lacking.code == 0 and f"warning: attacks were made on mine of {NETWORK}" in lacking.err, lacking.err

    missed = call("evaluate", "set", "replay", "--out", "report", "--gate", "min.success < 1")
    assert missed.code == 2 and "precisions here: int8, mine, swapped" in missed.err
    compared = call("compare", "report", "report")
    assert compared.code == 0, compared.err
