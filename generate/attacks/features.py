"""What networks compute on the way to their logits: the output of one of their convolutions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from segeval.errors import ConfigurationError
from segeval.models import Network

COARSEST = 32
"""How many times fewer rows than the image a map of features may have; smaller ones are summaries of the image."""


class Convolutions(TorchFunctionMode):
    """Counts the convolutions that are computed within a `with`, and keeps the output of one.

    They are seen where PyTorch's function is called. So modules, programs of torch.export and deployed ONNX files are
    all alike; TorchScript, which calls no function of Python, shows none.

    Attributes:
        count: how many there were.
        output: (N, D, h, w) of the one that is kept, None before it is computed.
    """

    def __init__(self, image: Tensor, kept: int | None = None) -> None:
        """Watch what is computed of an image (N, 3, H, W). kept: number of the convolution, from 0."""
        super().__init__()
        self.rows, self.kept = image.shape[-2], kept
        self.count = 0
        self.output: Tensor | None = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call a function of PyTorch, and look at what it gives."""
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "").partition(".")[0]  # an exported program calls conv2d.default
        if name == "conv2d" and result.shape[-2] * COARSEST >= self.rows:
            if self.count == self.kept:
                self.output = result
            self.count += 1
        return result


@torch.no_grad()
def convolution_at(network: Network, image: Tensor, depth: float) -> int:
    """The number of a network's convolution at this share of their order.

    Args:
        network: whose they are.
        image: (1, 3, H, W).
        depth: 0 for the first, 1 for the last.

    Raises:
        ConfigurationError: If none can be seen.
    """
    with Convolutions(image) as seen:
        network(image)
    if not seen.count:
        what = f"attack 'fspgd' sees no convolution in {network.spec.name}"
        raise ConfigurationError(what, "TorchScript shows none: give an ONNX file or PyTorch code, or use --on int8")
    number: int = round(depth * (seen.count - 1))
    return number


def with_features(network: Network, images: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Logits (N, C, H, W), and the output (N, D, h, w) of convolution `number` with length 1 at every position.

    Images are computed one by one: a deployed file pads them to the batch that it was made for.
    """
    logits, features = [], []
    for image in torch.split(images, 1):
        with Convolutions(image, number) as seen:
            logits.append(network(image))
        assert seen.output is not None
        features.append(seen.output[:1])
    return torch.cat(logits), F.normalize(torch.cat(features), dim=1)
