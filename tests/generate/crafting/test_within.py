"""Attacks held to a mean change: within a given one, and within that of another attack on the same image."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.errors import ConfigurationError
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample
from segeval.generate.crafting.craft import Crafter

LIMITS = (0.25, 0.5, 1.0)


def change(folder: SetFolder, sample: AdversarialSample) -> float:
    """Mean absolute change of the saved image, over φ for the local scope, else over the image."""
    clean, adversarial = (folder.image(sample.files[name]).astype(float) for name in ("clean", "adversarial"))
    size = np.abs(adversarial - clean).mean(2)
    return float(size[folder.mask(sample.files["phi"])].mean() if "local" in sample.attack else size.mean())


def test_no_saved_image_changes_by_more(world: Any, tmp_path: Path) -> None:
    folder = world.craft(
        tmp_path / "set", attacks=("fgsm", "tanh"), within=LIMITS, settings=("fgsm.step=0.1",), steps=12
    )
    manifest = folder.complete_manifest()
    samples = list(folder.samples())
    assert manifest.sample_count == len(samples) == len({sample.id for sample in samples})
    assert {spec.label for spec in manifest.attacks} == {sample.attack for sample in samples}
    limits = {spec.label: spec.within for spec in manifest.attacks}
    curves = {(sample.image, sample.attack): sample.curve for sample in samples if sample.curve}
    success: dict[tuple[str, str], list[float]] = {}
    for sample in samples:
        limit = limits[sample.attack]
        if limit is not None:
            assert change(folder, sample) <= limit
            if sample.best_step < 0:
                assert sample.norms.linf == 0
                continue
            key = sample.image, sample.attack.rpartition("-within")[0]
            curve = curves[key]
            success.setdefault(key, []).append(curve[sample.best_step].counts[sample.victims[0]].success or 0.0)
    assert success
    for reached in success.values():
        assert reached == sorted(reached), "a larger limit cannot make the chosen iterate worse"


def test_specs_of_one_trajectory_share_its_random_numbers_and_the_first_has_the_curve(
    world: Any, tmp_path: Path
) -> None:
    folder = world.craft(tmp_path / "set", attacks=("tanh",), scopes=("full",), within=LIMITS)
    for image in "012":
        own = [sample for sample in folder.samples() if sample.image == image]
        assert len(own) == 1 + len(LIMITS)
        assert len({sample.seed for sample in own}) == 1
        assert [bool(sample.curve) for sample in own] == [True, False, False, False], "it is stored once"
    alone = world.craft(tmp_path / "alone", attacks=("tanh",), scopes=("full",))
    assert list(alone.samples()) == [sample for sample in folder.samples() if sample.attack == "tanh-full"]


def test_a_matched_attack_stays_below_its_reference_on_every_image(world: Any, tmp_path: Path) -> None:
    folder = world.craft(
        tmp_path / "set", attacks=("tanh",), match=("fgsm=tanh",), presets=("default", "paper"), steps=8
    )
    samples = {(sample.image, sample.attack): sample for sample in folder.samples()}
    labels = [spec.label for spec in folder.manifest().attacks if spec.match]
    assert labels == ["fgsm-local-as-tanh", "fgsm-local-as-tanh-paper", "fgsm-full-as-tanh", "fgsm-full-as-tanh-paper"]
    changed = 0
    for (image, label), sample in samples.items():
        if "-as-" in label:
            scope, preset = label.split("-")[1], "-paper" if label.endswith("paper") else ""
            reference = samples[image, f"tanh-{scope}{preset}"]
            assert change(folder, sample) <= change(folder, reference)
            changed += sample.norms.linf > 0
    assert changed, "at least some of them differ from the clean image"


def test_a_matched_set_continues_where_it_was_interrupted(world: Any, tree: Any, tmp_path: Path) -> None:
    options = {"attacks": ("tanh",), "match": ("fgsm=tanh",), "scopes": ("full",), "within": (1.0,)}
    whole = world.craft(tmp_path / "whole", **options)

    class StoppedError(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("fgsm") and done > 3:  # in the second of three matched images
            raise StoppedError

    with pytest.raises(StoppedError):
        world.craft(tmp_path / "cut", progress=stop, **options)
    assert tree(world.craft(tmp_path / "cut", resume=True, **options)) == tree(whole)


def test_the_plan_counts_trajectories_for_gradients_and_specs_for_samples(world: Any, tmp_path: Path) -> None:
    config = replace(world.config, attacks=("tanh",), match=("fgsm=tanh",), within=LIMITS)
    plan = Crafter(config, tmp_path / "set").setup.plan()
    assert plan.gradients_at_most == 3 * 3 * 2 * 2  # images, steps, scopes, trajectories
    assert plan.samples_at_most == 3 * 2 * (1 + len(LIMITS) + 1)


@pytest.mark.parametrize("match", ["fgsm", "fgsm=", "fgsm=fgsm", "=tanh="])
def test_a_match_needs_a_reference_that_is_crafted(world: Any, match: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not ATTACK=REFERENCE"):
        world.craft(tmp_path / "set", attacks=("tanh",), match=(match,))


def test_images_are_chosen_by_id(world: Any, tmp_path: Path) -> None:
    folder = world.craft(tmp_path / "set", ids=("2", "0", "2"), attacks=("fgsm",), scopes=("full",), steps=1)
    assert folder.manifest().images == ("2", "0")
    with pytest.raises(ConfigurationError, match="has no image '7'"):
        world.craft(tmp_path / "other", ids=("7",))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), 256.0])
def test_a_limit_that_is_no_mean_change_is_refused(world: Any, limit: float, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is not a mean change in levels"):
        world.craft(tmp_path / "set", within=(limit,))
    with pytest.raises(ConfigurationError, match="within-1' is given more than once"):
        world.craft(tmp_path / "set", within=(1.0, 1.0))


def test_matched_settings_are_recorded_and_small_steps_come_close_to_the_limit(world: Any, tmp_path: Path) -> None:
    options = {"attacks": ("tanh",), "scopes": ("full",), "match": ("fgsm=tanh",), "steps": 20}
    folder = world.craft(tmp_path / "set", settings=("tanh.penalty=100000",), **options)
    (spec,) = (spec for spec in folder.manifest().attacks if spec.match)
    assert (spec.preset, spec.parameters["step"], spec.label) == ("matched", 0.1, "fgsm-full-as-tanh")
    samples = {(sample.image, sample.attack): sample.norms.mean for sample in folder.samples()}
    for image in "012":
        assert samples[image, "fgsm-full-as-tanh"] > 0.7 * samples[image, "tanh-full"] > 0


def test_a_limit_of_nothing_at_all_leaves_the_clean_image(world: Any, tmp_path: Path) -> None:
    options = {"attacks": ("fgsm",), "match": ("tanh=fgsm",), "scopes": ("full",), "settings": ("fgsm.step=0.0001",)}
    folder = world.craft(tmp_path / "set", steps=2, **options)
    for sample in folder.samples():
        assert sample.norms.linf == 0


@pytest.mark.long
def test_a_matched_attack_ends_far_beyond_its_limit_and_misses_nothing(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"attacks": ("tanh",), "match": ("fgsm=tanh",), "steps": 12, "settings": ("tanh.penalty=1e6",)}
    ended = list(world.craft(tmp_path / "ended", **options).samples())
    monkeypatch.setattr("segeval.generate.crafting.driver.FAR", float("inf"))
    whole = list(world.craft(tmp_path / "whole", **options).samples())
    assert [replace(sample, curve=()) for sample in ended] == [replace(sample, curve=()) for sample in whole]
    shorter = [len(one.curve) < len(other.curve) for one, other in zip(ended, whole, strict=True)]
    matched = ["-as-" in sample.attack for sample in ended]
    assert any(shorter)
    assert all(is_matched for is_short, is_matched in zip(shorter, matched, strict=True) if is_short)


def test_stopping_early_and_limits_exclude_each_other(world: Any, tmp_path: Path) -> None:
    for options in ({"within": (1.0,)}, {"match": ("fgsm=tanh",)}):
        with pytest.raises(ConfigurationError, match="--stop-at with --within or --match"):
            world.craft(tmp_path / "set", stop_at=0.5, **options)
