from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

from segeval.errors import DataError
from segeval.files.images import RgbImage
from segeval.graphs.contract import check_contract
from segeval.graphs.export import IMAGE, LABELS, NETWORK_INPUT, NETWORK_OUTPUT, export_fp32, network_of, with_network
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.session import DeployedModel
from segeval.models import Deployable, Segmenter
from segeval.models.loading import load_spec
from segeval.models.soundness import predict
from tests.rounding import SINGLE, settle

if TYPE_CHECKING:
    from tests.graphs.conftest import Trained

Victims = dict[str, Segmenter]
Exported = dict[str, onnx.ModelProto]
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")
SIZE = (64, 128)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_fp32_file_keeps_the_contract_and_computes_what_torch_computes(
    network: str, victims: Victims, exported: Exported, pictures: list[RgbImage]
) -> None:
    model = exported[network]
    check_contract(model, "fp32")
    assert len(np.unique(predict(victims[network], pictures[0]))) > 3, "a network of one label would prove nothing"
    deployed = DeployedModel(model)
    for image in pictures:
        settled = settle(model, image, "fp32")
        settled.require(predict(victims[network], image))
        settled.require(deployed.predict(image))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_fp16_file_is_fp16_in_the_network_alone(network: str, trained: "Trained") -> None:
    fp32 = trained.files[network]
    model = to_fp16(fp32)
    check_contract(model, "fp16")
    types = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    assert types[NETWORK_INPUT] == types[NETWORK_OUTPUT] == TensorProto.FLOAT
    inside = [node for node in network_of(model).graph.node if node.op_type != "Cast"]
    assert {types[node.output[0]] for node in inside} == {TensorProto.FLOAT16}, "an island of fp32"
    for image in trained.scenes:
        settle(fp32, image, "fp16").require(DeployedModel(model).predict(image))


def test_a_batch_gives_the_labels_of_its_images(victims: Victims, exported: Exported, pictures: list[RgbImage]) -> None:
    segmenter = victims["espnet-synthetic"]
    model = export_fp32(segmenter, *SIZE, batch=3)
    check_contract(model, "fp32")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = np.stack(pictures[:3])
    labels = session.run([LABELS], {IMAGE: batch})[0]
    assert labels.shape == (3, *SIZE)
    in_torch = Deployable(segmenter)(torch.from_numpy(batch)).numpy()
    for image, found, expected in zip(batch, labels, in_torch, strict=True):
        settled = settle(exported["espnet-synthetic"], image, "fp32")
        settled.require(found)
        settled.require(expected)


def test_taking_the_network_out_and_putting_it_back_changes_nothing(exported: Exported) -> None:
    model = exported["fast-scnn-synthetic"]
    again = with_network(model, network_of(model))
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_constants_are_folded_and_nothing_depends_on_the_shape(exported: Exported) -> None:
    operators = {node.op_type for node in exported["fast-scnn-synthetic"].graph.node}
    assert not operators & {"Shape", "Slice", "Identity", "BatchNormalization", "GreaterOrEqual"}


def test_a_size_that_the_network_cannot_take_is_refused(victims: Victims) -> None:
    with pytest.raises(DataError, match="multiples of 8"):
        export_fp32(victims["espnet-synthetic"], 60, 128)


def test_channels_in_another_order_and_levels_up_to_255_are_normalised_in_the_file(pictures: list[RgbImage]) -> None:
    """A network that returns its input shows what it was given, in the file as in torch."""
    spec = load_spec("espnet-cityscapes")
    segmenter = Segmenter(replace(spec, multiple_of=1), torch.nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        segmenter.network.weight.copy_(torch.eye(3).view(3, 3, 1, 1))  # type: ignore[operator]
    labels = DeployedModel(export_fp32(segmenter, *SIZE)).predict(pictures[0])
    preprocessing = spec.preprocessing
    normal = (pictures[0].astype(np.float64) - preprocessing.mean) / preprocessing.std
    highest = np.sort(normal)[..., -2:]
    rounding = 4 * SINGLE * np.abs(normal).max()  # of the level, the mean, their difference and the quotient
    settled = highest[..., 1] - highest[..., 0] > 2 * rounding
    assert settled.mean() > 0.9
    assert np.array_equal(labels[settled], normal[..., ::-1].argmax(-1)[settled])
