"""The options of the tanh attack at equal mean perturbation: for each of them λ is searched.

    python benchmarks/options.py --dataset camvid --model espnet-camvid --limit 20 --out runs/options

λ is searched on a few images and the result measured on all; every measurement is kept in a file in --out, so that an
interrupted study goes on where it was. Means are over images, of the saved 8-bit image after the last step.
"""

import argparse
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean

from segeval.files.set_folder import SetFolder
from segeval.files.sets import CraftConfig, Scope
from segeval.generate.crafting.craft import Crafter

OPTIONS: dict[Scope, tuple[tuple[str, ...], ...]] = {
    "full": (
        ("omega=none",),
        ("omega=balanced",),
        ("omega=source",),
        ("omega=margin",),
        ("omega=adversarial",),
        ("omega=balanced", "anchor=literal"),
        ("omega=balanced", "anchor=accumulate"),
    ),
    "local": (
        ("loss=ce",),
        ("loss=ce", "omega=source"),
        ("loss=ce", "omega=margin"),
        ("loss=difference",),
        ("loss=difference", "kappa=0"),
        ("loss=difference", "kappa=5"),
        ("loss=ce", "mask=shrinking"),
        ("loss=difference", "mask=shrinking"),
        ("loss=ce", "anchor=literal"),
        ("loss=ce", "anchor=accumulate"),
    ),
}
TARGETS: dict[Scope, float] = {"full": 0.7, "local": 1.6}
"""Mean changes of the paper's Table 1, roughly: over the image, over φ."""
LARGEST, SMALLEST, FIRST = 6.0, -1.0, 3.0
"""Where log10 λ is searched, and where first."""
SLOPE, FLATTEST = -0.35, -0.05
"""Decades of mean change per decade of λ: before two are known, and what counts as flat."""
CLOSE = 0.05
"""A mean change this close to the target, relatively, ends the search."""
TRIES = 5

Measured = Mapping[str, float]


def measure(config: CraftConfig, scope: Scope) -> Measured:
    """Craft a set, and its means over images."""
    with tempfile.TemporaryDirectory() as folder:
        Crafter(config, Path(folder) / "set").run(False, lambda stage, done, total: None)
        samples = list(SetFolder(Path(folder) / "set").samples())
    counts = [next(iter(sample.counts.values())) for sample in samples]
    return {
        "images": len(samples),
        "change": fmean(s.norms.mean_phi if scope == "local" else s.norms.mean for s in samples),
        "linf": fmean(sample.norms.linf for sample in samples),
        "success": fmean(each.success or 0.0 for each in counts),
        "pooled": sum(each.hit for each in counts) / sum(each.phi for each in counts),
        "accuracy": fmean(each.accuracy for each in counts if each.accuracy is not None),
        "ratio": fmean(each.ratio for each in counts if each.ratio is not None),
    }


class Study:
    """Measurements of one model on one dataset, kept in a file."""

    def __init__(self, base: CraftConfig, out: Path, few: int) -> None:
        self.base, self.few = base, few
        size = "" if base.size is None else f"-{base.size[0]}x{base.size[1]}"
        name = f"{base.dataset}-{base.models[0].partition('=')[0]}{size}-{base.tasks[0]}-{base.steps}-{base.device}"
        self.path = out / f"{name}.jsonl"
        out.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        self.known: dict[str, Measured] = dict(json.loads(line) for line in lines)

    def at(self, scope: Scope, options: tuple[str, ...], penalty: float, limit: int) -> Measured:
        """The attack with these options and λ on so many images."""
        key = json.dumps([scope, options, round(penalty, 6), limit])
        if key not in self.known:
            changes = {"settings": (*options, f"penalty={penalty}"), "scopes": (scope,), "limit": limit}
            self.known[key] = measure(CraftConfig(**{**vars(self.base), **changes}), scope)
            with self.path.open("a") as file:
                file.write(json.dumps([key, self.known[key]]) + "\n")
        return self.known[key]

    def penalty_for(self, scope: Scope, options: tuple[str, ...], target: float) -> float:
        """The λ at which the mean change on a few images is the target, or nearest to it."""
        return 10 ** search(lambda exponent: self.at(scope, options, 10**exponent, self.few)["change"], target)


def search(change: Callable[[float], float], target: float) -> float:
    """log10 λ at which a mean change, which falls with λ, is the target, or as near to it as TRIES came.

    Steps of the secant method in logarithms; the first takes SLOPE for granted.
    """
    tried: dict[float, float] = {}
    exponent = FIRST
    while exponent not in tried and len(tried) < TRIES:
        tried[exponent] = math.log10(max(change(exponent), 1e-3) / target)
        if abs(tried[exponent]) < math.log10(1 + CLOSE):
            break
        (best, error), *others = sorted(tried.items(), key=lambda item: abs(item[1]))
        slope = (error - others[0][1]) / (best - others[0][0]) if others else SLOPE
        exponent = min(max(best - error / min(slope, FLATTEST), SMALLEST), LARGEST)
    return min(tried, key=lambda exponent: abs(tried[exponent]))


def main() -> None:
    """Print a table for every scope."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="camvid")
    parser.add_argument("--split", default="test")
    parser.add_argument("--model", default="espnet-camvid")
    parser.add_argument("--task", default="vehicle-to-road")
    parser.add_argument("--scope", choices=("full", "local"), action="append")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--few", type=int, default=4, help="images on which λ is searched")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=1, help="images attacked together, on a GPU")
    parser.add_argument("--size", type=int, nargs=2, metavar=("H", "W"), help="if not as the images are")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    base = CraftConfig(
        given.dataset,
        (given.model,),
        ("tanh",),
        split=given.split,
        tasks=(given.task,),
        steps=given.steps,
        keep="last",
        device=given.device,
        batch_size=given.batch_size,
        size=(given.size[0], given.size[1]) if given.size else None,
    )
    study = Study(base, given.out, given.few)
    for scope in given.scope or ("full", "local"):
        target = TARGETS[scope]
        print(f"\n{scope}, mean change {target} levels ({'over φ' if scope == 'local' else 'over the image'})\n")
        print("| options | λ | change | L∞ | success | pooled | accuracy | ratio | images |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
        for options in OPTIONS[scope]:
            penalty = study.penalty_for(scope, options, target)
            found = study.at(scope, options, penalty, given.limit)
            names = ("change", "linf", "success", "pooled", "accuracy", "ratio")
            cells = " | ".join(f"{found[name]:.3f}" for name in names)
            digits = max(0, 1 - math.floor(math.log10(penalty)))
            print(f"| {' '.join(options)} | {penalty:.{digits}f} | {cells} | {found['images']:.0f} |", flush=True)


if __name__ == "__main__":
    main()
