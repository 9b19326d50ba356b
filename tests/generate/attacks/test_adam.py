"""Adam by its function: the numbers of PyTorch's optimizer, without what that one imports."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from segeval.generate.attacks.adam import Adam

STEPS = 5


def started() -> list[Tensor]:
    return [torch.randn(shape, generator=torch.Generator().manual_seed(1)) for shape in ((2, 3, 4), (5,))]


def gradients(number: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(100 + number)
    return [torch.randn(each.shape, generator=random) / (1 + number) for each in started()]


@pytest.mark.parametrize("options", [{}, {"fused": True}, {"amsgrad": True, "eps": 1e-16}])
def test_variables_are_those_of_pytorch_bit_by_bit(options: dict[str, Any]) -> None:
    ours, theirs = started(), [each.requires_grad_() for each in started()]
    adam, reference = Adam(ours, 0.01, **options), torch.optim.Adam(theirs, 0.01, **options)
    for number in range(STEPS):
        adam.step(gradients(number))
        for each, gradient in zip(theirs, gradients(number), strict=True):
            each.grad = gradient
        reference.step()
        assert all(map(torch.equal, ours, theirs))
    assert not any(map(torch.equal, ours, started()))


def test_a_step_does_not_import_the_compiler() -> None:
    code = """
        import sys, torch
        from segeval.generate.attacks.adam import Adam
        Adam([torch.zeros(3)], 0.1, fused=True).step([torch.ones(3)])
        sys.exit("torch._dynamo" in sys.modules)
    """
    subprocess.run([sys.executable, "-c", "if True:" + code], check=True)
