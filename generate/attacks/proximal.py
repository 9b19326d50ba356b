"""Proximal operators of norms in a diagonal metric H: argmin over z of ½ Σ H (z - x)² + w ‖z‖, per image."""

import torch
from torch import Tensor

HALVINGS = 40
"""The error is the largest possible solution divided by two to this power, below the precision of float32."""


def prox_linf(x: Tensor, weight: Tensor, metric: Tensor, lower: Tensor, upper: Tensor) -> Tensor:
    """The operator of the L-infinity norm among the z between two bounds, of which `lower` ≤ 0 ≤ `upper`.

    With the norm t given, z is the nearest point within ±t and the bounds; the derivative of the whole by t is
    w - Σ H (|x| - t) over the components that are longer than t within the bounds. It grows with t: its zero is halved
    for.

    Args:
        x: (N, 3, H, W).
        weight: (N, 1, 1, 1), w.
        metric: (N, 3, H, W), H, above 0.
        lower: (N, 3, H, W).
        upper: (N, 3, H, W).
    """
    inside = torch.minimum(torch.maximum(x, lower), upper)
    size, bounded = x.abs(), inside.abs()
    low = torch.zeros_like(weight)
    high = bounded.amax((1, 2, 3), keepdim=True)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        pull = torch.where(bounded > middle, metric * (size - middle), 0).sum((1, 2, 3), keepdim=True)
        low, high = torch.where(pull > weight, middle, low), torch.where(pull > weight, high, middle)
    norm = (low + high) / 2
    return inside.clamp(-norm, norm)


def prox_l2(x: Tensor, weight: Tensor, metric: Tensor) -> Tensor:
    """The operator of the L2 norm.

    With the norm n given, z is n H x / (n H + w); the norm of that over n falls with n, and n is where it is 1.

    Args:
        x: (N, 3, H, W).
        weight: (N, 1, 1, 1), w.
        metric: (N, 3, H, W), H, above 0.
    """
    pull = metric * x
    low = torch.zeros_like(weight)
    high = torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        ratio = torch.linalg.vector_norm(pull / (middle * metric + weight), dim=(1, 2, 3), keepdim=True)
        low, high = torch.where(ratio > 1, middle, low), torch.where(ratio > 1, high, middle)
    shrunk: Tensor = pull * high / (high * metric + weight)
    return shrunk
