"""What the figures show: probe, gradient of ξ, images over the steps."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from segeval.files.encoding import decode
from segeval.files.experiments import ExperimentConfig, Maps
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.tanh import Tanh
from segeval.generate.attacks.tanh_images import anchor
from segeval.models.soundness import predict
from segeval.reproduce.kang2020.maps import make_maps, offset_gradient, probe_image


def test_the_probe_is_a_white_square_in_the_middle_of_black() -> None:
    image = probe_image(360, 480)
    assert image.shape == (360, 480, 3)
    assert (image[130:230, 190:290] == 255).all()
    assert int(image.astype(int).sum()) == 100 * 100 * 3 * 255
    assert (probe_image(64, 96) == 255).all() or probe_image(64, 96).shape == (64, 96, 3), "smaller than the square"


@pytest.mark.parametrize("scope", ["full", "local"])
def test_the_gradient_of_the_offset_is_that_of_autograd(scope: Any, several_classes: Callable[..., Problem]) -> None:
    """The closed form of the chain rule against autograd through a literal tanh(W ⊙ a + ξ)."""
    problem = several_classes(scope, torch.float64)
    attack = Tanh(penalty=10.0, omega="none" if scope == "local" else "source")
    candidate = next(islice(attack.candidates(problem), 1))
    found = offset_gradient(attack, problem, candidate)
    weight = problem.uniform(0.99, 1.01, stream=0)
    offset = problem.uniform(-0.01, 0.01, stream=1).requires_grad_()
    drawn = (torch.tanh(weight * anchor(problem.clean) + offset) + 1) / 2
    images = torch.where(problem.phi[:, None], drawn, problem.clean) if scope == "local" else drawn
    assert torch.allclose(images, candidate.images, atol=1e-12)
    logits = problem.logits(images)
    weights = attack.weights(problem, logits)
    objective = attack.objective(problem, images, logits, problem.region_weights, weights)
    (expected,) = torch.autograd.grad(objective.sum(), offset)
    inside = (
        problem.phi[:, None].expand_as(expected) if scope == "local" else torch.ones_like(expected, dtype=torch.bool)
    )
    assert torch.allclose(found[inside], expected[inside], rtol=1e-6, atol=1e-12)


def test_maps_of_a_small_world(world: Any, tmp_path: Path) -> None:
    given = world.config
    config = ExperimentConfig(
        "folder", "test", given.models, given.tasks, ("0", "1"), ("0", "1"), data_root=given.data_root, steps=3
    )
    maps = make_maps(config, [world.victim], tmp_path, lambda stage, done, total: None)
    assert decode((tmp_path / "maps.json").read_bytes(), Maps, "maps.json") == maps
    (probe,) = maps.probes
    image, labels = (np.array(Image.open(tmp_path / file.path)) for file in (maps.probe_image, probe.labels))
    assert np.array_equal(labels, predict(world.victim, image))
    assert [each.image for each in maps.gradients] == ["0", "1"]
    first, second = maps.gradients
    assert first.step == 3 and first.gradient is not None and second.gradient is None
    gradient = np.load(tmp_path / first.gradient.path)
    clean = np.array(Image.open(Path(given.data_root) / "images/0.png"))
    sources = [world.victim.spec.table.find(name) for name in given.tasks[0].partition(":")[0].split(",")]
    phi = np.isin(predict(world.victim, clean), sources)
    energy = np.square(gradient.astype(float)).sum(0)
    assert first.energy_in_phi == pytest.approx(energy[phi].sum() / energy.sum(), rel=1e-5)
    assert first.phi_share == pytest.approx(phi.mean())
    assert [progress.scope for progress in maps.progress] == ["local", "full"]
    for progress in maps.progress:
        assert [iterate.step for iterate in progress.iterates] == [0, 1, 3]
        for iterate in progress.iterates:
            saved = np.array(Image.open(tmp_path / iterate.image.path)).astype(int)
            assert iterate.mean == pytest.approx(np.abs(saved - clean).mean())
