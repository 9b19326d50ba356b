"""Whether a gradient leads anywhere: an attack that has none to follow fails, and that is no robustness."""

from collections.abc import Mapping, Sequence
from itertools import islice

import torch

from segeval.errors import EngineError
from segeval.files.set_folder import SetFolder
from segeval.models.soundness import naming_changes_in_place

from ..attacks.problem import Problem
from .jobs import Job
from .samples import ImageFiles, load, make_problem

IMAGES = 3
"""On which a loss must be flat before a network is refused."""
WITHOUT_GRADIENT = "look for an operation without a gradient (rounding, argmax, detach) or saturated activations"
"""What to do if it is."""


def require_gradients(folder: SetFolder, jobs: Sequence[Job], files: Mapping[str, ImageFiles]) -> None:
    """Raise EngineError if the loss has no gradient, or one that is zero, on the first images of what is attacked."""
    first = {(job.attacked.names, job.attacked.unaware): job for job in reversed(jobs)}
    for asked, job in first.items():
        name = "+".join(job.attacked.names)
        alike = [each for each in jobs if (each.attacked.names, each.attacked.unaware) == asked]
        of_task = (each.images for each in alike if each.task == job.task)
        images = list(islice(dict.fromkeys(image for batch in of_task for image in batch), IMAGES))
        with naming_changes_in_place(name):
            nothing = all(flat(folder, job, files[image]) for image in images)
        if nothing:
            raise EngineError(
                f"{name}: the gradient of its loss is zero in float32 on {', '.join(images)}: an attack has nothing to "
                "follow, and its failure would say nothing about robustness",
                WITHOUT_GRADIENT,
            )


def flat(folder: SetFolder, job: Job, files: ImageFiles) -> bool:
    """Whether the loss of the problem (Eq. 8, or the evasive one) has no gradient at the clean image."""
    return is_flat(make_problem(job, [load(folder, files, job)], (0,)))


def is_flat(problem: Problem) -> bool:
    """Whether the gradient of the loss is zero at the clean images."""
    x = problem.clean.clone().requires_grad_()
    loss = problem.loss(problem.logits(x)).sum()
    if not loss.requires_grad:
        return True
    (gradient,) = torch.autograd.grad(loss, x)
    return not bool(gradient.any())
