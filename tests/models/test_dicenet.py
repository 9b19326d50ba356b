"""DiCENet against its authors' own code, whose logits for parameters and images that a formula gives stand here."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segeval.errors import WeightsError
from segeval.graphs.export import export_fp32
from segeval.graphs.session import DeployedModel
from segeval.models import Segmenter, dicenet
from segeval.models.dicenet import Architecture, DiCENet
from segeval.models.loading import build_network, load_spec
from segeval.models.soundness import predict
from tests.rounding import settle

AUTHORS = {
    (64, 128): (
        *(-0.392868828, -0.566666612, 0.363823012, 0.525799158, -0.303511527),
        *(-0.441552121, 0.216541767, 0.320322991, -0.109972352, -0.171732589),
    ),
    (256, 464): (
        *(-0.260036946, -0.55110395, 0.260393779, 0.510088129, -0.237220238),
        *(-0.426867725, 0.192346231, 0.307763449, -0.129682112, -0.162237208),
    ),
}
"""Logits in float64 of sacmehta/EdgeNets, commit 2b232d3f, s = 0.5, 20 classes; see `sampled`."""


def wave(shape: tuple[int, ...], phase: float) -> Tensor:
    """Values between -1 and 1."""
    return torch.cos(0.7 * torch.arange(math.prod(shape), dtype=torch.float64) + phase).reshape(shape)


def filled(network: nn.Module) -> nn.Module:
    """The network in float64, its parameters those of a formula of their names."""
    state = network.double().eval().state_dict()
    for name, value in state.items():
        if not value.is_floating_point():
            continue
        values = wave(tuple(value.shape), len(name))
        if value.ndim == 4:
            values *= 1.5 / math.sqrt(value[0].numel())
        elif name.endswith(("weight", "running_var")):
            values = 0.6 + 0.3 * values
        else:
            values *= 0.1
        value.copy_(values)
    return network


def sampled(network: nn.Module, size: tuple[int, int]) -> Tensor:
    """Logits of a formula's image: of 5 classes at 2 pixels."""
    images = wave((1, 3, *size), 0.3) + wave((1, 3, 1, size[1]), 0.1)
    with torch.inference_mode():
        logits: Tensor = network(images)[0]
    height, width = size
    return logits[::4, [height // 3, height - 1], [width // 5, width // 2]].flatten()


def small() -> Architecture:
    """The authors' s = 0.5."""
    return Architecture(20, 10, (24, 48, 96))


@pytest.mark.parametrize("size", AUTHORS)
def test_it_answers_as_its_authors_code_does(size: tuple[int, int]) -> None:
    """Maps with fewer rows and columns than there are kernels (28 and 14) are stretched for them, others shrunken."""
    found = sampled(filled(DiCENet(small())), size).numpy()
    assert np.abs(found - AUTHORS[size]).max() <= 1e-6 * np.abs(found).max()  # averages are stored in fp32


@pytest.mark.parametrize(
    ("widths", "millions"),
    [
        ((24, 48, 96), 0.08),
        ((24, 86, 172), 0.19),
        ((24, 116, 232), 0.28),
        ((24, 144, 288), 0.39),
        ((24, 210, 420), 0.81),
    ],
)
def test_one_of_any_width_is_rebuilt_from_its_state(widths: tuple[int, int, int], millions: float) -> None:
    plan = Architecture(20, 10, widths)
    original = DiCENet(plan)
    assert (
        round(sum(each.numel() for each in original.parameters()) / 1e6, 2) == millions
    )  # the authors' list of models
    assert dicenet.architecture(original.state_dict()) == plan


def test_other_depths_volumes_and_decoders_are_rebuilt_from_the_state() -> None:
    plan = Architecture(5, 3, depths=(1, 2), decoder=(128, 96, 64), volume=(12, 20))
    original = filled(DiCENet(plan))
    assert dicenet.architecture(original.state_dict()) == plan
    spec = replace(load_spec("dicenet-cityscapes"), outputs=("a", "b", "c", "d", "e"))
    rebuilt = build_network(spec, original.state_dict()).double().eval()
    rebuilt.load_state_dict(original.state_dict())
    assert torch.equal(sampled(rebuilt, (48, 64)), sampled(original, (48, 64)))


@pytest.mark.parametrize("size", [(360, 480), (33, 47), (15, 1)])
def test_it_takes_any_size(size: tuple[int, int]) -> None:
    with torch.inference_mode():
        assert DiCENet(small()).eval()(torch.randn(1, 3, *size)).shape == (1, 20, *size)


def test_it_is_trained_on_its_logits_alone() -> None:
    network, images = DiCENet(small()).eval(), torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        (logits,) = network.forward_with_auxiliaries(images)
        assert torch.equal(logits, network(images))


def test_weights_that_are_not_its_own_are_named() -> None:
    state = dict(DiCENet(small()).state_dict())
    with pytest.raises(WeightsError, match="have 20 outputs, expected 19"):
        dicenet.build(19, state)
    encoder = {name: value for name, value in state.items() if name.startswith("base_net.")}
    with pytest.raises(WeightsError, match="proj_enc_32x32") as caught:
        dicenet.build(20, encoder)
    assert "the one with the decoder" in caught.value.hint
    with pytest.raises(WeightsError, match="channels, which no DiCENet has"):
        dicenet.build(20, {**state, "proj_enc_32x32.wt_layer.1.weight": torch.zeros(64, 8, 1, 1)})


def test_an_exported_one_computes_what_torch_computes() -> None:
    spec = load_spec("dicenet-cityscapes")
    segmenter = Segmenter(spec, filled(DiCENet(replace(small(), depths=(1, 1)))).float())
    image = np.random.default_rng(0).integers(0, 256, (64, 128, 3), np.uint8)
    model = export_fp32(segmenter, 64, 128)
    assert not {node.op_type for node in model.graph.node} & {"Loop", "Shape", "Slice", "Gather"}
    settled = settle(model, image, "fp32")
    settled.require(predict(segmenter, image))
    settled.require(DeployedModel(model).predict(image))
    assert len(np.unique(predict(segmenter, image))) > 1
