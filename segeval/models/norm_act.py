"""Batch normalization and its activation as one layer, with a faster backward pass while the network is frozen."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.jit import is_scripting  # type: ignore[attr-defined]


class FrozenNormAct(torch.autograd.Function):
    """y = PReLU(BN(x)) with constant statistics and parameters; dy/dx is one of two constants per channel.

    PyTorch's own way back also prepares gradients of the parameters, which takes three times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, bn: nn.BatchNorm2d, act: nn.PReLU) -> Tensor:
        """(N, C, H, W) to (N, C, H, W)."""
        normal = bn(x)
        variance = cast("Tensor", bn.running_var)
        scale = bn.weight * torch.rsqrt(variance + bn.eps)
        ctx.save_for_backward(normal, scale, scale * act.weight)
        y: Tensor = act(normal)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Gradient to x."""
        normal, above, below = (saved if saved.ndim > 1 else saved[:, None, None] for saved in ctx.saved_tensors)
        positive = torch.ops.aten.threshold_backward(gradient, normal, 0)  # the gradient where x is above 0, else 0
        return positive.mul_(above - below).addcmul_(gradient, below), None, None


def is_frozen(bn: nn.BatchNorm2d, *acts: nn.PReLU) -> bool:
    """Whether neither statistics nor parameters change, nor want a gradient."""
    return not bn.training and not any(
        each.requires_grad for layer in (bn, *acts) for each in layer.parameters(recurse=False)
    )


class Normalising(nn.Module):
    """A layer that has a batch normalization `bn` and a PReLU `act`."""

    if TYPE_CHECKING:  # TorchScript takes annotations of a class for attributes that it can store
        bn: nn.BatchNorm2d
        act: nn.PReLU

    def normalised(self, x: Tensor) -> Tensor:
        """The two, the short way where it is allowed."""
        if not is_scripting():  # noqa: SIM102 - by itself, or TorchScript compiles the condition behind it too
            if x.requires_grad and torch.is_grad_enabled() and is_frozen(self.bn, self.act):
                z: Tensor = FrozenNormAct.apply(x, self.bn, self.act)  # type: ignore[no-untyped-call]
                return z
        y: Tensor = self.act(self.bn(x))
        return y


class NormAct(Normalising, nn.Sequential):
    """Batch normalization and a PReLU with one slope per channel."""

    def __init__(self, channels: int, eps: float = 1e-5, *, convolution: nn.Conv2d | None = None) -> None:
        layers = {"conv": convolution} if convolution is not None else {}
        normalised = {"bn": nn.BatchNorm2d(channels, eps=eps), "act": nn.PReLU(channels)}
        super().__init__(OrderedDict({**layers, **normalised}))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, H, W) to the same."""
        return self.normalised(x)


class ConvNormAct(NormAct):
    """A convolution in front of it."""

    if TYPE_CHECKING:
        conv: nn.Conv2d

    def __init__(self, convolution: nn.Conv2d, eps: float = 1e-5) -> None:
        super().__init__(convolution.out_channels, eps, convolution=convolution)

    def forward(self, x: Tensor) -> Tensor:
        """What the convolution makes of (N, C, H, W), normalised and activated."""
        return self.normalised(self.conv(x))
