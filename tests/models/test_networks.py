"""What holds for every registered network, and what the papers say about theirs."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segeval.errors import ConfigurationError, DataError, UnknownNameError
from segeval.graphs.export import export_fp32
from segeval.graphs.session import DeployedModel
from segeval.models import Deployable, Segmenter, espnetv2
from segeval.models.espnet import ESPNet, architecture, build
from segeval.models.espnetv2 import Architecture, ESPNetv2
from segeval.models.fast_scnn import FastSCNN, PyramidPooling
from segeval.models.loading import build_network, load_spec, read_state
from segeval.models.soundness import predict
from segeval.registry import MODELS
from tests.rounding import SINGLE, settle

Random = Callable[[str], Segmenter]
NAMES = list(MODELS)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def pictures(seed: int = 0) -> Tensor:
    """(2, 64, 128, 3) uint8."""
    return torch.randint(0, 256, (2, 64, 128, 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_a_specification_is_complete(name: str) -> None:
    spec = load_spec(name)
    assert spec.name == name
    assert spec.outputs[: len(spec.table)] == spec.table.names
    assert len(set(spec.outputs)) == len(spec.outputs)
    assert spec.size[0] % spec.multiple_of == spec.size[1] % spec.multiple_of == 0
    assert all(0 < mean < 255 for mean in spec.preprocessing.mean)
    assert all(deviation > 0 for deviation in spec.preprocessing.std)
    assert spec.licence
    assert spec.paper.startswith("https://")
    assert all(0 < figure < 1 for figure in spec.reported.values())
    if spec.weights is not None:
        assert len(spec.weights.sha256) == 64
        assert spec.weights.source


@pytest.mark.parametrize("name", NAMES)
def test_images_become_logits_with_a_gradient_while_the_network_stays_frozen(name: str, random_model: Random) -> None:
    segmenter = random_model(name)
    assert not any(module.training for module in segmenter.modules())
    assert not any(parameter.requires_grad for parameter in segmenter.parameters())
    before = {key: value.clone() for key, value in segmenter.state_dict().items()}
    images = torch.rand(2, 3, 64, 128, requires_grad=True)
    logits = segmenter(images)
    assert logits.shape == (2, len(segmenter.spec.outputs), 64, 128)
    (gradient,) = torch.autograd.grad(logits.square().sum(), images)
    assert torch.isfinite(gradient).all()
    assert (gradient.abs().amax((1, 2, 3)) > 0).all()
    assert all(torch.equal(value, before[key]) for key, value in segmenter.state_dict().items())


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", NAMES)
def test_networks_can_be_scripted(name: str, random_model: Random) -> None:
    network = random_model(name).network.double()  # in which no order of sums changes the tenth digit
    inputs = torch.randn(1, 3, 64, 128, dtype=torch.float64)
    with torch.inference_mode():
        assert torch.allclose(torch.jit.script(network)(inputs), network(inputs), rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_random_parameters_come_from_torchs_seed_alone(name: str) -> None:
    def drawn(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return build_network(load_spec(name), None).state_dict()

    one, again, other = drawn(1), drawn(1), drawn(2)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_the_deployed_contract_is_the_argmax_of_the_logits(name: str, random_model: Random) -> None:
    segmenter = random_model(name).double()
    images = pictures()
    with torch.inference_mode():
        labels = Deployable(segmenter)(images)
        logits = segmenter(images.permute(0, 3, 1, 2).double() / 255)
    first, second = logits.topk(2, 1).values.unbind(1)
    assert (first - second).min() > 1e-9, "a tie, which the last digit of a double would decide"
    assert labels.dtype == torch.int32
    assert labels.shape == (2, 64, 128)
    assert len(labels.unique()) > 1
    assert torch.equal(labels, logits.argmax(1).int())
    assert np.array_equal(predict(segmenter, images[1].numpy()), labels[1].numpy())


@pytest.mark.parametrize("name", NAMES)
def test_normalization_is_that_of_the_specification(name: str, random_model: Random) -> None:
    segmenter = random_model(name)
    given = segmenter.spec.preprocessing
    levels = torch.tensor([10.0, 100.0, 250.0])
    expected = [(level - mean) / std for level, mean, std in zip(levels, given.mean, given.std, strict=True)]
    found = segmenter.normalise(levels.view(1, 3, 1, 1) / 255).flatten()
    assert torch.allclose(found, torch.stack(expected[::-1] if given.bgr else expected))


def test_sizes_that_do_not_fit_are_named(random_model: Random) -> None:
    segmenter = random_model("espnet-synthetic")
    segmenter.require_size(64, 128, "image a")
    with pytest.raises(DataError, match="image a is 60x128") as caught:
        segmenter.require_size(60, 128, "image a")
    assert "--size 256x512" in caught.value.hint  # what it was made for
    segmenter.spec = replace(segmenter.spec, size=(0, 0))  # as of a model card
    with pytest.raises(DataError) as caught:
        segmenter.require_size(60, 3, "image a")
    assert "--size 56x8" in caught.value.hint


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="espnet-camvit") as caught:
        load_spec("espnet-camvit")
    assert "espnet-camvid" in caught.value.hint
    with pytest.raises(ConfigurationError, match="not a ModelSpec"):
        load_spec("segeval.models.catalog:IMAGENET")
    with pytest.raises(UnknownNameError, match="cannot load"):
        load_spec("segeval.models.nowhere:SPEC")


@pytest.mark.parametrize("image_in_decoder", [False, True])
def test_an_espnet_of_any_depth_is_rebuilt_from_its_state(image_in_decoder: bool) -> None:
    inputs = torch.randn(1, 3, 32, 48)
    for p, q in product((1, 2, 3), (1, 2, 3, 4)):
        original = ESPNet(7, p, q, image_in_decoder).eval()
        found = architecture(original.state_dict())
        assert (found.classes, found.p, found.q, found.image_in_decoder) == (7, p, q, image_in_decoder)
        rebuilt = build(7, original.state_dict()).eval()
        rebuilt.load_state_dict(original.state_dict())
        with torch.inference_mode():
            assert torch.equal(rebuilt(inputs), original(inputs))


def test_espnet_has_the_size_of_the_paper() -> None:
    assert parameters(ESPNet(20, p=2, q=8)) == 364_569  # the paper: 0.364 million
    assert parameters(ESPNet(12, p=2, q=8, image_in_decoder=True)) == 354_517


@pytest.mark.parametrize("name", ["espnet-cityscapes", "espnet-camvid", "espnetv2-cityscapes"])
def test_a_network_has_as_many_parameters_as_its_authors_file(name: str, data: Path) -> None:
    spec = load_spec(name)
    assert spec.weights is not None
    state = read_state(data / "weights" / spec.weights.file)
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    published = sum(value.numel() for key, value in state.items() if not key.endswith(buffers))
    assert parameters(build_network(spec, state)) == published


def adapted(network: nn.Module) -> nn.Module:
    """The same network, its batch statistics now those of a random image."""
    network.train()
    with torch.no_grad():
        network(torch.randn(2, 3, 64, 96))
    return network.eval()


@pytest.mark.parametrize(
    ("widths", "millions"),
    [
        ((16, 32, 64, 128), 0.08),
        ((32, 64, 128, 256), 0.23),
        ((32, 80, 160, 320), None),
        ((32, 96, 192, 384), 0.47),
        ((32, 128, 256, 512), 0.79),
    ],
)
def test_an_espnetv2_of_any_width_is_rebuilt_from_its_state(
    widths: tuple[int, int, int, int], millions: float | None
) -> None:
    plan = Architecture(20, 10, widths)
    original = adapted(ESPNetv2(plan))
    if millions is not None:  # what the authors' list of models says
        assert round(parameters(original) / 1e6, 2) == millions
    assert espnetv2.architecture(original.state_dict()) == plan
    rebuilt = build_network(load_spec("espnetv2-cityscapes"), original.state_dict()).eval()
    inputs = torch.randn(1, 3, 48, 64)
    with torch.inference_mode():
        assert torch.equal(rebuilt(inputs), original(inputs))


def test_an_espnetv2_of_other_depths_and_another_decoder_is_rebuilt_from_its_state() -> None:
    plan = Architecture(5, 3, depths=(1, 12), decoder=(128, 96, 64))
    assert espnetv2.architecture(ESPNetv2(plan).state_dict()) == plan
    assert espnetv2.build(20).state_dict().keys() == ESPNetv2(Architecture(20, 10)).state_dict().keys()


@pytest.mark.parametrize(("encoder", "decoder"), list(product((False, True), repeat=2)))
def test_espnetv2_loads_under_either_naming_of_its_blocks(encoder: bool, decoder: bool) -> None:
    plan = Architecture(20, 10, (16, 32, 64, 128))
    original = adapted(ESPNetv2(plan))
    renamed = ESPNetv2(replace(plan, encoder_grouped=encoder, decoder_grouped=decoder)).state_dict().keys()
    assert ("base_net.level2_0.inp_reinf.1.cb.1.running_var" in renamed) == encoder
    assert ("base_net.level3.0.br_after_cat.bn.weight" in renamed) == (not encoder)
    assert ("bu_dec_l4.merge_layer.2.cbr.2.weight" in renamed) == decoder
    assert ("merge_enc_dec_l3.expansion_layer.conv.weight" in renamed) == (not decoder)
    assert "base_net.level4.6.spp_dw.3.conv.weight" in renamed
    state = dict(zip(renamed, original.state_dict().values(), strict=True))
    network = build_network(load_spec("espnetv2-cityscapes"), state).eval()
    inputs = torch.randn(1, 3, 48, 64)
    with torch.inference_mode():
        assert torch.equal(network(inputs), original(inputs))


@pytest.mark.parametrize("size", [(360, 480), (33, 47), (16, 16), (15, 1)])
def test_espnetv2_takes_any_size(size: tuple[int, int]) -> None:
    network = espnetv2.build(20).eval()
    with torch.inference_mode():
        assert network(torch.randn(1, 3, *size)).shape == (1, 20, *size)


@pytest.mark.parametrize("size", [(6, 12), (7, 11), (1, 1), (64, 37)])
@pytest.mark.parametrize("bins", [(6, 12), (3, 4), (5, 5), (1, 1)])
def test_espnetv2_pools_as_adaptive_pooling_does(size: tuple[int, int], bins: tuple[int, int]) -> None:
    features = torch.randn(2, 8, *size, dtype=torch.float64)
    found = espnetv2.pool(features, list(size), list(bins))
    most = 2 * SINGLE * features.abs().max().item()  # of a mean by two factors, each stored in fp32
    assert torch.allclose(found, F.adaptive_avg_pool2d(features, bins), rtol=0, atol=most)


@pytest.mark.long
@pytest.mark.parametrize("size", [(64, 128), (112, 176)])
def test_an_exported_espnetv2_computes_what_torch_computes(size: tuple[int, int], random_model: Random) -> None:
    segmenter = random_model("espnetv2-cityscapes")
    image = np.kron(np.random.default_rng(0).integers(0, 256, (size[0] // 16, size[1] // 16, 3)), np.ones((16, 16, 1)))
    pixels = image.astype(np.uint8)
    labels = predict(segmenter, pixels)
    assert len(np.unique(labels)) > 1
    model = export_fp32(segmenter, *size)
    assert not {node.op_type for node in model.graph.node} & {"Shape", "Slice", "Split", "Gather"}
    settled = settle(model, pixels, "fp32")
    settled.require(labels)
    settled.require(DeployedModel(model).predict(pixels))


def test_fast_scnn_has_the_size_of_the_paper() -> None:
    def inference(classes: int) -> int:
        network = FastSCNN(classes)
        return parameters(network) - parameters(network.auxlayer)

    assert inference(19) == 1_138_051  # the paper: 1.11 million
    # An independent implementation has 1,136,763 for 11 classes, without the two biases before normalizations.
    assert inference(11) - 2 * 128 == 1_136_763


@pytest.mark.parametrize("size", [(6, 12), (2, 4), (7, 11), (11, 15), (1, 1), (13, 6), (64, 37)])
def test_pyramid_pooling_averages_as_adaptive_pooling_does(size: tuple[int, int]) -> None:
    pyramid = PyramidPooling(8, 8, align_corners=False)
    features = torch.randn(2, 8, *size, dtype=torch.float64)
    most = 2 * SINGLE * features.abs().max().item()  # of a mean by two factors, each stored in fp32
    for bins in (1, 2, 3, 6):
        expected = F.adaptive_avg_pool2d(features, bins)
        assert torch.allclose(pyramid.pooled(features, bins), expected, rtol=0, atol=most)


@pytest.mark.parametrize("name", ["espnet-synthetic", "fast-scnn-synthetic"])
def test_auxiliary_outputs_accompany_the_same_logits(name: str, random_model: Random) -> None:
    network = random_model(name).network
    inputs = torch.randn(1, 3, 64, 128)
    with torch.inference_mode():
        logits, auxiliary = network.forward_with_auxiliaries(inputs)  # type: ignore[operator]
        full = F.interpolate(logits, inputs.shape[2:], mode="bilinear", align_corners=False)
        assert torch.equal(full, network(inputs))
    assert auxiliary.shape == (1, 19, 8, 16)


def test_espnetv2_is_trained_on_its_logits_alone(random_model: Random) -> None:
    network = random_model("espnetv2-cityscapes").network
    inputs = torch.randn(1, 3, 64, 128)
    with torch.inference_mode():
        (logits,) = network.forward_with_auxiliaries(inputs)  # type: ignore[operator]
        assert torch.equal(logits, network(inputs))
