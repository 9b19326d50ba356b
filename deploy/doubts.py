"""Checks whether a card describes the user's file correctly, by comparing the file's labels with the network's.

There is no other sign: a file that gets its colours in the wrong order still runs and returns labels.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.metrics import Labels
from segeval_runner.described import LEVELS, Colour, Input

from .parity import Reference, evenly

IMAGES = 4
"""Clean images that each other description is tried on, spread evenly over the set."""
BETTER = 0.01
"""Share of the labels by which another description must fit better to be named."""
SAME = 0.001
"""Share of the labels that rounding changes: of two descriptions that say the same, the first is named."""
LEAST_KAPPA = 0.5
"""Agreement beyond chance (Cohen's kappa) below which a description is doubted by itself."""
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

Predict = Callable[[RgbImage], Labels]


def doubt(predict: Predict, others: Mapping[str, Predict], references: Sequence[Reference], classes: int) -> str:
    """Why a description is likely wrong, in numbers; empty if nothing speaks against it.

    Args:
        predict: what the file says, as it is described.
        others: the same by other descriptions, by what is other about them.
        references: images with torch's labels.
        classes: of the network.
    """
    tried = [references[at] for at in evenly(len(references), IMAGES)]
    own = agreement(predict, tried, classes)
    share, kappa = equal(own), beyond_chance(own)
    shares: dict[str, float] = {}
    for name, other in others.items():
        with suppress(EngineError):  # labels that the network does not have: not what was meant
            shares[name] = equal(agreement(other, tried, classes))
    best = next((name for name in shares if shares[name] > max(shares.values()) - SAME), "")
    if best and shares[best] > share + BETTER:
        return (
            f"its labels match the network's on {100 * share:.1f} % of the pixels, and on "
            f"{100 * shares[best]:.1f} % with {best}"
        )
    if kappa < LEAST_KAPPA:
        chance = 100 * (share - kappa) / (1 - kappa) if kappa < 1 else 100.0
        return (
            f"its labels match the network's on only {100 * share:.1f} % of the pixels; "
            f"{chance:.1f} % would match by chance"
        )
    return ""


def agreement(predict: Predict, references: Sequence[Reference], classes: int) -> NDArray[np.int64]:
    """(classes, classes) pixels by torch's label and the file's."""
    counts = np.zeros(classes * classes, np.int64)
    for reference in references:
        pairs = reference.labels.astype(np.int64) * classes + predict(reference.image)
        counts += np.bincount(pairs.ravel(), minlength=classes * classes)
    return counts.reshape(classes, classes)


def equal(counts: NDArray[np.int64]) -> float:
    """Share of the pixels with one label from both."""
    return float(np.trace(counts) / counts.sum())


def beyond_chance(counts: NDArray[np.int64]) -> float:
    """Cohen's kappa: 1 for equal labels, 0 for as many equal ones as two that know nothing of each other have."""
    total = counts.sum()
    chance = float((counts.sum(0) * counts.sum(1)).sum() / total**2)
    return 1.0 if chance == 1 else (equal(counts) - chance) / (1 - chance)


def other_descriptions(described: Input) -> Mapping[str, Input]:
    """What may have been meant, by what is other about it, as a card says it."""
    colour: Colour = "BGR" if described.colour == "RGB" else "RGB"
    brightest = LEVELS if described.range != LEVELS else 1.0
    plain = replace(described, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    order = 1 if described.colour == "RGB" else -1
    mean, std = (tuple(level * described.range for level in levels[::order]) for levels in IMAGENET)
    normal = replace(described, mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]))
    others = {
        f'colour = "{colour}"': replace(described, colour=colour),
        f"range = {brightest:g}": replace(described, range=brightest),
        "neither mean nor std": plain,
        "ImageNet's mean and std": normal,
    }
    return {name: other for name, other in others.items() if other != described}
