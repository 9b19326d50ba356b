"""Parity: does a deployed file compute what the network computes in PyTorch? Measured on clean images, per precision.

A file with half precision is checked twice: as ONNX Runtime runs it on a CPU, in fp32, and in half arithmetic, as a
device does.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import ModelProto

from segeval.files.engine_records import HalfArithmetic, Parity
from segeval.files.images import RgbImage
from segeval.graphs.half import HalfModel, Peaks
from segeval.graphs.session import DeployedModel
from segeval.metrics import ConfusionMatrix, Labels


@dataclass(frozen=True)
class Reference:
    """A clean image, torch's label map for it, its ground truth if known, and its key among the inputs."""

    image: RgbImage
    labels: Labels
    truth: Labels | None
    key: str = ""


@dataclass
class Agreement:
    """Pixels compared and pixels equal."""

    pixels: int = 0
    equal: int = 0

    def update(self, left: Labels, right: Labels) -> None:
        """Compare two (H, W) label maps."""
        self.pixels += left.size
        self.equal += int(np.count_nonzero(left == right))

    @property
    def share(self) -> float:
        """Equal pixels over all."""
        return self.equal / self.pixels


def measure_parity(
    model: ModelProto, references: Iterable[Reference], classes: int, unoptimised: bool, integers: str = ""
) -> Parity:
    """Compare a deployed file with torch.

    Args:
        model: the deployed file.
        references: at least one.
        classes: of the class table; other labels count as wrong.
        unoptimised: also compare the file with itself without graph optimisation.
        integers: type of the activations that are multiplied as integers where ONNX Runtime has a kernel; empty for
            none.
    """
    deployed = DeployedModel(model, integers=integers)
    plain = DeployedModel(model, optimised=False) if unoptimised else None
    images = 0
    with_torch, with_plain = Agreement(), Agreement()
    own, torch = ConfusionMatrix(classes), ConfusionMatrix(classes)
    for reference in references:
        images += 1
        labels = deployed.predict(reference.image)
        with_torch.update(labels, reference.labels)
        if plain is not None:
            with_plain.update(labels, plain.predict(reference.image))
        if reference.truth is not None:
            own.update(reference.truth, labels)
            torch.update(reference.truth, reference.labels)
    return Parity(
        images=images,
        equal=with_torch.share,
        miou=own.mean_iou(),
        torch_miou=torch.mean_iou(),
        unoptimised_equal=with_plain.share if plain is not None else None,
    )


def measure_half(
    engine: str,
    model: ModelProto,
    references: Iterable[Reference],
    adversarial: Iterable[tuple[str, RgbImage]],
    classes: int,
) -> HalfArithmetic:
    """Compare a file of fp16 or int8-fp16 in half arithmetic with torch, and look for its largest activation.

    Args:
        engine: its name.
        model: the deployed file.
        references: at least one.
        adversarial: key and image; only activations are looked at.
        classes: number of the network's outputs.

    Raises:
        EngineError: if an activation passes what half precision can hold, or if a logit is not finite.
    """
    half = HalfModel(model)
    watch = Peaks(engine, half.layers)
    agreement, matrix, images = Agreement(), ConfusionMatrix(classes), 0
    for reference in references:
        images += 1
        found = half.run(reference.image)
        watch.add(reference.key, found)
        agreement.update(found.labels, reference.labels)
        if reference.truth is not None:
            matrix.update(reference.truth, found.labels)
    crafted = 0
    for key, image in adversarial:
        crafted += 1
        watch.add(key, half.run(image))
    watch.require_finite()
    peak, layer, key = watch.largest()
    return HalfArithmetic(images, agreement.share, matrix.mean_iou(), crafted, peak, layer, key)


def evenly(count: int, limit: int) -> Iterator[int]:
    """Up to `limit` indices spread evenly over range(count)."""
    chosen = min(count, limit)
    return (index * count // chosen for index in range(chosen))
