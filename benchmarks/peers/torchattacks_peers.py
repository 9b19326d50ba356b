"""Attacks of torchattacks (https://github.com/Harry24k/adversarial-attacks-pytorch), called like those of adv-lib."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from torch import Tensor, nn


def peers() -> Mapping[str, Callable[..., object]]:
    """Every attack by name, with its defaults."""
    library = import_module("torchattacks")
    return {name: partial(run, getattr(library, name)) for name in ("PGD", "MIFGSM")}


def run(
    attack: Any,
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    steps: int,
    targeted: bool = True,
    **settings: object,
) -> object:
    """Call one, which counts every pixel: it knows no masks.

    Args:
        attack: its class.
        model: gives logits (N, C, H, W), of which its cross entropy is a mean over pixels.
        images: (N, 3, H, W).
        labels: (N, H, W), those that are wanted, or, untargeted, those that are to be lost.
        masks: not used.
        steps: how many gradients to take.
        targeted: whether labels are wanted.
        settings: its own.
    """
    made = attack(model, steps=steps, **settings)
    if targeted:
        made.set_mode_targeted_by_function(lambda images, labels: labels, quiet=True)
    return made(images, labels)
