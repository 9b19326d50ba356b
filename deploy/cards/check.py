"""`segeval model check`: whether a network is what its card says, and can be attacked and deployed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import get_args

import numpy as np
import torch

from segeval.datasets import Dataset
from segeval.errors import EngineError, counted
from segeval.files.images import RgbImage
from segeval.graphs.contract import check_contract
from segeval.graphs.export import export_fp32
from segeval.graphs.session import DeployedModel
from segeval.metrics import ConfusionMatrix, Labels
from segeval.models import Segmenter
from segeval.models.cards import ModelCard, open_card
from segeval.models.soundness import (
    answer,
    naming_changes_in_place,
    predict,
    require_logits_of,
    require_repeatable,
    worse_than_none,
)
from segeval.models.spec import fitting_size
from segeval_runner.described import Resize

from .kinds import kind_of
from .trials import CLEARLY, TRIED, Labelled, Trial, other_trials, tried, with_labels

USUAL = (256, 512)
"""(height, width) of the image that a network of any size is tried on where none is given."""
IMAGES = 5
"""With labels, that the clean mIoU is measured on."""
BETTER = 0.01
"""Of mIoU, by which another way to enlarge the answer must fit better to be named."""
SAME = 0.001
"""Of mIoU, that rounding changes: of two inputs that fit alike, the first is named."""
NEAR_CHANCE = 1.5
"""A clean mIoU below so many times that of guessing is no sign of a network that sees."""


@dataclass(frozen=True)
class Finding:
    """One check that passed, or not.

    Attributes:
        text: what was found.
        doubt: whether it speaks against the card.
        unknown: whether it could not be made.
    """

    text: str
    doubt: bool = False
    unknown: bool = False


def check_card(
    segmenter: Segmenter, card: ModelCard, data: Dataset | None, size: tuple[int, int] | None
) -> Iterator[Finding]:
    """Findings, one by one; the first thing that makes a network useless is raised.

    Args:
        segmenter: of the card.
        card: of the network.
        data: images, with labels where there are some; None for an image of blocks.
        size: (height, width) of that, None for its only or a usual one.

    Raises:
        ConfigurationError, DataError, EngineError: for a network that cannot be attacked or deployed.
    """
    spec = segmenter.spec
    size = size or (spec.size if spec.only_size else fitting_size(*USUAL, spec.multiple_of))
    image = data[0].image if data is not None and len(data) else blocks(*size)
    where = "the first image" if data is not None else "an image of random blocks"
    height, width = image.shape[:2]
    segmenter.require_size(height, width, where)
    logits = answer(segmenter, image, where)
    require_logits_of(segmenter, logits)
    yield Finding(f"answers {where} of {height}x{width} with finite logits {tuple(logits.shape)}")
    yield from kind_doubted(logits)
    require_repeatable(segmenter, image, logits, where)
    yield Finding("answers the same twice")
    yield gradient(segmenter, image)
    yield deployable(segmenter, image)
    if data is not None:
        yield from clean_score(segmenter, card, data)


def blocks(height: int, width: int) -> RgbImage:
    """An image of random colours, in blocks of 16 pixels."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (-(-height // 16), -(-width // 16), 3), dtype=np.uint8)
    return np.kron(colours, np.ones((16, 16, 1), np.uint8))[:height, :width]


def kind_doubted(logits: torch.Tensor) -> Iterator[Finding]:
    """A doubt about logits of one output channel that look like probabilities; `require_logits_of` sees those of more.

    Of one channel they are 0 and what the network answers.
    """
    scores = logits.detach().cpu().numpy()
    if scores.shape[1] == 2 and not scores[:, 0].any() and kind_of(scores[:, 1:])[0] == "probabilities":
        yield Finding('its logits are all between 0 and 1: check output.kind = "probabilities"', doubt=True)


def gradient(segmenter: Segmenter, image: RgbImage) -> Finding:
    """Whether the network has a usable gradient. Raises EngineError if it has none."""
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float().div(255).requires_grad_()
    logits = segmenter(images)
    first, second = logits.topk(2, dim=1).values.unbind(1)
    lead = (first - second).sum()
    with naming_changes_in_place(segmenter.spec.name):
        found = torch.autograd.grad(lead, images, allow_unused=True)[0] if lead.requires_grad else None
    found = torch.zeros_like(images) if found is None else found  # the network lets none through
    if not bool(found.isfinite().all()):
        raise EngineError(f"{segmenter.spec.name} has a gradient that is not finite", "an attack cannot follow it")
    share = float((found != 0).double().mean())
    if share == 0:
        what = f"{segmenter.spec.name} has no gradient from its logits to the image"
        raise EngineError(what, "is output.name the logits, and is nothing rounded before them?")
    return Finding(f"has a gradient at {100 * share:.1f} % of the image's values", doubt=share < 0.5)


def deployable(segmenter: Segmenter, image: RgbImage) -> Finding:
    """Whether the fp32 file can be made and returns the attacked network's labels. Raises EngineError."""
    fp32 = export_fp32(segmenter, *image.shape[:2])
    check_contract(fp32, "fp32")
    same = float((DeployedModel(fp32).predict(image) == predict(segmenter, image)).mean())
    return Finding(f"can be deployed: the fp32 file gives {100 * same:.2f} % of its labels", doubt=same < 0.999)


def clean_score(segmenter: Segmenter, card: ModelCard, data: Dataset) -> Iterator[Finding]:
    """Clean mIoU on a few images with labels."""
    table, examples = segmenter.spec.table, list(islice(with_labels(data), IMAGES))
    matrix, seen = scored(segmenter, examples)
    miou = matrix.mean_iou()
    if miou is None:
        yield Finding("no image has labels, so the clean mIoU is unknown", unknown=True)
        return
    doubt = worse_than_none(segmenter.spec.name, matrix, table)
    near, others = miou < NEAR_CHANCE / len(table), list(input_doubted(segmenter, card, examples))
    yield Finding(
        f"clean mIoU on {counted(len(seen), 'image')}: {100 * miou:.1f} %", doubt=bool(doubt or others) or near
    )
    if doubt or near:
        yield Finding(
            doubt or "that is what guessing would get: check colour, range, mean, std and the class order", True
        )
    yield from others
    if len(np.unique(np.stack(seen) if len({each.shape for each in seen}) == 1 else seen[0])) == 1:
        yield Finding("it gives one class everywhere", doubt=True)
    yield from resize_doubted(card, examples, seen[0], miou)


def scored(segmenter: Segmenter, examples: Sequence[Labelled]) -> tuple[ConfusionMatrix, list[Labels]]:
    """The counts of a network on images with labels, and what it said of each."""
    matrix, seen = ConfusionMatrix(len(segmenter.spec.table)), list[Labels]()
    for example in examples:
        height, width = example.image.shape[:2]
        segmenter.require_size(height, width, f"image {example.id}")
        seen.append(predict(segmenter, example.image, f"image {example.id}"))
        matrix.update(example.labels, seen[-1])
    return matrix, seen


def input_doubted(segmenter: Segmenter, card: ModelCard, examples: Sequence[Labelled]) -> Iterator[Finding]:
    """A doubt about [input], if another one fits the labels clearly better.

    Args:
        segmenter: of the card.
        card: of the network.
        examples: images with labels.
    """
    few, device = examples[:TRIED], str(segmenter.mean.device)
    own = tried(card, segmenter.network, "", card.input, few, device).miou
    others = other_trials(card, segmenter, few)
    best = next((trial for trial in others if trial.miou > max(each.miou for each in others) - SAME), None)
    if best is not None and best.miou > own + CLEARLY:
        yield Finding(
            f"clean mIoU on {counted(len(few), 'image')}: {100 * own:.1f} %; with {best.said} it would be "
            f"{100 * best.miou:.1f} %: check {questioned(card, best)}",
            True,
        )


def questioned(card: ModelCard, other: Trial) -> str:
    """The keys of [input] that are other in a trial than in the card."""
    keys = [key for key in ("colour", "range", "mean", "std") if getattr(card.input, key) != getattr(other.input, key)]
    return ", ".join(f"input.{key}" for key in keys)


def resize_doubted(card: ModelCard, examples: Sequence[Labelled], first: Labels, miou: float) -> Iterator[Finding]:
    """A doubt about output.resize, if another way of enlarging a smaller answer fits the labels clearly better.

    Args:
        card: of the network.
        examples: images with labels.
        first: what the network says of the first one.
        miou: that it has on all of them.
    """
    ways = [way for way in get_args(Resize) if way != card.output.resize]
    others = {way: open_card(replace(card, output=replace(card.output, resize=way))) for way in ways}
    if all(np.array_equal(predict(other, examples[0].image), first) for other in others.values()):
        return  # the answer is as large as the image
    found = {way: scored(other, examples)[0].mean_iou() or 0.0 for way, other in others.items()}
    best = max(found, key=lambda way: found[way])
    if found[best] > miou + BETTER:
        yield Finding(
            f'clean mIoU with output.resize = "{best}": {100 * found[best]:.1f} %. Which way does your device take?',
            True,
        )
