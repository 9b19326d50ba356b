"""DiCENet: convolutions along every axis of the volume of features (Mehta et al. 2019, https://arxiv.org/abs/1906.03516).

The decoder is that of ESPNetv2. Parameter names are those of the published weights.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segeval.errors import WeightsError
from segeval.models.espnetv2 import (
    IMAGE,
    Interleave,
    PyramidPooling,
    Weighted,
    conv_layer,
    conv_norm_act,
    group_blocks,
    plain_norm_act,
    pool,
    side,
    spread,
)
from segeval.models.norm_act import NormAct

SQUEEZE = 4
"""One part in so many of the channels lies between the two layers that weigh the channels."""


@dataclass(frozen=True)
class Architecture:
    """What a state dict says about the DiCENet it belongs to.

    Attributes:
        widths: channels at 1/2 and 1/4, at 1/8 and at 1/16 of the image; the defaults are the paper's s = 1.
        depths: number of blocks at 1/8 and 1/16 besides the one that strides.
        decoder: channels of the decoder at 1/16, 1/8 and 1/4.
        projection: those that its pyramids work on.
        volume: (height, width) of the maps at 1/8 of the images that the encoder was trained on; it has a kernel for
            each of their rows and columns.
    """

    classes: int
    projection: int
    widths: tuple[int, int, int] = (24, 116, 232)
    depths: tuple[int, int] = (3, 7)
    decoder: tuple[int, int, int] = (64, 48, 32)
    volume: tuple[int, int] = (28, 28)


def resized(x: Tensor, rows: int, columns: int) -> Tensor:
    """(N, C, H, W) to (N, C, rows, columns): an axis is stretched corner on corner, or shrunken by averaging."""
    for axis, wanted in ((2, rows), (3, columns)):
        size = [side(x, 2), side(x, 3)]
        length, size[axis - 2] = size[axis - 2], wanted
        if length < wanted:
            x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        elif length > wanted:
            x = pool(x, [side(x, 2), side(x, 3)], size)
    return x


class Volume(nn.Module):
    """DimConv and DimFuse: depthwise 3×3 convolutions over all pairs of axes, then one that fuses them.

    Attributes:
        height, width: to which an axis is brought while its rows or columns are convolved.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width
        self.conv_channel = conv_layer(channels, channels, 3, groups=channels)
        self.conv_width = conv_layer(width, width, 3, groups=width)
        self.conv_height = conv_layer(height, height, 3, groups=height)
        self.br_act = NormAct(3 * channels)
        self.vol_shuffle = Interleave(3)
        self.weight_avg_layer = conv_norm_act(3 * channels, channels, 1, groups=channels)
        self.proj_layer = conv_norm_act(channels, channels, 3, groups=channels)
        self.linear_comb_layer = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, channels // SQUEEZE, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(channels // SQUEEZE, channels, 1, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same."""
        height, width = side(x, 2), side(x, 3)
        rows = resized(x, self.height, width).transpose(1, 2)
        rows = resized(self.conv_height(rows).transpose(1, 2), height, width)
        columns = resized(x, height, self.width).transpose(1, 3)
        columns = resized(self.conv_width(columns).transpose(1, 3), height, width)
        volume = self.br_act(torch.cat([self.conv_channel(x), rows, columns], 1))
        merged = self.weight_avg_layer(self.vol_shuffle(volume))
        y: Tensor = self.proj_layer(merged) * self.linear_comb_layer(merged)
        return y


class Strided(nn.Module):
    """Halves the resolution and doubles the channels: a strided convolution beside the volume of averages."""

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.left_layer = nn.Sequential(
            conv_norm_act(channels, channels, 3, stride=2, groups=channels), conv_norm_act(channels, channels, 1)
        )
        self.right_layer = nn.Sequential(
            nn.AvgPool2d(3, stride=2, padding=1),
            Volume(channels, height, width),
            conv_norm_act(channels, channels, 1),
        )
        self.shuffle = Interleave(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, 2 channels, H / 2, W / 2)."""
        y: Tensor = self.shuffle(torch.cat([self.left_layer(x), self.right_layer(x)], 1))
        return y


class Block(nn.Module):
    """Lets half of the channels through, and convolves the volume of the others."""

    def __init__(self, channels: int, out: int, height: int, width: int) -> None:
        super().__init__()
        kept = channels // 2
        self.parts = [kept, channels - kept]
        changed = out - kept
        self.layer_right = nn.Sequential(conv_norm_act(channels - kept, changed, 1), Volume(changed, height, width))
        self.shuffle = Interleave(2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out, H, W)."""
        left, right = torch.split(x, self.parts, 1)
        y: Tensor = self.shuffle(torch.cat([left, self.layer_right(right)], 1))
        return y


def level(channels: int, out: int, depth: int, height: int, width: int) -> nn.Sequential:
    """A strided block and `depth` others, for maps of this height and width."""
    inner = (Block(2 * channels if number == 0 else out, out, height, width) for number in range(depth))
    return nn.Sequential(Strided(channels, height, width), *inner)


class Encoder(nn.Module):
    """The network that the authors train on ImageNet, down to 1/16 of the image."""

    def __init__(self, plan: Architecture) -> None:
        super().__init__()
        fine, eight, sixteen = plan.widths
        height, width = plan.volume
        self.level1 = conv_norm_act(IMAGE, fine, 3, stride=2)
        self.level2 = nn.MaxPool2d(3, stride=2, padding=1)
        self.level3 = level(fine, eight, plan.depths[0], height, width)
        self.level4 = level(eight, sixteen, plan.depths[1], height // 2, width // 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the image."""
        first = self.level1(x)
        second = self.level2(first)
        third = self.level3(second)
        return first, second, third, self.level4(third)


class DiCENet(nn.Module):
    """Encoder, and a decoder that brings its features back to 1/2 of the image in three steps.

    Sides of any size. The authors' code takes multiples of 16, on which both agree.
    """

    def __init__(self, plan: Architecture) -> None:
        super().__init__()
        fine, eight, sixteen = plan.widths
        coarse, middle, last = plan.decoder
        self.base_net = Encoder(plan)
        self.eff_pool_16x16 = PyramidPooling(sixteen, plan.projection, coarse)
        self.eff_pool_32x32 = PyramidPooling(coarse, plan.projection, middle)
        self.eff_pool_64x64 = PyramidPooling(middle, plan.projection, last)
        self.eff_pool_128x128 = PyramidPooling(last, plan.projection, plan.classes, normalised=False)
        self.proj_enc_32x32 = Weighted(eight, coarse)
        self.proj_enc_64x64 = Weighted(fine, middle)
        self.proj_enc_128x128 = Weighted(fine, last)
        self.bu_br_32x32 = plain_norm_act(coarse)
        self.bu_br_64x64 = plain_norm_act(middle)
        self.bu_br_128x128 = plain_norm_act(last)
        group_blocks(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) to logits (N, classes, H, W)."""
        first, second, third, fourth = self.base_net(x)
        y = self.eff_pool_16x16(fourth)
        y = self.eff_pool_32x32(self.bu_br_32x32(self.proj_enc_32x32(third) + spread(y, third)))
        y = self.eff_pool_64x64(self.bu_br_64x64(self.proj_enc_64x64(second) + spread(y, second)))
        y = self.eff_pool_128x128(self.bu_br_128x128(self.proj_enc_128x128(first) + spread(y, first)))
        return spread(y, x)

    def forward_with_auxiliaries(self, x: Tensor) -> list[Tensor]:
        """The logits alone, for training: this network has no auxiliary outputs."""
        return [self.forward(x)]


def architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Read widths, depths, classes and volume off a state dict. Raises WeightsError if it is no DiCENet."""

    def shape(key: str, rank: int = 4) -> tuple[int, ...]:
        found = tuple(state[key].shape) if key in state else ()
        if len(found) != rank or not all(found):
            hint = "encoder-only files classify images: use the one with the decoder"
            raise WeightsError(f"these are not weights of a DiCENet with its decoder: {key} is missing or odd", hint)
        return found

    def depth(level: str) -> int:
        prefix = f"base_net.{level}."
        return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}) - 1

    volume = "base_net.level3.0.right_layer.1"
    widths = (
        shape("base_net.level1.cbr.0.weight")[0],
        shape("proj_enc_32x32.wt_layer.1.weight")[1],
        shape("eff_pool_16x16.projection_layer.cbr.0.weight")[1],
    )
    if not widths[0] < widths[1] < widths[2]:
        raise WeightsError(f"these weights have layers of {widths} channels, which no DiCENet has")
    decoder = (f"bu_br_{side}x{side}.0.weight" for side in (32, 64, 128))
    coarse, middle, last = (shape(key, 1)[0] for key in decoder)
    return Architecture(
        classes=shape("eff_pool_128x128.merge_layer.3.weight")[0],
        projection=shape("eff_pool_16x16.stages.0.weight")[0],
        widths=widths,
        depths=(depth("level3"), depth("level4")),
        decoder=(coarse, middle, last),
        volume=(shape(f"{volume}.conv_height.weight")[0], shape(f"{volume}.conv_width.weight")[0]),
    )


def build(classes: int, state: Mapping[str, Tensor] | None = None) -> DiCENet:
    """A DiCENet as `state` describes it, or the paper's s = 1 if there is none.

    Raises WeightsError if `state` is of something else or has another number of classes.
    """
    if state is None:
        return DiCENet(Architecture(classes, projection=max(min(classes // 2, 16), 1)))
    found = architecture(state)
    if found.classes != classes:
        raise WeightsError(f"these weights have {found.classes} outputs, expected {classes}")
    return DiCENet(found)
