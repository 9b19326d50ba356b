"""What the placement of Q/DQ costs in accuracy, and what a processor makes of it in integers.

    python benchmarks/placement.py --data-root DATA/camvid [--model espnet-camvid] [--images 30]

Prints tables of docs/quantization.md and docs/quantization/: for each placement the convolutions that are quantized and
those that ONNX Runtime runs on integers, mIoU over the 11 classes of CamVid, labels as torch; then for the files that
run on integers their labels and times against the float simulation of the same file. Both sessions see an image one
after the other, in turns, on one thread; the time is that of the process.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from onnx import ModelProto

from segeval.datasets import open_dataset
from segeval.deploy.calibration_images import from_dataset
from segeval.deploy.parity import Agreement, Reference, evenly, measure_parity
from segeval.graphs.calibration import CalibrationSpec, parse_calibration
from segeval.graphs.export import export_fp32
from segeval.graphs.qdq import check_qdq
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel, operators_run
from segeval.models import load_model
from segeval.models.soundness import predict

CALIBRATIONS = ("percentile", "percentile,placement=fused", "percentile,activations=uint8,placement=fused")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="espnet-camvid")
    options.add_argument("--data-root", type=Path, default=None)
    options.add_argument("--images", type=int, default=30)
    given = options.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    segmenter = load_model(given.model)
    test = open_dataset("camvid", given.data_root, "test")
    examples = [test[index] for index in evenly(len(test), given.images)]
    references = [Reference(example.image, predict(segmenter, example.image), example.labels) for example in examples]
    fp32 = export_fp32(segmenter, *examples[0].image.shape[:2])
    train = from_dataset(open_dataset("camvid", given.data_root, "train"), "train", 32, 0)
    files = {text: to_int8(fp32, train, parse_calibration(text)) for text in CALIBRATIONS}

    print(f"{given.model}, {len(references)} images\n")
    print("| calibration | quantized | on integers | mIoU | equal to torch |\n|---|---:|---:|---:|---:|")
    row("fp32", "–", "–", fp32, references, len(test.table))
    for text, model in files.items():
        spec = parse_calibration(text)
        check_qdq(model, spec)
        run = operators_run(model, spec.integers)["QLinearConv"]
        row(text, str(quantized(model)), str(run), model, references, len(test.table), spec.integers)
    print("\n| calibration | mIoU simulated | labels equal | integers ms | simulated ms | ratio |")
    print("|---|---:|---:|---:|---:|---:|")
    for text, model in files.items():
        if parse_calibration(text).integers:
            compare(text, model, references, len(test.table))


def quantized(model: ModelProto) -> int:
    """Convolutions whose weights come through DequantizeLinear."""
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return sum(node.op_type == "Conv" and node.input[1] in integers for node in model.graph.node)


def row(
    text: str, count: str, run: str, model: ModelProto, references: list[Reference], classes: int, integers: str = ""
) -> None:
    """One line of the first table."""
    parity = measure_parity(model, references, classes, False, integers)
    print(f"| {text} | {count} | {run} | {parity.miou:.4f} | {parity.equal:.4f} |", flush=True)


def compare(text: str, model: ModelProto, references: list[Reference], classes: int) -> None:
    """One line of the second table: integers against the optimised graph in fp32, which is today's simulation."""
    spec: CalibrationSpec = parse_calibration(text)
    sessions = [DeployedModel(model, integers=spec.integers, threads=1), DeployedModel(model, threads=1)]
    times: list[list[float]] = [[], []]
    agreement = Agreement()
    for place, reference in enumerate(references):
        labels = []
        for turn in ((0, 1), (1, 0))[place % 2]:
            began = time.process_time()
            labels.append((turn, sessions[turn].predict(reference.image)))
            times[turn].append(1000 * (time.process_time() - began))
        first, second = (found for _, found in sorted(labels, key=lambda item: item[0]))
        agreement.update(first, second)
    simulated = measure_parity(model, references, classes, False).miou
    own, other = (statistics.median(each) for each in times)
    print(
        f"| {text} | {simulated:.4f} | {agreement.share:.4f} | {own:.0f} | {other:.0f} | {own / other:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
