"""Log-probabilities with a gradient of their own, against PyTorch's."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segeval.generate.attacks.log_probability import log_probabilities


def given(scale: float = 5.0, dtype: torch.dtype = torch.double) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    logits = (torch.randn(2, 5, 3, 4, dtype=dtype) * scale).requires_grad_()
    return logits, torch.randint(0, 5, (2, 3, 4))


def test_values_and_gradient_are_those_of_cross_entropy() -> None:
    logits, label = given()
    weights = torch.randn(2, 3, 4, dtype=torch.double)
    own, every = log_probabilities(logits, label)
    torch.testing.assert_close(own, -F.cross_entropy(logits, label, reduction="none"))
    torch.testing.assert_close(every, F.softmax(logits, 1))
    assert not every.requires_grad
    (found,) = torch.autograd.grad((own * weights).sum(), logits)
    (wanted,) = torch.autograd.grad((F.log_softmax(logits, 1).gather(1, label[:, None])[:, 0] * weights).sum(), logits)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e4])
def test_the_logarithm_is_right_of_a_probability_that_is_no_float(scale: float) -> None:
    """Below 1e-38 a probability is 0 in float32, and its logarithm some -100 to -10,000."""
    logits, label = given(scale, torch.float)
    own, _ = log_probabilities(logits, label)
    torch.testing.assert_close(own, -F.cross_entropy(logits, label, reduction="none"))


def test_a_second_way_back_is_an_error() -> None:
    """The first one wrote over what it would need."""
    logits, label = given()
    own, _ = log_probabilities(logits, label)
    torch.autograd.grad(own.sum(), logits, retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(own.sum(), logits)
