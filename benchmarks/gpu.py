"""Everything that a GPU is asked for, in about ten minutes of one: `python -m benchmarks.gpu --out runs/gpu`.

Prints Markdown: a step of an attack over the bare passes that it makes, by batch; these passes captured in a CUDA
graph, compiled and in half precision; a deployed file on every engine of the GPU; and a slice of Table 1 of Kang et
al. 2020 (SEGEVAL_DATA holds CamVid and the weights), projected to the whole. `--device cpu --small` shows in a minute
or two that all of it runs.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from benchmarks.bench.crafting_bench import SIZE, Batch, trajectories
from benchmarks.bench.networks import ESPNET, FAST_SCNN
from segeval.api import craft, deploy, replay
from segeval.errors import SegevalError
from segeval.files.provenance import versions
from segeval.generate.numerics import prepare_torch
from segeval.models import Segmenter, load_model

ENGINES = ("onnxruntime-cuda", "tensorrt-rtx", "tensorrt")
IMAGES_OF_TABLE_1 = 233
ROUNDS = 5


def seconds(work: Callable[[], object], device: str, rounds: int = ROUNDS) -> float:
    """Median seconds by the clock, once all that was started on the device is done; a first call does not count."""
    taken = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return median(taken[1:])


def crafting(device: str, small: bool) -> Iterator[str]:
    """A step over its floor."""
    yield "| network | attack | images | a step, ms | floor, ms | floor / step |\n|---|---|---:|---:|---:|---:|"
    steps, size = (2, (64, 128)) if small else (20, SIZE)
    for name in (ESPNET, FAST_SCNN):
        network = load_model(name, device)
        for images in (1, 2) if small else (1, 16):
            for trajectory in trajectories(("fgsm", "pgd", "tanh"), steps, ("full",)):
                batch = Batch([network], network, trajectory, images, steps, size, device)
                step, floor = (1000 * seconds(work, device) / steps for work in (batch.run, batch.floor))
                label = trajectory.specs[0].label
                yield f"| {name} | `{label}` | {images} | {step:.1f} | {floor:.1f} | {floor / step:.2f} |"


def gradient(logits: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> Tensor:
    """The gradient of a bare cross entropy to the images."""
    inputs = images.detach().requires_grad_()
    (found,) = torch.autograd.grad(F.cross_entropy(logits(inputs), labels), inputs)
    return found


def captured(network: Segmenter, images: Tensor, labels: Tensor) -> Callable[[], object]:
    """The gradient as a CUDA graph."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(side):
        for _ in range(3):
            gradient(network, images, labels)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradient(network, images, labels)
    return graph.replay


def passes(device: str, small: bool) -> Iterator[str]:
    """Other ways to make the bare passes, with how many signs of the gradient they share with the usual one."""
    yield "| network | images | passes | ms | same signs |\n|---|---:|---|---:|---:|"
    for name in (ESPNET, FAST_SCNN):
        network = load_model(name, device)
        for images in (1,) if small else (1, 16):
            inputs = torch.rand(images, 3, *((64, 128) if small else SIZE), device=device)
            labels = torch.zeros(images, *inputs.shape[2:], dtype=torch.long, device=device)
            usual = gradient(network, inputs, labels)
            for kind, work in ways(network, inputs, labels, device):
                found = work()
                same = f"{(found.sign() == usual.sign()).float().mean():.4f}" if isinstance(found, Tensor) else "–"
                yield f"| {name} | {images} | {kind} | {1000 * seconds(work, device):.2f} | {same} |"


def ways(network: Segmenter, images: Tensor, labels: Tensor, device: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """As they are, in bfloat16, compiled, and on a GPU captured."""
    yield "usual", lambda: gradient(network, images, labels)

    def half(inputs: Tensor) -> Tensor:
        with torch.autocast(device.partition(":")[0], torch.bfloat16):
            logits: Tensor = network.network(network.normalise(inputs)).float()
        return logits

    yield "bfloat16", lambda: gradient(half, images, labels)
    compiled: Callable[[Tensor], Tensor] = torch.compile(network)
    yield "compiled", lambda: gradient(compiled, images, labels)
    if device != "cpu":
        yield "CUDA graph", captured(network, images, labels)


def engines(device: str, small: bool, out: Path) -> Iterator[str]:
    """A deployed Fast-SCNN on every engine of the GPU, or why it does not run there."""
    yield "| engine | precision | latency, ms |\n|---|---|---:|"
    options: dict[str, Any] = {"limit": 2 if small else 16, "steps": 2, "device": device}
    options["size"] = (64, 128) if small else SIZE
    made = craft(out / "set", "synthetic", [FAST_SCNN], ["fgsm"], **options)
    bundle = deploy(made, out / "bundle")
    for engine in ("onnxruntime",) if device == "cpu" else ENGINES:
        try:
            replayed = replay(bundle, out / f"replay-{engine}", backend=engine)
        except SegevalError as error:
            yield f"| {engine} | – | {error.what} |"
            continue
        for each in replayed.record.engines:
            times = list(replayed.record.results(each.name).latencies().values())
            yield f"| {engine} | {each.precision} | {median(times):.2f} |"


def table_1(device: str, small: bool, out: Path) -> Iterator[str]:
    """A slice of the paper's Table 1, and what the whole would take."""
    images, steps, dataset = (1, 1, "synthetic") if small else (18, 50, "camvid")
    options = {"dataset": dataset, "limit": images, "batch-size": images, "steps": steps, "device": device}
    given = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "segeval", "reproduce", "kang2020", "--part", "table1", *given, "--quiet"]
    started = time.monotonic()
    ended = subprocess.run([*command, "--out", str(out / "table1")], stdout=subprocess.DEVNULL, check=False)
    spent = time.monotonic() - started
    hours = spent * IMAGES_OF_TABLE_1 / images / 3600
    yield f"exit code {ended.returncode}; {images} images in {spent:.0f} s, so {IMAGES_OF_TABLE_1} in {hours:.1f} hours"


def main(
    out: Annotated[Path, typer.Option(help="Folder for the files that are made.")],
    device: Annotated[str, typer.Option()] = "cuda",
    small: Annotated[bool, typer.Option("--small", help="Show that it runs, in a minute.")] = False,
) -> None:
    """Measure one part after the other; one that fails stops no other."""
    prepare_torch()
    name = "CPU" if device == "cpu" else torch.cuda.get_device_name(device)
    print(f"{name}, {', '.join(f'{package} {found}' for package, found in versions('torch', 'onnxruntime').items())}")
    parts: dict[str, Iterator[str]] = {
        "Crafting over its floor": crafting(device, small),
        "The bare passes": passes(device, small),
        "Engines": engines(device, small, out),
        "Table 1": table_1(device, small, out),
    }
    for title, lines in parts.items():
        print(f"\n## {title}\n", flush=True)
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
