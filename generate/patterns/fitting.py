"""From a configuration to a pattern on disk: its images, the fit, its score on them and on none of its content."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from segeval.errors import ConfigurationError, DataError, counted
from segeval.files.encoding import encode_sealed
from segeval.files.images import save_png
from segeval.files.new_folder import new_folder
from segeval.files.patterns import MANIFEST, Kind, PatternRecord
from segeval.files.provenance import revision, versions
from segeval.files.sets import CraftConfig, FileRecord
from segeval.files.storage import write_atomic
from segeval.models.soundness import naming_changes_in_place
from segeval.progress import Progress

from ..attacks.fitted import digest, settings_of, to_picture
from ..attacks.problem import Problem
from ..attacks.victims import attacked
from ..crafting.jobs import seed_of
from ..crafting.setup import Setup
from ..group import ALONE, Group
from ..numerics import naming_memory, one_thread
from .fit import Course, fit, success_on
from .forms import build_form, region_of
from .pictures import save_preview


@dataclass(frozen=True)
class Used:
    """An image that shows a source class. index: in its dataset."""

    index: int
    id: str
    digest: str


class Fitting:
    """One fit.

    Args:
        config: the images, networks, task, steps, batch size and seed; `attacks` is empty.
        kind: of the pattern.
        settings: KEY=VALUE.
        group: the processes that fit it, all with the same arguments. The leader alone writes.
    """

    def __init__(self, config: CraftConfig, kind: Kind, settings: tuple[str, ...], group: Group = ALONE) -> None:
        self.group = group
        self.kind, self.form = kind, build_form(kind, settings)
        if len(config.tasks) != 1 or len(config.on) != 1 or config.on[0] == "evasive":
            raise ConfigurationError("a pattern is fitted for one task, on fp32, int8 or both", "give one of each")
        self.setup = Setup(config)
        (self.victims,), (self.task,) = self.setup.groups, self.setup.tasks
        self.region = region_of(self.form, self.setup.dataset.table)
        self.size = self.setup.dataset[self.setup.chosen[0]].image.shape[:2]

    def run(
        self, out: Path, print_cm: float, progress: Progress, tell: Callable[[str], None] = lambda text: None
    ) -> PatternRecord:
        """Fit and save. Raises DataError if no image shows a source class, or if one has another size.

        Args:
            out: a new folder.
            print_cm: side of a printed patch.
            progress: called with the stage, what is done of it and its total.
            tell: called with what a person should know.
        """
        config = self.setup.config
        made = new_folder(out, "pattern", tell) if self.group.leads else nullcontext(out)
        with made as folder, one_thread(config.device), naming_memory(config.device):
            self.setup.require_networks_for(self.setup.dataset[self.setup.chosen[0]])
            self.require_same()
            images = self.images(progress)
            start = self.form.start(*self.size).to(self.setup.models[0].mean)
            values = self.fitted(images, start, progress)
            scores = self.scores(images, (values, start), progress)
            picture = to_picture(self.kind, values)

            def saved() -> PatternRecord:
                save_preview(folder, self.kind, picture, print_cm)
                record = self.record(images, scores, save_png(folder, "pattern.png", picture))
                write_atomic(folder / MANIFEST, encode_sealed(record, indent=2))
                return record

            return self.group.told(saved)

    def require_same(self) -> None:
        """Raise ConfigurationError if this process has other images, networks or versions than the leader."""
        own = {
            "images": [self.setup.dataset.ids[index] for index in self.setup.chosen],
            "models": [model.record for model in self.setup.models],
            "deployed": self.setup.deployed_files,
            "versions": versions("torch", "numpy", "pillow"),
        }
        leaders = self.group.told(lambda: own)
        self.group.require_same([name for name in own if own[name] != leaders[name]])

    def fitted(self, images: Sequence[Used], start: Tensor, progress: Progress) -> Tensor:
        """The values that were fitted on these images."""
        config = self.setup.config
        course = Course(config.steps, config.batch_size, config.seed)

        def problems(number: int, turn: int) -> Problem:
            return self.problem(images[number], turn)

        def tick(step: int) -> None:
            progress("fitting", step, config.steps)

        with naming_changes_in_place("+".join(model.record.name for model in self.setup.models)):
            return fit(self.form, problems, len(images), self.region, course, start, tick, self.group)

    def scores(self, images: Sequence[Used], patterns: Sequence[Tensor], progress: Progress) -> list[float]:
        """Mean success of each of several values on these images, with the same places and light."""
        own = []
        for done, image in self.group.share(enumerate(images, start=1)):
            problem = self.problem(image, 0)
            own.append([success_on(self.form, values, problem, self.region) for values in patterns])
            progress("scoring", done, len(images))
        found = self.group.gathered(own)
        progress("scoring", len(images), len(images))
        return [fmean(column) for column in zip(*found, strict=True)]

    def record(self, images: Sequence[Used], scores: Sequence[float], file: FileRecord) -> PatternRecord:
        """The manifest.

        Args:
            images: it was fitted on.
            scores: of the pattern, and of one without content.
            file: its picture.
        """
        success, blank = scores
        return PatternRecord(
            kind=self.kind,
            config=self.setup.config,
            parameters=settings_of(self.form),
            region=self.region,
            task=self.task,
            table=self.setup.dataset.table,
            models=tuple(model.record for model in self.setup.models),
            height=self.size[0],
            width=self.size[1],
            images=tuple(image.id for image in images),
            digests=tuple(image.digest for image in images),
            success=success,
            blank=blank,
            file=file,
            versions=versions("torch", "numpy", "pillow"),
            revision=revision(),
            deployed=self.setup.deployed_files,
        )

    def images(self, progress: Progress) -> list[Used]:
        """The images that show a source class. Raises DataError if none does, or if one has another size."""
        own: list[Used | None] = []
        total = len(self.setup.chosen)
        for done, index in self.group.share(enumerate(self.setup.chosen, start=1)):
            example = self.setup.dataset[index]
            if example.image.shape[:2] != self.size:
                raise DataError(
                    f"image {example.id} is {example.image.shape[0]}x{example.image.shape[1]}, the first one "
                    f"{self.size[0]}x{self.size[1]}",
                    f"bring them to one size: {self.setup.models[0].spec.size_option(*self.size)}",
                )
            shows = self.task.goal.phi(self.victims.predict(example.image)).any()
            own.append(Used(index, example.id, digest(example.image)) if shows else None)
            progress("clean predictions", done, total)
        found = [image for image in self.group.gathered(own) if image]
        progress("clean predictions", total, total)
        if not found:
            raise DataError(
                f"no pixel of {counted(total, 'image')} is predicted as a source class of {self.task.name}",
                "choose another --task, more images with --limit, or another split",
            )
        return found

    def problem(self, image: Used, turn: int) -> Problem:
        """An image as a problem of its own; read again each time, so that memory does not grow with their number."""
        pixels = self.setup.dataset[image.index].image
        predicted = self.victims.predict(pixels)
        config, device = self.setup.config, self.setup.models[0].mean.device
        networks = attacked(self.victims, config.on[0], config.engines, self.setup.deployed)
        return Problem(
            clean=torch.from_numpy(pixels).permute(2, 0, 1)[None].to(device).float() / 255,
            predicted=torch.from_numpy(predicted)[None].long().to(device),
            phi=torch.from_numpy(self.task.goal.phi(predicted))[None].to(device),
            goal=self.task.goal,
            scope="full",
            networks=networks.networks,
            seeds=(seed_of(config.seed, f"{image.id}/{turn}"),),
            steps=config.steps,
            outputs=networks.outputs,
            whole_levels=config.on != ("fp32",),
            dithered=config.on != ("fp32",),
        )
