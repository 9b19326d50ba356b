"""One perturbation for several networks: shared classes, Eq. 10 and 11, and what a set of joint attacks holds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from segeval.classes import CITYSCAPES
from segeval.datasets import Example
from segeval.errors import ConfigurationError
from segeval.files.set_folder import SetFolder
from segeval.files.sets import CraftConfig, Scope, Setting, TaskRecord
from segeval.generate.attacks.goal_losses import evasive_loss
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.attacks.specs import build_attack, resolve
from segeval.generate.attacks.tanh import Tanh
from segeval.generate.attacks.victims import aligned, attacked, shared_outputs, together
from segeval.generate.crafting.driver import run_attack
from segeval.generate.crafting.jobs import Job
from segeval.generate.crafting.samples import load, make_problem, save_image
from segeval.goals import Goal
from segeval.metrics import AttackMeter, count_attack
from segeval.models import Segmenter
from segeval.models.loading import load_model, load_spec
from segeval.models.soundness import predict
from segeval.registry import ATTACKS

TOGETHER = ("apgd", "ddn", "fgsm", "tanh")
FEW = [name if name in TOGETHER else pytest.param(name, marks=pytest.mark.long) for name in ATTACKS]
"""All attacks; the others in make test-long."""

Tree = Callable[..., dict[str, bytes]]
PLAIN = load_spec("fast-scnn-synthetic")


def build(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """A small network; its weights come from a file."""
    return nn.Conv2d(3, classes, 3, padding=1)


class Answering(nn.Module):
    """Answers with something that is no tensor of logits."""

    def __init__(self, classes: int, kind: str) -> None:
        super().__init__()
        self.network, self.kind = nn.Conv2d(3, classes, 3, padding=1), kind

    def forward(self, x: Tensor) -> Any:
        logits = self.network(x)
        return {
            "dict": {"out": logits, "aux": logits},
            "tuple": (logits, logits),
            "small": logits[:, :, ::2],
            "half": logits.half(),
        }[self.kind]


def build_dict(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    return Answering(classes, "dict")


def build_tuple(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    return Answering(classes, "tuple")


def build_small(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    return Answering(classes, "small")


def build_half(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    return Answering(classes, "half")


BACKGROUND = replace(
    PLAIN, name="zz-background", builder=f"{__name__}:build", outputs=(*CITYSCAPES.names, "background"), multiple_of=1
)
"""A network with a twentieth output; its name comes last."""
DICT = replace(PLAIN, name="dict", builder=f"{__name__}:build_dict", multiple_of=1)
TUPLE = replace(PLAIN, name="tuple", builder=f"{__name__}:build_tuple", multiple_of=1)
SMALL = replace(PLAIN, name="small", builder=f"{__name__}:build_small", multiple_of=1)
HALF = replace(PLAIN, name="half", builder=f"{__name__}:build_half", multiple_of=1)
SHUFFLED = replace(PLAIN, name="shuffled", outputs=tuple(reversed(CITYSCAPES.names)))
SOME = replace(PLAIN, name="some", outputs=("car", "road", "boat"))


def weights_of(classes: int, root: Path, seed: int = 0) -> Path:
    """Random weights of `build`, large enough to give several classes."""
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(classes, 3, 3, 3, generator=generator)
    path = root / f"random-{classes}-{seed}.safetensors"
    save_file({"weight": weight, "bias": torch.zeros(classes)}, path)
    return path


@pytest.fixture(scope="module")
def pair(world: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The world's victim, and one with a twentieth output."""
    weights = weights_of(20, tmp_path_factory.mktemp("weights"))
    return (*world.config.models, f"{__name__}:BACKGROUND={weights}")


@pytest.fixture(scope="module")
def joint(world: Any, pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> SetFolder:
    """Some attacks on each of two networks and on both together, shown to both."""
    folder: SetFolder = world.craft(
        tmp_path_factory.mktemp("joint") / "set",
        models=pair,
        victims=("each", "joint"),
        transfer=True,
        attacks=TOGETHER,
    )
    return folder


def presets(attack: str) -> tuple[str, ...]:
    """All presets of an attack."""
    return tuple(sorted({"default", *(preset for preset, _ in ATTACKS.load(attack).presets)}))


def test_outputs_are_shared_by_the_name_of_their_class() -> None:
    device = torch.device("cpu")
    plain, background = (outputs.tolist() for outputs in shared_outputs([PLAIN, BACKGROUND], device))
    assert plain == background == list(range(19))
    first, second = (outputs.tolist() for outputs in shared_outputs([BACKGROUND, BACKGROUND], device))
    assert first == second == list(range(20)), "an odd class that all of them have is shared"
    first, second = (outputs.tolist() for outputs in shared_outputs([PLAIN, SHUFFLED], device))
    assert (first, second) == (list(range(19)), list(range(18, -1, -1)))
    first, second = (outputs.tolist() for outputs in shared_outputs([PLAIN, SOME], device))
    assert [PLAIN.outputs[own] for own in first] == [SOME.outputs[own] for own in second] == ["road", "car"]
    assert shared_outputs([PLAIN], device) == ()


def networks(*specs: Any) -> list[Segmenter]:
    """Random small networks of these specifications."""
    made = []
    for seed, spec in enumerate(specs):
        network = nn.Conv2d(3, len(spec.outputs), 3, padding=1)
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        made.append(Segmenter(spec, network))
    return made


def test_the_joint_prediction_is_the_class_that_any_network_is_surest_of() -> None:
    """Eq. 10, pixel by pixel."""
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    victims = together([network.double() for network in networks(BACKGROUND, PLAIN)])
    found = victims.predict(image)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double() / 255
    chances = [model(tensor).softmax(1)[0] for model in victims.segmenters]
    for y in range(6):
        for x in range(8):
            joint = [
                max(
                    float(chance[model.spec.outputs.index(name), y, x])
                    for chance, model in zip(chances, victims.segmenters, strict=True)
                )
                for name in CITYSCAPES.names
            ]
            second, first = sorted(joint)[-2:]
            assert first - second > 1e-9, "a tie, which the last digit of a double would decide"
            assert found[y, x] == int(np.argmax(joint))


def problem_of(victims: list[Segmenter], scope: Scope) -> Problem:
    """Two random images under these victims, a third of whose classes are sources. In double precision."""
    group = together([victim.double() for victim in victims])
    images = np.random.default_rng(1).integers(0, 256, (2, 12, 16, 3), np.uint8)
    predicted = torch.from_numpy(np.stack([group.predict(image) for image in images])).long()
    target, *sources = torch.bincount(predicted.flatten()).argsort(descending=True)[:5].tolist()
    return Problem(
        clean=torch.from_numpy(images).permute(0, 3, 1, 2).double() / 255,
        predicted=predicted,
        phi=torch.isin(predicted, torch.tensor(sources)),
        goal=Goal(tuple(sources), target),
        scope=scope,
        networks=group.segmenters,
        seeds=(1, 2),
        steps=7,
        outputs=group.outputs,
    )


def classification(attack: Tanh, problem: Problem, logits: Sequence[Tensor]) -> Tensor:
    """(N,) objective of the clean images, which have no penalty."""
    return attack.objective(problem, problem.clean, logits, problem.region_weights, attack.weights(problem, logits))


@pytest.mark.parametrize("omega", ["none", "source", "margin", "adversarial"])
def test_the_joint_objective_is_the_sum_over_networks_with_shared_weights(omega: Any) -> None:
    """Eq. 8, 10 and 11 in plain loops; each network is asked for its own output of the class."""
    problem = problem_of(networks(PLAIN, SHUFFLED), "full")
    logits = problem.logits(problem.clean)
    found = classification(Tanh(penalty=0, omega=omega), problem, logits)
    tables = [segmenter.spec.outputs for segmenter in problem.networks]
    names = [tables[0][number] for number in problem.outputs[0].tolist()]
    chances = [each.double().softmax(1) for each in logits]
    for n in range(2):
        total = 0.0
        for y in range(12):
            for x in range(16):
                own = [
                    [float(p[n, table.index(name), y, x]) for name in names]
                    for p, table in zip(chances, tables, strict=True)
                ]
                shared = [max(values) for values in zip(*own, strict=True)]
                source, span = int(problem.predicted[n, y, x]), max(shared) - min(shared)
                inside = bool(problem.phi[n, y, x])
                weight = {
                    "none": 1.0,
                    "source": (shared[source] - min(shared)) / span,
                    "margin": (max(shared) - shared[problem.goal.target or 0]) / span,
                    "adversarial": shared[problem.goal.target or 0],
                }[omega]
                wanted = (problem.goal.target or 0) if inside else source
                total -= (weight if inside else 1.0) * sum(np.log(values[wanted]) for values in own)
        assert float(found[n]) == pytest.approx(total / (12 * 16), rel=1e-9)


def test_the_local_joint_objective_sums_the_margins_over_phi() -> None:
    """Eq. 6 and 10."""
    problem = problem_of(networks(PLAIN, BACKGROUND), "local")
    logits = problem.logits(problem.clean)
    found = classification(Tanh(penalty=0, loss="difference"), problem, logits)
    for n in range(2):
        pixels = problem.phi[n].nonzero().tolist()
        margins = [
            float(each[n, int(problem.predicted[n, y, x]), y, x] - each[n, problem.goal.target, y, x])
            for y, x in pixels
            for each in logits
        ]
        assert float(found[n]) == pytest.approx(sum(margins) / len(pixels), rel=1e-9)


def test_fgsm_steps_down_the_sum_of_all_cross_entropies() -> None:
    """Eq. 1 with Eq. 10."""
    problem = problem_of(networks(PLAIN, BACKGROUND), "full")
    start, after = islice(build_attack("fgsm", "default", "full", {}).candidates(problem), 2)
    x = problem.clean.clone().requires_grad_()
    desired = torch.where(problem.phi, problem.goal.target or 0, problem.predicted)
    loss = sum(nn.functional.cross_entropy(model(x), desired, reduction="mean") for model in problem.networks)
    (gradient,) = torch.autograd.grad(loss, x)  # type: ignore[arg-type]
    assert gradient.abs().min() > 1e-9 * gradient.abs().max(), "a sign that the last digit of a double would decide"
    expected = (problem.clean - 0.5 / 255 * gradient.sign()).clamp(0, 1)
    assert torch.equal(start.images, problem.clean)
    assert torch.allclose(after.images, expected, rtol=0, atol=1e-12)


def test_a_shrinking_mask_is_what_the_networks_together_still_see() -> None:
    problem = problem_of(networks(PLAIN, BACKGROUND), "local")
    attack = Tanh(mask="shrinking", loss="difference", penalty=0, rate=0.05)
    before = None
    for candidate in islice(attack.candidates(problem), 8):
        if before is not None:
            joint = torch.stack([each.softmax(1) for each in aligned(before.logits, problem.outputs)]).amax(0).argmax(1)
            won = problem.phi & ~torch.isin(joint, torch.tensor(problem.goal.sources))
            moved = (candidate.images != before.images).any(1)
            assert not (moved & won).any()
        before = candidate


@pytest.mark.parametrize("attack", FEW)
def test_joint_on_one_network_is_the_attack_on_that_network(
    attack: str, world: Any, tree: Tree, tmp_path: Path
) -> None:
    options = {"attacks": (attack,), "presets": presets(attack)}
    single = tree(world.craft(tmp_path / "single", **options), manifest=False)
    assert single == tree(world.craft(tmp_path / "joint", victims=("joint",), **options), manifest=False)
    both = world.craft(tmp_path / "both", victims=("each", "joint"), **options)
    assert single == tree(both, manifest=False), "it is not crafted twice"


@pytest.mark.parametrize("attack", FEW)
def test_the_order_of_the_networks_changes_nothing(
    attack: str, world: Any, pair: tuple[str, str], tree: Tree, tmp_path: Path
) -> None:
    options = {"attacks": (attack,), "victims": ("joint",), "presets": presets(attack)}
    one = world.craft(tmp_path / "one", models=pair, **options)
    other = world.craft(tmp_path / "other", models=pair[::-1], **options)
    assert tree(one, manifest=False) == tree(other, manifest=False)


def test_a_set_says_what_every_network_sees(joint: SetFolder, pair: tuple[str, str]) -> None:
    models = {model.spec.name: model for model in map(load_model, pair)}
    (task,) = joint.manifest().tasks
    victims = set()
    for sample in joint.samples():
        victims.add(sample.victims)
        assert sample.id.endswith("/" + "+".join(sample.victims))
        assert set(sample.counts) == set(sample.clean_counts) == set(models)
        assert set(sample.curve[0].counts) == set(sample.victims)
        phi, truth = joint.mask(sample.files["phi"]), joint.labels(sample.files["truth"])
        together_seen = joint.labels(sample.files["prediction:" + "+".join(sample.victims)])
        assert np.array_equal(phi, np.isin(together_seen, task.sources))
        for name, model in models.items():
            for key, image, counts in (
                (f"prediction:{name}", "clean", sample.clean_counts),
                (f"adversarial_prediction:{name}", "adversarial", sample.counts),
            ):
                seen = joint.labels(sample.files[key])
                assert np.array_equal(seen, predict(model, joint.image(sample.files[image])))
                assert counts[name] == count_attack(seen, phi, task.goal, truth)
    names = tuple(sorted(models))
    assert victims == {(names[0],), (names[1],), names}


def test_the_saved_iterate_is_the_best_for_the_network_that_is_fooled_least(joint: SetFolder) -> None:
    kept = {spec.label: spec.keep for spec in joint.manifest().attacks}
    for sample in joint.samples():
        worst = [min(counts.success or 0.0 for counts in step.counts.values()) for step in sample.curve]
        if kept[sample.attack] == "best":
            assert worst[sample.best_step] == max(worst)


def test_joint_attacks_reach_both_networks(world: Any, pair: tuple[str, str], tmp_path: Path) -> None:
    options = {"attacks": ("tanh",), "scopes": ("full",), "settings": ("penalty=1",), "steps": 40}
    folder = world.craft(tmp_path / "set", models=pair, victims=("joint",), **options)
    for name in ("espnet-synthetic", "zz-background"):
        hit = sum(sample.counts[name].hit for sample in folder.samples())
        assert hit > sum(sample.clean_counts[name].hit for sample in folder.samples())


def test_without_transfer_only_the_victims_are_asked(world: Any, pair: tuple[str, str], tmp_path: Path) -> None:
    folder = world.craft(tmp_path / "set", models=pair, attacks=("fgsm",), scopes=("full",), steps=1)
    for sample in folder.samples():
        assert set(sample.counts) == set(sample.victims)


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("DICT", "dict answers with a dict of 'out', 'aux'; float32 logits (N, 19, 64, 96) are needed"),
        ("TUPLE", "tuple answers with a tuple of 2; float32 logits (N, 19, 64, 96) are needed"),
        ("HALF", "half answers with numbers of type float16; float32 logits (N, 19, 64, 96) are needed"),
        ("SMALL", "small answers with a tensor (1, 19, 32, 96); float32 logits (N, 19, 64, 96) are needed"),
    ],
)
def test_a_network_that_answers_with_no_logits_is_refused(
    world: Any, spec: str, complaint: str, tmp_path: Path
) -> None:
    weights = tmp_path / "weights.safetensors"
    save_file({"network.weight": torch.randn(19, 3, 3, 3), "network.bias": torch.zeros(19)}, weights)
    with pytest.raises(ConfigurationError) as caught:
        world.craft(tmp_path / "set", models=(*world.config.models, f"{__name__}:{spec}={weights}"), victims=("joint",))
    assert caught.value.what == complaint
    assert caught.value.hint


def test_outputs_in_another_order_than_the_table_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="do not begin with the classes of cityscapes"):
        load_spec(f"{__name__}:SHUFFLED")


@dataclass(frozen=True)
class Standing:
    """What the networks show of two images that are given: the clean one and another."""

    other: Tensor
    presets: ClassVar[Mapping[tuple[str, Scope], Mapping[str, Setting]]] = {}
    radius: float | None = None

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        for images in (self.other, problem.clean):
            yield Candidate(images, problem.logits(images))


def test_what_is_to_notice_nothing_is_held_to_what_it_shows_by_itself(tmp_path: Path) -> None:
    """Of two networks that disagree: not to what they predict together, which would be a change that is noticed."""
    config = CraftConfig("folder", (PLAIN.name,), attacks=("fgsm",), scopes=("full",), on=("evasive",), steps=1)
    (trajectory,) = resolve(replace(config, engines=("int8",)))
    victims = together(networks(PLAIN, SHUFFLED))
    files = {f"{name}.int8": network for name, network in zip(victims.names, reversed(victims.segmenters), strict=True)}
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    task = TaskRecord("one", tuple(range(1, 19)), 0)
    folder = SetFolder(tmp_path)
    saved, _ = save_image(folder, Example("a", image, None), victims.segmenters, [victims], [task], False)
    on = attacked(victims, "evasive", ("int8",), files)
    job = Job(victims, on, trajectory, task, ("a",))
    loaded = load(folder, saved, job)
    problem = make_problem(job, [loaded], (0,))
    by_themselves = [predict(network, image) for network in victims.segmenters]
    assert any((labels != loaded.predicted).any() for labels in by_themselves)
    for labels, model in zip(problem.shown, on.models, strict=True):
        assert (labels[0].numpy() == by_themselves[victims.names.index(model)]).all()
    logits, networks_here = problem.logits(problem.clean), range(len(on.names))
    own = [torch.from_numpy(by_themselves[victims.names.index(model)])[None].long() for model in on.models]
    together_shown = [problem.own(network, problem.predicted) for network in networks_here]
    goals = [problem.own_goal(network) for network in networks_here]
    (found,) = problem.pixel_losses(logits)
    assert torch.equal(found, evasive_loss(goals, logits, together_shown, own, problem.phi, on.unaware))
    # On the clean image nothing is noticed: it is better than one that a network notices.
    meter = AttackMeter(loaded.phi, task.goal, None, loaded.predicted)
    outcomes = run_attack(
        Standing(1 - problem.clean), trajectory.specs, problem, on.names, [meter], [image], [[None]], lambda step: None
    )
    assert outcomes[0][0].step == 1
    plain = Job(victims, attacked(victims, "both", ("int8",), files), trajectory, task, ("a",))
    assert load(folder, saved, plain).shown == {} and make_problem(plain, [loaded], (0,)).shown == ()
