"""Adapters around a PyTorch network, as its card says; an ONNX file gets the same as nodes."""

import warnings
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from segeval.errors import ConfigurationError, SegevalError, nearest
from segeval.models.cards.card import ModelCard

MODES: Mapping[str, Mapping[str, Any]] = {
    "bilinear": {"mode": "bilinear", "align_corners": False},
    "bilinear-aligned": {"mode": "bilinear", "align_corners": True},
    "nearest": {"mode": "nearest"},
}
"""How a smaller answer is resized, in PyTorch's words."""
LEAST = 1e-6
"""Below it a probability counts as this: its logarithm must be a number, also in half precision."""


class Adapted(nn.Module):
    """A network between normalized images (N, 3, H, W) and logits (N, C, H, W).

    Attributes:
        inner: the network as its author wrote it.
        card: what it takes and gives.
    """

    def __init__(self, inner: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.inner, self.card = inner, card

    def forward(self, normal: Tensor) -> Tensor:
        """Logits of images. Raises ConfigurationError for an answer that is not what the card says."""
        if torch._C._get_tracing_state() is None:
            return self.answered(normal)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, that sizes become fixed: a file is made for one size
            return self.answered(normal)

    def answered(self, normal: Tensor) -> Tensor:
        """See `forward`."""
        last = self.card.input.layout == "NHWC"
        try:
            answer = self.inner(normal.permute(0, 2, 3, 1) if last else normal)
        except (torch.OutOfMemoryError, SegevalError):
            raise
        except Exception as error:  # somebody else's code
            given = "x".join(str(int(side)) for side in normal.shape[2:])
            said = (str(error).strip().splitlines() or [""])[-1].removeprefix(f"{type(error).__name__}: ")
            reason = shorten(f"{type(error).__name__}: {said}", 300, placeholder=" …")
            what = f"{self.card.path}: the network fails on images of {given}: {reason}"
            raise ConfigurationError(what, "do layout, size and multiple_of of [input] fit it?") from error
        scores = self.scores(chosen(answer, self.card))
        size = sides(normal)
        if sides(scores) != size:
            scores = functional.interpolate(scores, size=size, **MODES[self.card.output.resize])
        return self.logits(scores)

    def scores(self, answer: Tensor) -> Tensor:
        """An answer with its channels second. Raises ConfigurationError unless they are the card's."""
        given, classes = self.card.output, len(self.card.outputs)
        if answer.ndim == 3:
            answer = answer[:, None]
        elif answer.ndim == 4 and given.layout == "NHWC":
            answer = answer.permute(0, 3, 1, 2)
        fits = answer.ndim == 4 and (answer.shape[1] == classes or (answer.shape[1] == 1 and classes == 2))
        if not fits or not answer.is_floating_point():
            kind = str(answer.dtype).removeprefix("torch.")
            what = (
                f"the network answers {kind} {tuple(answer.shape)} as {given.layout}, the card names {classes} classes"
            )
            hint = "check output.layout, output.name and [classes]. Label maps have no gradient: name the logits"
            raise ConfigurationError(f"{self.card.path}: {what}", hint)
        return answer

    def logits(self, scores: Tensor) -> Tensor:
        """Scores of the images' size as one logit for every class."""
        single = scores.shape[1] == 1 and len(self.card.outputs) == 2
        if self.card.output.kind == "probabilities":
            shares = torch.cat([1 - scores, scores], 1) if single else scores
            return shares.clamp(LEAST, 1).log()
        return torch.cat([scores * 0, scores], 1) if single else scores


def sides(images: Tensor) -> tuple[int, int]:
    """(height, width) of images, as numbers also where PyTorch traces them."""
    return int(images.shape[2]), int(images.shape[3])


def chosen(answer: Any, card: ModelCard) -> Tensor:
    """The tensor that counts, of an answer that may be a dict, an object or a tuple of several.

    Raises ConfigurationError, naming those there are.
    """
    if isinstance(answer, Tensor):
        return answer
    name, values = card.output.name, dict[str, Any]()
    if isinstance(answer, Mapping):
        values = {str(key): value for key, value in answer.items()}
    elif isinstance(answer, Sequence):
        values = {str(number): value for number, value in enumerate(answer)}
    names = list(values)
    found = values.get(name) if name or len(names) != 1 else values[names[0]]
    if isinstance(found, Tensor):
        return found
    what = f"{card.path}: the network answers with a {type(answer).__name__} of {', '.join(names) or 'no tensors'}"
    hint = f"{nearest(name, names) if name and names else ''} write [output] name with one of them".strip()
    raise ConfigurationError(what + (f"; output.name is {name!r}" if name else ""), hint)
