"""What a deployed file costs an attack per step, over the network in PyTorch: forward and backward, on one thread.

    python benchmarks/differentiable.py [--model espnet-synthetic] [--size 256x512] [--rounds 21]

Prints a row of the table of docs/differentiable-graphs.md per precision: the median time of a step, and the median of
its ratios to that of the network in PyTorch in the same round. All of them take turns in one process.
"""

import argparse
import statistics
import time
from collections.abc import Mapping
from typing import get_args

import torch
from torch import Tensor, nn

from segeval.datasets import open_dataset
from segeval.deploy.engine_files import at_precision
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import load_model
from segeval.precision import Precision

CALIBRATION = 4
"""Images that the int8 files are calibrated on."""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", default="espnet-synthetic")
    options.add_argument("--size", default="256x512", help="height x width")
    options.add_argument("--rounds", type=int, default=21)
    given = options.parse_args()
    height, width = map(int, given.size.split("x"))
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    segmenter = load_model(given.model)
    scenes = [open_dataset("synthetic", None, "train", (height, width))[n].image for n in range(CALIBRATION)]
    fp32 = export_fp32(segmenter, height, width)
    int8 = to_int8(fp32, scenes, CalibrationSpec())
    files = {each: at_precision(fp32, each, lambda: int8) for each in get_args(Precision)}
    contenders: dict[str, nn.Module] = {"PyTorch": segmenter}
    contenders |= {precision: GraphSegmenter(file) for precision, file in files.items()}
    image = torch.from_numpy(scenes[0]).permute(2, 0, 1)[None] / 255
    times = measure(contenders, image, given.rounds)
    for name, each in times.items():
        ratios = [own / base for own, base in zip(each, times["PyTorch"], strict=True)]
        median = f"{statistics.median(each) * 1000:.0f} ms | {statistics.median(ratios):.2f}"
        print(f"| {given.model} | {given.size} | {name} | {median} |")


def measure(contenders: Mapping[str, nn.Module], image: Tensor, rounds: int) -> dict[str, list[float]]:
    """Seconds per step of each, round by round, after a round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, module in contenders.items():
            seconds = step(module, image)
            times[name].extend([seconds] if number else [])
    return times


def step(module: nn.Module, image: Tensor) -> float:
    """Seconds that logits and a gradient take."""
    begin = time.perf_counter()
    given = image.clone().requires_grad_()
    torch.autograd.grad(module(given).square().mean(), given)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
