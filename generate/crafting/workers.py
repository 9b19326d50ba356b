"""Crafting in several processes, each on one thread, so that no result depends on how many there are."""

import atexit
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from segeval.datasets import Size
from segeval.errors import EngineError, IntegrityError
from segeval.files.held import held
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, CraftConfig, DeployedFile, ModelRecord
from segeval.processes import Processes, prepared

from ..numerics import use_one_thread
from .samples import ImageFiles
from .setup import Setup

Limits = Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Order:
    """What every process is to attack.

    Attributes:
        size: (height, width) of the images; None if the dataset does not say sizes.
        models, deployed: what the parent has loaded, and this set's manifest names.
    """

    config: CraftConfig
    size: Size | None
    root: Path
    models: tuple[ModelRecord, ...]
    deployed: tuple[DeployedFile, ...]
    files: Mapping[str, ImageFiles]


class Worker:
    """The setup and the jobs of the parent process, made again in a process of its own.

    Raises IntegrityError if a model is another one by now, StorageError if the set's folder is gone.
    """

    def __init__(self, order: Order) -> None:
        use_one_thread()
        holding = ExitStack()
        atexit.register(holding.close)  # before Python itself ends
        holding.enter_context(held(order.root))
        self.folder = SetFolder(order.root)
        self.setup = Setup(order.config, size=order.size)
        self.files = order.files
        self.jobs = list(self.setup.jobs(order.files))
        for model, expected in zip(self.setup.models, order.models, strict=True):
            model.record = replace(model.record, logit_scale=expected.logit_scale)
            if model.record != expected:
                hint = "restore them, or craft into a new folder"
                raise IntegrityError(f"the weights of {expected.name} were changed while crafting", hint)
        if self.setup.deployed_files != order.deployed:
            raise IntegrityError("the bundle was changed while crafting", "restore it, or craft into a new folder")


def attack(number: int, limits: Limits) -> list[AdversarialSample]:
    """Carry out a job. Raises what the process could not start for."""
    worker = prepared(Worker)
    return worker.setup.attack(worker.folder, worker.jobs[number], worker.files, limits, lambda step: None)


def workers(count: int, order: Order) -> Processes:
    """So many processes for one crafting run, that `attack` can be called in."""
    what = "a crafting process was killed, perhaps because memory ran out"
    return Processes(
        count, Worker, order, EngineError(what, "continue with --resume; fewer --workers need less memory")
    )
