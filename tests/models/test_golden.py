"""Outputs of the authors' own code, computed once, against ours with the same weights and images."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from segeval.files.images import read_png
from segeval.graphs.export import export_fp32
from segeval.models import load_model
from tests.rounding import SINGLE, settle

STRIDE = 16


def frame(data: Path, model: str, name: str) -> Tensor:
    """(1, 3, H, W) in [0, 1]; Cityscapes frames are halved as the authors of each network do.

    ESPNet: by averaging, without rounding.   ESPNetv2: by PIL, whose filter is wider, with rounding.
    """
    folder = "camvid/test" if model == "espnet-camvid" else "cityscapes_frames"
    pixels = read_png(data / folder / name, "RGB")
    if model == "espnetv2-cityscapes":
        pixels = np.array(Image.fromarray(pixels).resize((1024, 512), Image.Resampling.BILINEAR))
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    return F.avg_pool2d(image, 2) if model == "espnet-cityscapes" else image


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("espnet-camvid", "espnet_p_2_q_8_camvid.npz"),
        pytest.param("espnet-cityscapes", "espnet_p_2_q_8.npz", marks=pytest.mark.long),
        pytest.param("espnetv2-cityscapes", "espnetv2_s_1.0_city_1024x512.npz", marks=pytest.mark.long),
    ],
)
def test_published_weights_answer_as_their_authors_code_does(data: Path, model: str, file: str) -> None:
    with np.load(data / "golden" / file, allow_pickle=False) as golden:
        image = frame(data, model, Path(str(golden["image"])).name)
        expected = {key: golden[key] for key in ("input_stride16", "logits_stride16", "argmax")}
    segmenter = load_model(model)
    with torch.inference_mode():
        inputs = segmenter.normalise(image)[0]
        logits = segmenter(image)[0]
    sampled = inputs[:, ::STRIDE, ::STRIDE].numpy(), logits[:, ::STRIDE, ::STRIDE].numpy()
    # Both sides round the level, the mean, their difference and the quotient, each of at most 255 / std.
    assert np.abs(sampled[0] - expected["input_stride16"]).max() <= 8 * SINGLE * 255 / min(
        segmenter.spec.preprocessing.std
    )
    rounded = (image[0] * 255).round().byte().permute(1, 2, 0).numpy()
    error = settle(export_fp32(segmenter, *image.shape[2:]), rounded, "fp32").error  # as large on so similar an image
    assert np.abs(sampled[1] - expected["logits_stride16"]).max() <= 2 * error
    first, second = logits.topk(2, 0).values.numpy()
    settled = first - second > 4 * error
    assert settled.mean() > 0.99
    assert np.array_equal(logits.argmax(0).numpy()[settled], expected["argmax"][settled])
