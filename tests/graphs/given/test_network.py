"""A user's ONNX file, attacked and deployed: its labels are those of the file run plainly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import Tensor

from segeval.errors import ConfigurationError, EngineError
from segeval.graphs.contract import check_contract
from segeval.graphs.export import export_fp32, network_of
from segeval.graphs.given.opset import NEWEST
from segeval.graphs.session import DeployedModel
from segeval.models import load_model
from segeval.models.soundness import predict
from tests.graphs.given.networks import (
    CASES,
    FIVE,
    FREE,
    HEIGHT,
    NCHW,
    TWO,
    WIDTH,
    Ending,
    Small,
    export,
    image_of,
    large,
    plain_labels,
    same,
    write_card,
)

SAME = 0.999
"""Of the labels: where two classes are equal but for the last digit, the order of sums decides."""
NAMES = list(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_the_victim_and_the_deployed_file_give_the_labels_of_the_file_run_plainly(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    segmenter = load_model(str(write_card(tmp_path, case)))
    fp32 = export_fp32(segmenter, HEIGHT, WIDTH)
    check_contract(fp32, "fp32")
    deployed = DeployedModel(fp32)
    seen = set[int]()
    for seed in range(3):
        image = image_of(seed)
        wanted = plain_labels(case, tmp_path / "net.onnx", image)
        seen |= set(np.unique(wanted).tolist())
        assert (predict(segmenter, image) == wanted).mean() >= SAME
        assert (deployed.predict(image) == wanted).mean() >= SAME
    assert len(seen) > 1


def test_its_gradient_is_that_of_the_network_in_pytorch(tmp_path: Path) -> None:
    case = CASES["plain"]
    segmenter = load_model(str(write_card(tmp_path, case)))
    network = Ending(Small(5), same, large).eval()
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    image = (torch.from_numpy(image_of(0)).permute(2, 0, 1)[None] / 255).requires_grad_()
    weights = torch.randn(1, 5, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    (found,) = torch.autograd.grad((segmenter(image) * weights).sum(), image)
    (wanted,) = torch.autograd.grad((network((image - mean) / std) * weights).sum(), image)
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))


def test_no_image_depends_on_the_others_of_its_batch(tmp_path: Path) -> None:
    segmenter = load_model(str(write_card(tmp_path, CASES["plain"])))
    images = torch.stack([torch.from_numpy(image_of(seed)).permute(2, 0, 1) / 255 for seed in range(3)])
    assert torch.equal(segmenter(images)[1:2], segmenter(images[1:2]))


def test_a_file_for_one_image_is_deployed_for_several(tmp_path: Path) -> None:
    segmenter = load_model(str(write_card(tmp_path, CASES["plain"])))
    batch = export_fp32(segmenter, HEIGHT, WIDTH, batch=2)
    check_contract(batch, "fp32")
    assert (DeployedModel(batch).predict(image_of(0)) == predict(segmenter, image_of(0))).mean() >= SAME


def test_a_last_sigmoid_or_softmax_is_left_out_where_nothing_is_resized_after_it(tmp_path: Path) -> None:
    case = CASES["an ArgMax at the end"]
    five = case.card.replace('"labels"', '"probabilities"')
    last: dict[str, tuple[Callable[[Tensor], Tensor], int, str]] = {
        "Softmax": (lambda y: large(y).softmax(1), 5, five),
        "Sigmoid": (lambda y: large(y).sigmoid(), 1, five.replace(FIVE, TWO)),
    }
    for operator, (after, channels, card) in last.items():
        file = export(tmp_path / "net.onnx", Ending(Small(channels), same, after), NCHW)
        (tmp_path / "net.toml").write_text(f'[source]\nonnx = "net.onnx"\n{card}')
        assert [node.op_type for node in onnx.load(file).graph.node][-1] == operator
        fp32 = network_of(export_fp32(load_model(str(tmp_path / "net.toml")), *NCHW[2:]))
        operators = [node.op_type for node in fp32.graph.node]
        assert not {"Softmax", "Log"} & {*operators}
        assert operators.count("Sigmoid") == 1  # the one inside


def test_sizes_that_the_file_leaves_open_are_those_of_the_images(tmp_path: Path) -> None:
    segmenter = load_model(str(write_card(tmp_path, CASES["quarter, free sizes, blue first"])))
    for height, width in ((38, 52), (32, 48)):
        labels = predict(segmenter, image_of(0, 40, 56)[:height, :width].copy())
        assert labels.shape == (height, width)


def refused(folder: Path, card: str = CASES["plain"].card, size: tuple[int, int] = NCHW[2:]) -> str:
    """What is said of net.onnx with this card."""
    (folder / "net.toml").write_text(f'[source]\nonnx = "net.onnx"\n{card}\n')
    with pytest.raises((ConfigurationError, EngineError)) as caught:
        segmenter = load_model(str(folder / "net.toml"))
        predict(segmenter, image_of(0, *size))
    return f"{caught.value.what} | {caught.value.hint}"


def test_what_the_card_says_wrongly_is_named(tmp_path: Path) -> None:
    card = CASES["plain"].card
    CASES["plain"].write(tmp_path / "net.onnx")
    assert "5 channels" in refused(tmp_path, card.replace(', "bus"', ""))
    assert "name 5 classes" in refused(tmp_path, card.replace(', "bus"', ""))
    assert "input.layout" in refused(tmp_path, card.replace('"NCHW"', '"NHWC"'))
    assert 'output.layout = "NCHW"' in refused(tmp_path, card.replace("[output]", '[output]\nlayout = "NHWC"'))
    assert "does not come from an ArgMax" in refused(tmp_path, card.replace('"logits"', '"labels"'))
    assert "has no value 'imag'" in refused(tmp_path, card.replace("[output]", '[output]\nname = "imag"'))
    assert "--size 32x48" in refused(tmp_path, size=(64, 64))


def test_several_outputs_are_named(tmp_path: Path) -> None:
    export(tmp_path / "net.onnx", Ending(Small(5), same, lambda y: (large(y), y)), NCHW, output_names=["lanes", "area"])
    said = refused(tmp_path)
    assert "2 outputs" in said and "lanes" in said and "area" in said and 'name = "lanes"' in said


def test_an_argmax_with_something_behind_it_names_where_to_cut(tmp_path: Path) -> None:
    export(tmp_path / "net.onnx", Ending(Small(5), same, lambda y: large(y).argmax(1) * 2), NCHW)
    said = refused(tmp_path, CASES["plain"].card.replace('"logits"', '"labels"'))
    logits = next(node.input[0] for node in onnx.load(tmp_path / "net.onnx").graph.node if node.op_type == "ArgMax")
    assert f'name = "{logits}"' in said


def test_files_that_are_no_float_network_of_one_image(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"PK\x03\x04 not this")
    assert "not an ONNX file" in refused(tmp_path)
    export(file, Small(5).half().float(), NCHW)
    whole = onnx.load(file)
    half = onnx.load(file)
    half.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    onnx.save(half, file)
    assert "half precision" in refused(tmp_path)
    older = onnx.load(file)
    older.CopyFrom(whole)
    older.opset_import[0].version = 9
    onnx.save(older, file)
    assert "opset 9" in refused(tmp_path)
    older.opset_import[0].version = NEWEST + 1
    onnx.save(older, file)
    assert f"11 to {NEWEST} are read" in refused(tmp_path)
    older.opset_import[0].version = 17
    older.graph.node[1].op_type = "Sharpen"
    onnx.save(older, file)
    said = refused(tmp_path)
    assert "has no operator Sharpen" in said and older.graph.node[1].name in said
    older.CopyFrom(whole)
    older.graph.node[1].attribute.append(helper.make_attribute("unheard", 1))
    onnx.save(older, file)
    assert "ONNX Runtime cannot load it" in refused(tmp_path) and "unheard" in refused(tmp_path)
    two = onnx.load(file)
    two.CopyFrom(whole)
    two.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, (1,)))
    onnx.save(two, file)
    assert "2 inputs" in refused(tmp_path) and "scale" in refused(tmp_path)
    custom = onnx.load(file)
    custom.CopyFrom(whole)
    custom.graph.node[1].domain = "my.company"
    custom.opset_import.append(helper.make_opsetid("my.company", 1))
    onnx.save(custom, file)
    assert "my.company" in refused(tmp_path) and custom.graph.node[1].name in refused(tmp_path)
    fused = onnx.load(file)
    fused.CopyFrom(whole)
    fused.graph.node[1].op_type, fused.graph.node[1].domain = "FusedConv", "com.microsoft"
    fused.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(fused, file)
    said = refused(tmp_path)
    assert (
        "com.microsoft.FusedConv" in said and custom.graph.node[1].name in said and "without the optimisations" in said
    )


def test_an_operator_without_a_gradient_here_is_named(tmp_path: Path) -> None:
    class Grid(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            grid = torch.nn.functional.affine_grid(torch.eye(2, 3)[None], [1, 5, HEIGHT, WIDTH], align_corners=False)
            return torch.nn.functional.grid_sample(torch.cat([x, x[:, :2]], 1), grid, align_corners=False)

    export(tmp_path / "net.onnx", Grid(), NCHW)
    said = refused(tmp_path, f'[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n[output]\nkind = "logits"\n{FIVE}')
    assert "net.onnx" in said and "GridSample" in said


def test_weights_that_lie_outside_of_the_files_folder_are_refused(tmp_path: Path) -> None:
    model = onnx.load(export(tmp_path / "net.onnx", Small(5), NCHW, 17, **FREE))
    (tmp_path / "inner").mkdir()
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    moved = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    for tensor in moved.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../net.data" if entry.key == "location" else entry.value
    onnx.save(moved, tmp_path / "inner" / "net.onnx")
    assert "outside its folder" in refused(tmp_path / "inner")
