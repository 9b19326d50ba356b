import shutil
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from segeval.commands.deploy_notes import warn_of_calibration
from segeval.deploy import deploy, replay
from segeval.deploy.bundle import hash_files
from segeval.deploy.calibration_images import CalibrationImages, choose_calibration
from segeval.deploy.contents import survey
from segeval.deploy.given import Given
from segeval.errors import (
    ConfigurationError,
    DataError,
    EngineError,
    FormatError,
    IntegrityError,
    UnknownNameError,
    WeightsError,
)
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.encoding import encode
from segeval.files.engine_records import Calibration, EngineRecord
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.files.storage import sha256_file
from segeval.graphs.session import DeployedModel
from segeval.models import Segmenter
from segeval.models.soundness import predict
from segeval.progress import silent
from segeval_runner.bundle import Bundle
from tests.rounding import settle

MakeSet = Callable[..., Path]
Victims = dict[str, Segmenter]
ONE = ("espnet-synthetic",)
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")


@pytest.fixture
def small(make_set: MakeSet, tmp_path: Path) -> Path:
    """A bundle of one network in fp32."""
    deploy(make_set(range(2), networks=ONE), tmp_path / "bundle", precisions=("fp32",))
    return tmp_path / "bundle"


def test_a_set_becomes_a_bundle_that_replays_what_torch_computes(
    make_set: MakeSet, dataset_root: Path, tmp_path: Path, victims: Victims
) -> None:
    root = make_set(range(3), dataset_root)
    steps: list[tuple[str, int, int]] = []
    bundle = deploy(root, tmp_path / "bundle", calibration_images=4, progress=lambda *step: steps.append(step))
    folder = BundleFolder(tmp_path / "bundle")
    assert folder.verify() == bundle
    assert bundle.set.manifest_sha256 == sha256_file(root / "set.json")
    assert [engine.name for engine in bundle.engines] == [
        f"{network}.{precision}" for network in victims for precision in ("fp32", "fp16", "int8")
    ]
    keys = folder.keys()
    assert keys[:3] == ["clean/0", "clean/1", "clean/2"]
    for engine in bundle.engines:
        own = [keys[index] for index in engine.indices()]
        assert own == keys[:3] + [key for key in keys if key.endswith(engine.model)]
        assert engine.parity is not None and engine.parity.images == 3
        check_parity(engine, folder, root, victims[engine.model])
    assert {stage for stage, done, total in steps if done == total} >= {"inputs", "export espnet-synthetic"}

    replayed = replay(tmp_path / "bundle", tmp_path / "replay", silent, warmup=1, threads=1)
    assert replayed.complete
    assert replayed.record.set_sha256 == bundle.set.manifest_sha256
    assert replayed.record.bundle_sha256 == folder.sha256()
    for network, victim in victims.items():
        image = SetFolder(root).image(next(SetFolder(root).samples()).files["clean"])
        settled = settle(onnx.load(folder.root / f"models/{network}.fp32.onnx"), image, "fp32")
        settled.require(predict(victim, image))
        settled.require(replayed.labels(f"{network}.fp32", "clean/0"))
    check_calibration(bundle, root)


def check_parity(engine: EngineRecord, bundle: BundleFolder, root: Path, victim: Segmenter) -> None:
    """Agreement with torch is that of the labels; a file agrees with itself unoptimised wherever labels are settled."""
    model = onnx.load(bundle.root / engine.file)
    images = [SetFolder(root).image(sample.files["clean"]) for sample in SetFolder(root).samples()][:: len(NETWORKS)]
    own = [DeployedModel(model).predict(image) == predict(victim, image) for image in images]
    assert engine.parity is not None and engine.parity.equal == np.mean(own)
    if engine.precision == "int8":
        shares = [settle(model, image, "int8").share for image in images]
        assert engine.parity.unoptimised_equal is not None
        assert engine.parity.unoptimised_equal >= np.mean(shares)


def check_calibration(bundle: BundleManifest, root: Path) -> None:
    """The train split holds the set's own images 0 to 2 under other names; none of them may be used."""
    for engine in bundle.engines:
        if engine.precision != "int8":
            assert engine.calibration is None
            continue
        record = engine.calibration
        assert record is not None
        assert (record.method, record.percentile, record.source) == ("percentile", 99.99, "folder, train split")
        assert len(record.images) == 4
        assert not {image.id for image in record.images} & {"train-0", "train-1", "train-2"}


def test_without_a_train_split_the_sets_own_images_calibrate_and_the_record_says_so(
    make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = deploy(make_set(range(3), networks=ONE), tmp_path / "b", precisions=("int8",), calibrations=("minmax",))
    warn_of_calibration(bundle)
    assert "the int8 ranges were found on only 3 images" in capsys.readouterr().err
    warn_of_calibration(replace(bundle, options=replace(bundle.options, calibration_images=3)))
    assert "only 3 images" not in capsys.readouterr().err, "so few were asked for"
    record = bundle.engines[0].calibration
    assert record is not None
    assert (record.method, record.percentile) == ("minmax", None)
    assert record.on_own_images
    assert record.source.startswith("the set's own clean images; folder has no usable train split: ")
    assert "needs a folder" in record.source
    assert [image.id for image in record.images] == ["0", "1", "2"]


def calibration_of(root: Path) -> CalibrationImages:
    folder = SetFolder(root)
    return choose_calibration(folder.complete_manifest(), survey(folder), Given(), 2)


def test_values_that_never_count_in_the_set_do_not_when_it_is_deployed(make_set: MakeSet, dataset_root: Path) -> None:
    folder = SetFolder(make_set(range(1), dataset_root, ONE))
    manifest = folder.complete_manifest()
    for image in (dataset_root / "train/images").iterdir():
        mask = dataset_root / "train/masks" / image.name
        mask.parent.mkdir(exist_ok=True)
        with Image.open(image) as picture:
            Image.new("L", picture.size, 200).save(mask)
    with pytest.raises(DataError, match="label value 200 is not in the class table"):
        choose_calibration(manifest, survey(folder), Given(), 2)
    ignoring = replace(manifest, config=replace(manifest.config, ignore=(200,)))
    assert len(choose_calibration(ignoring, survey(folder), Given(), 2).images) == 2


def test_a_folder_without_splits_says_that_its_other_images_calibrate(make_set: MakeSet, dataset_root: Path) -> None:
    shutil.rmtree(dataset_root / "test")
    (dataset_root / "train/images").rename(dataset_root / "images")
    for image in (dataset_root / "images").iterdir():
        image.rename(image.with_name(image.name.removeprefix("train-")))
    shutil.rmtree(dataset_root / "train")
    chosen = calibration_of(make_set(range(3), dataset_root, ONE))
    assert chosen.source == "folder, which has no splits: images that are not attacked"


def test_a_train_split_without_other_images_is_none(make_set: MakeSet, dataset_root: Path) -> None:
    for seed in range(3, 10):
        (dataset_root / "train" / "images" / f"train-{seed}.png").unlink()
    chosen = calibration_of(make_set(range(3), dataset_root, ONE))
    assert chosen.source == "the set's own clean images; every image of the train split of folder is in the set"
    shutil.rmtree(dataset_root / "train")
    assert "has no split 'train'" in calibration_of(make_set(range(3), dataset_root, ONE)).source


def test_a_train_image_that_cannot_be_read_is_an_error(make_set: MakeSet, dataset_root: Path) -> None:
    for image in (dataset_root / "train" / "images").iterdir():
        image.write_bytes(image.read_bytes()[:60])
    with pytest.raises(DataError, match=r"train-\d\.png cannot be read"):
        calibration_of(make_set(range(3), dataset_root, ONE))


def test_a_batch_size_is_a_matter_of_speed_alone(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(3), networks=ONE)
    for batch in (1, 4):  # 6 inputs: the last batch of 4 is not full
        deploy(root, tmp_path / f"bundle{batch}", precisions=("fp32",), batch=batch)
    one = replay(tmp_path / "bundle1", tmp_path / "replay1", silent, warmup=0)
    four = replay(tmp_path / "bundle4", tmp_path / "replay4", silent, warmup=0)
    name = one.engines[0].name
    assert four.engines[0].batch == 4
    assert one.results(name).keys == four.results(name).keys
    model, inputs = onnx.load(tmp_path / "bundle1" / "models" / f"{name}.onnx"), Bundle(tmp_path / "bundle1")
    for number, key in enumerate(one.results(name).keys):
        settled = settle(model, inputs.image(number), "fp32")
        settled.require(one.labels(name, key))
        settled.require(four.labels(name, key))


def test_deploying_again_verifies_and_keeps_what_is_there(small: Path, make_set: MakeSet, tmp_path: Path) -> None:
    before = (small / "bundle.json").stat().st_mtime_ns
    again = deploy(tmp_path / "set", small, precisions=("fp32",))
    assert again == BundleFolder(small).manifest()
    assert (small / "bundle.json").stat().st_mtime_ns == before
    with pytest.raises(ConfigurationError, match="another bundle"):
        deploy(tmp_path / "set", small, precisions=("fp16",))
    (small / "runner.pyz").write_bytes(b"")
    with pytest.raises(IntegrityError, match=r"runner\.pyz has 0 bytes"):
        deploy(tmp_path / "set", small, precisions=("fp32",))


def test_a_bundle_of_an_earlier_contract_is_not_taken_for_this_one(small: Path, tmp_path: Path) -> None:
    """Deploying again is the remedy for a bundle that TensorRT refuses, so it must not be kept."""
    earlier = replace(BundleFolder(small).manifest(), contract=1)
    (small / "bundle.json").write_bytes(encode(earlier))
    with pytest.raises(ConfigurationError, match="another bundle"):
        deploy(tmp_path / "set", small, precisions=("fp32",))


def test_a_replay_is_not_taken_for_the_bundle_whose_manifest_it_has(small: Path, tmp_path: Path) -> None:
    (tmp_path / "replay").mkdir()
    (tmp_path / "replay" / "bundle.json").write_bytes((small / "bundle.json").read_bytes())
    (tmp_path / "replay" / "replay.json").touch()
    with pytest.raises(ConfigurationError, match=r"holds a replay \(replay\.json\)"):
        deploy(tmp_path / "set", tmp_path / "replay", precisions=("fp32",))


def test_the_same_set_gives_the_same_bundle(small: Path, tmp_path: Path) -> None:
    deploy(tmp_path / "set", tmp_path / "again", precisions=("fp32",))
    assert (tmp_path / "again" / "bundle.json").read_bytes() == (small / "bundle.json").read_bytes()


def test_a_failed_deployment_leaves_nothing(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(2), networks=ONE)
    next((root / "adversarial").iterdir()).unlink()
    with pytest.raises(DataError, match="is missing"):
        deploy(root, tmp_path / "out" / "bundle", precisions=("fp32",))
    assert not list((tmp_path / "out").iterdir())


def test_the_scripts_of_a_bundle_are_executable_by_everyone(small: Path) -> None:
    for name in ("runner.pyz", "run.sh"):
        assert stat.S_IMODE((small / name).stat().st_mode) & 0o555 == 0o555
    assert stat.S_IMODE(small.stat().st_mode) == 0o755


def test_bad_requests_are_refused(make_set: MakeSet, tmp_path: Path) -> None:
    root, out = make_set(range(1), networks=ONE), tmp_path / "bundle"
    with pytest.raises(UnknownNameError, match="no target 'cpy'"):
        deploy(root, out, target="cpy")
    with pytest.raises(ConfigurationError, match="cannot run int4"):
        deploy(root, out, precisions=("int4",))  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="no precision"):
        deploy(root, out, precisions=())
    with pytest.raises(ConfigurationError, match="at least 1"):
        deploy(root, out, batch=0)
    assert not out.exists()


def test_a_set_that_is_unfinished_changed_or_empty_is_refused(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    folder = SetFolder(root)
    whole = folder.manifest()
    folder.write_manifest(replace(whole, complete=False))
    with pytest.raises(DataError, match="is an unfinished adversarial set"):
        deploy(root, tmp_path / "bundle")
    folder.write_manifest(replace(whole, samples_sha256="0"))
    with pytest.raises(IntegrityError, match=r"samples\.jsonl was changed"):
        deploy(root, tmp_path / "bundle")
    folder.samples_path.write_bytes(b"")
    folder.write_manifest(replace(whole, sample_count=0, samples_sha256=sha256_file(folder.samples_path)))
    with pytest.raises(DataError, match="no adversarial image"):
        deploy(root, tmp_path / "bundle")


def test_other_weights_than_those_attacked_are_refused(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    folder = SetFolder(root)
    manifest = folder.manifest()
    folder.write_manifest(replace(manifest, models=(replace(manifest.models[0], weights_sha256="0" * 64),)))
    with pytest.raises(WeightsError, match="that were attacked are not here"):
        deploy(root, tmp_path / "bundle")


def test_a_bundle_that_is_none_or_malformed_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a bundle"):
        BundleFolder(tmp_path / "nowhere").manifest()
    manifest = BundleFolder(small).manifest()
    outside = replace(manifest, files={"../outside": manifest.files["run.sh"]})
    (small / "bundle.json").write_bytes(encode(outside))
    with pytest.raises(FormatError, match="leads out of the bundle"):
        BundleFolder(small).verify()
    for names in ({"name": "\x1b[2Jx"}, {"only": ("a/b",)}, {"without": ("ok", "")}):
        calibration = Calibration("minmax", None, "train split", 0, (), ("Conv",), **names)
        hostile = replace(manifest, engines=(replace(manifest.engines[0], calibration=calibration),))
        (small / "bundle.json").write_bytes(encode(hostile))
        with pytest.raises(FormatError, match=r"names no calibration|holds control characters"):
            BundleFolder(small).manifest()
    (small / "bundle.json").write_text('{"schema": "segeval.bundle/2"}')
    with pytest.raises(FormatError, match=r"bundle\.json"):
        BundleFolder(small).manifest()


def test_a_changed_runner_is_not_started(small: Path, tmp_path: Path) -> None:
    (small / "runner.pyz").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(IntegrityError, match="not the runner that was deployed"):
        replay(small, tmp_path / "replay", silent)
    assert not (tmp_path / "ran").exists()


def test_a_runner_of_whoever_made_the_bundle_is_not_started(small: Path, tmp_path: Path) -> None:
    """Although the manifest records it: manifest and runner come from the same hand."""
    (small / "runner.pyz").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    manifest = BundleFolder(small).manifest()
    files = {**manifest.files, "runner.pyz": hash_files(small)["runner.pyz"]}
    (small / "bundle.json").write_bytes(encode(replace(manifest, files=files)))
    BundleFolder(small).verify()
    with pytest.raises(IntegrityError, match="not the runner of this segeval"):
        replay(small, tmp_path / "replay", silent)
    assert not (tmp_path / "ran").exists()


def test_what_the_runner_refuses_is_passed_on_with_its_hint(small: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="has no engine 'best'") as caught:
        replay(small, tmp_path / "replay", silent, engines=["best"])
    assert "espnet-synthetic.fp32" in caught.value.hint
    shutil.rmtree(small / "models")
    with pytest.raises(EngineError, match=r"espnet-synthetic\.fp32\.onnx is missing"):
        replay(small, tmp_path / "replay", silent)


def test_an_interruption_stops_the_runner_and_a_second_call_continues(small: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int) -> None:
        if stage == "espnet-synthetic.fp32 warm-up":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(small, tmp_path / "replay", interrupt, warmup=500)
    assert not Replay.open(tmp_path / "replay").complete
    assert replay(small, tmp_path / "replay", silent).complete


def test_a_callback_that_fails_does_not_leave_a_runner_behind(small: Path, tmp_path: Path) -> None:
    def fail(stage: str, done: int, total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replay(small, tmp_path / "replay", fail, warmup=10**6)


def test_the_bundled_file_is_the_one_that_was_measured(small: Path, tmp_path: Path) -> None:
    model = onnx.load(small / "models" / "espnet-synthetic.fp32.onnx")
    replayed = replay(small, tmp_path / "replay", silent)
    samples = SetFolder(tmp_path / "set")
    for sample in samples.samples():
        labels = replayed.labels("espnet-synthetic.fp32", f"adversarial/{sample.id}")
        settled = settle(model, samples.image(sample.files["adversarial"]), "fp32")
        settled.require(labels)
