"""The short way back through a frozen batch normalization and its activation, against PyTorch's own."""

import pytest
import torch
from torch import Tensor, nn

from segeval.models.espnet import ESPNet
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


def test_a_frozen_espnet_has_the_gradient_of_one_that_is_trained() -> None:
    """The same layers by PyTorch's own way back, which parameters that want a gradient take."""
    torch.manual_seed(0)
    network = ESPNet(5).double().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.PReLU):
            for parameter in module.parameters():
                parameter.data.normal_()
    x = torch.randn(1, 3, 32, 40, dtype=torch.float64).requires_grad_()
    weight = torch.randn(1, 5, 32, 40, dtype=torch.float64)
    trained = gradient(network, x, weight)
    assert torch.allclose(gradient(network.requires_grad_(False), x, weight), trained, rtol=1e-9, atol=1e-12)
