"""What is looked at before anything is attacked: how well the networks see, and whether a gradient leads anywhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError, DataError, EngineError
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample
from segeval.generate.crafting.craft import Crafter
from segeval.models import Segmenter, load_model


class Changed(nn.Module):
    """A network whose answers are changed."""

    def __init__(self, network: nn.Module, change: Any) -> None:
        super().__init__()
        self.network = network
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.change(self.network(x))
        return found


def crafted(world: Any, out: Path, change: Any, **changes: Any) -> tuple[list[AdversarialSample], list[str]]:
    """The samples of a network whose answers are changed, and what was told."""
    model = load_model(world.config.models[0])
    models = [Segmenter(model.spec, Changed(model.network, change), model.record)]
    told: list[str] = []
    config = replace(world.config, scopes=("full",), limit=2, **changes)
    Crafter(config, out, models).run(False, lambda *step: None, tell=told.append)
    return list(SetFolder(out).samples()), told


def successes(samples: Sequence[AdversarialSample]) -> list[float]:
    return [counts.success or 0.0 for sample in samples for counts in sample.counts.values()]


@pytest.mark.parametrize("power", [-6, -4, 4])
def test_the_scale_of_the_logits_changes_no_success(world: Any, tmp_path: Path, power: int) -> None:
    plain, _ = crafted(world, tmp_path / "plain", lambda logits: logits)
    scaled, told = crafted(world, tmp_path / "scaled", lambda logits: logits * 10.0**power)
    assert successes(scaled) == pytest.approx(successes(plain), abs=0.02)
    assert any("logits are unusually" in line for line in told)
    assert SetFolder(tmp_path / "scaled").manifest().models[0].logit_scale != 1


def test_a_flat_loss_is_no_robustness(world: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the gradient of its loss is zero in float32"):
        crafted(world, tmp_path / "detached", lambda logits: logits.detach())
    with pytest.raises(EngineError, match="the gradient of its loss is zero in float32"):
        crafted(world, tmp_path / "rounded", lambda logits: (logits * 64).round() / 64)
    with pytest.raises(EngineError, match="changes a tensor in place"):
        crafted(world, tmp_path / "in-place", lambda logits: logits.mul(logits) + logits.mul_(0))


def test_nan_and_probabilities_end_a_craft_before_a_folder_is_made(world: Any, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="answers with NaN to image 0"):
        crafted(world, tmp_path / "nan", lambda logits: logits * float("nan"))
    with pytest.raises(ConfigurationError, match="returns probabilities"):
        crafted(world, tmp_path / "soft", lambda logits: logits.softmax(1))
    with pytest.raises(EngineError, match="answers image 0 differently when run again"):
        crafted(world, tmp_path / "noisy", lambda logits: logits + 3 * torch.randn_like(logits))
    assert not list(tmp_path.iterdir())


def test_clean_miou_is_told_and_so_is_a_network_that_sees_nothing(world: Any, tmp_path: Path) -> None:
    _, told = crafted(world, tmp_path / "one", lambda logits: logits)
    assert any(line.startswith("clean mIoU on 2 labelled images: espnet-synthetic ") for line in told)

    def blind(logits: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(torch.full(logits[:, 0].shape, 18), 19).movedim(3, 1) * 9.0 + 0 * logits

    with pytest.raises(DataError, match="nothing to attack") as caught:
        crafted(world, tmp_path / "blind", blind)
    assert "are its mean and std, channel order" in caught.value.hint and "--task" in caught.value.hint
