"""Whether the gradient of an int8 file hides what an attack could find: the signs of that, looked for one by one.

    python -m benchmarks.masking --dataset synthetic --model fast-scnn-synthetic --limit 2
    python -m benchmarks.masking --dataset camvid --model espnet-camvid --limit 2

A gradient that masks shows itself (Athalye et al. 2018, arXiv:1802.00420): more steps or a larger budget do not help,
a search without a gradient finds more, an attack without a bound fails. All attacks change the whole image, and see it
in whole levels. Prints the tables of docs/adaptive.md; ends with 1 where a sign was found.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice, pairwise
from statistics import fmean
from typing import ClassVar

import torch
from torch import Tensor

from segeval.classes import parse_task
from segeval.datasets import open_dataset
from segeval.files.images import RgbImage
from segeval.files.sets import DeployedFile
from segeval.generate.attacks.fgsm import FGSM
from segeval.generate.attacks.pgd import PGD
from segeval.generate.attacks.problem import Attack, Candidate, Presets, Problem, generator
from segeval.generate.attacks.tanh import Tanh
from segeval.generate.crafting.deployed import Deployed
from segeval.generate.crafting.setup import spread
from segeval.generate.numerics import prepare_torch, use_one_thread
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import Network, Segmenter, load_model
from segeval.models.soundness import predict
from segeval.places import dataset_root

CALIBRATION = 16
"""Images of the train split that the int8 file is calibrated on."""
BUDGET = 1.0
WIDER = (2.0, 4.0)
UNBOUNDED = Tanh(penalty=1.0, omega="balanced")
QUERIES = 4
"""Queries of the random search, for each step of the gradient: one of these costs three."""
LEAST_UNBOUNDED = 0.99
TOLERANCE = 0.005
"""Share of φ by which success may fall and count as equal."""


@dataclass(frozen=True)
class Squares:
    """Random search in squares (Andriushchenko et al. 2020, arXiv:1912.00049), every other one of them in φ.

    Attributes:
        radius: L-infinity budget in 0–255 levels.
    """

    presets: ClassVar[Presets] = {}
    radius: float = BUDGET

    def candidates(self, problem: Problem) -> Iterator[Candidate]:
        """Yield stripes, then one query each: the best so far with another square."""
        draw, size = generator(problem.seeds[0], 1), self.radius / 255
        x = problem.confine(problem.clean + size * signs((1, 3, 1, problem.clean.shape[3]), draw))
        best, least = x, torch.inf
        for query in count(1):
            with torch.no_grad():
                logits = problem.logits(x)
                loss = float(problem.loss(logits))
            best, least = (x, loss) if loss < least else (best, least)
            yield Candidate(x, logits)
            x = best.clone()
            rows, columns = square(problem, query, draw)
            changed = problem.clean[..., rows, columns] + size * signs((1, 3, 1, 1), draw)
            x[..., rows, columns] = changed
            x = problem.confine(x)


def signs(shape: tuple[int, ...], draw: torch.Generator) -> Tensor:
    """Random numbers -1 and 1."""
    return torch.randint(0, 2, shape, generator=draw) * 2.0 - 1


def square(problem: Problem, query: int, draw: torch.Generator) -> tuple[slice, slice]:
    """Where a query changes the image: 5 % of it at first, less the later it is."""
    height, width = problem.phi.shape[1:]
    side = max(1, round((0.05 * 0.5 ** (4 * query / (QUERIES * problem.steps)) * height * width) ** 0.5))
    inside = problem.phi[0].nonzero()
    if query % 2:
        row, column = (int(each) for each in inside[int(torch.randint(len(inside), (1,), generator=draw))])
    else:
        row, column = (int(torch.randint(length, (1,), generator=draw)) for length in (height, width))
    top, left = max(0, row - side // 2), max(0, column - side // 2)
    return slice(top, top + side), slice(left, left + side)


@dataclass(frozen=True)
class Iterate:
    """loss: mean over the image.   success: share of φ that the file shows as the goal."""

    loss: float
    success: float


def iterates(attack: Attack, problem: Problem, steps: int) -> list[Iterate]:
    """The start of an attack on one image, and what every step made of it."""
    found = []
    for candidate in islice(attack.candidates(problem), steps + 1):
        labels = candidate.logits[0][0].detach().argmax(0).byte().numpy()
        reached = problem.goal.reached(labels, problem.predicted[0].byte().numpy()) & problem.phi[0].numpy()
        with torch.no_grad():
            loss = float(problem.loss(candidate.logits))
        found.append(Iterate(loss, float(reached.sum() / problem.phi.sum())))
    return found


@dataclass(frozen=True)
class Row:
    """Means over images. loss, success: at the last step.   best: success of the best iterate."""

    name: str
    loss: float
    success: float
    best: float


def row(name: str, images: Sequence[Sequence[Iterate]]) -> Row:
    """Of the iterates of every image."""
    last = [each[-1] for each in images]
    best = fmean(max(iterate.success for iterate in each) for each in images)
    return Row(name, fmean(each.loss for each in last), fmean(each.success for each in last), best)


def measured(problems: Sequence[Problem], steps: int, restarts: int) -> dict[str, list[Row]]:
    """Rows by check; in each the attack grows stronger from row to row."""
    runs = restarts + 1
    shared = [replace(each, steps=runs * (steps + 1) - 1) for each in problems]
    whole = [iterates(FGSM(BUDGET), each, steps) for each in problems]
    begun = [iterates(PGD(BUDGET, restarts=restarts), each, each.steps) for each in shared]
    search = [iterates(Squares(BUDGET), each, QUERIES * steps) for each in problems]
    wider = [[iterates(FGSM(budget), each, steps) for each in problems] for budget in WIDER]
    free = [iterates(UNBOUNDED, each, 2 * steps) for each in problems]
    some = [steps // 4, steps // 2, steps]
    return {
        "steps": [
            row("clean image", [each[:1] for each in whole]),
            row("1 step of the budget", [iterates(FGSM(BUDGET, BUDGET), each, 1) for each in problems]),
            *(row(f"{number} steps", [each[: number + 1] for each in whole]) for number in some),
        ],
        "restarts": [
            row(f"{number} random starts", [each[: number * (steps + 1)] for each in begun])
            for number in range(1, runs + 1)
        ],
        "search": [
            row(f"random search, {number} queries", [each[: number + 1] for each in search])
            for number in (steps, QUERIES * steps)
        ],
        "budgets": [
            row(f"{BUDGET:g} level", whole),
            *(row(f"{budget:g} levels", each) for budget, each in zip(WIDER, wider, strict=True)),
        ],
        "unbounded": [row(f"tanh without a bound, {2 * steps} steps", free)],
    }


def found_signs(rows: dict[str, list[Row]]) -> list[str]:
    """The signs of a masked gradient."""
    steps = rows["steps"]
    whole = steps[-1]
    signs = {
        "the loss does not fall from step to step": any(b.loss >= a.loss for a, b in pairwise(steps[:1] + steps[2:])),
        "more steps weaken": any(b.success < a.success - TOLERANCE for a, b in pairwise(steps)),
        "random starts are weaker than the clean one": rows["restarts"][-1].best < whole.best - TOLERANCE,
        "a random search finds as much": max(each.best for each in rows["search"]) >= whole.best,
        "a larger budget weakens": any(b.best < a.best - TOLERANCE for a, b in pairwise(rows["budgets"])),
        "an attack without a bound fails": rows["unbounded"][0].best < LEAST_UNBOUNDED,
    }
    return [name for name, shown in signs.items() if shown]


def int8_of(segmenter: Segmenter, calibration: Sequence[RgbImage]) -> Deployed:
    """The int8 file of a network, calibrated as `segeval deploy` does, but for the number of images."""
    height, width = size = calibration[0].shape[:2]
    file = to_int8(export_fp32(segmenter, height, width), calibration, CalibrationSpec())
    return Deployed(DeployedFile(segmenter.spec.name, "int8", ""), segmenter, GraphSegmenter(file), size)


def problems_of(segmenter: Segmenter, file: Network, images: Sequence[RgbImage], steps: int) -> list[Problem]:
    """Vehicle to road in those images that have vehicles, for attacks that see the file alone."""
    goal, found = parse_task("vehicle-to-road").resolve(segmenter.spec.table), []
    for number, image in enumerate(images):
        predicted = predict(segmenter, image)
        clean = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        phi = torch.from_numpy(goal.phi(predicted))[None]
        labels = torch.from_numpy(predicted).long()[None]
        if phi.any():
            found.append(Problem(clean, labels, phi, goal, "full", (file,), (number,), steps=steps, whole_levels=True))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a row per attack, and the signs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--model", default="fast-scnn-synthetic")
    parser.add_argument("--size", help="height x width, if not as the images are")
    parser.add_argument("--limit", type=int, default=2)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--restarts", type=int, default=3)
    given = parser.parse_args(arguments)
    prepare_torch()
    use_one_thread()
    segmenter = load_model(given.model)
    size = (int(given.size.split("x")[0]), int(given.size.split("x")[1])) if given.size else None
    test, train = (open_dataset(given.dataset, dataset_root(None), split, size) for split in ("test", "train"))
    file = int8_of(segmenter, [train[index].image for index in spread(len(train), CALIBRATION)])
    images = [test[index].image for index in spread(len(test), given.limit)]
    rows = measured(problems_of(segmenter, file, images, given.steps), given.steps, given.restarts)
    for each in (each for group in rows.values() for each in group):
        print(f"| {given.model} | {each.name} | {each.loss:.4f} | {each.success:.3f} | {each.best:.3f} |")
    signs = found_signs(rows)
    print("\n".join(signs) or "no sign of masking")
    return int(bool(signs))


if __name__ == "__main__":
    sys.exit(main())
