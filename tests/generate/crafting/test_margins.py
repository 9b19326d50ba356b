"""Margins: how far the adversarial class leads inside φ, in the sign and in the numbers."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample
from segeval.generate.crafting.continuing import FOLDERS
from segeval.generate.crafting.margins import as_half, ask
from segeval.goals import Goal
from segeval.metrics import Mask
from segeval.models import Segmenter
from segeval.models.loading import load_spec
from segeval.models.segmenter import Deployable
from segeval.models.soundness import predict

TWIN = replace(load_spec("espnet-synthetic"), name="zz-twin")
"""The world's network under another name."""
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


def margins_by_hand(logits: NDArray[np.float32], phi: Mask, target: int) -> list[float]:
    """Of one pixel of φ after another, row by row. logits: (C, H, W)."""
    found = []
    for y, x in np.argwhere(phi).tolist():
        others = [logits[c, y, x] for c in range(len(logits)) if c != target]
        found.append(float(logits[target, y, x] - max(others)))
    return found


@pytest.fixture(scope="module")
def folder(world: Any, tmp_path_factory: pytest.TempPathFactory) -> SetFolder:
    """Attacks on two networks of the same weights under different names, shown to both."""
    (models,) = world.config.models
    twin = f"{__name__}:TWIN={models.partition('=')[2]}"
    out = tmp_path_factory.mktemp("margins") / "set"
    crafted: SetFolder = world.craft(
        out,
        models=(models, twin),
        victims=("each", "joint"),
        transfer=True,
        attacks=("fgsm", "pgd", "tanh"),
        steps=1,
        limit=2,
    )
    return crafted


def test_they_are_saved_for_every_network_a_sample_was_shown_to(folder: SetFolder) -> None:
    samples = list(folder.samples())
    assert samples
    for sample in samples:
        shown = {key.partition(":")[2] for key in sample.files if key.startswith("adversarial_prediction:")}
        assert len(shown) == 2
        assert {key.partition(":")[2] for key in sample.files if key.startswith("margin:")} == shown
        victims = "+".join(sample.victims)
        for model in shown:
            made_for = model if model == victims else f"{model}/for-{victims}"
            place = f"{made_for}/{sample.attack}/{sample.task}/{sample.image}"
            assert sample.files[f"margin:{model}"].path == f"margin/{place}.npy"
            assert sample.files[f"adversarial_prediction:{model}"].path == f"adversarial_prediction/{place}.png"


def margins_of(folder: SetFolder, sample: AdversarialSample) -> dict[str, NDArray[np.float16]]:
    """By network."""
    keys = [key for key in sample.files if key.startswith("margin:")]
    return {key.partition(":")[2]: folder.margins(sample.files[key]) for key in keys}


def test_they_are_positive_exactly_where_the_adversarial_class_is_predicted(folder: SetFolder) -> None:
    (task,) = folder.manifest().tasks
    signs = set()
    for sample in folder.samples():
        phi = folder.mask(sample.files["phi"])
        for model, margins in margins_of(folder, sample).items():
            predicted = folder.labels(sample.files[f"adversarial_prediction:{model}"])
            won = predicted[phi] == task.target
            assert margins.dtype == np.float16 and margins.shape == (int(phi.sum()),)
            assert np.array_equal(margins > 0, won)
            signs |= set(won.tolist())
    assert signs == {True, False}, "one sign alone would show nothing"


def test_they_are_the_lead_of_the_logits(folder: SetFolder, world: Any) -> None:
    (task,) = folder.manifest().tasks
    for sample in list(folder.samples())[:4]:
        phi = folder.mask(sample.files["phi"])
        image = torch.from_numpy(folder.image(sample.files["adversarial"]))[None]
        with torch.inference_mode():
            logits = Deployable(world.victim).logits(image)[0].numpy() * np.float32(
                folder.manifest().models[0].logit_scale
            )
        expected = margins_by_hand(logits, phi, task.target or 0)
        for margins in margins_of(folder, sample).values():
            assert margins.tolist() == pytest.approx(expected, rel=2**-10, abs=2**-14)


def test_labels_are_those_of_predict_and_one_forward_gives_both(world: Any) -> None:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    expected = predict(world.victim, image)
    calls: list[int] = []
    hook = world.victim.network.register_forward_hook(lambda *given: calls.append(1))
    answer = ask(world.victim, image, expected == expected[0, 0], Goal((1,), 0), expected)
    hook.remove()
    assert np.array_equal(answer.labels, expected)
    assert len(calls) == 1


class Levels(nn.Module):
    """Logits that are given: the same for every pixel of a column."""

    def __init__(self, logits: NDArray[np.float32]) -> None:
        super().__init__()
        self.logits = torch.from_numpy(logits)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits.expand(1, -1, -1, -1)


@pytest.mark.parametrize("target", [0, 3, 18])
def test_of_equal_logits_the_first_class_leads_as_in_the_prediction(target: int) -> None:
    logits = np.full((19, 1, 3), -1.0, np.float32)
    logits[[0, 3, 18], 0, 0] = 5  # three tie
    logits[[3, 18], 0, 1] = 5  # two tie, the first class is behind
    logits[target, 0, 2] = -1 + 1e-7  # a lead that float16 would round to none
    segmenter = Segmenter(load_spec("espnet-synthetic"), Levels(logits))
    answer = ask(
        segmenter,
        np.zeros((1, 3, 3), np.uint8),
        np.ones((1, 3), np.bool_),
        Goal((), target),
        np.zeros((1, 3), np.uint8),
    )
    assert np.array_equal(answer.margins > 0, answer.labels[0] == target)
    assert answer.labels[0].tolist() == [0, 3, target]


@given(st.lists(st.tuples(FLOATS, st.booleans()), min_size=1, max_size=8))
def test_rounding_turns_no_sign_and_is_never_infinite(pairs: list[tuple[float, bool]]) -> None:
    """Also of leads that contradict who has won, which only equal logits and their order could."""
    margins, won = (np.array(values) for values in zip(*pairs, strict=True))
    half = as_half(margins.astype(np.float32), won)
    assert half.dtype == np.float16
    assert np.array_equal(half > 0, won)
    assert np.isfinite(half).all()
    agreeing = (margins > 0) == won
    expected = np.clip(margins, -65504, 65504)
    np.testing.assert_allclose(half[agreeing], expected[agreeing], rtol=2**-11, atol=2**-14)


def test_a_set_that_is_emptied_for_other_options_loses_its_margins(folder: SetFolder) -> None:
    """`Crafter.clear` knows every folder that crafting makes."""
    assert {path.name for path in folder.root.iterdir() if path.is_dir()} == set(FOLDERS)
