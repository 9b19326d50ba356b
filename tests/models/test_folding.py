"""A convolution and its frozen normalization as one, against the two layers in double precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from segeval.models import load_model
from segeval.models.fast_scnn import Normalised, Rectified, layers
from segeval.models.folding import can_fold


def randomised(network: nn.Module) -> nn.Module:
    """Statistics and parameters of any sign, as trained networks have."""
    torch.manual_seed(0)
    for tensor in (*network.parameters(), *network.buffers()):
        if tensor.is_floating_point():
            tensor.data.normal_()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_var = torch.rand(layer.num_features) + 0.1
    return network.double().eval().requires_grad_(False)


MAKERS: list[Callable[[], nn.Sequential]] = [
    lambda: Rectified(*layers(4, 6, 3, 2, 2), *layers(6, 4, 1)),
    lambda: Normalised(nn.Conv2d(4, 6, 3, padding=2, dilation=2), nn.BatchNorm2d(6, eps=1e-3)),
    lambda: Normalised(nn.Conv2d(4, 4, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)),
]


@pytest.mark.parametrize("make", MAKERS, ids=["rectified", "with bias", "behind others"])
def test_values_and_gradients_are_those_of_the_layers(make: Callable[[], nn.Sequential]) -> None:
    network = randomised(make())
    plain = nn.Sequential(*network.children())
    x = torch.randn(2, 4, 9, 10, dtype=torch.float64, requires_grad=True)
    own, other = network(x), plain(x)
    assert torch.allclose(own, other, rtol=1e-12, atol=1e-12)
    weight = torch.randn_like(own)
    found, expected = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (own, other))
    assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(own, network(x.detach())), "the same bits with and without a gradient"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_only_a_frozen_normalization_is_folded() -> None:
    norm = nn.BatchNorm2d(3)
    assert not can_fold(norm), "it learns"
    assert not can_fold(norm.eval()), "its parameters want gradients"
    assert can_fold(norm.requires_grad_(False))
    recorded: list[bool] = []

    class Recorded(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            recorded.append(can_fold(norm))
            return x

    torch.jit.trace(Recorded(), torch.zeros(1), check_trace=False)  # type: ignore[no-untyped-call]
    assert recorded == [False], "files are exported with the layers as they are"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_fast_scnn_gives_the_logits_of_its_layers() -> None:
    segmenter = load_model("fast-scnn-synthetic")
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    folded = segmenter(images)
    layered = torch.jit.script(segmenter.network)(segmenter.normalise(images)) * segmenter.record.logit_scale
    assert float((folded - layered).abs().max()) < 1e-4
    assert torch.equal(folded.argmax(1), layered.argmax(1))
