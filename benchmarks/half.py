"""What half arithmetic does to the labels of fp16 files, and how near their activations come to its end.

    python benchmarks/half.py [--model espnet-camvid] [--dataset camvid --split test] [--images 20]

Prints a row of docs/quantization/half.csv: mIoU and the share of pixels with torch's label, as ONNX Runtime runs
the file on this processor and in half arithmetic; the share of pixels where the latter agrees with the network in half
precision in torch, an implementation of its own; and the largest activation.
"""

import argparse

import numpy as np
import torch

from segeval.datasets import open_dataset
from segeval.deploy.parity import Agreement, Reference, evenly, measure_half, measure_parity
from segeval.files.images import RgbImage
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.half import HalfModel
from segeval.metrics import Labels
from segeval.models import Segmenter, load_model
from segeval.models.soundness import predict
from segeval.places import dataset_root
from segeval.precision import LARGEST_HALF


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="espnet-camvid")
    options.add_argument("--dataset", default="camvid")
    options.add_argument("--split", default="test")
    options.add_argument("--data-root", default=None)
    options.add_argument("--images", type=int, default=20)
    given = options.parse_args()
    torch.set_flush_denormal(True)
    segmenter = load_model(given.model)
    data = open_dataset(given.dataset, dataset_root(given.data_root), given.split)
    examples = [data[index] for index in evenly(len(data), given.images)]
    references = [Reference(e.image, predict(segmenter, e.image), e.labels, e.id) for e in examples]
    model = to_fp16(export_fp32(segmenter, *examples[0].image.shape[:2]))
    here = measure_parity(model, references, len(data.table), unoptimised=False)
    half = measure_half(given.model, model, references, [], len(data.table))
    agreement, own = Agreement(), HalfModel(model)
    segmenter.network.half()
    for example in examples:
        agreement.update(own.run(example.image).labels, in_torch(segmenter, example.image))
    cells = [f"{value:.4f}" for value in (here.miou, half.miou, here.equal, half.equal, agreement.share)]
    peak = f"{half.peak:.1f} of {LARGEST_HALF:,.0f}, {half.layer}"
    print(f"| {given.model} | {half.images} | {' | '.join(cells)} | {peak} |")


@torch.inference_mode()
def in_torch(segmenter: Segmenter, image: RgbImage) -> Labels:
    """Labels of a network whose weights are half precision, computed in half precision after the normalization."""
    levels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    labels: Labels = segmenter.network(segmenter.normalise_levels(levels).half())[0].argmax(0).numpy().astype(np.uint8)
    return labels


if __name__ == "__main__":
    main()
