"""adv-lib's attacks on segmentation (https://github.com/jeromerony/adversarial-library), with one set of arguments."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from torch import Tensor, nn

Peer = Callable[[nn.Module, Tensor, Tensor, Tensor, int], object]
"""Called with a network, images, the labels they are to have, the pixels that count, and how many gradients to take."""


def peers() -> Mapping[str, Peer]:
    """Every attack by name; its settings are those that suit 50 gradients, its defaults where nothing is said."""
    os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")  # one function is compiled, which takes longer than it saves
    for name in ("visdom", "torchvision", "tqdm"):  # for plots, models and bars that no attack needs
        sys.modules.setdefault(name, Stub(name))
    segmentation = import_module("adv_lib.attacks.segmentation")

    return {
        "dag": partial(run, segmentation.dag, "max_iter", {"γ": 0.003}),
        "alma-prox": partial(run, segmentation.alma_prox, "num_steps", {}),
        "pdgd": partial(run, segmentation.pdgd, "num_steps", {}),
        "pdpgd-l2": partial(run, segmentation.pdpgd, "num_steps", {"norm": 2}),
        "pdpgd-linf": partial(run, segmentation.pdpgd, "num_steps", {"norm": float("inf")}),
        "asma": partial(run, segmentation.asma, "num_steps", {}),
    }


class Stub(ModuleType):
    """A module any of whose names can be imported."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)  # PyTorch's compiler asks for it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None


def run(
    attack: Callable[..., object],
    count: str,
    settings: Mapping[str, object],
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    masks: Tensor,
    steps: int,
    **changes: object,
) -> object:
    """Call one; `count` is what it calls the number of gradients."""
    return attack(model, images, labels, masks=masks, targeted=True, **{count: steps}, **{**settings, **changes})
