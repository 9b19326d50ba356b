"""ESPNet: efficient spatial pyramid of dilated convolutions (Mehta et al. 2018, https://arxiv.org/abs/1803.06815).

Parameter names are those of the published weights. Two decoders exist among these: one hands the last
convolution the 16-channel stem, the other also the pooled image, 19 channels in all.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from segeval.errors import WeightsError
from segeval.models.norm_act import ConvNormAct, NormAct, Normalising

NORM_EPS = 1e-3
STEM = 16
IMAGE = 3


def conv_layer(channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Convolution without bias that keeps the size (divided by its stride)."""
    padding = (kernel - 1) // 2 * dilation
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, bias=False)


def conv(channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """The same by the name that the published weights have for it."""
    return nn.Sequential(OrderedDict([("conv", conv_layer(channels, out, kernel, stride, dilation))]))


def norm_act(channels: int) -> NormAct:
    """Batch normalization and a PReLU with one slope per channel."""
    return NormAct(channels, NORM_EPS)


def conv_norm_act(channels: int, out: int, kernel: int, stride: int = 1) -> ConvNormAct:
    """Convolution, batch normalization, PReLU."""
    return ConvNormAct(conv_layer(channels, out, kernel, stride), NORM_EPS)


class DilatedPyramid(nn.Module):
    """Reduce, split, transform, merge: five dilated 3×3 convolutions on a reduced map, fused hierarchically.

    The branches are summed one after another before they are concatenated, against gridding (Sec. 3.1).
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        branch = out // 5
        self.c1 = conv(channels, branch, kernel, stride)
        self.d1 = conv(branch, out - 4 * branch, 3)
        self.d2 = conv(branch, branch, 3, dilation=2)
        self.d4 = conv(branch, branch, 3, dilation=4)
        self.d8 = conv(branch, branch, 3, dilation=8)
        self.d16 = conv(branch, branch, 3, dilation=16)

    def merged(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out, H / stride, W / stride), before normalization."""
        reduced = self.c1(x)
        two = self.d2(reduced)
        four = two + self.d4(reduced)
        eight = four + self.d8(reduced)
        sixteen = eight + self.d16(reduced)
        return torch.cat([self.d1(reduced), two, four, eight, sixteen], 1)


class ESPDown(DilatedPyramid, Normalising):
    """ESP module that halves the resolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, kernel=3, stride=2)
        self.bn = nn.BatchNorm2d(out, eps=NORM_EPS)
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor) -> Tensor:
        return self.normalised(self.merged(x))


class ESP(DilatedPyramid):
    """ESP module at constant resolution; residual unless its input has another width."""

    def __init__(self, channels: int, out: int, residual: bool = True) -> None:
        super().__init__(channels, out, kernel=1, stride=1)
        self.bn = norm_act(out)
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.merged(x)
        if self.residual:
            y = y + x
        z: Tensor = self.bn(y)
        return z


class Encoder(nn.Module):
    """ESPNet-C: three levels at 1/2, 1/4 and 1/8 of the image, each also shown the shrunken image.

    Attributes:
        p, q: number of ESP modules at 1/4 and 1/8 (the paper's depth multipliers α2, α3).
    """

    def __init__(self, classes: int, p: int, q: int) -> None:
        super().__init__()
        self.level1 = conv_norm_act(IMAGE, STEM, 3, stride=2)
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)
        self.b1 = norm_act(STEM + IMAGE)
        self.level2_0 = ESPDown(STEM + IMAGE, 64)
        self.level2 = nn.Sequential(*(ESP(64, 64) for _ in range(p)))
        self.b2 = norm_act(128 + IMAGE)
        self.level3_0 = ESPDown(128 + IMAGE, 128)
        self.level3 = nn.Sequential(*(ESP(128, 128) for _ in range(q)))
        self.b3 = norm_act(256)
        self.classifier = conv(256, classes, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Stem (1/2), stem with image (1/2), second level (1/4), class logits (1/8)."""
        half = self.shrink(x)
        stem = self.level1(x)
        first = self.b1(torch.cat([stem, half], 1))
        down = self.level2_0(first)
        second = self.b2(torch.cat([self.level2(down), down, self.shrink(half)], 1))
        down = self.level3_0(second)
        third = self.b3(torch.cat([down, self.level3(down)], 1))
        return stem, first, second, self.classifier(third)


def upsample(classes: int) -> nn.ConvTranspose2d:
    """Learned doubling of the resolution."""
    return nn.ConvTranspose2d(classes, classes, 2, stride=2, bias=False)


class ESPNet(nn.Module):
    """Encoder and light-weight decoder. Sides must be multiples of 8.

    Attributes:
        image_in_decoder: the last convolution also sees the pooled image (the CamVid weights' decoder).
    """

    def __init__(self, classes: int, p: int = 2, q: int = 8, image_in_decoder: bool = False) -> None:
        super().__init__()
        self.image_in_decoder = image_in_decoder
        self.encoder = Encoder(classes, p, q)
        self.level3_C = conv(128 + IMAGE, classes, 1)
        self.br = nn.BatchNorm2d(classes, eps=NORM_EPS)
        self.conv = conv_norm_act(classes + STEM + (IMAGE if image_in_decoder else 0), classes, 3)
        self.up_l3 = nn.Sequential(upsample(classes))
        self.combine_l2_l3 = nn.Sequential(norm_act(2 * classes), ESP(2 * classes, classes, residual=False))
        self.up_l2 = nn.Sequential(upsample(classes), norm_act(classes))
        self.classifier = upsample(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) to logits (N, classes, H, W)."""
        return self.forward_with_auxiliaries(x)[0]

    def forward_with_auxiliaries(self, x: Tensor) -> list[Tensor]:
        """The logits, and the encoder's own at 1/8 of the resolution, for training."""
        stem, first, second, encoded = self.encoder(x)
        third = self.up_l3(self.br(encoded))
        merged = self.up_l2(self.combine_l2_l3(torch.cat([self.level3_C(second), third], 1)))
        detail = self.conv(torch.cat([merged, first if self.image_in_decoder else stem], 1))
        return [self.classifier(detail), encoded]


@dataclass(frozen=True)
class Architecture:
    """What a state dict says about the ESPNet it belongs to."""

    classes: int
    p: int
    q: int
    image_in_decoder: bool


def architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Read depth, classes and decoder off a state dict. Raises WeightsError if it is no ESPNet."""
    if "encoder.level1.conv.weight" not in state:
        if "level1.conv.weight" in state:
            raise WeightsError("these are weights of only the encoder (ESPNet-C)", "use the file with the decoder")
        raise WeightsError("these are not weights of an ESPNet: encoder.level1.conv.weight is missing")
    try:
        classes = state["classifier.weight"].shape[1]
        inputs = state["conv.conv.weight"].shape[1]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"these are not weights of an ESPNet with its decoder: {error}") from error

    def depth(level: str) -> int:
        prefix = f"encoder.{level}."
        return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})

    return Architecture(classes, depth("level2"), depth("level3"), inputs == classes + STEM + IMAGE)


def build(classes: int, state: Mapping[str, Tensor] | None = None, q: int = 8) -> ESPNet:
    """An ESPNet as `state` describes it, or one with p = 2 if there is none.

    Raises WeightsError if `state` is of something else or has another number of classes.
    """
    if state is None:
        return ESPNet(classes, q=q)
    found = architecture(state)
    if found.classes != classes:
        raise WeightsError(f"these weights have {found.classes} outputs, expected {classes}")
    return ESPNet(found.classes, found.p, found.q, found.image_in_decoder)


def build_shallow(classes: int, state: Mapping[str, Tensor] | None = None) -> ESPNet:
    """The smallest ESPNet of the paper's Table 3, q = 3, unless `state` says otherwise."""
    return build(classes, state, q=3)
