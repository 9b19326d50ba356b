"""What a network makes of an attacked image: its labels, and how far what the attack wants leads inside φ."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from segeval.files.npy import Margins
from segeval.goals import Goal
from segeval.metrics import Labels, Mask
from segeval.models import Segmenter
from segeval.models.segmenter import scaled_logits
from segeval.models.soundness import answer

from ..attacks.goal_losses import goal_margin

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)  # no processor flushes it to zero


@dataclass(frozen=True)
class Answer:
    """What a network says of one image.

    Attributes:
        labels: (H, W).
        margins: over the pixels of φ, row by row, in logits; positive exactly where φ is won.
    """

    labels: Labels
    margins: Margins


@torch.no_grad()
def ask(segmenter: Segmenter, image: NDArray[np.uint8], phi: Mask, goal: Goal, clean: Labels) -> Answer:
    """Labels and margins of one 8-bit image (H, W, 3) from one forward pass, by the path of `soundness.predict`.

    A margin is `goal_margin` of the fp32 logits, times the network's `logit_scale`: the largest logit that the goal
    accepts minus the largest other one.

    Args:
        segmenter: the network.
        image: (H, W, 3).
        phi: (H, W).
        goal: what the attack wants of φ.
        clean: (H, W) clean prediction of the victims.

    Raises:
        EngineError: for answers that are not finite.
    """
    device = segmenter.mean.device
    logits = scaled_logits(answer(segmenter, image, "an adversarial image"), segmenter.record)
    labels: Labels = logits.argmax(1)[0].to("cpu", torch.uint8).numpy()
    inside = logits[..., torch.from_numpy(phi).to(device)][:, :, None]  # (1, C, 1, pixels of φ)
    kept = torch.from_numpy(clean[phi]).to(device).long()[None, None]
    lead: NDArray[np.float32] = goal_margin(goal, inside, kept)[0, 0].cpu().numpy()
    return Answer(labels, as_half(lead, goal.reached(labels[phi], clean[phi])))


def as_half(margins: NDArray[np.float32], won: Mask) -> Margins:
    """Margins in float16, positive exactly where `won`.

    Rounding must not turn a small lead into none, and of two equal logits the class that comes first has won.
    """
    kept = np.where(won, np.clip(margins, SMALLEST, LARGEST), np.clip(margins, -LARGEST, 0))
    return kept.astype(np.float16)
