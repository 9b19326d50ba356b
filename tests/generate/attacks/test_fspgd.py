"""FSPGD: which features it sees, its similarities pair by pair, and networks that show no features."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError
from segeval.files.sets import Scope
from segeval.generate.attacks.feature_similarity import Similarity
from segeval.generate.attacks.features import convolution_at, with_features
from segeval.generate.attacks.fspgd import FSPGD
from segeval.generate.attacks.problem import Problem
from segeval.generate.crafting.craft import Crafter
from segeval.goals import Goal
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import Segmenter, load_model

Problems = Callable[..., Problem]


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("name", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_features_are_those_that_hooks_on_modules_see(name: str, depth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fast-SCNN's are normalized, as those of its deployed file are: a convolution and its normalization are one."""
    network, seen = load_model(name), list[Tensor]()
    normalized = name.startswith("fast")
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    number = convolution_at(network, image, depth)
    found, features = with_features(network, image, number)

    def see(module: nn.Module, given: object, answer: Tensor) -> None:
        if isinstance(module, nn.BatchNorm2d):
            seen.pop()
        seen.append(answer.clone())

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d) if normalized else nn.Conv2d):
            module.register_forward_hook(see)
    monkeypatch.setattr("segeval.models.fast_scnn.can_fold", lambda norm: False)
    logits = network(image)
    maps = [each for each in seen if each.shape[2] >= 2]  # Fast-SCNN pools the image to one row, too
    assert (len(maps) < len(seen)) == normalized
    assert number == round(depth * (len(maps) - 1))
    assert torch.allclose(found, logits, atol=1e-4)
    assert torch.allclose(features, maps[number] / maps[number].norm(dim=1, keepdim=True), atol=1e-5)


def test_a_deployed_file_shows_its_features_image_by_image(several_classes: Problems) -> None:
    given = several_classes("full")
    network: Any = given.networks[0]
    file = export_fp32(network, 16, 24, batch=2)
    pictures = (given.clean * 255).byte().permute(0, 2, 3, 1).numpy()
    images = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
    expected = network.network[0](network.normalise(images))
    whole: Any = GraphSegmenter(file)
    assert convolution_at(whole, images[:1], 1.0) == 1, "as many as the network has"
    logits, features = with_features(whole, images, 0)
    assert torch.allclose(logits, network(images), atol=1e-4)
    assert torch.allclose(features, torch.nn.functional.normalize(expected, dim=1), atol=1e-5)
    rounded: Any = GraphSegmenter(to_int8(file, list(pictures), CalibrationSpec()))
    images.requires_grad_()
    _, features = with_features(rounded, images, 0)
    assert 0.9 < float((features.detach() * torch.nn.functional.normalize(expected, dim=1)).sum(1).mean()) < 1 - 1e-7
    (gradient,) = torch.autograd.grad(features[2].sum(), images)
    assert bool(gradient[2].any()) and not gradient[:2].any()


def drawn(problem: Problem, seed: int) -> Tensor:
    """Features of length 1 at half the image's height and width."""
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(3, 5, 16, 24, generator=generator).double(), dim=1)


@pytest.mark.parametrize("scope", ["local", "full"])
@pytest.mark.parametrize("kind", ["class", "absent", "lost", "wrong"])
def test_the_loss_is_a_mean_of_cosines_of_positions_and_pairs(
    kind: str, scope: Scope, several_classes: Problems
) -> None:
    given = several_classes(scope, torch.float64)
    sources, target = given.goal.sources, given.goal.target
    if kind == "absent":
        given = replace(given, predicted=torch.where(given.predicted.eq(target or 0), sources[0], given.predicted))
    if kind == "wrong":
        sources = tuple(range(19))
    named = kind in ("class", "absent")
    goal = Goal(sources, target if named else None, "class" if named else kind)  # type: ignore[arg-type]
    given = replace(given, goal=goal, phi=torch.isin(given.predicted, torch.tensor(sources)))
    before, now, progress = drawn(given, 0), drawn(given, 1), 0.3
    found = Similarity(given, before).loss(now, progress)
    for index in range(3):
        f, g = (each[index].flatten(1).T.numpy() for each in (now, before))
        labels, phi = given.predicted[index].flatten().numpy(), given.phi[index].flatten().numpy()
        cosine = (f * g).sum(1)
        if kind == "class":
            wanted = g[labels == target].mean(0)
            expected = -(f[phi] @ wanted / np.linalg.norm(wanted)).mean()
        else:
            pairs = [
                f[a] @ f[b] for a in np.flatnonzero(phi) for b in np.flatnonzero(phi & (labels == labels[a])) if a != b
            ]
            expected = progress * cosine[phi].mean() + (1 - progress) * np.mean(pairs)
        if scope == "full" and not phi.all():
            weight = min(1.0, (~phi).sum() / phi.sum())  # no pixel counts more than one of φ
            expected -= weight * cosine[~phi].mean()
        assert float(found[index]) == pytest.approx(expected, abs=1e-7)


def test_images_that_are_done_are_not_computed(several_classes: Problems) -> None:
    given, asked = several_classes("full"), list[int]()

    class Counted:
        spec = given.networks[0].spec

        def __call__(self, images: Tensor) -> Tensor:
            asked.append(len(images))
            return given.networks[0](images)

    problem = replace(given, networks=(Counted(),))
    objective = FSPGD().objective(problem)

    def computed() -> tuple[Tensor, Tensor, Tensor]:
        asked.clear()
        x = given.clean.clone().requires_grad_()
        (logits,), loss = objective(x, 0.3)
        return logits, loss, torch.autograd.grad(loss.sum(), x)[0]

    whole = computed()
    assert asked == [1, 1, 1]
    problem.done.add(1)
    for found, expected in zip(computed(), whole, strict=True):
        assert torch.equal(found[[0, 2]], expected[[0, 2]])
        assert expected[1].any() and not found[1].any()
    assert asked == [1, 1]


def test_positions_of_several_pixels_count_by_their_shares(several_classes: Problems) -> None:
    """Features of the image's size whose blocks are alike, and the same at a position per block."""
    given = several_classes("full", torch.float64)
    blocks = given.predicted[:, ::4, ::4].repeat_interleave(4, 1).repeat_interleave(4, 2)
    given = replace(given, predicted=blocks, phi=torch.isin(blocks, torch.tensor(given.goal.sources)))
    before, now = (drawn(given, seed)[:, :, ::4, ::4] for seed in (0, 1))
    small = Similarity(given, before).loss(now, 1.0)
    large = [each.repeat_interleave(4, 2).repeat_interleave(4, 3) for each in (before, now)]
    assert torch.allclose(small, Similarity(given, large[0]).loss(large[1], 1.0))


def test_a_network_without_visible_features_is_refused_before_anything_is_computed(world: Any, tmp_path: Path) -> None:
    model = load_model(world.config.models[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced: Any = torch.jit.trace(nn.Conv2d(3, 19, 1), torch.zeros(1, 3, 8, 8))  # type: ignore[no-untyped-call]
    hidden = Segmenter(model.spec, traced, model.record)
    config = replace(world.config, attacks=("fspgd",))
    with pytest.raises(ConfigurationError, match="sees no convolution in espnet-synthetic"):
        Crafter(config, tmp_path / "set", [hidden])
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_a_program_of_torch_export_shows_its_features(several_classes: Problems) -> None:
    given = several_classes("full")
    network: Any = given.networks[0]
    program: Any = torch.export.export(network.network, (given.clean[:1],)).module()
    pairs = zip(with_features(program, given.clean, 0), with_features(network.network, given.clean, 0), strict=True)
    for found, expected in pairs:
        assert torch.allclose(found, expected, atol=1e-5)


def test_layers_outside_the_network_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"fspgd: layer=1\.5"):
        FSPGD(layer=1.5)
    with pytest.raises(ConfigurationError, match=r"fspgd: a budget of 0\.5 levels"):
        FSPGD(budget=0.5)
