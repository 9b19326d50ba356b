"""The short way back through a bilinear enlargement, against PyTorch's own."""

import pytest
import torch
import torch.nn.functional as F

from segeval.models.enlarging import Enlarged


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size", [[24, 40], [17, 31]])
def test_values_and_gradients_are_those_of_interpolate(size: list[int], align_corners: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3, 5, dtype=torch.float64, requires_grad=True)
    own = Enlarged.apply(x, size, align_corners)  # type: ignore[no-untyped-call]
    plain = F.interpolate(x, size, mode="bilinear", align_corners=align_corners)
    assert torch.equal(own, plain)
    weight = torch.randn_like(plain)
    first, second = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (own, plain))
    assert torch.allclose(first, second, rtol=1e-10)
