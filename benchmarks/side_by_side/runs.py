"""The runs behind docs/side-by-side.md: every attack on the same images, at several budgets and numbers of steps.

    SEGEVAL_DATA=data python -m benchmarks.side_by_side.runs --out runs/side-by-side [NAME ...]

NAME: those of `RUNS`, such as espnet-camvid-budget-1; all without any, which takes hours. A run whose report exists is
left alone, an unfinished set is continued. `python -m benchmarks.side_by_side.page` writes the page.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segeval.api import craft, deploy, evaluate, replay
from segeval.datasets import default_split
from segeval.registry import attacks_of

WITH_BUDGET = ("apgd", "cospgd", "fgsm", "fspgd", "padam", "pgd", "sea", "segpgd", "square")
CAMVID = ("espnet-camvid", "fast-scnn-camvid")
CITYSCAPES = ("espnet-cityscapes", "espnetv2-cityscapes")
WITHIN = (0.25, 0.5)
LARGE = ("apgd", "cospgd", "ddn", "fgsm", "pgd", "segpgd")
"""Attacks made on images of 512×1024."""


@dataclass(frozen=True)
class Run:
    """One set, its bundle with fp32 and int8, replay and report.

    Attributes:
        name: folder.
        attacks: attacks or suites.
        budget: of those with a budget, in 8-bit levels.
        limit: number of images.
    """

    name: str
    model: str
    attacks: tuple[str, ...]
    budget: int
    steps: int = 20
    limit: int = 4
    within: tuple[float, ...] = ()
    tasks: tuple[str, ...] = ("untargeted",)

    @property
    def dataset(self) -> str:
        """What the network was trained on."""
        return self.model.rpartition("-")[2]

    @property
    def settings(self) -> tuple[str, ...]:
        """The budget of every attack that has one."""
        attacks = attacks_of(self.attacks)
        return tuple(f"{attack}.budget={self.budget}" for attack in WITH_BUDGET if attack in attacks)


def planned() -> Iterator[Run]:
    """All runs, those first that say most."""
    both = ("untargeted", "vehicle-to-road")
    for model in CAMVID:
        yield Run(f"{model}-budget-1", model, ("full",), 1, within=WITHIN, tasks=both)
        yield Run(f"{model}-standard", model, ("standard",), 1, limit=20, within=(0.5,), tasks=both)
        for budget in (2, 4, 8):
            yield Run(f"{model}-budget-{budget}", model, WITH_BUDGET, budget)
        yield Run(f"{model}-steps-100", model, WITH_BUDGET, 1, steps=100)
    for model in CITYSCAPES:
        yield Run(f"{model}-budget-1", model, LARGE, 1, limit=2, within=WITHIN, tasks=both)


RUNS = {run.name: run for run in planned()}


def make(run: Run, root: Path) -> None:
    """Everything up to the report, unless it exists."""
    folder = root / run.name
    if (folder / "report/report.json").is_file():
        return
    adversarial = craft(
        folder / "set",
        run.dataset,
        [run.model],
        run.attacks,
        resume=(folder / "set/set.json").exists(),
        scopes=("full",),
        tasks=run.tasks,
        settings=run.settings,
        steps=run.steps,
        limit=run.limit,
        within=run.within,
        split="all" if run.dataset == "cityscapes" else default_split(run.dataset),
    )
    bundle = deploy(adversarial, folder / "bundle", precisions=["fp32", "int8"])
    evaluate(adversarial, replay(bundle, folder / "replay"), folder / "report")
    print(f"{run.name} done", flush=True)


def main() -> None:
    """Make the runs that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[[], *RUNS], help="runs; all if none is given")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    for name in given.names or RUNS:
        make(RUNS[name], given.out)


if __name__ == "__main__":
    main()
