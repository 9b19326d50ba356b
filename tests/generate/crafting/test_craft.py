"""Crafting a whole set: what it records, and every request that is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segeval.datasets import Example
from segeval.errors import ConfigurationError, DataError, EngineError, SegevalError, UnknownNameError
from segeval.files.set_folder import SetFolder
from segeval.generate.attacks.problem import Problem
from segeval.generate.crafting.craft import Crafter, require_size
from segeval.generate.crafting.jobs import seed_of
from segeval.generate.crafting.setup import spread
from segeval.models.loading import load_spec

Tree = Callable[..., dict[str, bytes]]
QUICK: dict[str, Any] = {"attacks": ("fgsm",), "scopes": ("local",), "steps": 1}


def refusal(kind: type[SegevalError], action: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        action()
    return f"{caught.value.what} | {caught.value.hint}"


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., str]:
    """A `folder` data set of images of these sizes."""

    def make(*sizes: tuple[int, int], classes: str = "cityscapes") -> str:
        root = tmp_path / "pictures"
        (root / "images").mkdir(parents=True)
        for number, size in enumerate(sizes):
            noise = np.random.default_rng(number).integers(0, 256, (*size, 3), np.uint8)
            Image.fromarray(noise).save(root / f"images/{number}.png")
        (root / "classes.txt").write_text(classes)
        return str(root)

    return make


def test_the_manifest_describes_the_run(world: Any, tmp_path: Path) -> None:
    stages: list[tuple[str, int, int]] = []
    folder = world.craft(tmp_path / "set", progress=lambda *step: stages.append(step), **QUICK)
    manifest = folder.complete_manifest()
    assert manifest.images == ("0", "1", "2")
    assert (manifest.height, manifest.width) == (64, 96)
    assert manifest.models == (world.victim.spec.name,) or manifest.models[0].name == world.victim.spec.name
    assert len(manifest.models[0].weights_sha256) == 64
    assert {"segeval", "python", "torch", "numpy"} <= manifest.versions.keys()
    assert stages[:3] == [("clean predictions", number, 3) for number in (1, 2, 3)]
    name = manifest.models[0].name
    assert stages[-1] == (f"fgsm-local on {name}", manifest.sample_count, manifest.sample_count)
    for _, done, total in stages:
        assert 0 <= done <= total
    for sample in folder.samples():
        assert sample.seed == seed_of(0, sample.id)


def test_the_plan_counts_what_there_can_be_at_most(world: Any, tmp_path: Path) -> None:
    plan = Crafter(world.config, tmp_path / "set").setup.plan()
    assert (plan.images, plan.samples_at_most, plan.gradients_at_most) == (3, 12, 36)
    assert not (tmp_path / "set").exists()


def test_a_limit_spreads_over_the_dataset() -> None:
    assert spread(100, 4) == [0, 25, 50, 75]
    assert spread(3, None) == spread(3, 3) == spread(3, 9) == [0, 1, 2]


def test_images_without_ground_truth_are_attacked_all_the_same(world: Any, dataset: Any, tmp_path: Path) -> None:
    folder = world.craft(tmp_path / "set", data_root=dataset((64, 96)), **QUICK)
    (sample,) = folder.samples()
    assert "truth" not in sample.files
    assert sample.counts[world.victim.spec.name].accuracy is None
    assert sample.counts[world.victim.spec.name].success is not None


def test_a_task_without_a_source_pixel_anywhere_breaks_no_later_run(world: Any, tree: Tree, tmp_path: Path) -> None:
    impossible = f"{world.absent}:road"
    text = refusal(DataError, lambda: world.craft(tmp_path / "set", tasks=(impossible,), limit=2, **QUICK))
    assert "no pixel of 2 images" in text and f"{world.absent}-to-road" in text and "--task" in text
    later = world.craft(tmp_path / "set", limit=1, **QUICK)
    assert tree(later) == tree(world.craft(tmp_path / "fresh", limit=1, **QUICK))


def test_images_of_odd_size_are_named_with_a_size_that_fits(world: Any, dataset: Any, tmp_path: Path) -> None:
    root = dataset((62, 97), (64, 96))
    text = refusal(DataError, lambda: world.craft(tmp_path / "set", data_root=root, **QUICK))
    assert "image 0 is 62x97" in text and "multiples of 8" in text and "--size 256x512" in text
    assert not (tmp_path / "set").exists()
    assert world.craft(tmp_path / "set", data_root=root, size=(56, 96), **QUICK).complete_manifest().height == 56


def test_a_craft_that_is_refused_at_a_later_image_leaves_nothing_in_the_way(
    world: Any, dataset: Any, tree: Tree, tmp_path: Path
) -> None:
    root, out = dataset((64, 96), (64, 96)), tmp_path / "set"
    whole = tree(world.craft(tmp_path / "whole", data_root=root, **QUICK))
    image = Path(root) / "images/1.png"
    kept = image.read_bytes()
    for there in (False, True):  # a folder that the user made stays
        image.write_bytes(kept[: len(kept) // 2])
        if there:
            out.mkdir()
        assert "1.png cannot be read" in refusal(DataError, lambda: world.craft(out, data_root=root, **QUICK))
        assert list(out.iterdir()) == [] if there else not out.exists()
        image.write_bytes(kept)
        assert tree(world.craft(out, data_root=root, **QUICK)) == whole
        shutil.rmtree(out)


def test_images_of_different_sizes_get_the_most_common_as_if_it_was_asked_for(
    world: Any, dataset: Any, tree: Tree, tmp_path: Path
) -> None:
    options = {"data_root": dataset((72, 96), (64, 96), (64, 96)), **QUICK}
    found, asked = (
        tree(world.craft(tmp_path / "set", **options)),
        tree(world.craft(tmp_path / "asked", size=(64, 96), **options)),
    )
    assert found.pop("set.json") != asked.pop("set.json")  # which records what was asked for
    assert found == asked


def test_images_of_a_dataset_that_does_not_tell_its_sizes_must_have_one() -> None:
    example = Example("1", np.zeros((72, 96, 3), np.uint8), None)
    text = refusal(DataError, lambda: require_size(example, (64, 96, 3), "0", load_spec("espnet-synthetic")))
    assert "image 1 is 72x96" in text and "--size 256x512" in text


def test_what_does_not_fit_together_is_refused(world: Any, dataset: Any, tmp_path: Path) -> None:
    out = tmp_path / "set"

    def told(kind: type[SegevalError] = ConfigurationError, **changes: Any) -> str:
        return refusal(kind, lambda: world.craft(out, **{**QUICK, **changes}))

    assert "given more than once" in told(models=world.config.models * 2)
    assert "'fgsm-local' is given more than once" in told(attacks=("fgsm", "segeval.generate.attacks.fgsm:FGSM"))
    assert "knows the classes of cityscapes" in told(data_root=dataset((64, 96), classes="camvid"))
    assert "nowhere" in told(DataError, data_root=str(tmp_path / "nowhere"))
    assert "no attack task" in told(UnknownNameError, tasks=("car-road",))
    assert "both source and adversarial" in told(tasks=("car:car",))
    assert "espnet-synthetic" in told(UnknownNameError, models=("espnet-sinthetic",))
    assert "--scope local" in told(attacks=("tanh",), scopes=("local", "full"), settings=("loss=difference",))
    assert not out.exists()


def test_a_folder_of_something_else_is_left_alone(world: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    text = refusal(ConfigurationError, lambda: world.craft(tmp_path, **QUICK))
    assert "holds files that segeval did not make" in text
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_third_partys_attack_is_named_after_its_class(world: Any, tmp_path: Path) -> None:
    options = {**QUICK, "attacks": ("segeval.generate.attacks.fgsm:FGSM",), "settings": ("fgsm.budget=1",)}
    folder: SetFolder = world.craft(tmp_path / "set", **options)
    assert {sample.attack for sample in folder.samples()} == {"fgsm-local"}
    assert folder.manifest().attacks[0].budget == 1.0


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_too_little_memory_names_what_to_do(
    error: RuntimeError, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise error

    monkeypatch.setattr(Problem, "logits", full)
    told = refusal(EngineError, lambda: world.craft(tmp_path / "set", **QUICK))
    assert "too little memory" in told and "--batch-size" in told
