"""Which colour order and normalization a network was trained with, tried on images with labels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from segeval.datasets import Dataset
from segeval.errors import ConfigurationError, DataError, EngineError
from segeval.files.images import RgbImage
from segeval.metrics import ConfusionMatrix, Labels
from segeval.models import Segmenter
from segeval.models.cards import ModelCard
from segeval.models.soundness import predict
from segeval.models.spec import fitting_size
from segeval_runner.described import Colour, Input, Layout

from ..doubts import other_descriptions

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PLAIN, ONES, HALVES = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)
IMAGENET = Input("NCHW", "RGB", 1.0, MEAN, STD)
"""What most networks of PyTorch take."""
NORMALIZATIONS: dict[str, tuple[float, tuple[float, float, float], tuple[float, float, float]]] = {
    "ImageNet's mean and std": (1.0, MEAN, STD),
    "0 to 1": (1.0, PLAIN, ONES),
    "-1 to 1": (1.0, HALVES, HALVES),
    "0 to 255": (255.0, PLAIN, ONES),
    "0 to 255 less ImageNet's mean": (255.0, (123.675, 116.28, 103.53), ONES),
}
"""What networks are usually trained with: range, mean and std in RGB order."""
TRIED = 3
"""Images with labels that inputs are tried on."""
CLEARLY = 0.02
"""Of mIoU, by which one input must fit the labels better than another to be told from it."""
UNLABELLED = 50
"""Images without labels that are looked at before it is believed that a dataset has none."""


@dataclass(frozen=True)
class Labelled:
    """An image with its ground truth.

    Attributes:
        image: (H, W, 3) RGB.
        labels: (H, W), class indices and 255 for pixels that do not count.
        id: of the image, where it is one of a dataset.
    """

    image: RgbImage
    labels: Labels
    id: str = ""


@dataclass(frozen=True)
class Trial:
    """One way to prepare images. said: in words. miou: that the network has so."""

    input: Input
    said: str
    miou: float


def trials(card: ModelCard, network: torch.nn.Module, labelled: Sequence[Labelled]) -> list[Trial]:
    """Every usual colour order and normalization, the best first.

    Raises DataError for labels beyond the classes.

    Args:
        card: of the network, whose input is exchanged.
        network: of the card, without normalization.
        labelled: images, which are brought to a size that the network takes.
    """
    fitting = [fitted(card, each) for each in labelled]
    usual = usual_inputs(card.input.layout).items()
    return sorted((tried(card, network, *each, fitting) for each in usual), key=lambda trial: -trial.miou)


def other_trials(card: ModelCard, segmenter: Segmenter, labelled: Sequence[Labelled]) -> list[Trial]:
    """What may have been meant by the input of a card: other values of single keys, then all usual inputs.

    Args:
        card: of the network.
        segmenter: of the card.
        labelled: images of a size that the network takes.
    """
    others = {**other_descriptions(card.input), **usual_inputs(card.input.layout)}
    found = list[Trial]()
    for said, wanted in others.items():
        if wanted == card.input or any(wanted == trial.input for trial in found):
            continue
        with suppress(ConfigurationError, EngineError):  # mean and std of another range, answers that are not finite
            found.append(tried(card, segmenter.network, said, wanted, labelled, str(segmenter.mean.device)))
    return found


def tried(
    card: ModelCard,
    network: torch.nn.Module,
    said: str,
    wanted: Input,
    labelled: Sequence[Labelled],
    device: str = "cpu",
) -> Trial:
    """A network on images that are prepared in one way.

    Args:
        card: of the network.
        network: of the card, without normalization.
        said: the way in words.
        wanted: the way.
        labelled: images of a size that the network takes.
        device: of the network.
    """
    segmenter = Segmenter(replace(card, input=wanted).spec, network).to(device)
    matrix = ConfusionMatrix(len(card.table))
    for each in labelled:
        matrix.update(each.labels, predict(segmenter, each.image))
    return Trial(wanted, said, matrix.mean_iou() or 0.0)


def usual_inputs(layout: Layout) -> Mapping[str, Input]:
    """Every usual colour order and normalization, in words."""
    colours: tuple[Colour, ...] = ("RGB", "BGR")
    return {
        f"{colour}, {said}": with_colour(Input(layout, "RGB", *numbers), colour)
        for colour, (said, numbers) in product(colours, NORMALIZATIONS.items())
    }


def with_labels(data: Dataset) -> Iterator[Labelled]:
    """The images of a dataset that have labels; none after many that have none."""
    without = 0
    for index in range(len(data)):
        example = data[index]
        if example.labels is not None:
            yield Labelled(example.image, example.labels, example.id)
        elif (without := without + 1) == UNLABELLED:
            return


def with_colour(wanted: Input, colour: Colour) -> Input:
    """An input in RGB order with its channels in another."""
    if colour == "RGB":
        return wanted
    return replace(wanted, colour=colour, mean=wanted.mean[::-1], std=wanted.std[::-1])


def fitted(card: ModelCard, given: Labelled) -> Labelled:
    """An image and its labels at a size that the network takes. Raises DataError for labels beyond the classes."""
    labels = given.labels
    if len(card.table) == 2 and set(np.unique(labels)) <= {0, 255} and (labels == 255).any():
        labels = (labels == 255).astype(np.uint8)  # a mask of black and white
    odd = sorted(set(np.unique(labels).tolist()) - {*range(len(card.table)), 255})
    if odd:
        what = f"the mask holds {', '.join(map(str, odd[:5]))}, the network has {len(card.table)} classes"
        raise DataError(what, "a mask holds class indices, and 255 for pixels that do not count")
    height, width = labels.shape
    size = card.size or fitting_size(height, width, card.multiple_of)
    if size == (height, width):
        return Labelled(given.image, labels)
    return Labelled(resized(given.image, size, smooth=True), resized(labels, size, smooth=False))


def resized(values: NDArray[np.uint8], size: tuple[int, int], smooth: bool) -> NDArray[np.uint8]:
    """An image or a label map at another (height, width)."""
    way = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
    return np.array(Image.fromarray(values).resize(size[::-1], way))
