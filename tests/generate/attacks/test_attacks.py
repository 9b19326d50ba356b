"""What every registered attack promises, in both scopes and all its presets, measured on the files it leaves."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AttackSpec, FileRecord, Scope, Step
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.metrics import count_attack
from segeval.models.soundness import predict
from segeval.registry import ATTACKS

Crafted = Callable[..., SetFolder]
Tree = Callable[..., dict[str, bytes]]
NAMES = list(ATTACKS)
SOME = [name if name in ("ddn", "pgd", "tanh") else pytest.param(name, marks=pytest.mark.long) for name in NAMES]
"""All of them, of which few run in an ordinary test of what is the driver's doing and the same for every attack."""
PER_IMAGE = ("clean", "predicted", "phi", "seeds")


def presets(attack: str) -> tuple[str, ...]:
    return tuple(sorted({"default", *(preset for preset, _ in ATTACKS.load(attack).presets)}))


@pytest.fixture(scope="module")
def crafted(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Crafted:
    """The set of one attack in every scope and preset, crafted four images at a time; made once."""
    made: dict[str, SetFolder] = {}

    def craft(attack: str, **changes: Any) -> SetFolder:
        if not changes and attack in made:
            return made[attack]
        options = {"attacks": (attack,), "presets": presets(attack), "batch_size": 4, **changes}
        folder: SetFolder = world.craft(tmp_path_factory.mktemp(attack) / "set", **options)
        if not changes:
            made[attack] = folder
        return folder

    return craft


def pixels(folder: SetFolder, record: FileRecord) -> NDArray[np.uint8]:
    """An image as anybody would read it."""
    return np.array(Image.open(folder.root / record.path))


def specs(folder: SetFolder) -> dict[str, AttackSpec]:
    return {spec.label: spec for spec in folder.manifest().attacks}


@pytest.mark.parametrize("attack", NAMES)
def test_there_is_a_sample_for_every_image_scope_and_preset(attack: str, crafted: Crafted) -> None:
    folder = crafted(attack)
    manifest = folder.complete_manifest()
    ids = [sample.id for sample in folder.samples()]
    assert len(ids) == len(set(ids)) == manifest.sample_count
    assert manifest.sample_count + len(manifest.skipped) * len(manifest.attacks) == 3 * 2 * len(presets(attack))
    assert {sample.attack for sample in folder.samples()} == set(specs(folder))


@pytest.mark.parametrize("attack", NAMES)
def test_budget_and_mask_hold_in_the_saved_images(attack: str, crafted: Crafted) -> None:
    folder = crafted(attack)
    changed = set()
    for sample in folder.samples():
        spec = specs(folder)[sample.attack]
        clean, adversarial = (pixels(folder, sample.files[name]).astype(int) for name in ("clean", "adversarial"))
        phi = pixels(folder, sample.files["phi"]) > 0
        change = np.abs(adversarial - clean)
        if not change.any():  # where no step reaches anything, the clean image it starts at is as good
            assert not any(counts.hit for step in sample.curve for counts in step.counts.values())
            continue
        changed.add(spec.label)
        if spec.budget is not None:
            assert change.max() <= spec.budget
        if spec.scope == "local":
            assert not change[~phi].any()
        else:
            assert change[~phi].any()
    assert changed == set(specs(folder))


@pytest.mark.parametrize("attack", NAMES)
def test_records_say_what_the_saved_images_show(attack: str, crafted: Crafted, world: Any) -> None:
    folder = crafted(attack)
    name = world.victim.spec.name
    (task,) = folder.manifest().tasks
    for sample in folder.samples():
        clean, adversarial, truth, before, after = (
            pixels(folder, sample.files[key])
            for key in ("clean", "adversarial", "truth", f"prediction:{name}", f"adversarial_prediction:{name}")
        )
        phi = np.isin(before, task.sources)
        assert np.array_equal(pixels(folder, sample.files["phi"]), phi.astype(np.uint8) * 255)
        assert np.array_equal(before, predict(world.victim, clean))
        assert np.array_equal(after, predict(world.victim, adversarial))
        assert sample.counts == {name: count_attack(after, phi, task.goal, truth)}
        assert sample.clean_counts == {name: count_attack(before, phi, task.goal, truth)}
        assert sample.clean_counts[name].hit == 0
        change = adversarial.astype(float) - clean
        assert sample.norms.mean == pytest.approx(np.abs(change).mean())
        assert sample.norms.mean_phi == pytest.approx(np.abs(change)[phi].mean())
        assert sample.norms.l2 == pytest.approx(np.linalg.norm(change.ravel()))
        assert sample.norms.linf == np.abs(change).max()


@pytest.mark.parametrize("attack", NAMES)
def test_curves_have_every_step_and_the_saved_one_is_the_one_to_keep(attack: str, crafted: Crafted) -> None:
    folder = crafted(attack)
    name = folder.manifest().models[0].name

    for sample in folder.samples():
        spec = specs(folder)[sample.attack]
        enough = float(str(spec.parameters.get("aim", 1)))

        def worth(step: Step, enough: float = enough) -> tuple[float, float]:
            return min(step.counts[name].success or 0.0, enough), -step.mean

        assert len(sample.curve) == spec.steps + 1 == 4
        assert spec.keep == ("last" if spec.preset == "paper" else "best")
        best = max(range(4), key=lambda index: worth(sample.curve[index]))
        assert sample.best_step == (3 if spec.keep == "last" else best)
        # The float image of that step and the saved one differ by rounding alone.
        assert abs(sample.curve[sample.best_step].mean - sample.norms.mean) < 0.5


@pytest.mark.parametrize("attack", NAMES)
def test_saving_changes_nothing_of_what_an_attack_reached(attack: str, crafted: Crafted) -> None:
    folder = crafted(attack)
    for sample in folder.samples():
        spec = specs(folder)[sample.attack]
        assert spec.dithered == (spec.preset != "paper"), "published attacks are made on float images"
        if spec.dithered:
            assert sample.curve[sample.best_step].counts == sample.counts


@pytest.mark.parametrize("attack", NAMES)
def test_default_attacks_have_some_success(attack: str, crafted: Crafted) -> None:
    folder = crafted(attack)
    hits = dict.fromkeys(specs(folder), 0)
    for sample in folder.samples():
        hits[sample.attack] += sum(counts.hit for counts in sample.counts.values())
    assert hits[f"{attack}-local"] > 0
    assert hits[f"{attack}-full"] > 0


@pytest.mark.parametrize("attack", NAMES)
def test_neither_repetition_nor_the_batch_size_changes_a_byte(attack: str, crafted: Crafted, tree: Tree) -> None:
    four = crafted(attack)
    torch.rand(5)
    assert tree(four, manifest=False) == tree(crafted(attack, batch_size=1), manifest=False)


@pytest.mark.parametrize("attack", NAMES)
@pytest.mark.parametrize("scope", ["local", "full"])
def test_images_of_a_batch_do_not_touch_each_other(
    attack: str, scope: Scope, several_classes: Callable[..., Problem]
) -> None:
    """Up to rounding, that is, and therefore in double precision: batches are attacked as such on a GPU only."""
    batch = several_classes(scope, torch.float64)

    def last(problem: Problem) -> torch.Tensor:
        return next(islice(build_attack(attack, "default", scope, {}).candidates(problem), 5, None)).images.detach()

    def one(index: int) -> Problem:
        return replace(batch, **{name: getattr(batch, name)[index : index + 1] for name in PER_IMAGE})

    alone = [last(one(index)) for index in range(3)]
    assert ((last(batch) - torch.cat(alone)).abs() < 1e-9).all()


def test_another_seed_gives_other_images_where_there_is_chance(crafted: Crafted) -> None:
    def adversarial(folder: SetFolder, preset: str) -> list[str]:
        own = [sample for sample in folder.samples() if specs(folder)[sample.attack].preset == preset]
        return [sample.files["adversarial"].sha256 for sample in own]

    for attack, preset in (("tanh", "default"), ("tanh", "paper"), ("fgsm", "default")):
        given, other = (set(adversarial(crafted(attack, **seed), preset)) for seed in ({}, {"seed": 1}))
        assert given and not given & other, "it draws its start, or the random numbers of its whole levels"
    without_chance = adversarial(crafted("fgsm"), "paper")
    assert without_chance and without_chance == adversarial(crafted("fgsm", seed=1), "paper")


def test_no_two_samples_share_their_random_numbers(crafted: Crafted) -> None:
    seeds = [sample.seed for sample in crafted("tanh").samples()]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("attack", SOME)
def test_stopping_early_touches_no_other_image(attack: str, crafted: Crafted) -> None:
    whole = {sample.id: sample for sample in crafted(attack).samples()}
    name = crafted(attack).manifest().models[0].name

    def reached(sample: AdversarialSample) -> list[float]:
        return [step.counts[name].success or 0.0 for step in sample.curve]

    early = sorted(max(reached(sample)[:3]) for sample in whole.values())
    threshold = early[len(whole) // 2]  # which some reach before the last step, and others not
    stopped = list(crafted(attack, stop_at=threshold).samples())
    lengths = set()
    for sample in stopped:
        before = whole[sample.id]
        end = next((k for k, success in enumerate(reached(before)) if success >= threshold), 3)
        assert sample.curve == before.curve[: end + 1]
        lengths.add(len(sample.curve))
        if end == 3:
            assert sample.files["adversarial"].sha256 == before.files["adversarial"].sha256
    assert len(lengths) > 1


@pytest.mark.parametrize("attack", NAMES)
def test_every_goal_is_pursued_and_counted_as_it_says(attack: str, crafted: Crafted, world: Any) -> None:
    """Whatever a source class becomes, and untargeted: more than the clean image gives, by the files that are saved."""
    first = world.config.tasks[0].partition(":")[0] + ":*"
    folder = crafted(attack, tasks=(first, "untargeted"), presets=("default",), steps=6, limit=1)
    name, manifest = world.victim.spec.name, folder.complete_manifest()
    tasks = {task.name: task for task in manifest.tasks}
    assert {task.kind for task in tasks.values()} == {"lost", "wrong"}
    for sample in folder.samples():
        goal = tasks[sample.task].goal
        before, after = (folder.labels(sample.files[f"{key}prediction:{name}"]) for key in ("", "adversarial_"))
        phi = folder.mask(sample.files["phi"])
        reached = phi & (~np.isin(after, goal.sources) if goal.kind == "lost" else after != before)
        assert sample.counts[name].hit == np.count_nonzero(reached) > 0
        assert sample.clean_counts[name].hit == 0
        assert np.array_equal(folder.margins(sample.files[f"margin:{name}"]) > 0, reached[phi])
