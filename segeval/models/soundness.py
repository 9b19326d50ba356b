"""Checks whether a network can be attacked and measured: finite logits of usual scale, mostly correct labels."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError, EngineError
from segeval.metrics import ConfusionMatrix, Labels
from segeval.models.segmenter import Deployable, Segmenter

USUAL_GAPS = (0.5, 500.0)
"""Median lead of a pixel's first class over its second, in logits, that is left as it is. Trained networks: 4 to 10."""

MOST_CHANGED = 1e-3
"""Share of labels that may differ between two answers of a network to one image."""

SUMS_TO_ONE = 1e-3
"""How far the outputs of a pixel may sum up from 1 and still be taken for probabilities."""


@torch.no_grad()
def answer(segmenter: Segmenter, image: NDArray[np.uint8], where: str) -> Tensor:
    """Logits (1, C, H, W) of one 8-bit image (H, W, 3), through the same path as the deployed graph.

    Args:
        segmenter: the network.
        image: (H, W, 3) RGB.
        where: the image, for the message.

    Raises:
        EngineError: if one is not finite: an argmax over NaN is some class.
    """
    logits = Deployable(segmenter).logits(torch.from_numpy(image)[None].to(segmenter.mean.device))
    if not bool(logits.isfinite().all()):
        what = "NaN" if bool(logits.isnan().any()) else "infinity"
        raise EngineError(
            f"{segmenter.spec.name} answers with {what} to {where}",
            "its weights are damaged or of another network, or its training diverged",
        )
    return logits


@contextmanager
def naming_changes_in_place(name: str) -> Iterator[None]:
    """Turn PyTorch's refusal to go back through a tensor that was changed meanwhile into EngineError."""
    try:
        yield
    except RuntimeError as error:
        if "inplace operation" not in str(error):
            raise
        raise EngineError(
            f"{name} changes a tensor in place that its gradient needs",
            "let its forward begin with x = x.clone(), or look for operations such as mul_, += and inplace=True",
        ) from error


def require_repeatable(segmenter: Segmenter, image: NDArray[np.uint8], logits: Tensor, where: str) -> None:
    """Raise EngineError if the answer to an image, `logits`, is not repeated: nothing measured of it would be, either.

    A few labels may differ where a GPU adds up in another order.
    """
    changed = float((answer(segmenter, image, where).argmax(1) != logits.argmax(1)).double().mean())
    if changed > MOST_CHANGED:
        raise EngineError(
            f"{segmenter.spec.name} answers {where} differently when run again: {100 * changed:.1f} % of the labels",
            "check for dropout or noise that eval() does not turn off",
        )


def predict(segmenter: Segmenter, image: NDArray[np.uint8], where: str = "an image") -> Labels:
    """Label map (H, W) of one 8-bit image (H, W, 3). where, errors: see `answer`."""
    found: Labels = answer(segmenter, image, where).argmax(1)[0].to("cpu", torch.uint8).numpy()
    return found


def require_logits_of(segmenter: Segmenter, logits: Tensor) -> None:
    """Raise ConfigurationError if (N, C, H, W) answers are probabilities.

    A cross entropy takes them for logits that differ by 1 at most: its gradient is then weak and points elsewhere, and
    an attack on them finds less than there is.
    """
    total = logits.sum(1)
    if bool(((logits >= 0) & (logits <= 1)).all()) and bool(((total - 1).abs() < SUMS_TO_ONE).all()):
        raise ConfigurationError(
            f"{segmenter.spec.name} returns probabilities: its outputs are in 0..1 and sum to 1; logits are needed",
            "leave its last softmax out, or let its forward return their logarithm; a model card says output.kind = "
            '"probabilities"',
        )


def scale_of(logits: Tensor) -> float:
    """What to multiply (N, C, H, W) logits by, a power of ten, so that a cross entropy in float32 tells them apart.

    1 for a network whose first class leads the second by a usual amount (`USUAL_GAPS`); else what makes the median
    lead 1 to 10. No prediction depends on it; where the loss is nearly flat or saturated, the gradient does.
    """
    first, second = logits.topk(2, dim=1).values.unbind(1) if logits.shape[1] > 1 else (logits, logits)
    gap = float((first - second).median())
    if gap <= 0 or USUAL_GAPS[0] <= gap <= USUAL_GAPS[1]:
        return 1.0
    return float(10.0 ** -math.floor(math.log10(gap)))


def worse_than_none(model: str, matrix: ConfusionMatrix, table: ClassTable) -> str:
    """Words about a network that gets fewer pixels right than one class everywhere would; empty if it gets more."""
    accuracy, truth = matrix.pixel_accuracy(), matrix.counts[: len(table)].sum(1)
    constant = truth.max() / truth.sum() if truth.sum() else 0.0
    if accuracy is None or accuracy >= constant:
        return ""
    return (
        f"{model} gets {100 * accuracy:.1f} % of the pixels right, {table.names[int(truth.argmax())]!r} everywhere "
        f"would get {100 * constant:.1f} %: are its mean and std, channel order and class order "
        "those of its training?"
    )
