"""Crafting an adversarial set: from images, victims, attacks and tasks to a folder of measured samples."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from segeval.datasets import Example
from segeval.errors import DataError, counted
from segeval.files.exclusive import only_writer
from segeval.files.folders import require_own
from segeval.files.held import held
from segeval.files.provenance import revision, versions
from segeval.files.refused import undone_if_refused
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet, CraftConfig, SkippedSample
from segeval.files.storage import sha256_file
from segeval.models import ModelSpec, Segmenter
from segeval.progress import Progress

from ..group import ALONE, Group
from ..numerics import naming_memory, one_thread
from .clean_scores import CleanScores, told_of_resizing, told_of_scale, told_of_size
from .continuing import MADE, begun, differences, opened
from .flatness import require_gradients
from .samples import ImageFiles, save_image
from .schedule import Schedule
from .setup import Setup

ELSE_NOTHING = "choose another --task, more images with --limit, or another split"


class Crafter:
    """One crafting run.

    Args:
        config: of the set.
        out: its folder.
        models: those of the configuration, where they are loaded already.
        group: the processes that craft it, all with the same arguments. The leader alone writes manifest and records.
    """

    def __init__(self, config: CraftConfig, out: Path, models: Sequence[Segmenter] = (), group: Group = ALONE) -> None:
        self.setup = Setup(config, models)
        self.folder = SetFolder(out)
        self.group = group

    def run(
        self, resume: bool, progress: Progress, workers: int = 1, tell: Callable[[str], None] = lambda text: None
    ) -> AdversarialSet:
        """Craft everything that is not there yet; returns the manifest of the complete set.

        Args:
            resume: go on with the set that is there.
            progress: called with the stage, what is done of it and its total.
            workers: processes, which on a GPU share it; on the CPU their number changes no byte. Of no use in a group.
            tell: called with what a person should know of the networks before they are attacked.

        Raises:
            ConfigurationError: if the folder holds another set, or this one and `resume` is not given, or if another
                process is at it, or for a network that answers with probabilities.
            DataError: for an image that cannot be used or has changed since the set was begun, or if no image has a
                source pixel.
            EngineError: for a network whose answers are not finite or whose loss is flat, if it takes more memory than
                there is, or if a process of the group is lost.
        """
        if self.group.leads:
            require_own(self.folder.root, "set")
        with one_thread(self.setup.config.device), naming_memory(self.setup.config.device):
            fresh = self.manifest()  # refuses images that do not fit, before a folder is made for them
            new = not self.folder.root.exists()
            with self.writing():
                manifest = self.group.told(lambda: opened(self.folder, fresh, resume))
                self.group.require_same(differences(manifest, fresh))
                if manifest.complete:
                    return manifest
                with self.undone(new):
                    return self.completed(manifest, progress, workers, tell)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the folder, which the leader makes and keeps other commands from."""
        with only_writer(self.folder.root, "set") if self.group.leads else nullcontext():
            self.group.told(lambda: None)
            with held(self.folder.root):
                yield

    def undone(self, new: bool) -> AbstractContextManager[None]:
        """Of the leader: remove what it made if its input is refused. new: whether it made the folder."""
        if not self.group.leads:
            return nullcontext()
        return undone_if_refused(self.folder.root, new, MADE, partial(begun, self.folder))

    def completed(
        self, manifest: AdversarialSet, progress: Progress, workers: int, tell: Callable[[str], None]
    ) -> AdversarialSet:
        """Craft what is missing; the manifest of the complete set.

        Args:
            manifest: as far as it is.
            progress: called with the stage, what is done of it and its total.
            workers: number of processes.
            tell: called with what a person should know.
        """
        scores = CleanScores(self.setup.dataset.table)
        files = self.save_images(scores, progress)
        for line in (
            told_of_size(self.setup.models, manifest) if self.setup.config.size is None else "",
            told_of_resizing(self.setup.models),
            *self.setup.said,
            *map(told_of_scale, self.setup.models),
            *scores.told(),
        ):
            if line:
                tell(line)
        jobs = list(self.setup.jobs(files))
        if not jobs:
            names, images = ", ".join(task.name for task in self.setup.tasks), counted(len(files), "image")
            raise DataError(
                f"no pixel of {images} is predicted as a source class of {names}: nothing to attack",
                " ".join(filter(None, (scores.doubt(), ELSE_NOTHING))),
            )
        self.group.told(lambda: require_gradients(self.folder, jobs, files))
        count = Schedule(self.setup, self.folder, jobs, files, progress, self.group).run(workers)
        skipped = tuple(self.setup.skipped(files))
        return self.group.told(lambda: self.finished(manifest, count, skipped))

    def finished(self, manifest: AdversarialSet, count: int, skipped: tuple[SkippedSample, ...]) -> AdversarialSet:
        """Write the manifest of the complete set.

        Args:
            manifest: that of the set so far.
            count: number of samples.
            skipped: what was not attacked.
        """
        done = replace(
            manifest,
            complete=True,
            sample_count=count,
            skipped=skipped,
            samples_sha256=sha256_file(self.folder.samples_path),
        )
        self.folder.write_manifest(done)
        return done

    def manifest(self) -> AdversarialSet:
        """The manifest before the first image, of the size of the first image."""
        first = self.setup.dataset[self.setup.chosen[0]]
        height, width = first.image.shape[:2]
        self.setup.require_networks_for(first)
        engines = () if self.setup.config.forward == "graph" else (self.setup.config.forward,)
        return AdversarialSet(
            config=self.setup.config,
            table=self.setup.dataset.table,
            height=height,
            width=width,
            images=tuple(self.setup.dataset.ids[index] for index in self.setup.chosen),
            models=tuple(model.record for model in self.setup.models),
            attacks=tuple(self.setup.specs.values()),
            tasks=tuple(self.setup.tasks),
            versions=versions("torch", "numpy", "pillow", *engines),
            revision=revision(),
            resize=self.setup.resize,
            deployed=self.setup.deployed_files,
        )

    def save_images(self, scores: CleanScores, progress: Progress) -> dict[str, ImageFiles]:
        """Save every clean image, its ground truth and predictions; what samples rest on must be as it was."""
        keep = self.group.told(lambda: begun(self.folder))
        own: list[ImageFiles] = []
        counted = CleanScores(scores.table)
        total, first = len(self.setup.chosen), self.setup.dataset[self.setup.chosen[0]]
        for number, index in self.group.share(enumerate(self.setup.chosen, start=1)):
            example = self.setup.dataset[index]
            require_size(example, first.image.shape, first.id, self.setup.models[0].spec)
            self.setup.require_unseen(example)
            files, predictions = save_image(
                self.folder, example, self.setup.models, self.setup.groups, self.setup.tasks, keep
            )
            own.append(files)
            counted.add(example, predictions)
            progress("clean predictions", number, total)
        scores.merge(self.group.each(counted))
        saved = {files.id: files for files in self.group.gathered(own)}
        if self.group.size > 1:
            progress("clean predictions", total, total)
        return saved


def require_size(example: Example, size: tuple[int, ...], first: str, spec: ModelSpec) -> None:
    """Raise DataError for an image of another size than the first. spec: of the network that takes them."""
    if example.image.shape != size:
        shape = "x".join(map(str, example.image.shape[:2]))
        raise DataError(
            f"image {example.id} is {shape}, {first} is {size[0]}x{size[1]}; a set has one size",
            f"bring them to one size: {spec.size_option(size[0], size[1])}",
        )
