"""Making a reproduction: sets, maps, report, each kept when it is there already."""

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from segeval.errors import ConfigurationError
from segeval.evaluate.kang2020 import write_report
from segeval.experiments import Experiment, ExperimentConfig, ExperimentFolder, sets
from segeval.generate.craft import Crafter, CraftPlan
from segeval.generate.maps import make_maps
from segeval.progress import Progress
from segeval.provenance import revision, versions


@dataclass(frozen=True)
class Cost:
    """What a reproduction takes. plans: per set.   seconds: of one gradient, per model, measured now."""

    plans: Mapping[str, CraftPlan]
    seconds: Mapping[str, float]

    @property
    def estimate(self) -> float:
        """Seconds that all gradients take; attacks, files and the report add to them."""
        return sum(
            count * self.seconds[model] for plan in self.plans.values() for model, count in plan.gradients.items()
        )


class Reproduction:
    """One reproduction in one directory. Raises ConfigurationError if the directory holds something else."""

    def __init__(self, config: ExperimentConfig, out: Path) -> None:
        self.config = config
        self.folder = ExperimentFolder(out)
        self.crafters = {name: Crafter(craft, self.folder.set(name)) for name, craft in sets(config)}

    def cost(self) -> Cost:
        """Count the gradients, and measure one of every model."""
        plans = {name: crafter.plan() for name, crafter in self.crafters.items()}
        crafter = next(iter(self.crafters.values()), None)
        return Cost(plans, {} if crafter is None else gradient_seconds(crafter))

    def run(self, resume: bool, progress: Progress) -> Experiment:
        """Make what is not there yet, and the report anew; returns the record of the whole."""
        experiment = self.opened(resume)
        for name, crafter in self.crafters.items():
            with self.timed(name):
                crafter.run(crafter.folder.root.exists(), staged(name, progress))
        if "maps" in self.config.parts and not (self.folder.maps / "maps.json").exists():
            with self.timed("maps"):
                make_maps(self.config, self.folder.maps, progress)
        with self.timed("report"):
            write_report(self.folder, progress)
        experiment = replace(self.folder.read(), complete=True)
        self.folder.write(experiment)
        return experiment

    def opened(self, resume: bool) -> Experiment:
        """The record on disk: a new one, or that of the same configuration."""
        root = self.folder.root
        if not self.folder.path.exists():
            if root.exists() and any(root.iterdir()):
                raise ConfigurationError(f"{root} is not empty and holds no reproduction", "choose another --out")
            fresh = Experiment(self.config, versions("torch", "numpy", "scipy"), revision(), machine())
            self.folder.write(fresh)
            return fresh
        found = self.folder.read()
        if found.config != self.config:
            raise ConfigurationError(f"{root} holds a reproduction with other options", "choose another --out")
        if not resume and not found.complete:
            raise ConfigurationError(f"{root} holds an unfinished reproduction", "continue it with --resume")
        return found

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the time that something takes to the record, also when it is interrupted."""
        started = time.monotonic()
        try:
            yield
        finally:
            found = self.folder.read()
            spent = found.seconds.get(name, 0.0) + time.monotonic() - started
            self.folder.write(replace(found, seconds={**found.seconds, name: round(spent, 1)}))


def staged(name: str, progress: Progress) -> Progress:
    """Progress that names the set."""
    return lambda stage, done, total: progress(f"{name}: {stage}", done, total)


def machine() -> str:
    """The machine, in words."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{platform.machine()}, {torch.get_num_threads()} threads{gpu}"


def gradient_seconds(crafter: Crafter) -> dict[str, float]:
    """Seconds per gradient to the image, of every model on the first image, after one to warm up."""
    image = torch.from_numpy(crafter.dataset[crafter.chosen[0]].image).permute(2, 0, 1)[None].float() / 255
    found = {}
    for model in crafter.models:
        x = image.to(model.mean.device).requires_grad_()
        for _ in range(2):
            started = time.monotonic()
            torch.autograd.grad(model(x).logsumexp(1).sum(), x)[0].sum().item()
            found[model.spec.name] = time.monotonic() - started
    return found
