"""ESPNetv2: depthwise dilated pyramids and a pyramid decoder (Mehta et al. 2019, https://arxiv.org/abs/1811.11431).

Parameter names are those of the published weights. These name the layers of a block in two ways, see GROUPS.
"""

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.jit import is_tracing  # type: ignore[attr-defined]

from segeval.errors import WeightsError
from segeval.models.fast_scnn import averaging
from segeval.models.norm_act import ConvNormAct, NormAct

IMAGE = 3
BRANCHES = 4
DILATIONS = (1, 2, 3, 4)
COARSE_DILATIONS = (1, 1, 2, 3)  # the last level's maps are small: no receptive field beyond 7×7
SCALES = (2.0, 1.5, 1.0, 0.5, 0.1)

# A block's layers by name, and the group in which the other naming numbers them: conv, bn, act is cbr.0, cbr.1, cbr.2.
GROUPS = {("conv", "bn", "act"): "cbr", ("conv", "bn"): "cb", ("bn", "act"): "br"}


@dataclass(frozen=True)
class Architecture:
    """What a state dict says about the ESPNetv2 it belongs to.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the image; the defaults are the paper's s = 1.
        depths: number of pyramids at 1/8 and 1/16 besides the one that strides.
        decoder: channels of the decoder at 1/16, 1/8 and 1/4.
        projection: those that its pyramids work on.
        encoder_grouped, decoder_grouped: blocks are named by group and number.
    """

    classes: int
    projection: int
    widths: tuple[int, int, int, int] = (32, 64, 128, 256)
    depths: tuple[int, int] = (3, 7)
    decoder: tuple[int, int, int] = (64, 48, 32)
    encoder_grouped: bool = False
    decoder_grouped: bool = True


def conv_layer(channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Conv2d:
    """Convolution without bias that keeps the size (divided by its stride)."""
    padding = (kernel - 1) // 2 * dilation
    return nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups, bias=False)


def conv(channels: int, out: int, kernel: int, stride: int = 1, dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """The same by the name that the published weights have for it."""
    return nn.Sequential(OrderedDict([("conv", conv_layer(channels, out, kernel, stride, dilation, groups))]))


def conv_norm(channels: int, out: int, kernel: int, groups: int = 1) -> nn.Sequential:
    """Convolution, batch normalization."""
    layers = [*conv(channels, out, kernel, groups=groups).named_children(), ("bn", nn.BatchNorm2d(out))]
    return nn.Sequential(OrderedDict(layers))


def conv_norm_act(channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1) -> ConvNormAct:
    """Convolution, batch normalization, PReLU."""
    return ConvNormAct(conv_layer(channels, out, kernel, stride, groups=groups))


def group_blocks(module: nn.Module) -> None:
    """Give every block inside `module` its other names."""
    for name, child in list(module.named_children()):
        layers = dict(child.named_children())
        group = GROUPS.get(tuple(layers))
        if group is None:
            group_blocks(child)
        else:
            setattr(module, name, nn.Sequential(OrderedDict([(group, nn.Sequential(*layers.values()))])))


def spread(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear interpolation to the size of another map, corner on corner."""
    return F.interpolate(x, [like.shape[2], like.shape[3]], mode="bilinear", align_corners=True)


def side(x: Tensor, dim: int) -> int:
    """Length of a dimension as a number, which its shape does not hold while a network is traced for export."""
    if is_tracing():  # type: ignore[no-untyped-call]
        return len(x.unbind(dim))
    return x.shape[dim]


def pool(x: Tensor, size: list[int], bins: list[int]) -> Tensor:
    """Adaptive average pooling (N, C, *size) to (N, C, *bins), of sizes that the bins need not divide.

    Written as products with constant matrices, like Fast-SCNN's pyramid, because it cannot be exported otherwise.
    Which cells a bin averages repeats itself along a side as often as the greatest common divisor of both lengths
    says, so that the matrices are small.
    """
    repeats = math.gcd(size[0], bins[0])
    rows = averaging(size[0] // repeats, bins[0] // repeats).to(x)
    x = (rows @ torch.unflatten(x, 2, [repeats, size[0] // repeats])).flatten(2, 3)
    repeats = math.gcd(size[1], bins[1])
    columns = averaging(size[1] // repeats, bins[1] // repeats).to(x)
    return (torch.unflatten(x, 3, [repeats, size[1] // repeats]) @ columns.T).flatten(3, 4)


class DepthwisePyramid(nn.Module):
    """EESP: reduce in groups, transform by four depthwise dilated 3×3 convolutions, expand in groups.

    The branches are summed one after another before they are concatenated, against gridding.
    """

    def __init__(self, channels: int, out: int, stride: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        branch = out // BRANCHES
        self.proj_1x1 = conv_norm_act(channels, branch, 1, groups=BRANCHES)
        self.spp_dw = nn.ModuleList(conv(branch, branch, 3, stride, dilation, groups=branch) for dilation in dilations)
        self.br_after_cat = NormAct(out)
        self.conv_1x1_exp = conv_norm(out, out, 1, groups=BRANCHES)
        self.module_act = nn.PReLU(out)

    def merged(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out, H / stride, W / stride), before the activation."""
        reduced = self.proj_1x1(x)
        sums: list[Tensor] = []
        for branch in self.spp_dw:
            y = branch(reduced)
            sums.append(y + sums[-1] if len(sums) > 0 else y)
        z: Tensor = self.conv_1x1_exp(self.br_after_cat(torch.cat(sums, 1)))
        return z


class Residual(DepthwisePyramid):
    """EESP at constant resolution and width."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__(channels, channels, 1, dilations)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.module_act(self.merged(x) + x)
        return y


class Strided(DepthwisePyramid):
    """EESP that halves the resolution. Its own activation is unused, but the published weights have one."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(channels, out, 2, DILATIONS)

    def forward(self, x: Tensor) -> Tensor:
        return self.merged(x)


class Downsample(nn.Module):
    """Halves the resolution: averages beside a strided EESP, plus the image itself, shrunken to that resolution."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.eesp = Strided(channels, out - channels)
        self.avg = nn.AvgPool2d(3, stride=2, padding=1)
        self.inp_reinf = nn.Sequential(conv_norm_act(IMAGE, IMAGE, 3), conv_norm(IMAGE, out, 1))
        self.act = nn.PReLU(out)

    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        """(N, channels, H, W) and the image at half that size to (N, out, H / 2, W / 2)."""
        y: Tensor = self.act(torch.cat([self.avg(x), self.eesp(x)], 1) + self.inp_reinf(image))
        return y


class Encoder(nn.Module):
    """The network that the authors train on ImageNet, down to 1/16 of the image."""

    def __init__(self, widths: tuple[int, int, int, int], depths: tuple[int, int]) -> None:
        super().__init__()
        two, four, eight, sixteen = widths
        self.shrink = nn.AvgPool2d(3, stride=2, padding=1)
        self.level1 = conv_norm_act(IMAGE, two, 3, stride=2)
        self.level2_0 = Downsample(two, four)
        self.level3_0 = Downsample(four, eight)
        self.level3 = nn.Sequential(*(Residual(eight, DILATIONS) for _ in range(depths[0])))
        self.level4_0 = Downsample(eight, sixteen)
        self.level4 = nn.Sequential(*(Residual(sixteen, COARSE_DILATIONS) for _ in range(depths[1])))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Features at 1/2, 1/4, 1/8 and 1/16 of the image."""
        quarter = self.shrink(self.shrink(x))
        eighth = self.shrink(quarter)
        first = self.level1(x)
        second = self.level2_0(first, quarter)
        third = self.level3(self.level3_0(second, eighth))
        fourth = self.level4(self.level4_0(third, self.shrink(eighth)))
        return first, second, third, fourth


class Interleave(nn.Module):
    """Channel shuffle: the first channel of every group, then the second of every group, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, 1, [self.groups, -1]).transpose(1, 2).flatten(1, 2)


class Scaled(nn.Conv2d):
    """Depthwise 3×3 convolution of a map that is brought to another resolution, of 5×5 or more, and back again."""

    def __init__(self, channels: int, scale: float) -> None:
        super().__init__(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same."""
        size = [side(x, 2), side(x, 3)]
        scaled = [max(math.ceil(length * self.scale), 5) for length in size]
        if self.scale > 1:
            large = F.interpolate(x, scaled, mode="bilinear", align_corners=True)
            return pool(self._conv_forward(large, self.weight, self.bias), scaled, size)
        if self.scale < 1:
            return spread(self._conv_forward(pool(x, size, scaled), self.weight, self.bias), x)
        same: Tensor = self._conv_forward(x, self.weight, self.bias)
        return same


class PyramidPooling(nn.Module):
    """Convolutions of the projected map at five resolutions, merged channel by channel.

    Attributes:
        normalised: normalise and rectify the output; the last one, whose outputs are the logits, has a bias instead.
    """

    def __init__(self, channels: int, projection: int, out: int, normalised: bool = True) -> None:
        super().__init__()
        wide = projection * len(SCALES)
        self.projection_layer = conv_norm_act(channels, projection, 1)
        self.stages = nn.ModuleList(Scaled(projection, scale) for scale in SCALES)
        self.merge_layer = nn.Sequential(
            NormAct(wide),
            Interleave(len(SCALES)),
            conv_norm_act(wide, projection, 3, groups=projection),
            nn.Conv2d(projection, out, 1, bias=not normalised),
        )
        self.br = NormAct(out) if normalised else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out, H, W)."""
        projected = self.projection_layer(x)
        y: Tensor = self.br(self.merge_layer(torch.cat([stage(projected) for stage in self.stages], 1)))
        return y


class Weighted(nn.Module):
    """Grouped 3×3 convolution whose channels are weighted by what the whole map shows."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.wt_layer = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, out, 1, bias=False), nn.Sigmoid())
        self.expansion_layer = conv_norm_act(channels, out, 3, groups=math.gcd(channels, out))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to (N, out, H, W)."""
        y: Tensor = self.expansion_layer(x) * self.wt_layer(x)
        return y


def plain_norm_act(channels: int) -> nn.Sequential:
    """Batch normalization and PReLU, numbered under either naming."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


class ESPNetv2(nn.Module):
    """Encoder, and a decoder that brings its features back to 1/2 of the image in three steps.

    Sides of any size. The authors' code takes multiples of 16 (and one pixel less), on which both agree.
    """

    def __init__(self, plan: Architecture) -> None:
        super().__init__()
        two, four, eight, sixteen = plan.widths
        coarse, middle, fine = plan.decoder
        self.base_net = Encoder(plan.widths, plan.depths)
        self.bu_dec_l1 = PyramidPooling(sixteen, plan.projection, coarse)
        self.bu_dec_l2 = PyramidPooling(coarse, plan.projection, middle)
        self.bu_dec_l3 = PyramidPooling(middle, plan.projection, fine)
        self.bu_dec_l4 = PyramidPooling(fine, plan.projection, plan.classes, normalised=False)
        self.merge_enc_dec_l2 = Weighted(eight, coarse)
        self.merge_enc_dec_l3 = Weighted(four, middle)
        self.merge_enc_dec_l4 = Weighted(two, fine)
        self.bu_br_l2 = plain_norm_act(coarse)
        self.bu_br_l3 = plain_norm_act(middle)
        self.bu_br_l4 = plain_norm_act(fine)
        for part in self.children():
            if plan.encoder_grouped if part is self.base_net else plan.decoder_grouped:
                group_blocks(part)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) to logits (N, classes, H, W)."""
        first, second, third, fourth = self.base_net(x)
        y = self.bu_dec_l1(fourth)
        y = self.bu_dec_l2(self.bu_br_l2(self.merge_enc_dec_l2(third) + spread(y, third)))
        y = self.bu_dec_l3(self.bu_br_l3(self.merge_enc_dec_l3(second) + spread(y, second)))
        y = self.bu_dec_l4(self.bu_br_l4(self.merge_enc_dec_l4(first) + spread(y, first)))
        return spread(y, x)

    def forward_with_auxiliaries(self, x: Tensor) -> list[Tensor]:
        """The logits alone, for training: this network has no auxiliary outputs."""
        return [self.forward(x)]


def architecture(state: Mapping[str, Tensor]) -> Architecture:
    """Read widths, depths, classes and naming off a state dict. Raises WeightsError if it is no ESPNetv2."""
    if "base_net.level2_0.eesp.module_act.weight" not in state:
        if "level2_0.eesp.module_act.weight" in state:
            raise WeightsError(
                "these are weights of only the encoder, which classifies images", "use the file with the decoder"
            )
        raise WeightsError("these are not weights of an ESPNetv2: base_net.level2_0.eesp.module_act.weight is missing")

    def size(key: str) -> int:
        shape = state[key].shape if key in state else ()
        if not shape or not shape[0]:
            raise WeightsError(f"these are not weights of an ESPNetv2 with its decoder: {key} is missing or empty")
        return shape[0]

    def depth(level: str) -> int:
        prefix = f"base_net.{level}."
        return len({key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)})

    encoder_grouped = "base_net.level1.cbr.0.weight" in state
    decoder_grouped = "bu_dec_l1.projection_layer.cbr.0.weight" in state
    widths = (
        size(f"base_net.level1.{'cbr.0' if encoder_grouped else 'conv'}.weight"),
        size("base_net.level2_0.act.weight"),
        size("base_net.level3_0.act.weight"),
        size("base_net.level4_0.act.weight"),
    )
    if any(width % BRANCHES for width in widths) or not widths[0] < widths[1] < widths[2] < widths[3]:
        raise WeightsError(f"these weights have layers of {widths} channels, which no ESPNetv2 has")
    return Architecture(
        classes=size("bu_dec_l4.merge_layer.3.weight"),
        projection=size("bu_dec_l1.stages.0.weight"),
        widths=widths,
        depths=(depth("level3"), depth("level4")),
        decoder=(size("bu_br_l2.0.weight"), size("bu_br_l3.0.weight"), size("bu_br_l4.0.weight")),
        encoder_grouped=encoder_grouped,
        decoder_grouped=decoder_grouped,
    )


def build(classes: int, state: Mapping[str, Tensor] | None = None) -> ESPNetv2:
    """An ESPNetv2 as `state` describes it, or the paper's s = 1 if there is none.

    Raises WeightsError if `state` is of something else or has another number of classes.
    """
    if state is None:
        return ESPNetv2(Architecture(classes, projection=max(min(classes // 2, 16), 1)))
    found = architecture(state)
    if found.classes != classes:
        raise WeightsError(f"these weights have {found.classes} outputs, expected {classes}")
    return ESPNetv2(found)
