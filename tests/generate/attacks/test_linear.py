"""A linear network, whose best perturbation is known in closed form, and the options of the tanh attack."""

from collections.abc import Callable, Mapping
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from segeval.classes import ClassTable
from segeval.files.set_folder import SetFolder
from segeval.files.sets import CraftConfig
from segeval.generate.attacks.losses import Omega
from segeval.generate.attacks.problem import Candidate, Problem
from segeval.generate.attacks.tanh import Tanh
from segeval.generate.crafting.craft import Crafter
from segeval.goals import Goal
from segeval.models import ModelSpec, Preprocessing, Segmenter

ROAD, CAR = 0, 1
OMEGAS: tuple[Omega, ...] = ("none", "balanced", "source", "margin", "adversarial")
WEIGHTS = torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6]])
UPHILL = torch.sign(WEIGHTS[CAR] - WEIGHTS[ROAD]).numpy()
"""Per channel the direction that makes a car out of a road."""


def build(classes: int, state: Mapping[str, Tensor] | None = None) -> nn.Module:
    """logits = A x + b, pixel by pixel."""
    return nn.Conv2d(3, classes, 1)


LINEAR = ModelSpec(
    name="linear",
    builder=f"{__name__}:build",
    outputs=("road", "car"),
    table=ClassTable("two", ("road", "car"), ((128, 64, 128), (0, 0, 142)), ("road", "car")),
    preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3),
    multiple_of=1,
    size=(20, 30),
    weights=None,
    licence="MIT",
    paper="",
)


def state(scale: float) -> dict[str, Tensor]:
    return {"weight": scale * WEIGHTS[:, :, None, None], "bias": torch.zeros(2)}


def craft(root: Path, pictures: dict[str, NDArray[np.uint8]], scale: float, **changes: Any) -> SetFolder:
    """The set of these pictures, of which the linear network's cars are to become road."""
    (root / "images").mkdir(parents=True)
    for name, picture in pictures.items():
        Image.fromarray(picture).save(root / f"images/{name}.png")
    (root / "classes.txt").write_text("road\ncar\n")
    save_file(state(scale), root / "linear.safetensors")
    models = (f"{__name__}:LINEAR={root / 'linear.safetensors'}",)
    config = CraftConfig("folder", models, tasks=("car:road",), data_root=str(root), **changes)
    Crafter(config, root / "set").run(False, lambda stage, done, total: None)
    return SetFolder(root / "set")


def crafted(
    root: Path, attack: str, scope: Any, images: tuple[int, int], scale: float, *settings: str, **changes: Any
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], SetFolder]:
    """Attack an image of random levels between `images`; clean and adversarial levels, φ, and the set."""
    noise = np.random.default_rng(0).integers(*images, (20, 30, 3), np.uint8)
    folder = craft(root, {"noise": noise}, scale, attacks=(attack,), scopes=(scope,), settings=settings, **changes)
    (sample,) = folder.samples()
    clean, adversarial = (folder.image(sample.files[key]).astype(np.int64) for key in ("clean", "adversarial"))
    phi = folder.mask(sample.files["phi"])
    assert 0.3 < phi.mean() < 0.7
    assert np.array_equal(phi, (noise - 127.5) @ (WEIGHTS[CAR] - WEIGHTS[ROAD]).numpy() > 0)
    return clean, adversarial, phi, folder


@pytest.mark.parametrize("budget", [1, 2, 4])
def test_fgsm_reaches_the_corner_that_is_the_best_of_its_budget(tmp_path: Path, budget: int) -> None:
    clean, adversarial, phi, folder = crafted(
        tmp_path, "fgsm", "local", (0, 256), 1.0, f"budget={budget}", steps=8, keep="last"
    )
    corner = np.clip(clean - budget * UPHILL, 0, 255)
    assert (corner[phi] == 0).any(), "clipping is part of the closed form"
    assert np.array_equal(adversarial[phi], corner[phi])
    assert np.array_equal(adversarial[~phi], clean[~phi])
    (sample,) = folder.samples()
    assert max(step.mean_phi for step in sample.curve) <= budget + 1e-4, "steps beyond the budget are projected back"
    # No image of the budget has a higher success: the corner lowers every pixel's margin by the most there is.
    reachable = (corner - 127.5) @ (WEIGHTS[CAR] - WEIGHTS[ROAD]).numpy() < 0
    assert sample.counts["linear"].hit == np.count_nonzero(reachable & phi)


def test_images_without_a_source_pixel_are_left_out_and_named(tmp_path: Path) -> None:
    road, car = (np.full((20, 30, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 255)))
    half = np.where(np.arange(30)[None, :, None] < 15, road, car)
    pictures = {"a": road, "b": half, "c": road, "d": car}
    folder = craft(tmp_path, pictures, 1.0, attacks=("fgsm",), scopes=("local",), steps=1, batch_size=4)
    manifest = folder.complete_manifest()
    assert [(each.image, each.task, each.victims) for each in manifest.skipped] == [
        ("a", "car-to-road", ("linear",)),
        ("c", "car-to-road", ("linear",)),
    ]
    assert [sample.image for sample in folder.samples()] == ["b", "d"]
    assert [sample.counts["linear"].phi for sample in folder.samples()] == [300, 600]


@pytest.mark.parametrize("scope", ["local", "full"])
@pytest.mark.parametrize("penalty", [0, 10])
def test_tanh_wins_every_pixel_of_phi(tmp_path: Path, scope: Any, penalty: int) -> None:
    clean, adversarial, phi, folder = crafted(
        tmp_path, "tanh", scope, (126, 131), 300.0, f"penalty={penalty}", keep="last"
    )
    (sample,) = folder.samples()
    assert sample.counts["linear"].success == 1.0
    change = (adversarial - clean)[phi]
    assert (change * UPHILL <= 0).all(), "no channel moves uphill"


def test_tanh_without_penalty_goes_on_where_a_penalty_stops(tmp_path: Path) -> None:
    def size(penalty: int) -> float:
        *_, folder = crafted(
            tmp_path / str(penalty), "tanh", "local", (126, 131), 300.0, f"penalty={penalty}", keep="last"
        )
        return next(folder.samples()).norms.mean_phi

    sizes = [size(penalty) for penalty in (0, 10, 100, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2 * sizes[-1]


@pytest.fixture
def problem() -> Callable[..., Problem]:
    """Two natural-looking gradients under the linear network."""

    def make(scope: Any = "local", scale: float = 30.0) -> Problem:
        network = build(2)
        network.load_state_dict(state(scale))
        segmenter = Segmenter(LINEAR, network)
        ramp = torch.linspace(0.05, 0.95, 24 * 32).view(24, 32)
        clean = torch.stack([torch.stack([ramp, ramp.flip(0), ramp.flip(1)]), torch.stack([ramp.flip(1), ramp, ramp])])
        predicted = segmenter(clean).argmax(1)
        return Problem(clean, predicted, predicted == CAR, Goal((CAR,), ROAD), scope, (segmenter,), (1, 2), 9)

    return make


def steps(attack: Tanh, problem: Problem, count: int) -> list[Candidate]:
    """The first candidates, detached."""
    return [
        Candidate(each.images.detach(), tuple(logits.detach() for logits in each.logits))
        for each in islice(attack.candidates(problem), count)
    ]


def distance(candidate: Candidate, problem: Problem) -> float:
    """Mean change over φ in levels."""
    change = (candidate.images - problem.clean).abs().mean(1) * 255
    return float(change[problem.phi].mean())


def test_atanh_starts_at_the_image_and_the_literal_reading_does_not(problem: Callable[..., Problem]) -> None:
    given = problem()
    assert 0 < distance(steps(Tanh(), given, 1)[0], given) < 1
    literal = steps(Tanh(anchor="literal"), given, 30)
    assert distance(literal[0], given) > 5
    assert distance(literal[29], given) < distance(literal[0], given) / 2, "the penalty brings it back"


def test_accumulating_applies_tanh_again_and_again(problem: Callable[..., Problem]) -> None:
    given = problem("full")
    still = 1e-12  # a rate at which W and ξ keep their initial values
    scale, offset = given.uniform(0.99, 1.01, 0), given.uniform(-0.01, 0.01, 1)
    start = 2 * given.clean - 1
    for candidate in steps(Tanh(anchor="accumulate", rate=still), given, 4):
        expected = torch.tanh(scale * start + offset)
        assert torch.allclose(2 * candidate.images - 1, expected, atol=1e-5)
        start = expected
    literal = steps(Tanh(anchor="literal", rate=still), given, 4)
    assert torch.allclose(literal[0].images, literal[3].images, atol=1e-6)


def test_the_drawn_start_lies_in_the_ranges_of_the_specification(problem: Callable[..., Problem]) -> None:
    given = problem()
    for low, high, stream in ((0.99, 1.01, 0), (-0.01, 0.01, 1)):
        drawn = given.uniform(low, high, stream)
        assert drawn.shape == given.clean.shape
        assert low <= drawn.min() < low + 0.001 and high - 0.001 < drawn.max() <= high
    assert not torch.allclose(given.uniform(0, 1, 0), given.uniform(0, 1, 1))
    assert not torch.allclose(given.uniform(0, 1, 0)[0], given.uniform(0, 1, 0)[1])


def test_a_shrinking_mask_leaves_won_pixels_alone(problem: Callable[..., Problem]) -> None:
    given = problem()

    def moved_after_they_were_won(attack: Tanh) -> int:
        candidates = steps(attack, given, 12)
        moved = 0
        for before, after in pairwise(candidates):
            won = given.phi & (before.logits[0].argmax(1) == ROAD)
            moved += int(((before.images != after.images).any(1) & won).sum())
        assert (given.phi & (candidates[-1].logits[0].argmax(1) == ROAD)).any()
        return moved

    assert moved_after_they_were_won(Tanh(mask="shrinking", loss="difference", penalty=0)) == 0
    assert moved_after_they_were_won(Tanh(mask="frozen", loss="difference", penalty=0)) > 0


def test_the_objective_is_a_mean_over_what_the_mask_has_left(
    problem: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, means = problem(), list[torch.Tensor]()
    objective = Tanh.objective

    def seen(attack: Tanh, of: Problem, images: Any, logits: Any, inside: torch.Tensor, weights: Any) -> torch.Tensor:
        means.append(inside)
        return objective(attack, of, images, logits, inside, weights)

    monkeypatch.setattr(Tanh, "objective", seen)
    candidates = steps(Tanh(mask="shrinking", loss="difference", penalty=0), given, 12)
    assert torch.equal(means[0] > 0, given.phi)
    for candidate, inside in zip(candidates, means[1:], strict=False):
        left = given.phi & torch.isin(candidate.logits[0].argmax(1), torch.tensor(given.goal.sources))
        assert torch.equal(inside > 0, left)
    assert not torch.equal(means[-1] > 0, given.phi)


def test_nothing_outside_phi_moves_in_a_local_attack(problem: Callable[..., Problem]) -> None:
    given = problem()
    for options in ({}, {"loss": "difference"}, {"mask": "shrinking"}, {"anchor": "literal"}, {"anchor": "accumulate"}):
        for candidate in steps(Tanh(**options), given, 4):  # type: ignore[arg-type]
            outside = (~given.phi)[:, None].expand_as(given.clean)
            assert torch.equal(candidate.images[outside], given.clean[outside]), options


def test_kappa_ends_the_pull_of_won_pixels(problem: Callable[..., Problem]) -> None:
    """Unbounded, Eq. 6 pushes won pixels on; clamped, the penalty brings them back to the margin."""
    given = problem()

    def lowest(kappa: float | None) -> float:
        logits = steps(Tanh(loss="difference", kappa=kappa, penalty=1), given, 60)[-1].logits[0]
        return float((logits[:, CAR] - logits[:, ROAD])[given.phi].quantile(0.2))

    free, clamped = lowest(None), lowest(0.5)
    assert free < 2 * clamped < 0


def test_the_weights_of_the_cross_entropy_each_lead_elsewhere(several_classes: Callable[..., Problem]) -> None:
    given = several_classes("full")
    ends = [steps(Tanh(omega=kind), given, 6)[-1].images for kind in OMEGAS]
    for index, end in enumerate(ends):
        assert torch.isfinite(end).all()
        for other in ends[:index]:
            assert not torch.allclose(end, other, atol=1e-5)


def test_the_losses_differ_once_pixels_are_won(problem: Callable[..., Problem]) -> None:
    given = problem()
    ends = [steps(Tanh(loss=loss, penalty=1), given, 40)[-1] for loss in ("ce", "difference")]
    assert distance(ends[0], given) < distance(ends[1], given), "Eq. 6 never stops pulling, cross entropy does"


def test_a_budget_holds_and_a_pixel_at_its_bound_comes_back(problem: Callable[..., Problem]) -> None:
    """The literal start lies far outside. Clipping alone would freeze it at the bound: its gradient is zero there."""
    given = problem("full")
    candidates = steps(Tanh(budget=2.0, penalty=1e6, anchor="literal"), given, 40)
    for candidate in candidates:
        assert (candidate.images - given.clean).abs().max() <= 2 / 255 + 1e-6
    assert distance(candidates[0], given) > 1.5
    assert distance(candidates[-1], given) < 0.5
