"""Making a reproduction: sets, maps and report. Parts that already exist are kept."""

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from segeval.errors import ConfigurationError, counted
from segeval.evaluate.report.report_folder import require_place
from segeval.files.exclusive import only_writer
from segeval.files.experiments import Experiment, ExperimentConfig, ExperimentFolder, sets
from segeval.files.held import require_held
from segeval.files.provenance import revision, versions
from segeval.generate.crafting.craft import Crafter
from segeval.generate.crafting.setup import CraftPlan
from segeval.generate.numerics import is_cpu, naming_memory, one_thread, prepare_torch
from segeval.models import Segmenter, load_models
from segeval.progress import Progress
from segeval.reproduce.kang2020 import KEPT, write_report
from segeval.reproduce.kang2020.maps import chosen, gradients_of, make_maps, opened, pixels_of


@dataclass(frozen=True)
class Cost:
    """What a reproduction takes.

    Attributes:
        plans: per set or part.
        seconds: of one gradient, per model, measured now.
        workers: processes.
        shared: whether they share the time, as on the CPU; on a GPU they use it together.
    """

    plans: Mapping[str, CraftPlan]
    seconds: Mapping[str, float]
    workers: int
    shared: bool

    @property
    def estimate(self) -> float:
        """Seconds that all gradients take; attacks, files and the report add to them. One process makes the maps."""
        return sum(
            count * self.seconds[model] / (self.workers if self.shared and name != "maps" else 1)
            for name, plan in self.plans.items()
            for model, count in plan.gradients.items()
        )


class Reproduction:
    """One reproduction in one directory. Raises ConfigurationError if the directory holds something else.

    Attributes:
        workers: processes; on a GPU they share it.
    """

    def __init__(self, config: ExperimentConfig, out: Path, workers: int = 1) -> None:
        self.config = config
        self.workers = workers
        self.folder = ExperimentFolder(out)
        prepare_torch()
        self.models = load_models(config.models, config.device)
        self.crafters = {name: Crafter(craft, self.folder.set(name), self.models) for name, craft in sets(config)}

    def cost(self) -> Cost:
        """Count the gradients, and measure one of every model. Raises DataError for an image that one cannot take."""
        plans = {name: crafter.setup.plan() for name, crafter in self.crafters.items()}
        names = [model.spec.name for model in self.models]
        if "maps" in self.config.parts:
            plans["maps"] = CraftPlan(
                len(self.config.budget_images), 0, dict.fromkeys(names, gradients_of(self.config))
            )
        device = self.config.device
        with one_thread(device), naming_memory(device):
            return Cost(plans, gradient_seconds(self.config, self.models), self.workers, is_cpu(device))

    def run(self, resume: bool, progress: Progress) -> Experiment:
        """Make what is not there yet, and the report anew; returns the record of the whole."""
        with only_writer(self.folder.root, "experiment"):
            self.open(resume)
            for name, crafter in self.crafters.items():
                with self.timed(name):
                    crafter.run(crafter.folder.root.exists(), staged(name, progress), self.workers)
            if "maps" in self.config.parts and not (self.folder.maps / "maps.json").exists():
                device = self.config.device
                with self.timed("maps"), one_thread(device), naming_memory(device):
                    make_maps(self.config, self.models, self.folder.maps, progress)
            with self.timed("report"):
                write_report(self.folder, progress)
            experiment = replace(self.folder.read(), complete=True)
            self.folder.write(experiment)
            return experiment

    def open(self, resume: bool) -> None:
        """Begin a record, or find that of the same configuration."""
        root = self.folder.root
        require_place(self.folder.report, KEPT)
        if not self.folder.path.exists():
            made_by = versions("torch", "numpy", "scipy"), revision(), machine(self.workers)
            self.folder.write(Experiment(self.config, *made_by))
            return
        found = self.folder.read()
        if found.config != self.config:
            raise ConfigurationError(f"{root} holds a reproduction with other options", "choose another --out")
        if not resume and not found.complete:
            raise ConfigurationError(f"{root} holds an unfinished reproduction", "continue it with --resume")

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that something takes to the record, also when it is interrupted."""
        started = time.monotonic()
        try:
            yield
        finally:
            require_held(self.folder.path)
            found = self.folder.read()
            spent = found.seconds.get(name, 0.0) + time.monotonic() - started
            self.folder.write(replace(found, seconds={**found.seconds, name: round(spent, 1)}))


def staged(name: str, progress: Progress) -> Progress:
    """Progress that names the set."""
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def machine(workers: int) -> str:
    """The machine, in words."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {counted(workers, 'process')}{gpu}"


def gradient_seconds(config: ExperimentConfig, models: Sequence[Segmenter]) -> dict[str, float]:
    """Seconds per gradient to an image, of every model on the first image, after one to warm up.

    On a GPU that of a batch, as attacks compute it; maps are made image by image, and take longer there.
    """
    example = next(chosen(opened(config, models), config.images[:1]))
    batch = 1 if is_cpu(config.device) else min(config.batch_size, len(config.images))
    found = {}
    for model in models:
        model.require_size(example.image.shape[0], example.image.shape[1], f"image {example.id}")
        pixels = pixels_of(example, model).repeat(batch, 1, 1, 1).requires_grad_()
        for _ in range(2):
            started = time.monotonic()
            torch.autograd.grad(model(pixels).logsumexp(1).sum(), pixels)[0].sum().item()
            found[model.spec.name] = (time.monotonic() - started) / batch
    return found
