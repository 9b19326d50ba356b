"""Logits with the pixels last: the same numbers, and the gradient as it is."""

import pytest
import torch

from segeval.models.pixels_last import MANY, pixels_last


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("classes", [1, MANY - 1, MANY, 19])
@pytest.mark.parametrize("images", [1, 3])
def test_every_number_stays_where_it_is(images: int, classes: int, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    logits = torch.randn(images, classes, 5, 7).contiguous(memory_format=layout)
    for wants_gradient in (False, True):
        found = pixels_last(logits.requires_grad_(wants_gradient))
        assert found.is_contiguous()
        assert torch.equal(found, logits)


def test_the_gradient_is_that_of_a_copy() -> None:
    logits = torch.randn(2, MANY, 3, 4, dtype=torch.double).contiguous(memory_format=torch.channels_last)
    assert torch.autograd.gradcheck(pixels_last, logits.requires_grad_())
