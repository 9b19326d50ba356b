"""Patterns for many images: a closed form, where patches lie, and that they are scored on images they never saw."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segeval.errors import ConfigurationError, DataError, EngineError, FormatError, IntegrityError
from segeval.files.encoding import encode_sealed
from segeval.files.images import save_png
from segeval.files.patterns import Kind, PatternRecord, read_pattern
from segeval.files.set_folder import SetFolder
from segeval.generate.attacks.fitted import load_fitted
from segeval.generate.attacks.patch import Patch
from segeval.generate.attacks.patch_places import place
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.generate.attacks.universal import Universal
from segeval.generate.crafting.craft import Crafter
from segeval.generate.patterns.fit import Course, fit, slope, success_on
from segeval.generate.patterns.fitting import Fitting
from segeval.generate.patterns.forms import build_form
from segeval.goals import Goal
from segeval.metrics import count_attack
from segeval.progress import silent

WEIGHTS = torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6]])
KINDS: tuple[Kind, ...] = ("universal", "patch")
SMALL: dict[Kind, tuple[str, ...]] = {"universal": ("budget=6",), "patch": ("side=0.5", "texture=16")}


def linear(seed: int) -> Problem:
    """A random image under logits = A x, whose cars, class 1, are to become road, class 0."""
    clean = torch.rand(1, 3, 12, 20, generator=torch.Generator().manual_seed(seed)) * 0.4 + 0.3

    def network(images: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oc,nchw->nohw", WEIGHTS, images)

    predicted = network(clean).argmax(1)
    return Problem(clean, predicted, predicted == 1, Goal((1,), 0), "local", (network,), (seed,), 5)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def fitted(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Kind], Path]:
    """The folder of a pattern that was fitted on two of the world's three images; made once."""
    made: dict[Kind, Path] = {}

    def fitting(kind: Kind) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp("patterns") / kind
            run(world, kind, made[kind])
        return made[kind]

    return fitting


def task_of(world: Any, kind: Kind) -> dict[str, Any]:
    """Beside φ no patch reaches a random network, which looks at few pixels around each."""
    return {"tasks": world.config.tasks if kind == "universal" else ("untargeted",)}


def run(world: Any, kind: Kind, out: Path, settings: tuple[str, ...] = (), **changes: Any) -> PatternRecord:
    """Fit a pattern on the images 0 and 1."""
    options = {"attacks": (), "scopes": ("full",), "victims": ("joint",), "ids": ("0", "1"), "steps": 8}
    options |= task_of(world, kind) | changes
    return Fitting(replace(world.config, **options), kind, (*SMALL[kind], *settings)).run(out, 30.0, silent)


def craft(world: Any, pattern: Path, out: Path, **changes: Any) -> SetFolder:
    options = {"attacks": (str(pattern),), "scopes": ("full",), "ids": ("2",), **changes}
    folder: SetFolder = world.craft(out, **options)
    return folder


def test_on_a_linear_network_every_pixel_goes_the_whole_budget_downhill() -> None:
    """Which lowers the loss of all images most: its gradient has the same sign everywhere in φ."""
    form, problems = Universal(budget=4, loss="ce"), [linear(seed) for seed in range(3)]
    start = form.start(12, 20)
    values = fit(form, lambda number, turn: problems[number], 3, (), Course(20, 3, 0), start, lambda step: None)
    somewhere = torch.stack([problem.phi[0] for problem in problems]).any(0)
    downhill = (WEIGHTS[0] - WEIGHTS[1]).sign()[:, None, None] * 4 / 255
    assert torch.allclose(values, torch.where(somewhere, downhill, 0.0), atol=1e-7)


def test_one_image_is_fitted_as_well_as_an_attack_on_it_alone(several_classes: Callable[..., Problem]) -> None:
    given = several_classes("full")
    fields = ("clean", "predicted", "phi", "seeds")
    alone = replace(given, **{name: getattr(given, name)[:1] for name in fields}, steps=20)
    form = Universal(budget=64)
    start = form.start(*given.clean.shape[2:])
    values = fit(form, lambda number, turn: alone, 1, (), Course(20, 1, 0), start, lambda step: None)
    best = 0.0
    for candidate in islice(build_attack("pgd", "default", "full", {"budget": 64}).candidates(alone), 21):
        hit = (candidate.logits[0].argmax(1) == alone.goal.target) & alone.phi
        best = max(best, int(hit.sum()) / int(alone.phi.sum()))
    assert success_on(form, values, alone, ()) >= best > 0.3


def test_few_pixels_of_phi_count_as_much_as_all_others_and_every_image_alike() -> None:
    usual = linear(0)
    phi = torch.zeros_like(usual.phi)
    phi[0, 3, 4] = True
    few = replace(usual, phi=phi, predicted=torch.where(phi, 1, usual.predicted), scope="full")
    weak = replace(few, networks=(lambda images: 1e-3 * usual.networks[0](images),))  # type: ignore[arg-type]

    def sizes(problem: Problem, outside: float) -> tuple[float, float]:
        form = Universal(budget=4, loss="ce", outside=outside)
        size = slope(form, form.start(12, 20), problem, (), 0.0).abs()
        return float(size.mean()), float(size[:, 3, 4].sum() / size.sum())

    for problem in (few, weak):
        for outside in (0.0, 1.0):
            assert sizes(problem, outside)[0] == pytest.approx(1, rel=1e-4)
    assert sizes(few, 0.0)[1] == pytest.approx(1)
    assert 0.3 < sizes(few, 1.0)[1] < 0.7, "one pixel of 240"


@pytest.mark.parametrize("change", [torch.Tensor.detach, torch.Tensor.round])
def test_nothing_is_fitted_without_a_gradient(change: Callable[[torch.Tensor], torch.Tensor]) -> None:
    usual = linear(0)
    flat = replace(usual, networks=(lambda images: change(usual.networks[0](images)),))  # type: ignore[arg-type]
    form = Universal(budget=4, loss="ce")
    with pytest.raises(EngineError, match="gradient of a pattern is zero"):
        fit(form, lambda number, turn: flat, 1, (), Course(2, 1, 0), form.start(12, 20), lambda step: None)


def test_a_patch_covers_as_few_blocked_pixels_as_any_place_does() -> None:
    blocked = torch.rand(14, 17, generator=torch.Generator().manual_seed(0)) < 0.3
    counts = {
        (top, left): int(blocked[top : top + 5, left : left + 5].sum()) for top in range(10) for left in range(13)
    }
    best = {at for at, count in counts.items() if count == min(counts.values())}
    assert {place(5, blocked, torch.Generator().manual_seed(seed)) for seed in range(60)} == best


def test_a_patch_is_a_square_beside_what_it_attacks(several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("full")
    clean, predicted = problem.clean.repeat(4, 1, 1, 1), problem.predicted.repeat(4, 1, 1)
    phi = torch.zeros_like(predicted, dtype=torch.bool)
    phi[:, :, :8] = True
    problem = replace(problem, clean=clean, predicted=predicted, phi=phi, seeds=tuple(range(12)))
    values = torch.rand(3, 7, 7, generator=torch.Generator().manual_seed(1)) * 0.2 + 0.4
    shown = Patch(side=0.5, scale=0.25, light=0.1).applied(values, problem)
    changed = (shown != problem.clean).any(1)
    assert not (changed & phi).any()
    for each in changed:
        rows, columns = each.any(1).nonzero().ravel(), each.any(0).nonzero().ravel()
        assert len(rows) == len(columns) == rows[-1] - rows[0] + 1 and 6 <= len(rows) <= 10
        assert each.sum() == len(rows) * len(columns)
    inside = shown[0][:, changed[0]].flatten()
    assert inside.min() >= 0.9 * 0.4 and inside.max() <= 1.1 * 0.6
    assert len({tuple(each.nonzero()[0].tolist()) for each in changed}) > 1, "every image has its own place"
    assert torch.equal(shown, Patch(side=0.5, scale=0.25, light=0.1).applied(values, problem))


def test_a_patch_keeps_to_its_region(several_classes: Callable[..., Problem]) -> None:
    problem = several_classes("full")
    predicted = torch.zeros_like(problem.predicted)
    predicted[:, 4:12, 10:18] = 3
    problem = replace(problem, predicted=predicted, phi=predicted == 7)
    shown = Patch(side=0.4, scale=0.0).applied(torch.ones(3, 4, 4), problem, (3,))
    changed = (shown != problem.clean).any(1)
    assert changed.any() and not (changed & (predicted != 3)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_pattern_wins_more_than_one_without_content(
    kind: Kind, fitted: Callable[[Kind], Path], world: Any, tmp_path: Path
) -> None:
    record, picture = read_pattern(fitted(kind))
    assert record.images == ("0", "1")
    assert record.success > record.blank + 0.02
    assert picture.shape == ((64, 96, 3) if kind == "universal" else (16, 16, 3))
    assert run(world, kind, tmp_path / "again") == record, "the seed decides it"


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_scored_on_an_image_that_it_never_saw(
    kind: Kind, fitted: Callable[[Kind], Path], world: Any, tmp_path: Path
) -> None:
    folder = craft(world, fitted(kind), tmp_path / "set", **task_of(world, kind))
    (sample,), (spec,) = folder.samples(), folder.manifest().attacks
    assert (spec.attack, spec.steps, spec.budget) == (kind, 0, 6.0 if kind == "universal" else None)
    clean, adversarial = (folder.image(sample.files[name]).astype(int) for name in ("clean", "adversarial"))
    if kind == "universal":
        _, picture = read_pattern(fitted(kind))
        assert np.array_equal(adversarial, np.clip(clean + picture.astype(int) - 128, 0, 255))
    else:
        assert 0.1 < (adversarial != clean).any(2).mean() < 0.3
    (name,) = (model.name for model in folder.manifest().models)
    labels, phi = folder.labels(sample.files[f"adversarial_prediction:{name}"]), folder.mask(sample.files["phi"])
    (task,) = folder.manifest().tasks
    truth, before = (folder.labels(sample.files[key]) for key in ("truth", f"prediction:{name}"))
    assert sample.counts[name] == count_attack(labels, phi, task.goal, truth, before)
    assert sample.curve[0].counts[name] == sample.counts[name], "saving loses nothing"


def test_an_unfinished_set_is_continued_and_other_attacks_are_beside_it(
    fitted: Callable[[Kind], Path], world: Any, tmp_path: Path, tree: Callable[..., dict[str, bytes]]
) -> None:
    pattern, options = fitted("patch"), {"attacks": ("fgsm", str(fitted("patch"))), **task_of(world, "patch")}
    whole = craft(world, pattern, tmp_path / "whole", **options)

    def stop(stage: str, done: int, total: int) -> None:
        if stage.startswith("patch"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        craft(world, pattern, tmp_path / "part", progress=stop, **options)
    part = craft(world, pattern, tmp_path / "part", resume=True, **options)
    assert tree(part, manifest=False) == tree(whole, manifest=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ("1", "2")}, "was fitted on image 1"),
        ({"tasks": ("vehicle-lost",)}, "was fitted for the task"),
        ({"scopes": ("local",)}, "changes pixels outside φ"),
        ({"size": (32, 48)}, "is for images of 64x96"),
        ({"settings": ("universal.budget=2",)}, "no attack here has a setting"),
    ],
)
def test_where_it_does_not_belong_it_is_refused(
    changes: dict[str, object], message: str, fitted: Callable[[Kind], Path], world: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        craft(world, fitted("universal"), tmp_path / "set", **changes)


def test_a_pattern_of_before_is_told_with_its_own_settings(world: Any, tmp_path: Path) -> None:
    """Then all pixels counted alike; a set that has it does not say otherwise."""
    record = run(world, "universal", tmp_path / "universal", steps=1)
    assert record.parameters["outside"] == 1.0
    before = {key: value for key, value in record.parameters.items() if key != "outside"}
    (tmp_path / "universal/pattern.json").write_bytes(encode_sealed(replace(record, parameters=before)))
    pattern = load_fitted(str(tmp_path / "universal"))
    assert pattern.parameters.keys() == {*before, "pattern", "images"}


def test_a_pattern_that_was_changed_is_refused(world: Any, tmp_path: Path) -> None:
    fitted_record = run(world, "patch", tmp_path / "patch", steps=1)
    _, original = read_pattern(tmp_path / "patch")
    picture = tmp_path / "patch/pattern.png"
    Image.new("RGB", (16, 16)).save(picture)
    with pytest.raises(IntegrityError, match="not the file that was recorded"):
        load_fitted(str(tmp_path / "patch"))
    manifest = tmp_path / "patch/pattern.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"side": 0.5', b'"side": 0.9'))
    with pytest.raises(IntegrityError, match="digest does not fit"):
        load_fitted(str(tmp_path / "patch"))
    record = replace(fitted_record, parameters={**fitted_record.parameters, "side": "wide"})
    manifest.write_bytes(encode_sealed(record))
    save_png(tmp_path / "patch", "pattern.png", original)
    with pytest.raises(FormatError, match="its settings are not those of a patch"):
        load_fitted(str(tmp_path / "patch"))
    manifest.write_text("{}")
    with pytest.raises(FormatError, match="missing required field"):
        load_fitted(str(tmp_path / "patch"))


@pytest.mark.parametrize(
    ("kind", "setting", "message"),
    [
        ("universal", "budget=0.5", "a budget of 0.5 levels"),
        ("universal", "budget=200", "a budget of 200 levels"),
        ("universal", "budgt=2", "no setting 'budgt'"),
        ("universal", "loss=none", "universal: loss=none is not possible"),
        ("universal", "outside=-1", "outside=-1"),
        ("patch", "side=1", "side=1"),
        ("patch", "outside=nan", "outside=nan"),
        ("patch", "texture=2", "texture=2"),
        ("patch", "side", "is not KEY=VALUE"),
        ("patch", "region=lava", "has no such class"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    kind: Kind, setting: str, message: str, world: Any, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run(world, kind, tmp_path / "pattern", (setting,))
    assert not (tmp_path / "pattern").exists()


def test_a_pattern_without_anything_to_attack_says_so(world: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is predicted as a source class"):
        run(world, "universal", tmp_path / "pattern", tasks=(f"{world.absent}:road",))
    assert not list(tmp_path.iterdir())


def test_a_patch_prints_at_the_size_that_was_asked_for(fitted: Callable[[Kind], Path]) -> None:
    with Image.open(fitted("patch") / "print.png") as print_:
        dpi = print_.info["dpi"]
        assert print_.width >= 2400 and print_.width / dpi[0] * 2.54 == pytest.approx(30.0, rel=1e-3)
        centres = np.asarray(print_)[75::150, 75::150]
    _, picture = read_pattern(fitted("patch"))
    assert np.array_equal(centres, picture)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_are_settings(kind: Kind) -> None:
    assert build_form(kind, ()).loss == "cosine"


def test_several_networks_are_fooled_together(world: Any, tmp_path: Path) -> None:
    weights = world.config.models[0].partition("=")[2]
    models = (f"one=espnet-synthetic={weights}", f"two=espnet-synthetic={weights}")
    both = run(world, "universal", tmp_path / "both", models=models, steps=3)
    alone = run(world, "universal", tmp_path / "alone", steps=3)
    assert [model.name for model in both.models] == ["one", "two"]
    assert both.success == alone.success, "twice the same network is that network"
    Crafter(replace(world.config, attacks=(str(tmp_path / "both"),), scopes=("full",), ids=("2",)), tmp_path / "s").run(
        False, silent
    )
