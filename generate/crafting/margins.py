"""What a network makes of an attacked image: its labels, and how far the adversarial class leads inside φ."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from segeval.files.npy import Margins
from segeval.metrics import Labels, Mask
from segeval.models import Segmenter
from segeval.models.soundness import answer

LARGEST = float(np.finfo(np.float16).max)
SMALLEST = float(np.finfo(np.float16).smallest_normal)  # no processor flushes it to zero


@dataclass(frozen=True)
class Answer:
    """labels: (H, W).   margins: over the pixels of φ, row by row, in logits; positive exactly where φ is won."""

    labels: Labels
    margins: Margins


@torch.inference_mode()
def ask(segmenter: Segmenter, image: NDArray[np.uint8], phi: Mask, target: int) -> Answer:
    """Labels and margins of one 8-bit image (H, W, 3) from one forward pass, by the path of `soundness.predict`.

    phi: (H, W).   target: the adversarial class.   A margin is its fp32 logit minus the largest other one, times the
    network's `logit_scale`.   Raises EngineError for answers that are not finite.
    """
    device = segmenter.mean.device
    logits = answer(segmenter, image, "an adversarial image") * segmenter.logit_scale
    labels: Labels = logits.argmax(1)[0].to("cpu", torch.uint8).numpy()
    inside = logits[0][:, torch.from_numpy(phi).to(device)]  # (C, pixels of φ), a copy
    own = inside[target].clone()
    inside[target] = -torch.inf
    lead: NDArray[np.float32] = (own - inside.amax(0)).cpu().numpy()
    return Answer(labels, as_half(lead, labels[phi] == target))


def as_half(margins: NDArray[np.float32], won: Mask) -> Margins:
    """Margins in float16, positive exactly where `won`.

    Rounding must not turn a small lead into none, and of two equal logits the class that comes first has won.
    """
    kept = np.where(won, np.clip(margins, SMALLEST, LARGEST), np.clip(margins, -LARGEST, 0))
    return kept.astype(np.float16)
