"""The Lovász-softmax loss against what its paper proves of it."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from segeval.classes import IGNORE
from segeval.generate.training.lovasz import lovasz_softmax
from segeval.metrics import ConfusionMatrix


def drawn(seed: int, classes: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 5, 6, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (2, 5, 6), generator=generator)
    labels[torch.rand(2, 5, 6, generator=generator) < 0.2] = IGNORE
    return logits, labels


def test_of_certain_answers_it_is_one_minus_miou() -> None:
    """It interpolates the Jaccard loss at the corners of the cube (Berman et al. 2018, Sec. 2.2)."""
    for seed in range(5):
        logits, labels = drawn(seed)
        matrix = ConfusionMatrix(4)
        matrix.update(labels.numpy().astype(np.uint8), logits.argmax(1).numpy().astype(np.uint8))
        miou = matrix.mean_iou()
        assert miou is not None
        certain = 1e4 * torch.nn.functional.one_hot(logits.argmax(1), 4).movedim(3, 1).double()
        assert abs(float(lovasz_softmax(certain, labels)) - (1 - miou)) < 1e-9


def level_sets(errors: Tensor, truth: Tensor) -> float:
    """The Lovász extension by its definition: Jaccard losses of the sets of errors above each threshold, integrated."""
    values = sorted({0.0, *errors.tolist()})
    total = 0.0
    for low, high in pairwise(values):
        wrong = errors >= high
        union = (truth | wrong).sum().item()
        total += (high - low) * (1 - (truth & ~wrong).sum().item() / union)
    return total


def test_it_is_the_integral_over_level_sets_of_errors() -> None:
    logits, labels = drawn(7)
    counted = labels != IGNORE
    expected = []
    for number in sorted(set(labels[counted].tolist())):
        truth = labels[counted] == number
        errors = (truth.double() - logits.softmax(1)[:, number][counted]).abs()
        expected.append(level_sets(errors, truth))
    assert abs(float(lovasz_softmax(logits, labels)) - np.mean(expected)) < 1e-12


def test_classes_without_a_pixel_and_unlabelled_pixels_do_not_count() -> None:
    logits, labels = drawn(3)
    labels[labels == 2] = IGNORE
    loss = lovasz_softmax(logits, labels)
    changed = torch.where((labels == IGNORE)[:, None], torch.randn_like(logits), logits)
    assert torch.equal(lovasz_softmax(changed, labels), loss)
    empty = lovasz_softmax(logits.requires_grad_(), torch.full_like(labels, IGNORE))
    assert float(empty.detach()) == 0
    empty.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert not logits.grad.any()
