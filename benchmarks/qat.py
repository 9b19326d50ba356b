"""Whether training with quantization in the loop closes the gap between attacks on a network and on its int8 file.

    python -m benchmarks.qat --out runs/qat

Trains the bundled Fast-SCNN on synthetic scenes further, twice alike: its float file, and its int8 file, with
straight-through roundings of weights and activations. Then each is crafted, deployed, replayed and evaluated as any
network. Prints the table of docs/adaptive/qat.csv; calibrations.py tells what its columns are.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, NodeProto, numpy_helper
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from benchmarks.calibrations import rows
from segeval.classes import IGNORE
from segeval.cli import run
from segeval.datasets import open_dataset
from segeval.generate.numerics import prepare_torch, use_one_thread
from segeval.graphs.calibration import parse_calibration
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.differentiable.rounding import QuantizeDequantize
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import load_model

MODEL = "fast-scnn-synthetic"
SIZE = (128, 256)
SCENES, BATCH, RATE = 64, 4, 2e-4
CALIBRATION = 8
"""Images that files are calibrated on, in training and when they are deployed."""
TRAINED_FOR = "minmax,ops=Conv+ConvTranspose+Add"
TOP = 127


def weights_of(model: ModelProto) -> dict[str, Tensor]:
    """Kernels and biases by the name of their value in a file, kernels of an int8 file before they are rounded."""
    stored = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in model.graph.initializer}
    source = {node.output[0]: node.input[0] for node in model.graph.node if node.input}
    found = {}
    for node in convolutions(model):
        kernel, bias = node.input[1], node.input[2]
        found[kernel] = stored[kernel] if kernel in stored else stored[source[source[kernel]]]
        found[bias] = stored[bias]
    return found


def convolutions(model: ModelProto) -> list[NodeProto]:
    """In the order of the file."""
    return [node for node in model.graph.node if node.op_type == "Conv"]


def rounded(kernel: Tensor) -> Tensor:
    """A kernel in 8 bits per output channel, with a gradient as if it were not."""
    scale = kernel.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-8) / TOP
    y: Tensor = QuantizeDequantize.apply(kernel, scale, None, -TOP, TOP, False)  # type: ignore[no-untyped-call]
    return y


def train(model: ModelProto, scenes: Sequence[tuple[Tensor, Tensor]], steps: int) -> dict[str, Tensor]:
    """Its weights after so many steps of Adam, by node. An int8 file keeps the ranges that it was calibrated to."""
    graph = GraphSegmenter(model)
    weights = {name: nn.Parameter(value) for name, value in weights_of(model).items()}
    stored = {tensor.name for tensor in model.graph.initializer}
    optimizer = torch.optim.Adam(weights.values(), RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    draw = np.random.default_rng(0)
    for step in range(steps):
        given = {
            f"graph.{graph.graph.buffers_of[name]}": value if name in stored else rounded(value)
            for name, value in weights.items()
        }
        chosen = [scenes[number] for number in draw.choice(len(scenes), BATCH, replace=False)]
        images, labels = (torch.cat(each) for each in zip(*chosen, strict=True))
        loss = cross_entropy(functional_call(graph, given, (images,)), labels, ignore_index=IGNORE)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 20 == 0:
            print(f"step {step}: loss {float(loss.detach()):.4f}", flush=True)
    return {
        f"{node.name}/{kind}": weights[name].detach()
        for node in convolutions(model)
        for kind, name in (("weight", node.input[1]), ("bias", node.input[2]))
    }


def state_of(trained: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file, whose batch normalization is folded, as those of the network that it was exported from."""
    network = load_model(MODEL).network
    state, modules = network.state_dict(), dict(network.named_modules())
    for key, value in trained.items():
        *scopes, _, kind = key.removeprefix("/deployable/network/").split("/")
        *before, last = [scope.rpartition(".")[2] for scope in scopes]
        path, norm = ".".join([*before, last]), modules.get(".".join([*before, str(int(last) + 1)]))
        if kind == "bias" and isinstance(norm, nn.BatchNorm2d):
            state |= {f"{path}.bias": torch.zeros_like(value)} if f"{path}.bias" in state else {}
            path = ".".join([*before, str(int(last) + 1)])
            state[f"{path}.weight"], state[f"{path}.running_mean"] = torch.ones_like(value), torch.zeros_like(value)
            state[f"{path}.running_var"] = torch.full_like(value, 1 - norm.eps)
        state[f"{path}.{kind}"] = value
    return {name: value.contiguous() for name, value in state.items()}


def judged(weights: Path, out: Path, limit: int, steps: int) -> None:
    """Craft, deploy, replay and evaluate one of them, and print a row per attack and engine."""
    craft = f"craft --quiet --dataset synthetic --size {SIZE[0]}x{SIZE[1]} --model {MODEL}={weights} --limit {limit}"
    craft += " --attack fgsm --scope full --set fgsm.budget=1 --workers 1"
    deploy = f"deploy --quiet --precision fp32,int8 --calibration-images {CALIBRATION}"
    deploy += f" --calibration percentile --calibration {TRAINED_FOR}"
    on = f"--on fp32 --on int8 --on evasive --bundle {out}/files"
    on += " --engine int8 --engine int8-minmax-Conv+ConvTranspose+Add"
    for command in (
        f"{craft} --out {out}/first --steps 1",
        f"{deploy} {out}/first --out {out}/files",
        f"{craft} --out {out}/set --steps {steps} {on}",
        f"{deploy} {out}/set --out {out}/bundle",
        f"replay --quiet {out}/bundle --out {out}/replay --threads 1",
        f"evaluate --quiet {out}/set {out}/replay --out {out}/report",
    ):
        if run(command.split()):
            raise SystemExit(f"segeval {command} failed")
    print("\n".join(f"| {weights.stem} {row}" for row in rows(out / "report")), flush=True)


def main() -> None:
    """Train both, then judge both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-steps", type=int, default=150)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--limit", type=int, default=12)
    given = parser.parse_args()
    prepare_torch()
    use_one_thread()
    train_split = open_dataset("synthetic", None, "train", SIZE)
    examples = [train_split[number] for number in range(SCENES)]
    fp32 = export_fp32(load_model(MODEL), *SIZE)
    int8 = to_int8(fp32, [each.image for each in examples[:CALIBRATION]], parse_calibration(TRAINED_FOR))
    scenes = [
        (torch.from_numpy(each.image).permute(2, 0, 1)[None] / 255, torch.from_numpy(each.labels).long()[None])
        for each in examples
        if each.labels is not None
    ]
    given.out.mkdir(parents=True)
    for name, model in (("float", fp32), ("rounded", int8)):
        weights = given.out / f"{name}.safetensors"
        save_file(state_of(train(model, scenes, given.train_steps)), weights)
        judged(weights, given.out / name, given.limit, given.steps)


if __name__ == "__main__":
    main()
