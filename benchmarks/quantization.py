"""What precision, calibration and the choice of quantized operators do to clean accuracy.

    python benchmarks/quantization.py --data-root DATA/camvid [--images 20] [--calibration-images 32]

Prints the table of docs/quantization.md: mIoU over the 11 classes of CamVid (unlabelled pixels ignored) and the share
of pixels with torch's label, on test images spread evenly over the split; ranges from images of the train split.
"""

import argparse
import contextlib
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import torch
from onnx import ModelProto

from segeval.datasets import open_dataset
from segeval.deploy.calibration_images import from_dataset
from segeval.deploy.parity import Reference, evenly, measure_parity
from segeval.files.engine_records import CalibrationMethod
from segeval.graphs import quantize
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.mixed import to_int8_fp16
from segeval.models import load_model
from segeval.models.soundness import predict

METHODS: tuple[CalibrationMethod, ...] = ("percentile", "minmax", "entropy")
OPERATORS = (("Conv",), ("Conv", "ConvTranspose"), ("Conv", "Add"), ("Conv", "ConvTranspose", "Add"))


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="espnet-camvid")
    options.add_argument("--data-root", type=Path, default=None)
    options.add_argument("--images", type=int, default=20)
    options.add_argument("--calibration-images", type=int, default=32)
    given = options.parse_args()
    torch.set_flush_denormal(True)
    segmenter = load_model(given.model)
    test = open_dataset("camvid", given.data_root, "test")
    calibration = from_dataset(open_dataset("camvid", given.data_root, "train"), "train", given.calibration_images, 0)
    examples = [test[index] for index in evenly(len(test), given.images)]
    references = [Reference(example.image, predict(segmenter, example.image), example.labels) for example in examples]
    classes = len(test.table)
    fp32 = export_fp32(segmenter, *examples[0].image.shape[:2])

    def row(*cells: str, model: ModelProto) -> None:
        parity = measure_parity(model, references, classes, unoptimised=False)
        print(f"| {' | '.join(cells)} | {parity.miou:.4f} | {parity.equal:.4f} |", flush=True)

    print("| precision | quantized | other operators see | ranges | mIoU | equal to torch |\n|---|---|---|---|---|---|")
    row("fp32", "–", "–", "–", model=fp32)
    row("fp16", "–", "–", "–", model=to_fp16(fp32))
    for operators in OPERATORS:
        for values in ("exact values", "rounded values"):
            for method in METHODS:
                with rounded_for_all() if values == "rounded values" else contextlib.nullcontext():
                    model = quantize.to_int8(fp32, calibration, CalibrationSpec(method, op_types=operators))
                row("int8", ", ".join(operators), values, method, model=model)
    int8 = quantize.to_int8(fp32, calibration, CalibrationSpec())
    row("int8-fp16", "Conv", "exact values", "percentile", model=to_int8_fp16(int8))


@contextlib.contextmanager
def rounded_for_all() -> Iterator[None]:
    """Quantize as ONNX Runtime does by itself: every reader of a quantized tensor gets the rounded values."""
    with patch.object(quantize, "keep_others_exact", lambda *arguments: None):
        yield


if __name__ == "__main__":
    main()
