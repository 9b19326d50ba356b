"""The networks that one attack is made for: one, or several attacked together (Kang et al. 2020, Eq. 10 and 11)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.corruptions import Corruption
from segeval.files.sets import MadeOn
from segeval.metrics import Labels
from segeval.models import ModelSpec, Network, Segmenter
from segeval.models.segmenter import Deployable
from segeval.models.soundness import predict

from .corruption_gradients import Behind
from .losses import joint_labels


@dataclass(frozen=True)
class Victims:
    """Networks that one perturbation is to fool, in the order of their names, so that no other order counts.

    Attributes:
        outputs: per network the numbers of its outputs that all of them have, by class name; empty for a single one.
    """

    segmenters: tuple[Segmenter, ...]
    outputs: tuple[Tensor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the networks."""
        return tuple(segmenter.spec.name for segmenter in self.segmenters)

    @property
    def name(self) -> str:
        """What they are called together, in paths and ids: ``espnet-camvid+fast-scnn-camvid``."""
        return "+".join(self.names)

    def predict(self, image: NDArray[np.uint8]) -> Labels:
        """Label map (H, W) of one 8-bit image (H, W, 3): the clean prediction y_gt that an attack starts from.

        Of several networks the class that any of them is surest of (Eq. 10), among those that all of them know.
        """
        if len(self.segmenters) == 1:
            return predict(self.segmenters[0], image)
        with torch.no_grad():
            logits = [
                Deployable(segmenter).logits(torch.from_numpy(image)[None].to(segmenter.mean.device))
                for segmenter in self.segmenters
            ]
            found: Labels = joint_labels(aligned(logits, self.outputs))[0].to("cpu", torch.uint8).numpy()
        return found


@dataclass(frozen=True)
class Attacked:
    """What the gradients of an attack come from: the victims, files that were deployed of them, or both.

    Attributes:
        names: of the victims and of the files, ``espnet-camvid`` and ``espnet-camvid.int8``.
        models: the victim that each is, or was deployed of.
        networks: in the same order.
        outputs: as of `Victims`, one for each network here.
        unaware: whether each is to see nothing of the attack.
    """

    names: tuple[str, ...]
    models: tuple[str, ...]
    networks: tuple[Network, ...]
    outputs: tuple[Tensor, ...]
    unaware: tuple[bool, ...]


def attacked(
    victims: Victims,
    on: MadeOn,
    engines: Sequence[str],
    deployed: Mapping[str, Network],
    corruptions: Sequence[Corruption] = (),
) -> Attacked:
    """What an attack on these victims is made on.

    Args:
        victims: the float networks.
        on: which of them and their files.
        engines: the files, as in ``int8``.
        deployed: the files by name, as in ``espnet-camvid.int8``.
        corruptions: behind which each of these is attacked as well, as ``espnet-camvid.fp32+jpeg-75``.
    """
    found: list[tuple[str, Network, int, bool]] = []
    for number, (name, segmenter) in enumerate(zip(victims.names, victims.segmenters, strict=True)):
        if on != "int8":
            found.append((name, segmenter, number, on == "evasive"))
        if on != "fp32":
            found += [(f"{name}.{engine}", deployed[f"{name}.{engine}"], number, False) for engine in engines]
    for corruption in corruptions:
        found += [
            (behind(name, victims.names, corruption), Behind(network, corruption), number, unaware)
            for name, network, number, unaware in found
            if not isinstance(network, Behind)
        ]
    return Attacked(
        names=tuple(name for name, *_ in found),
        models=tuple(victims.names[number] for *_, number, _ in found),
        networks=tuple(network for _, network, *_ in found),
        outputs=tuple(victims.outputs[number] for *_, number, _ in found) if victims.outputs else (),
        unaware=tuple(unaware for *_, unaware in found),
    )


def behind(name: str, victims: Collection[str], corruption: Corruption) -> str:
    """What a network or file is called behind a corruption."""
    return f"{name}.fp32+{corruption.name}" if name in victims else f"{name}+{corruption.name}"


def together(segmenters: Sequence[Segmenter]) -> Victims:
    """Networks to be attacked by one perturbation."""
    ordered = tuple(sorted(segmenters, key=lambda segmenter: segmenter.spec.name))
    return Victims(ordered, shared_outputs([segmenter.spec for segmenter in ordered], ordered[0].mean.device))


def shared_outputs(specs: Sequence[ModelSpec], device: torch.device) -> tuple[Tensor, ...]:
    """Per network the numbers of the outputs that all of them have, in the order of the first one's.

    Outputs are the same if their classes have the same canonical name. Networks of one class table share its classes,
    under the table's own indices, and only those outputs beyond it that all of them have. Empty for a single network.
    """
    if len(specs) == 1:
        return ()
    names = [spec.canonical_outputs for spec in specs]
    shared = [name for name in names[0] if all(name in others for others in names[1:])]
    return tuple(torch.tensor([own.index(name) for name in shared], device=device) for own in names)


def aligned(logits: Sequence[Tensor], outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Logits (N, S, H, W) of the shared classes, of every network.

    Args:
        logits: (N, C, H, W) of every network.
        outputs: of `Victims`.
    """
    if not outputs:
        return tuple(logits)
    return tuple(each.index_select(1, own) for each, own in zip(logits, outputs, strict=True))
