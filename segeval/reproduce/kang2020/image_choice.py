"""Inputs of a reproduction of Kang et al. 2020: defaults per dataset, and a seeded choice of images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segeval.classes import parse_task
from segeval.datasets import Dataset, open_dataset
from segeval.datasets.cityscapes import LAYOUT
from segeval.datasets.files import find_root
from segeval.errors import ConfigurationError, DataError
from segeval.files.experiments import PARTS, ExperimentConfig, Part
from segeval.goals import source_mask
from segeval.places import dataset_root

PAPER_TASKS = ("vru-to-vegetation", "vehicle-to-road", "vehicle-to-building")
MODELS = {
    "camvid": ("espnet-camvid", "fast-scnn-camvid"),
    "cityscapes": ("espnet-cityscapes", "espnetv2-cityscapes"),
    "synthetic": ("espnet-synthetic", "fast-scnn-synthetic"),
}


@dataclass(frozen=True)
class Options:
    """What was asked for; None and empty mean the usual choice for the dataset.

    Attributes:
        limit: images of Table 1.
        budget_limit: of these, for the matched budgets and the maps, which take more runs.
    """

    dataset: str
    split: str | None = None
    data_root: str | None = None
    size: tuple[int, int] | None = None
    models: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    limit: int = 12
    budget_limit: int = 4
    parts: tuple[Part, ...] = PARTS
    steps: int = 50
    batch_size: int = 1
    seed: int = 0
    device: str = "cpu"


def resolve(options: Options) -> ExperimentConfig:
    """Decide everything. Raises DataError for a dataset that is not there or has no fitting image."""
    models = options.models or MODELS.get(options.dataset, ())
    if not models:
        known = ", ".join(MODELS)
        raise ConfigurationError(f"no model given for {options.dataset}", f"give --model; only {known} have defaults")
    split = options.split or usual_split(options)
    tasks = options.tasks or PAPER_TASKS
    dataset = open_dataset(options.dataset, dataset_root(options.data_root), split, options.size)
    images = tuple(choose(dataset, tasks, options.limit, options.seed))
    return ExperimentConfig(
        dataset=options.dataset,
        split=split,
        models=models,
        tasks=tasks,
        images=images,
        budget_images=images[: options.budget_limit],
        data_root=options.data_root,
        size=options.size,
        parts=options.parts,
        steps=options.steps,
        batch_size=options.batch_size,
        seed=options.seed,
        device=options.device,
    )


def usual_split(options: Options) -> str:
    """The split that the paper used, or every frame of a bare folder of Cityscapes frames."""
    if options.dataset != "cityscapes":
        return "test"
    root = find_root("cityscapes", Path(options.data_root) if options.data_root else None, LAYOUT)
    return "val" if (root / "leftImg8bit").is_dir() else "all"


def choose(dataset: Dataset, tasks: Sequence[str], limit: int, seed: int) -> Iterator[str]:
    """Ids of up to `limit` images drawn at random, in each of which the ground truth has a source pixel of every task.

    The same images serve all tasks. Images without ground truth are taken as they come. Raises DataError if none fits.
    """
    sources = [parse_task(task).resolve(dataset.table).sources for task in tasks]
    taken = 0
    for index in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        if taken == limit:
            return
        example = dataset[index]
        if example.labels is None or all(source_mask(example.labels, each).any() for each in sources):
            taken += 1
            yield example.id
    if not taken:
        raise DataError(
            f"no image has a source pixel of each of the tasks {', '.join(tasks)}", "choose other tasks with --task"
        )
