"""Values that are rounded while the gradient passes (straight-through, Bengio et al. 2013, arXiv:1308.3432)."""

from torch import Tensor


def straight_through(shown: Tensor, values: Tensor) -> Tensor:
    """Exactly what is shown, with the gradient of the values it was made of."""
    return shown.detach() + (values - values.detach())


def rounded(values: Tensor) -> Tensor:
    """Values rounded to nearest; the gradient passes."""
    return straight_through(values.round(), values)
