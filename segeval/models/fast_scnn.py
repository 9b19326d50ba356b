"""Fast-SCNN: fast segmentation convolutional neural network (Poudel et al. 2019, https://arxiv.org/abs/1902.04502).

Parameter names are those of the most used published weights, so their state dicts load directly.
"""

from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.jit import is_scripting  # type: ignore[attr-defined]

from segeval.models.enlarging import Enlarged
from segeval.models.folding import can_fold, folded


def layers(
    channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, padding: int = -1
) -> list[nn.Module]:
    """Convolution without bias, batch normalization and ReLU."""
    padding = kernel // 2 if padding < 0 else padding
    convolution = nn.Conv2d(channels, out, kernel, stride, padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]


class Normalised(nn.Sequential):
    """Layers that end with a convolution and its batch normalization."""

    def forward(self, x: Tensor) -> Tensor:
        """All of them, the last two as one convolution where that is allowed."""
        if not is_scripting():  # noqa: SIM102 - by itself, or TorchScript compiles the condition behind it too
            if can_fold(cast("nn.BatchNorm2d", self[-1])):
                return self.frozen(x)
        for layer in self:
            x = layer(x)
        return x

    def frozen(self, x: Tensor) -> Tensor:
        """The same, while the normalization is frozen."""
        *before, convolution, norm = self
        for layer in before:
            x = layer(x)
        return folded(x, cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm))


class Rectified(nn.Sequential):
    """Convolutions, each followed by batch normalization and ReLU: three modules in a row."""

    def forward(self, x: Tensor) -> Tensor:
        """All of them, a convolution and its normalization as one where that is allowed."""
        if not is_scripting():  # noqa: SIM102 - as above
            if can_fold(cast("nn.BatchNorm2d", self[1])):
                return self.frozen(x)
        for layer in self:
            x = layer(x)
        return x

    def frozen(self, x: Tensor) -> Tensor:
        """The same, while normalizations are frozen."""
        given = list(self)
        for convolution, norm in zip(given[::3], given[1::3], strict=True):
            x = folded(x, cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)).relu()
        return x


class Conv(nn.Module):
    """Convolution, batch normalization, ReLU."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int = 1, groups: int = 1, padding: int = -1
    ) -> None:
        super().__init__()
        self.conv = Rectified(*layers(channels, out, kernel, stride, groups, padding))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class SeparableConv(nn.Module):
    """Depthwise and pointwise convolution, each normalized and rectified."""

    def __init__(self, channels: int, out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = Rectified(*layers(channels, channels, 3, stride, channels), *layers(channels, out, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Bottleneck(nn.Module):
    """Inverted residual block with linear output (MobileNetV2; Table 2 of the paper)."""

    def __init__(self, channels: int, out: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.residual = stride == 1 and channels == out
        self.block = Normalised(
            Conv(channels, wide, 1),
            Conv(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class LearningToDownsample(nn.Module):
    """Three strided convolutions, shared by both branches: 1/8 of the image."""

    def __init__(self, padding: int) -> None:
        super().__init__()
        self.conv = Conv(3, 32, 3, 2, padding=padding)
        self.dsconv1 = SeparableConv(32, 48, 2)
        self.dsconv2 = SeparableConv(48, 64, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dsconv2(self.dsconv1(self.conv(x)))
        return y


def averaging(length: int, bins: int) -> Tensor:
    """(bins, length) matrix that averages a line of `length` cells into `bins`, as adaptive pooling does."""
    number = torch.arange(bins)
    first = number * length // bins
    last = ((number + 1) * length + bins - 1) // bins
    cell = torch.arange(length)
    member = (cell >= first[:, None]) & (cell < last[:, None])
    return member / member.sum(1, keepdim=True)


class PyramidPooling(nn.Module):
    """Averages over 1, 2×2, 3×3 and 6×6 regions, beside the map itself (Zhao et al. 2017).

    Written as products with constant matrices: bins that do not divide the size cannot be exported as pooling.
    """

    def __init__(self, channels: int, out: int, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv1 = Conv(channels, channels // 4, 1)
        self.conv2 = Conv(channels, channels // 4, 1)
        self.conv3 = Conv(channels, channels // 4, 1)
        self.conv4 = Conv(channels, channels // 4, 1)
        self.out = Conv(2 * channels, out, 1)

    def pooled(self, x: Tensor, bins: int) -> Tensor:
        """(N, C, H, W) averaged to (N, C, bins, bins)."""
        rows, columns = averaging(x.shape[2], bins).to(x), averaging(x.shape[3], bins).to(x)
        return rows @ x @ columns.T

    def spread(self, x: Tensor, size: list[int]) -> Tensor:
        return F.interpolate(x, size, mode="bilinear", align_corners=self.align_corners)

    def forward(self, x: Tensor) -> Tensor:
        size = [x.shape[2], x.shape[3]]
        one = self.spread(self.conv1(self.pooled(x, 1)), size)
        two = self.spread(self.conv2(self.pooled(x, 2)), size)
        three = self.spread(self.conv3(self.pooled(x, 3)), size)
        six = self.spread(self.conv4(self.pooled(x, 6)), size)
        y: Tensor = self.out(torch.cat([x, one, two, three, six], 1))
        return y


class GlobalFeatures(nn.Module):
    """Bottlenecks down to 1/32 of the image and pyramid pooling."""

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.bottleneck1 = self.stage(64, 64, 2)
        self.bottleneck2 = self.stage(64, 96, 2)
        self.bottleneck3 = self.stage(96, 128, 1)
        self.ppm = PyramidPooling(128, 128, align_corners)

    @staticmethod
    def stage(channels: int, out: int, stride: int) -> nn.Sequential:
        """Three bottlenecks of expansion 6; the first one strides."""
        return nn.Sequential(Bottleneck(channels, out, 6, stride), *(Bottleneck(out, out, 6, 1) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.ppm(self.bottleneck3(self.bottleneck2(self.bottleneck1(x))))
        return y


class FeatureFusion(nn.Module):
    """Adds the upsampled global features to the detail branch (Table 3 of the paper)."""

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.dwconv = Conv(128, 128, 3, groups=128)
        self.conv_lower_res = Normalised(nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128))
        self.conv_higher_res = Normalised(nn.Conv2d(64, 128, 1), nn.BatchNorm2d(128))

    def forward(self, detail: Tensor, context: Tensor) -> Tensor:
        size = [detail.shape[2], detail.shape[3]]
        spread = F.interpolate(context, size, mode="bilinear", align_corners=self.align_corners)
        return torch.relu(self.conv_higher_res(detail) + self.conv_lower_res(self.dwconv(spread)))


class Classifier(nn.Module):
    """Two separable convolutions and a pointwise one, at 1/8 of the image."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.dsconv1 = SeparableConv(128, 128)
        self.dsconv2 = SeparableConv(128, 128)
        self.conv = nn.Sequential(nn.Dropout(0.1), nn.Conv2d(128, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(self.dsconv2(self.dsconv1(x)))
        return y


class AuxiliaryHead(nn.Sequential):
    """Class logits of the detail branch, at 1/8 of the image; used in training only."""

    def __init__(self, classes: int) -> None:
        super().__init__(*layers(64, 32, 3), nn.Dropout(0.1), nn.Conv2d(32, classes, 1))


class FastSCNN(nn.Module):
    """Two branches that share their first layers. Sides of any size from 32 pixels.

    Attributes:
        stem_padding, align_corners: 1 and False keep every map aligned with the image; the published Cityscapes weights
            were trained with 0 and True.
    """

    def __init__(self, classes: int, stem_padding: int = 1, align_corners: bool = False) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.learning_to_downsample = LearningToDownsample(stem_padding)
        self.global_feature_extractor = GlobalFeatures(align_corners)
        self.feature_fusion = FeatureFusion(align_corners)
        self.classifier = Classifier(classes)
        self.auxlayer = AuxiliaryHead(classes)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) to logits (N, classes, H, W)."""
        logits = self.coarse(self.learning_to_downsample(x))
        size = [x.shape[2], x.shape[3]]
        if not is_scripting():  # noqa: SIM102 - as above
            if logits.requires_grad and torch.is_grad_enabled():
                enlarged: Tensor = Enlarged.apply(logits, size, self.align_corners)  # type: ignore[no-untyped-call]
                return enlarged
        return F.interpolate(logits, size, mode="bilinear", align_corners=self.align_corners)

    def coarse(self, detail: Tensor) -> Tensor:
        """Logits at 1/8 of the image, from the detail branch (N, 64, H / 8, W / 8)."""
        logits: Tensor = self.classifier(self.feature_fusion(detail, self.global_feature_extractor(detail)))
        return logits

    def forward_with_auxiliaries(self, x: Tensor) -> list[Tensor]:
        """The logits, and the detail branch's own, both at 1/8 of the resolution, for training."""
        detail = self.learning_to_downsample(x)
        return [self.coarse(detail), self.auxlayer(detail)]


def build(classes: int, state: Mapping[str, Tensor] | None = None) -> FastSCNN:
    """Fast-SCNN with every feature map aligned with the image."""
    return FastSCNN(classes)


def build_unaligned(classes: int, state: Mapping[str, Tensor] | None = None) -> FastSCNN:
    """Fast-SCNN as the published Cityscapes weights expect it."""
    return FastSCNN(classes, stem_padding=0, align_corners=True)
