"""Attacks made on the deployed file: from a bundle to a report that says what a desktop audit would have missed."""

import csv
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from segeval.errors import IntegrityError, WeightsError
from segeval.evaluate import read_report
from segeval.evaluate.measure.adaptive import adaptive_tables
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.report.gallery import NO_GALLERY
from segeval.evaluate.report.page import Page
from segeval.evaluate.report.verdict import MADE_ON_FILES, audited, verdict
from segeval.evaluate.report.wording import attacked_files
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.encoding import encode_sealed
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.generate.crafting.craft import Crafter
from segeval.generate.crafting.engines import engine_logits
from segeval.generate.crafting.setup import Setup

Call = Callable[..., Any]
MODEL = "espnet-synthetic"
PLAIN, ON, BOTH, EVASIVE = "fgsm-full", "fgsm-full-on-int8", "fgsm-full-on-fp32+int8", "fgsm-full-on-int8-not-fp32"
ATTACK = ("--attack", "fgsm", "--scope", "full", "--set", "fgsm.budget=1", "--steps", "4")
EVERY = ("--on", "fp32", "--on", "int8", "--on", "both", "--on", "evasive")
CALIBRATION = ("--calibration-images", "2", "--precision", "fp32,int8")


def made(ended: Any) -> None:
    assert ended.code == 0, ended.err


@pytest.fixture(scope="module")
def crafted(tmp_path_factory: pytest.TempPathFactory, world: Any, spawn: Call) -> Mapping[str, Path]:
    """A set, its bundle, and a set of attacks made on that."""
    root = tmp_path_factory.mktemp("adaptive")
    out = {name: root / name for name in ("set", "bundle", "adaptive")}
    made(spawn("craft", "--out", out["set"], *world.crafting, *ATTACK, "--workers", 1))
    made(spawn("deploy", out["set"], "--out", out["bundle"], *CALIBRATION))
    on = (*EVERY, "--bundle", out["bundle"])
    made(spawn("craft", "--out", out["adaptive"], *world.crafting, *ATTACK, *on, "--workers", 2))
    return out


def test_the_chain(crafted: Mapping[str, Path], call: Call, tmp_path: Path) -> None:
    out = {name: tmp_path / name for name in ("bundle", "replay", "report")}
    calibrations = ("--calibration", "percentile", "--calibration", "minmax")
    made(call("deploy", crafted["adaptive"], "--out", out["bundle"], *CALIBRATION, *calibrations))
    made(call("replay", out["bundle"], "--out", out["replay"], "--warmup", 0, "--threads", 1))
    ended = call("evaluate", crafted["adaptive"], out["replay"], "--out", out["report"])
    made(ended)
    said = " ".join(ended.out.split())
    assert "made on, judged on" in said and "(--forward graph)" in said
    page = (out["report"] / "report.html").read_text(encoding="utf-8")
    assert "Would a desktop audit have seen it?" in page
    with (out["report"] / "samples.csv").open(encoding="utf-8", newline="") as file:
        samples = list(csv.DictReader(file))
    with (out["report"] / "adaptive.csv").open(encoding="utf-8", newline="") as file:
        lines = {(line["made_on"], line["engine"]): line for line in csv.DictReader(file)}

    def shares(attack: str, engine: str, column: str) -> dict[str, float]:
        own = [row for row in samples if (row["attack"], row["engine"]) == (attack, engine)]
        return {row["image"]: int(row[column]) / int(row["phi"]) for row in own}

    def judged(gate: str) -> Any:
        return call("evaluate", crafted["adaptive"], out["replay"], "--out", out["report"], "--gate", gate)

    engines = [f"{MODEL}.{end}" for end in ("fp32", "int8", "int8-minmax")]
    names = {"fp32": PLAIN, "int8": ON, "fp32+int8": BOTH, "int8, not fp32": EVASIVE}
    assert list(lines) == [(name, engine) for name in names for engine in engines]
    for (name, engine), line in lines.items():
        attack = names[name]
        hit, plain = shares(attack, engine, "engine_hit"), shares(PLAIN, engine, "engine_hit")
        assert float(line["engine_success_mean"]) == pytest.approx(np.mean(list(hit.values())))
        assert float(line["evaded_mean"]) == pytest.approx(np.mean(list(shares(attack, engine, "evaded").values())))
        gap = np.mean([hit[image] - plain[image] for image in hit])
        assert line["gap_difference"] == "" if attack == PLAIN else float(line["gap_difference"]) == pytest.approx(gap)
        # A bundle of the same images and calibration has the very file that the attack was made on.
        assert line["made_on_this_file"] == str(int(attack != PLAIN and engine.endswith(".int8")))
    made(judged("int8.adaptive_gap < 1 and int8.evaded < 1"))
    missed = judged(f"{EVASIVE}: int8.evaded < 0")
    assert missed.code == 1 and "int8.evaded = " in missed.err
    strange = judged(f"{PLAIN}: int8.adaptive_gap < 1")
    assert strange.code == 2 and "fits no attack of the report" in strange.err
    evading = any(float(lines["int8, not fp32", engine]["evaded_mean"]) for engine in engines[:2])
    assert ("A desktop audit would not have seen it all" in said) == evading
    report = read_report(out["report"])
    assert {pair.first_attack for pair in report.comparisons if pair.between == "engines"} == {PLAIN}
    assert {curve.file for curve in report.curves if curve.attack in (ON, BOTH, EVASIVE)} == {"", "int8"}
    without = replace(
        report,
        set=replace(report.set, attacks=tuple(spec for spec in report.set.attacks if spec.label != PLAIN)),
        survival=tuple(row for row in report.survival if row.attack != PLAIN),
        comparisons=(),
    )
    rows = ReportRows.of(without)
    (table,) = adaptive_tables(rows, (), without.set)
    assert [line.made_on for line in table.lines] == ["int8", "fp32+int8", "int8, not fp32"] and not table.has_float
    for cell in (cell for line in table.lines for cell in line.cells):
        assert cell is not None and cell.gap is None and cell.row.evaded and cell.row.evaded.mean is not None
    assert "craft with --on fp32 too" not in " ".join(audited((table,))) and verdict(rows) == (MADE_ON_FILES,)
    assert adaptive_tables(replace(rows, engines=()), (), without.set) == ()
    page = Page(without).render(NO_GALLERY, ()).decode()
    assert "there is no gap" in page and "evaded 0 %" in page and 'class="tile"' not in page


def test_the_set_says_what_was_attacked(crafted: Mapping[str, Path], world: Any) -> None:
    manifest = SetFolder(crafted["adaptive"]).complete_manifest()
    assert [spec.label for spec in manifest.attacks] == [PLAIN, ON, BOTH, EVASIVE]
    record = next(e for e in BundleFolder(crafted["bundle"]).manifest().engines if e.precision == "int8")
    (deployed,) = manifest.deployed
    assert (deployed.model, deployed.engine) == (MODEL, "int8")
    assert deployed.sha256 == BundleFolder(crafted["bundle"]).manifest().files[record.file].sha256
    assert record.weights_sha256 == manifest.models[0].weights_sha256
    samples = list(SetFolder(crafted["adaptive"]).samples())
    names = {sample.attack: tuple(sample.curve[0].counts) for sample in samples}
    file = f"{MODEL}.int8"
    assert names == {PLAIN: (MODEL,), ON: (file,), BOTH: (MODEL, file), EVASIVE: (MODEL, file)}
    assert all(set(sample.counts) == {MODEL} and sample.victims == (MODEL,) for sample in samples)


def test_attacks_on_the_network_and_on_its_files_start_alike(crafted: Mapping[str, Path]) -> None:
    """With the random numbers of the attack on the network, that of a set without files too."""
    seeds = {
        name: {(sample.attack, sample.image): sample.seed for sample in SetFolder(crafted[name]).samples()}
        for name in ("set", "adaptive")
    }
    assert len(seeds["adaptive"]) == 4 * len(seeds["set"])
    assert all(seed == seeds["set"][PLAIN, image] for (_, image), seed in seeds["adaptive"].items())


def test_a_bundle_is_read_once_and_before_the_networks(
    crafted: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, config = [], SetFolder(crafted["adaptive"]).complete_manifest().config
    manifest_of = BundleFolder.manifest

    def manifest(self: BundleFolder) -> BundleManifest:
        read.append(self.root)
        return manifest_of(self)

    monkeypatch.setattr(BundleFolder, "manifest", manifest)
    assert list(Setup(config).deployed) == [f"{MODEL}.int8"] and read == [crafted["bundle"]]
    old = manifest_of(BundleFolder(crafted["bundle"]))
    engines = tuple(replace(engine, weights_sha256="") for engine in old.engines)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "bundle.json").write_bytes(encode_sealed(replace(old, engines=engines)))
    with pytest.raises(WeightsError, match="does not say which weights"):
        Setup(replace(config, bundle=str(bundle), models=("espnet-synthetic=nowhere.safetensors",)))


def test_a_network_under_a_name_of_its_own_has_its_files_under_that_name(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(crafted["bundle"], bundle)
    manifest = BundleFolder(bundle).manifest()
    engines = tuple(replace(record, model="mine") for record in manifest.engines)
    (bundle / "bundle.json").write_bytes(encode_sealed(replace(manifest, engines=engines)))
    given = [f"mine={each}" if each == world.model else each for each in world.crafting]
    on = ("--on", "int8", "--bundle", bundle, "--limit", 1, "--workers", 1)
    made(call("craft", "--out", tmp_path / "set", *given, *ATTACK, *on))


@pytest.mark.long
def test_a_set_is_continued_though_its_bundle_was_moved(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path
) -> None:
    shutil.copytree(crafted["adaptive"], tmp_path / "set")
    shutil.copytree(crafted["bundle"], tmp_path / "elsewhere")
    on = (*EVERY, "--bundle", tmp_path / "elsewhere", "--resume")
    made(call("craft", "--out", tmp_path / "set", *world.crafting, *ATTACK, *on, "--workers", 2))


@pytest.mark.long
def test_an_engine_in_the_loop_computes_what_the_attack_looks_at(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path
) -> None:
    """Of the first image ONNX Runtime's labels are the curve's, step 0 of which is the clean image."""
    on = ("--on", "int8", "--bundle", crafted["bundle"], "--forward", "onnxruntime", "--workers", 1)
    made(call("craft", "--out", tmp_path / "set", *world.crafting, *ATTACK, *on))
    folder = SetFolder(tmp_path / "set")
    manifest, (sample, *_) = folder.complete_manifest(), folder.samples()
    session = InferenceSession(crafted["bundle"] / "models" / f"{MODEL}.int8.onnx")
    labels = session.run(None, {"image": folder.image(sample.files["clean"])[None]})[0][0]
    hit = manifest.tasks[0].goal.reached(labels.astype(np.uint8)) & folder.mask(sample.files["phi"])
    assert sample.curve[0].counts[f"{MODEL}.int8"].hit == np.count_nonzero(hit)


def test_openvino_in_the_loop_has_the_labels_of_a_replay_with_openvino(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path
) -> None:
    """Its int8 kernels differ from ONNX Runtime's, and so do the labels, on a processor without VNNI at many pixels."""
    bundle, engine = crafted["bundle"], f"{MODEL}.int8"
    given = ("--engine", engine, "--backend", "openvino", "--warmup", 0, "--threads", 1)
    made(call("replay", bundle, "--out", tmp_path / "replay", *given))
    replayed = Replay.open(tmp_path / "replay")
    logits = engine_logits(bundle, engine, onnx.load(bundle / "models" / f"{engine}.onnx"), "openvino")
    on = ("--on", "int8", "--bundle", bundle, "--forward", "openvino", "--workers", 1, "--limit", 1)
    made(call("craft", "--out", tmp_path / "set", *world.crafting, *ATTACK, *on))
    folder = SetFolder(tmp_path / "set")
    manifest, (sample,) = folder.complete_manifest(), folder.samples()
    labels = replayed.labels(engine, f"clean/{sample.image}")
    image = torch.from_numpy(folder.image(sample.files["clean"])).permute(2, 0, 1)[None] / 255
    assert np.array_equal(logits(image).argmax(1)[0].numpy(), labels)
    hit = manifest.tasks[0].goal.reached(labels, labels) & folder.mask(sample.files["phi"])
    assert sample.curve[0].counts[engine].hit == np.count_nonzero(hit)
    assert "OpenVINO" in attacked_files(manifest.config) and manifest.versions["openvino"] == version("openvino")


def test_an_engine_that_is_not_installed_is_named(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    on = ("--on", "int8", "--bundle", crafted["bundle"], "--forward", "openvino")
    ended = call("craft", "--out", tmp_path / "set", *world.crafting, *ATTACK, *on)
    assert ended.code == 2 and "OpenVINO cannot be used" in ended.err and "pip install openvino" in ended.err
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--engine", "fp32"), "computes what the network does"),
        (("--engine", "int8-entropy"), "has no file named 'int8-entropy'"),
        (("--engine", "fp23"), "Known: int8."),
        (("--size", "32x64"), "takes images of 64x128"),
        (("--model", "espnet-synthetic"), "was made of other weights"),
    ],
)
def test_a_bundle_that_does_not_fit_is_refused(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    given = list(world.crafting)
    if options[0] == "--model":
        at = given.index("--model")
        del given[at : at + 2]
    on = ("--on", "int8", "--bundle", crafted["bundle"])
    ended = call("craft", "--out", tmp_path / "set", *given, *ATTACK, *on, *options)
    assert ended.code == 2 and message in " ".join(ended.err.split()), ended.err
    assert not (tmp_path / "set").exists()


def test_a_file_that_was_changed_is_refused(
    crafted: Mapping[str, Path], world: Any, call: Call, tmp_path: Path
) -> None:
    other = tmp_path / "bundle"
    shutil.copytree(crafted["bundle"], other)
    file = other / "models" / f"{MODEL}.int8.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    ended = call("craft", "--out", tmp_path / "set", *world.crafting, *ATTACK, "--on", "int8", "--bundle", other)
    assert ended.code == 2 and "was changed" in ended.err


@pytest.mark.long
def test_a_bundle_that_is_changed_meanwhile_is_noticed(crafted: Mapping[str, Path], world: Any, tmp_path: Path) -> None:
    """The other processes open it again; a set names one file, and holds images made on that one alone."""
    bundle = tmp_path / "bundle"
    shutil.copytree(crafted["bundle"], bundle)
    config = replace(
        SetFolder(crafted["adaptive"]).complete_manifest().config, on=("int8",), bundle=str(bundle), engines=("int8",)
    )

    def exchange(stage: str, done: int, total: int) -> None:
        if stage == "clean predictions" and done == total:
            manifest = BundleFolder(bundle).manifest()
            files = {record.precision: record.file for record in manifest.engines}
            other = (bundle / files["fp32"]).read_bytes()
            (bundle / files["int8"]).write_bytes(other)
            changed = {**manifest.files, files["int8"]: manifest.files[files["fp32"]]}
            (bundle / "bundle.json").write_bytes(encode_sealed(replace(manifest, files=changed)))

    with pytest.raises(IntegrityError, match="the bundle was changed while crafting"):
        Crafter(config, tmp_path / "set").run(False, exchange, workers=2)
