"""A network with its pre-processing inside: images in, logits or label maps out."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError, DataError
from segeval.files.sets import ModelRecord, Resize
from segeval.models.pixels_last import pixels_last
from segeval.models.spec import ModelSpec

LEVELS = 255.0


class Segmenter(nn.Module):
    """A frozen network that takes RGB images in [0, 1] and normalises them itself.

    Attributes:
        record: what a manifest says about it; its `logit_scale` is what the logits are multiplied by while it is
            attacked (see `soundness.scale_of`).
        said: what a person should know of how it was read.
    """

    mean: Tensor
    std: Tensor
    bgr: Tensor

    def __init__(
        self, spec: ModelSpec, network: nn.Module, record: ModelRecord | None = None, said: tuple[str, ...] = ()
    ) -> None:
        super().__init__()
        self.spec = spec
        self.network = network
        self.record = record or spec.record()
        self.said = said
        self.register_buffer("mean", torch.tensor(spec.preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(spec.preprocessing.std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("bgr", torch.tensor([2, 1, 0]), persistent=False)
        self.eval().requires_grad_(False)

    def normalise(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to the network's input."""
        return self.normalise_levels(images * LEVELS)

    def normalise_levels(self, levels: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in 0–255 to the network's input."""
        normal = (levels - self.mean) / self.std
        # index_select, not flip: every engine knows Gather, not every one a Slice that runs backwards.
        return normal.index_select(1, self.bgr) if self.spec.preprocessing.bgr else normal

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W), times the `logit_scale` of the record."""
        # Gradients of these networks take a tenth less time on the CPU with the channels last (docs/speed.md).
        normal = self.normalise(images).contiguous(memory_format=torch.channels_last)
        logits = require_logits(self.network(normal), self.spec, normal)
        # Losses of an attack take half the time with the pixels last.
        return scaled_logits(pixels_last(logits), self.record)

    def require_size(self, height: int, width: int, where: str) -> None:
        """Raise DataError if images of this size cannot be segmented."""
        multiple = self.spec.multiple_of
        if self.spec.only_size and (height, width) != self.spec.size:
            only = f"{self.spec.size[0]}x{self.spec.size[1]}"
            raise DataError(
                f"{where} is {height}x{width} (height x width); {self.spec.name} takes only {only}",
                f"resize the images: {self.spec.size_option(height, width)}",
            )
        if height % multiple or width % multiple:
            raise DataError(
                f"{where} is {height}x{width} (height x width); {self.spec.name} needs multiples of {multiple}",
                f"resize the images: {self.spec.size_option(height, width)}",
            )


def scaled_logits(logits: Tensor, record: ModelRecord) -> Tensor:
    """Logits times the scale of their network; the very same for a usual one."""
    return logits if record.logit_scale == 1 else logits * record.logit_scale


def require_logits(answer: object, spec: ModelSpec, given: Tensor) -> Tensor:
    """What a network answered, if it is logits (N, C, H, W).

    Raises ConfigurationError.

    Args:
        answer: of the network.
        spec: the network's.
        given: its input.
    """
    if isinstance(answer, Tensor) and torch._C._get_tracing_state() is not None:
        return answer  # sizes are no plain numbers there, and were checked before
    size, kind = given.shape[2:], str(given.dtype).removeprefix("torch.")
    if isinstance(answer, Mapping):
        found, hint = f"a dict of {', '.join(map(repr, answer))}", "let its forward return one of these"
    elif not isinstance(answer, Tensor):
        count = f" of {len(answer)}" if isinstance(answer, Sequence) else ""
        found, hint = f"a {type(answer).__name__}{count}", "let its forward return one tensor"
    elif answer.dtype != given.dtype:
        found, hint = f"numbers of type {str(answer.dtype).removeprefix('torch.')}", "let its forward end with .float()"
    elif answer.ndim == 4 and answer.shape[1] == len(spec.outputs) and answer.shape[2:] == size:
        return answer
    else:
        found, hint = f"a tensor {tuple(answer.shape)}", "let it resize to the image, and give one output per class"
    wanted = f"{kind} logits (N, {len(spec.outputs)}, {size[0]}, {size[1]})"
    raise ConfigurationError(f"{spec.name} answers with {found}; {wanted} are needed", hint)


def resizing(specs: Sequence[ModelSpec]) -> Resize:
    """How images are brought to the size of these networks: as the authors of the first do."""
    return specs[0].preprocessing.resize


class Deployable(nn.Module):
    """The contract of every engine: camera image in, label map out.

    uint8 (N, H, W, 3) RGB to int32 (N, H, W); normalization and argmax are inside.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, images: Tensor) -> Tensor:
        """Label maps of camera images."""
        return torch.argmax(self.logits(images), 1).to(torch.int32)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) of camera images."""
        # Cast, then transpose: TensorRT lets uint8 flow into a Cast and into nothing else.
        levels = images.to(torch.float32).permute(0, 3, 1, 2)
        normal = self.segmenter.normalise_levels(levels)
        return require_logits(self.segmenter.network(normal), self.segmenter.spec, normal)
