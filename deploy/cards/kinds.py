"""Whether a network's outputs are logits or probabilities."""

import numpy as np
from numpy.typing import NDArray

from segeval_runner.described import Kind

NEAR = 1e-3
"""How far probabilities may be from what they should be, as half precision and resizing leave them."""


def kind_of(scores: NDArray[np.float32]) -> tuple[Kind, bool]:
    """What scores (N, C, ...) seem to be, and whether that is sure."""
    if scores.min() < -NEAR or scores.max() > 1 + NEAR:
        return "logits", True
    if scores.shape[1] == 1:
        return "probabilities", False
    if np.abs(scores.sum(1) - 1).max() < NEAR:
        return "probabilities", True
    return "logits", False
