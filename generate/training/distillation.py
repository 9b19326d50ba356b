"""Knowledge distillation (Hinton et al. 2015, https://arxiv.org/abs/1503.02531): a teacher's soft labels, made once."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from segeval.errors import ConfigurationError
from segeval.models import ModelSpec, Segmenter
from segeval.progress import Progress

from .arrays import is_whole, mapped, writing
from .cached_examples import CachedExamples

STRIDE = 4
"""Soft labels are kept at a quarter of the resolution: they change slowly, and take a sixteenth of the disk."""


class SoftLabels:
    """Class probabilities (N, C, H / 4, W / 4) of a teacher for every example, float16 on disk.

    Mean of the teacher's answers to the image and to its mirror image, over the classes of the student, aligned by
    name and rescaled to a sum of 1.   Raises as `outputs_of` does, and DataError for images that it cannot take.
    """

    def __init__(
        self, teacher: Segmenter, student: ModelSpec, examples: CachedExamples, folder: Path, progress: Progress
    ) -> None:
        self.teacher = teacher
        self.chosen = outputs_of(teacher.spec, student)
        path = folder / f"soft-{teacher.record.weights_sha256[:16]}.npy"
        if not is_whole(path):
            self.ask(examples, path, progress)
        self.probabilities = mapped(path)

    def ask(self, examples: CachedExamples, path: Path, progress: Progress) -> None:
        """Let the teacher see every example once."""
        height, width = examples.labels.shape[1:]
        self.teacher.require_size(height, width, "a training image")
        shape = (len(examples), len(self.chosen), height // STRIDE, width // STRIDE)
        with writing(path, shape, np.float16) as add:
            for index in range(len(examples)):
                add(self.answer(np.array(examples.images[index])))
                progress("teacher", index + 1, len(examples))

    @torch.no_grad()
    def answer(self, image: NDArray[np.uint8]) -> NDArray[np.float16]:
        """(C, H / 4, W / 4) probabilities for one image (H, W, 3)."""
        straight = torch.from_numpy(image).permute(2, 0, 1)[None].to(self.teacher.mean.device).float() / 255
        both = self.teacher(straight)[0], self.teacher(straight.flip(3))[0].flip(2)
        mean = torch.stack([logits[self.chosen].softmax(0) for logits in both]).mean(0)
        pooled: NDArray[np.float16] = F.avg_pool2d(mean, STRIDE).cpu().numpy().astype(np.float16)
        return pooled

    def batch(self, indices: NDArray[np.int64]) -> Tensor:
        """(N, C, H / 4, W / 4) probabilities of some examples."""
        return torch.from_numpy(np.ascontiguousarray(self.probabilities[indices]))


def outputs_of(teacher: ModelSpec, student: ModelSpec) -> list[int]:
    """Number of the teacher's output for every output of the student. Raises ConfigurationError if one is lacking."""
    known = teacher.canonical_outputs
    lacking = [name for name in student.canonical_outputs if name not in known]
    if lacking:
        raise ConfigurationError(
            f"the teacher {teacher.name} does not know {', '.join(lacking)}",
            "choose one made for the classes of the network that is trained",
        )
    return [known.index(name) for name in student.canonical_outputs]


def soft_cross_entropy(logits: Tensor, soft: Tensor) -> Tensor:
    """Mean over pixels of the cross entropy to probabilities (N, C, h, w); pixels whose probabilities are 0 add none.

    Args:
        logits: (N, C, H, W) at any resolution, resampled to that of the probabilities.
        soft: (N, C, h, w) probabilities.
    """
    resampled = F.interpolate(logits, soft.shape[2:], mode="bilinear", align_corners=False)
    return -(soft * resampled.log_softmax(1)).sum(1).mean()
