"""The short way back through a frozen batch normalization and its activation, against PyTorch's own."""

import pytest
import torch
from torch import Tensor, nn

from segeval.models.norm_act import ConvNormAct, FrozenNormAct, NormAct


def randomised(layer: nn.Module) -> nn.Module:
    """Statistics and parameters of any sign, as trained networks have."""
    for tensor in (*layer.parameters(), *layer.buffers()):
        if tensor.is_floating_point():
            tensor.data.normal_()
    layer.bn.running_var.abs_().add_(0.1)  # type: ignore[union-attr, operator]
    return layer.double().eval().requires_grad_(False)


def gradient(layer: nn.Module, x: Tensor, weight: Tensor) -> Tensor:
    return torch.autograd.grad((layer(x) * weight).sum(), x)[0]


@pytest.mark.parametrize("layer", [NormAct(5, 1e-3), ConvNormAct(nn.Conv2d(5, 5, 3, padding=1, bias=False))])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_values_and_gradients_are_those_of_the_layers(layer: NormAct, layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    layer = randomised(layer)  # type: ignore[assignment]
    plain = nn.Sequential(*layer.children())
    x = torch.randn(2, 5, 6, 7, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn_like(x)
    assert torch.equal(layer(x), plain(x))
    assert torch.allclose(gradient(layer, x, weight), gradient(plain, x, weight), rtol=1e-12)
    assert torch.autograd.gradcheck(layer, x)


def test_only_frozen_layers_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[object] = []
    apply = FrozenNormAct.apply

    def watched(*given: object) -> object:
        taken.append(given)
        return apply(*given)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(FrozenNormAct, "apply", watched)
    x = torch.randn(2, 5, 6, 7, requires_grad=True)
    layer = NormAct(5)
    layer(x).sum().backward()
    layer.eval()(x).sum().backward()
    assert layer.bn.weight.grad is not None
    assert layer.act.weight.grad is not None
    assert not taken, "while parameters want gradients, they get them"
    layer.requires_grad_(False)(x)
    assert taken
    with torch.no_grad():
        layer(x)
    layer(x.detach())
    assert len(taken) == 1, "nothing to go back to"
