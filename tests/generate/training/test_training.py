"""Training on a few small scenes: it learns, it can be killed, and it refuses what does not fit."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from segeval.classes import CITYSCAPES
from segeval.datasets import open_dataset
from segeval.errors import ConfigurationError, DataError, SegevalError, StorageError, WeightsError
from segeval.files.encoding import encode
from segeval.files.exclusive import only_writer
from segeval.generate.training.cached_examples import CachedExamples
from segeval.generate.training.config import TrainConfig
from segeval.generate.training.initial import initial_network
from segeval.generate.training.train import EpochReport, train
from segeval.models import load_model
from segeval.models.loading import build_network, load_spec
from segeval.progress import silent

SIZE = (64, 128)
SPEC = load_spec("fast-scnn-synthetic")
WORKER = Path(__file__).parents[1] / "worker.py"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Eight synthetic scenes to train on and two to validate on, as files."""
    root = tmp_path_factory.mktemp("scenes")
    dataset = open_dataset("synthetic", None, "train", SIZE)
    for index in range(10):
        example = dataset[index]
        part = root / ("train" if index < 8 else "val")
        for name, pixels in (("images", example.image), ("masks", example.labels)):
            (part / name).mkdir(parents=True, exist_ok=True)
            assert pixels is not None
            Image.fromarray(pixels).save(part / name / f"{index}.png")
    (root / "classes.txt").write_text("cityscapes")
    return str(root)


def config(scenes: str, **changes: Any) -> TrainConfig:
    default = TrainConfig(
        "fast-scnn-synthetic", "folder", scenes, epochs=2, batch_size=4, crop=SIZE, scale=(1.0, 1.0), averaging=0.5
    )
    return replace(default, **changes)


def learn(config: TrainConfig, out: Path, resume: bool = False) -> tuple[Path, list[EpochReport]]:
    reports: list[EpochReport] = []
    return train(config, out, resume, silent, reports.append), reports


def order(config: TrainConfig, out: Path, resume: bool, **when: int) -> dict[str, Any]:
    return {"train": json.loads(encode(config)), "out": str(out), "resume": resume, **when}


@pytest.mark.parametrize("model", ["fast-scnn-synthetic", "espnet-synthetic"])
def test_two_epochs_reduce_the_loss_and_leave_loadable_weights(model: str, scenes: str, tmp_path: Path) -> None:
    weights, reports = learn(config(scenes, model=model), tmp_path)
    assert [(report.epoch, report.epochs) for report in reports] == [(1, 2), (2, 2)]
    assert reports[1].loss < reports[0].loss
    assert all(report.miou is not None and 0 <= report.miou < 1 for report in reports)
    assert weights == tmp_path / f"{model}.safetensors"
    assert load_model(f"{model}={weights}").record.name == model


@pytest.mark.long
def test_a_training_that_was_killed_ends_with_the_bytes_of_one_that_was_not(scenes: str, tmp_path: Path) -> None:
    """Fast-SCNN has dropout, so the random numbers of an epoch must not depend on those before it."""
    whole, resumed = tmp_path / "whole", tmp_path / "killed"
    plan = config(scenes)
    ends = [("kill_at_tick", 4), ("kill_after_epoch", 1), ("kill_at_write", 3)]
    orders = [order(plan, resumed, bool(number), **{when: moment}) for number, (when, moment) in enumerate(ends)]
    orders += [order(plan, resumed, True), order(plan, whole, False)]
    done = subprocess.run([sys.executable, str(WORKER), json.dumps(orders)], capture_output=True, text=True, check=True)
    assert [end["status"] for end in json.loads(done.stdout)] == [-signal.SIGKILL] * len(ends) + [0, 0], done.stderr
    assert not list(resumed.glob("*.part"))
    name = "fast-scnn-synthetic.safetensors"
    assert (resumed / name).read_bytes() == (whole / name).read_bytes()
    _, reports = learn(plan, resumed, resume=True)
    assert reports == [], "there is nothing left to do"


def test_a_training_continues_from_given_weights(scenes: str, tmp_path: Path) -> None:
    weights, (first,) = learn(config(scenes, epochs=1), tmp_path / "first")
    _, (second,) = learn(config(scenes, epochs=1, initial=str(weights)), tmp_path / "second")
    assert second.loss < first.loss
    with pytest.raises(WeightsError, match="not weights of an ESPNet"):
        learn(config(scenes, model="espnet-synthetic", initial=str(weights)), tmp_path / "third")


def test_folders_belong_to_one_training(scenes: str, tmp_path: Path) -> None:
    plan = config(scenes, epochs=1, limit=4)
    learn(plan, tmp_path)
    with pytest.raises(ConfigurationError, match="holds this training already") as caught:
        learn(plan, tmp_path)
    assert "--resume" in caught.value.hint
    with pytest.raises(ConfigurationError, match="other options"):
        learn(replace(plan, epochs=2), tmp_path, resume=True)
    with pytest.raises(ConfigurationError, match="no training to resume"):
        learn(plan, tmp_path / "new", resume=True)


def test_images_can_be_held_out_to_validate_on(scenes: str, tmp_path: Path) -> None:
    _, (report,) = learn(config(scenes, epochs=1, hold_out="7", batch_size=7), tmp_path / "one")
    assert report.miou is not None
    kept, held = (np.load(tmp_path / "one" / name / "images.npy") for name in ("cache", "cache-validation"))
    everything = open_dataset("folder", Path(scenes), "train")
    assert np.array_equal(kept, [everything[index].image for index in range(7)])
    assert np.array_equal(held, [everything[7].image])
    with pytest.raises(ConfigurationError, match="names of 0 of 8 training images begin like this") as caught:
        learn(config(scenes, hold_out="no-such-name"), tmp_path / "other")
    assert "like 0" in caught.value.hint
    assert not (tmp_path / "other").exists()


def test_the_lovasz_loss_is_learnt_beside_the_labels(scenes: str, tmp_path: Path) -> None:
    _, (plain, _) = learn(config(scenes), tmp_path / "plain")
    _, (first, second) = learn(config(scenes, lovasz=1.0, loss_stride=2), tmp_path / "lovasz")
    assert plain.loss + 0.3 < first.loss, "it adds something below 1"
    assert second.loss < first.loss


def test_what_cannot_be_trained_is_refused_and_leaves_nothing(scenes: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigurationError, match="has the classes of cityscapes, espnet-camvid of camvid"):
        learn(config(scenes, model="espnet-camvid"), out)
    for split in ("train_split", "validation_split"):
        with pytest.raises(DataError, match="no split"):
            learn(config(scenes, **{split: "nowhere"}), out)
    assert not out.exists()
    with pytest.raises(DataError, match="do not fill one batch of 64"):
        learn(config(scenes, batch_size=64), out)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"scale": (0.0, 1.0)}, "--zoom 0.0 1.0"),
        ({"scale": (1.5, 1.0)}, "--zoom 1.5 1.0"),
        ({"scale": (float("nan"), 1.0)}, "--zoom nan"),
        ({"crop": (0, 128)}, "--crop 0x128"),
        ({"crop": (64, 100)}, "--crop is 64x100 .* multiples of 32"),
        ({"epochs": 0}, "at least 1"),
        ({"limit": 0}, "at least 1"),
        ({"batch_size": 1}, "at least 2"),
        ({"rate": 0.0}, "above 0"),
        ({"colour": 1.0}, "--colour 1.0"),
        ({"distillation": -1.0}, "--distillation -1.0"),
        ({"loss_stride": 0}, "at least 1"),
        ({"validate_every": 0}, "at least 1"),
    ],
)
def test_options_that_no_training_can_have(
    scenes: str, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        learn(config(scenes, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_validation_images_that_the_network_cannot_take_are_refused_at_once(scenes: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"validation image 8 is 60x100 .* multiples of 32") as caught:
        learn(config(scenes, size=(60, 100)), tmp_path / "out")
    assert "--size 256x512" in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_an_epoch_is_saved_before_it_is_validated(scenes: str, tmp_path: Path) -> None:
    def interrupted(stage: str, done: int, total: int) -> None:
        if stage == "validation":
            raise KeyboardInterrupt

    plan = config(scenes, epochs=1)
    with pytest.raises(KeyboardInterrupt):
        train(plan, tmp_path, False, interrupted, lambda report: None)
    weights, reports = learn(plan, tmp_path, resume=True)
    assert weights.is_file()
    assert reports == [], "there is nothing left to do"


def test_a_training_that_is_refused_at_a_later_image_leaves_nothing_in_the_way(scenes: str, tmp_path: Path) -> None:
    shutil.copytree(scenes, tmp_path / "data")
    mask = tmp_path / "data/train/masks/5.png"
    kept, plan = mask.read_bytes(), config(str(tmp_path / "data"), epochs=1)
    mask.unlink()
    with pytest.raises(DataError, match="5 has no labels"):
        learn(plan, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    mask.write_bytes(kept)
    assert learn(plan, tmp_path / "out")[0].is_file()


def test_examples_need_labels_and_one_size(scenes: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    (root / "classes.txt").write_text("cityscapes")
    for name, side in (("a", 8), ("b", 16)):
        Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(root / f"images/{name}.png")
        Image.fromarray(np.zeros((side, side), np.uint8)).save(root / f"masks/{name}.png")
    with pytest.raises(DataError, match="b has another size than a"):
        CachedExamples(open_dataset("folder", root), SPEC, tmp_path / "one", silent)
    for mask in (root / "masks").iterdir():
        mask.unlink()
    with pytest.raises(DataError, match="a has no labels"):
        CachedExamples(open_dataset("folder", root), SPEC, tmp_path / "two", silent)


def test_cached_examples_are_those_of_the_dataset(scenes: str, tmp_path: Path) -> None:
    dataset = open_dataset("folder", Path(scenes), "train")
    for _ in range(2):  # decoded, then found on disk
        examples = CachedExamples(dataset, SPEC, tmp_path, silent)
        images, labels = examples.batch(np.array([1, 5]))
        for row, index in enumerate((1, 5)):
            example = dataset[index]
            assert example.labels is not None
            assert np.array_equal(images[row].permute(1, 2, 0).numpy(), example.image)
            assert np.array_equal(labels[row].numpy(), example.labels)
    counts = np.zeros(256)
    for index in range(8):
        counts += np.bincount(dataset[index].labels.ravel(), minlength=256)  # type: ignore[union-attr]
    known = counts[: len(CITYSCAPES)]
    assert np.allclose(examples.class_shares(len(CITYSCAPES)), known / known.sum())


def test_a_teacher_is_asked_once_and_learnt_from(scenes: str, tmp_path: Path) -> None:
    asked: list[str] = []

    def tick(stage: str, done: int, total: int) -> None:
        asked.append(stage)

    plan = config(scenes, epochs=1, teacher="espnet-synthetic")
    train(plan, tmp_path / "taught", False, tick, lambda report: None)
    assert asked.count("teacher") == 8
    (path,) = (tmp_path / "taught/cache").glob("soft-*.npy")
    stored = np.load(path)
    assert stored.shape == (8, 19, 16, 32)
    assert np.allclose(stored.astype(float).sum(1), 1, atol=0.01)
    weights, _ = learn(config(scenes, epochs=1), tmp_path / "alone")
    taught = (tmp_path / "taught" / weights.name).read_bytes()
    assert taught != weights.read_bytes()
    asked.clear()
    train(plan, tmp_path / "taught", True, tick, lambda report: None)
    assert "teacher" not in asked


def test_a_teacher_of_other_classes_is_refused(scenes: str, tmp_path: Path) -> None:
    network = build_network(load_spec("fast-scnn-camvid"), None)
    weights = tmp_path / "camvid.safetensors"
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, weights)
    with pytest.raises(ConfigurationError, match="fast-scnn-camvid does not know wall, traffic light"):
        learn(config(scenes, teacher=f"fast-scnn-camvid={weights}"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_start_from_another_architecture_is_refused_before_anything_is_written(scenes: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="espnet-synthetic has no parameter in common"):
        learn(config(scenes, initial="espnet-synthetic"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_start_from_another_network_takes_over_the_rows_of_shared_classes() -> None:
    donor, spec = load_model("fast-scnn-synthetic"), load_spec("fast-scnn-camvid")
    given = donor.network.state_dict()
    own = initial_network(spec, "fast-scnn-synthetic").state_dict()
    last = "classifier.conv.1.weight"
    for row, name in enumerate(spec.canonical_outputs):
        assert torch.equal(own[last][row], given[last][donor.spec.outputs.index(name)]), name
    same = [key for key in own if own[key].shape == given[key].shape]
    assert len(same) > len(own) - 6
    assert all(torch.equal(own[key], given[key]) for key in same)


def test_a_validation_can_wait_but_the_last_epoch_has_one(scenes: str, tmp_path: Path) -> None:
    _, reports = learn(config(scenes, epochs=3, validate_every=2), tmp_path)
    assert [report.miou is not None for report in reports] == [False, True, True]


@pytest.mark.parametrize("model", ["fast-scnn-synthetic", "espnet-synthetic"])
def test_the_loss_can_be_taken_at_a_lower_resolution(model: str, scenes: str, tmp_path: Path) -> None:
    _, reports = learn(config(scenes, model=model, loss_stride=2), tmp_path)
    assert reports[1].loss < reports[0].loss


def test_a_flipped_bit_of_what_a_training_rests_on_is_found(scenes: str, tmp_path: Path) -> None:
    plan = config(scenes, epochs=2, limit=4)
    learn(plan, tmp_path)
    for name in ("train.json", "checkpoint.pt", "cache/images.npy", "cache/labels.npy", "cache-validation/labels.npy"):
        path = tmp_path / name
        before = path.read_bytes()
        for place in np.random.default_rng(0).integers(len(before), size=3):
            after = bytearray(before)
            after[place] ^= 1
            path.write_bytes(after)
            with pytest.raises(SegevalError):
                learn(plan, tmp_path, resume=True)
        path.write_bytes(before)
    assert learn(plan, tmp_path, resume=True)[1] == []


def test_a_checkpoint_of_an_earlier_segeval_still_loads(scenes: str, tmp_path: Path) -> None:
    plan = config(scenes, epochs=1, limit=4)
    learn(plan, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[32:])
    assert torch.load(path, weights_only=True)["epoch"] == 1
    assert learn(plan, tmp_path, resume=True)[1] == []


def test_two_trainings_do_not_write_into_one_folder(scenes: str, tmp_path: Path) -> None:
    plan = config(scenes, epochs=1, limit=4)
    with only_writer(tmp_path / "out", "train"), pytest.raises(ConfigurationError, match="another process is writing"):
        learn(plan, tmp_path / "out")
    (tmp_path / "out/set.json").write_text("{}")
    with pytest.raises(ConfigurationError, match="holds an adversarial set"):
        learn(plan, tmp_path / "out")


def test_a_full_disk_is_said(scenes: str, tmp_path: Path, mount_disk: Callable[[str], Path]) -> None:
    disk = mount_disk("64k")
    with pytest.raises(StorageError, match="no space left"):
        learn(config(scenes, epochs=1, limit=4), disk / "out")
