"""The input and output of a file that segeval did not make, and their conversion to and from segeval's contract.

An ONNX file is wrapped in nodes that convert. A built engine cannot be wrapped: the functions here prepare its images
and turn its outputs into labels with numpy, step by step as those nodes do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Tuple

import numpy as np

Layout = Literal["NCHW", "NHWC"]
Colour = Literal["RGB", "BGR"]
Kind = Literal["logits", "probabilities", "labels"]
Resize = Literal["bilinear", "bilinear-aligned", "nearest"]
Three = Tuple[float, float, float]

LEVELS = 255.0
"""Of white in an image."""


@dataclass(frozen=True)
class Input:
    """What the file wants to be done to a camera image, uint8 (N, H, W, 3) RGB.

    Attributes:
        layout: order of its axes.
        colour: order of its channels.
        range: what the brightest level becomes, as in 1 or 255; black is 0.
        mean, std: per channel in the file's order, in units of `range`: subtracted, then divided by.
    """

    layout: Layout = "NCHW"
    colour: Colour = "RGB"
    range: float = 1.0
    mean: Three = (0.0, 0.0, 0.0)
    std: Three = (1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Output:
    """What the file answers.

    Attributes:
        kind: of its numbers. One channel of logits or probabilities tells the second class from the first, above 0 or
            above 0.5.
        layout: order of its axes; label maps may lack the axis of channels.
        resize: how a smaller answer is brought to the size of the image, before the largest channel is taken;
            "bilinear-aligned" lets the corners' centres meet (align_corners). Labels take the nearest.
        name: of the tensor, empty for the only one.
        classes: the network's class for each channel or label of the file, in its order; empty if they are the same.
    """

    kind: Kind = "logits"
    layout: Layout = "NCHW"
    resize: Resize = "bilinear"
    name: str = ""
    classes: Tuple[int, ...] = ()

    @property
    def threshold(self) -> float:
        """Above it a single channel means the second class."""
        return 0.5 if self.kind == "probabilities" else 0.0


def prepared(images: np.ndarray[Any, Any], wanted: Input, dtype: Any) -> np.ndarray[Any, Any]:
    """Camera images as a file takes them.

    Args:
        images: uint8 (N, H, W, 3) RGB.
        wanted: by the file.
        dtype: of the file's input; whole numbers are rounded to.

    Returns:
        (N, 3, H, W) or (N, H, W, 3), contiguous.
    """
    levels: Any = images.astype(np.float32)
    if wanted.colour == "BGR":
        levels = levels[..., ::-1]
    if wanted.range != LEVELS:
        levels = levels * np.float32(wanted.range / LEVELS)
    levels = (levels - np.array(wanted.mean, np.float32)) / np.array(wanted.std, np.float32)
    if wanted.layout == "NCHW":
        levels = levels.transpose(0, 3, 1, 2)
    if not np.issubdtype(dtype, np.floating):
        levels = np.rint(levels)
    return np.ascontiguousarray(levels.astype(dtype))


def label_maps(answer: np.ndarray[Any, Any], given: Output, size: Tuple[int, int]) -> np.ndarray[Any, Any]:
    """int32 (N, H, W) labels of what a file answered.

    Args:
        answer: as `answer_shape` says.
        given: what it is.
        size: (H, W) of the images.

    Returns:
        The network's classes; -1 for a label that no class of the file has.
    """
    if given.kind == "labels":
        labels = resized(as_labels(answer), size, "nearest").astype(np.int32)
    else:
        scores = answer.transpose(0, 3, 1, 2) if given.layout == "NHWC" else answer
        scores = resized(scores.astype(np.float32), size, given.resize)
        single = scores.shape[1] == 1
        labels = (scores[:, 0] > given.threshold if single else scores.argmax(1)).astype(np.int32)
    if not given.classes:
        return labels
    count = len(given.classes)
    known = (labels >= 0) & (labels < count)
    return np.array([*given.classes, -1], np.int32)[np.where(known, labels, count)]


def as_labels(answer: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """(N, h, w) label maps, whose axis of channels may be there with one of them."""
    if answer.ndim == 3:
        return answer
    return answer[:, 0] if answer.shape[1] == 1 else answer[..., 0]


def label_size(shape: Tuple[int, ...]) -> Tuple[int, ...]:
    """(h, w) of label maps of this shape."""
    return shape[1:] if len(shape) == 3 else shape[2:] if shape[1] == 1 else shape[1:3]


def resized(values: np.ndarray[Any, Any], size: Tuple[int, int], how: str) -> np.ndarray[Any, Any]:
    """(..., h, w) values at another size (H, W); see `Output.resize`."""
    height, width = size
    if values.shape[-2:] == (height, width):
        return values
    if how == "nearest":
        return values[..., nearest(values.shape[-2], height), :][..., nearest(values.shape[-1], width)]
    aligned = how == "bilinear-aligned"
    low, high, share = between(values.shape[-2], height, aligned)
    share = share[:, None]
    rows = values[..., low, :] * (1 - share) + values[..., high, :] * share
    low, high, share = between(values.shape[-1], width, aligned)
    columns: np.ndarray[Any, Any] = rows[..., low] * (1 - share) + rows[..., high] * share
    return columns


def nearest(before: int, after: int) -> np.ndarray[Any, Any]:
    """For each of `after` places the one of `before` that it lies in."""
    return np.minimum(np.arange(after) * before // after, before - 1)


def between(
    before: int, after: int, aligned: bool
) -> Tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """For each of `after` places the two of `before` that it lies between, and the share of the second."""
    places = np.arange(after, dtype=np.float64)
    if aligned:
        places = places * ((before - 1) / max(after - 1, 1))
    else:
        places = np.clip((places + 0.5) * (before / after) - 0.5, 0, before - 1)
    low = np.floor(places).astype(np.int64)
    return low, np.minimum(low + 1, before - 1), (places - low).astype(np.float32)


def answer_faults(shape: Tuple[int, ...], given: Output, batch: int, size: Tuple[int, int], classes: int) -> str:
    """What is wrong with the shape of an answer, in words; empty if labels can be made of it.

    Args:
        shape: of the answer.
        given: how it was described.
        batch: images of a call.
        size: (H, W) of them.
        classes: of the network.
    """
    if given.kind == "labels":
        fits = len(shape) == 3 or (len(shape) == 4 and 1 in (shape[1], shape[3]))
        wanted = "(N, h, w), (N, 1, h, w) or (N, h, w, 1)"
        inner = label_size(shape) if fits else ()
    else:
        fits = len(shape) == 4
        inner = () if not fits else shape[2:] if given.layout == "NCHW" else shape[1:3]
        wanted = "(N, C, h, w)" if given.layout == "NCHW" else "(N, h, w, C)"
    if not fits or shape[0] != batch:
        return "it is {}, and {} of {} are {} with N = {}".format(shape, given.kind, given.layout, wanted, batch)
    if given.kind != "labels":
        channels = shape[1] if given.layout == "NCHW" else shape[3]
        count = len(given.classes) or classes
        if channels != count and not (channels == 1 and count == 2):
            return "it has {} channels ({} as {}), the network has {} classes".format(
                channels, shape, given.layout, count
            )
    if not all(0 < side <= most for side, most in zip(inner, size)):
        return "its maps are {}x{}, the images {}x{}".format(*inner, *size)
    return ""
