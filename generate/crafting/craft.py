"""Crafting an adversarial set: from images, victims, attacks and tasks to a folder of measured samples."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segeval.classes import parse_task, same_classes
from segeval.datasets import Example, open_dataset
from segeval.errors import ConfigurationError, DataError
from segeval.files.exclusive import only_writer
from segeval.files.folders import require_own
from segeval.files.provenance import revision, versions
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, CraftConfig, Grouping, SkippedSample, TaskRecord
from segeval.files.storage import sha256_file
from segeval.models import Segmenter, load_models
from segeval.models.loading import load_spec
from segeval.models.names import parse_model
from segeval.models.segmenter import resizing
from segeval.models.soundness import answer, require_logits_of, require_repeatable, scale_of
from segeval.places import dataset_root
from segeval.progress import Progress

from ..attacks.specs import resolve
from ..attacks.victims import Victims, together
from ..numerics import naming_memory, one_thread, prepare_torch
from .clean_scores import CleanScores, told_of_resizing, told_of_scale
from .flatness import require_gradients
from .jobs import Job, seed_of
from .samples import ImageFiles, attack_batch, save_image
from .schedule import Schedule

MADE_FROM = ("table", "images", "models", "height", "width", "attacks", "tasks", "versions", "resize")
"""What decides the result besides the options."""
ELSE_NOTHING = "choose another --task, more images with --limit, or another split"
FOLDERS = ("clean", "truth", "prediction", "phi", "adversarial", "adversarial_prediction", "margin")


@dataclass(frozen=True)
class CraftPlan:
    """What a crafting run is about to do, before anything is computed. gradients: per model; all are upper bounds."""

    images: int
    samples_at_most: int
    gradients: Mapping[str, int]

    @property
    def gradients_at_most(self) -> int:
        """Gradients of all models."""
        return sum(self.gradients.values())


class Crafter:
    """One crafting run. Opens the dataset and the victims, and checks that they fit each other, when made.

    models: those of the configuration, where they are loaded already.
    """

    def __init__(self, config: CraftConfig, out: Path, models: Sequence[Segmenter] = ()) -> None:
        prepare_torch()
        self.config = config
        self.folder = SetFolder(out)
        self.trajectories = resolve(config)
        self.specs = {spec.label: spec for trajectory in self.trajectories for spec in trajectory.specs}
        specs = [model.spec for model in models] or [load_spec(parse_model(text).name) for text in config.models]
        self.resize = resizing(specs)
        self.dataset = open_dataset(
            config.dataset, dataset_root(config.data_root), config.split, config.size, self.resize
        )
        self.chosen = chosen(self.dataset.ids, config)
        self.models = list(models) or load_models(config.models, config.device)
        self.require_fit()
        table = self.dataset.table
        resolved = {task.name: task.resolve(table) for task in map(parse_task, config.tasks)}
        self.tasks = [TaskRecord(name, sources, target) for name, (sources, target) in resolved.items()]
        self.groups = groups(self.models, config.victims)

    def require_fit(self) -> None:
        """Raise unless every victim knows the dataset's classes and no name would be used twice."""
        attacks = [spec.label for trajectory in self.trajectories for spec in trajectory.specs]
        doubled = sorted({name for name in attacks if attacks.count(name) > 1})
        if doubled:
            raise ConfigurationError(f"attack {doubled[0]!r} is given more than once", "leave one of them out")
        for model in self.models:
            if not same_classes(model.spec.table, self.dataset.table):
                raise ConfigurationError(
                    f"{model.spec.name} knows the classes of {model.spec.table.name}, the dataset those of "
                    f"{self.dataset.table.name}",
                    "choose a model made for these classes: segeval ls models",
                )

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of images that lie beside those of the split and belong to other ones."""
        return tuple(getattr(self.dataset, "left_out", ()))

    def plan(self) -> CraftPlan:
        """Counts that an image without a source pixel, or an early stop, can only lower."""
        each = len(self.chosen) * len(self.tasks)
        steps = each * len(self.trajectories) * self.config.steps
        attacked = Counter(name for victims in self.groups for name in victims.names)
        gradients = {name: times * steps for name, times in attacked.items()}
        return CraftPlan(len(self.chosen), each * len(self.specs) * len(self.groups), gradients)

    def run(
        self, resume: bool, progress: Progress, workers: int = 1, tell: Callable[[str], None] = lambda text: None
    ) -> AdversarialSet:
        """Craft everything that is not there yet; returns the manifest of the complete set.

        workers: processes, which on a GPU share it; on the CPU their number changes no byte.
        tell: called with what a person should know of the networks before they are attacked.
        Raises ConfigurationError if the folder holds another set, or this one and `resume` is not given, or if another
        process is at it, or for a network that answers with probabilities; DataError for an image that cannot be used
        or has changed since the set was begun, or if no image has a source pixel; EngineError for a network whose
        answers are not finite or whose loss is flat, or if it takes more memory than there is.
        """
        require_own(self.folder.root, "set")
        with one_thread(self.config.device), naming_memory(self.config.device):
            fresh = self.manifest()  # refuses images that do not fit, before a folder is made for them
            with only_writer(self.folder.root, "set"):
                return self.run_alone(fresh, resume, progress, workers, tell)

    def run_alone(
        self, fresh: AdversarialSet, resume: bool, progress: Progress, workers: int, tell: Callable[[str], None]
    ) -> AdversarialSet:
        """See `run`. fresh: the manifest before the first image."""
        manifest = self.opened(fresh, resume)
        if manifest.complete:
            return manifest
        scores = CleanScores(self.dataset.table)
        files = self.save_images(scores, progress)
        for line in (told_of_resizing(self.models), *map(told_of_scale, self.models), *scores.told()):
            if line:
                tell(line)
        jobs = list(self.jobs(files))
        if not jobs:
            names = ", ".join(task.name for task in self.tasks)
            raise DataError(
                f"no pixel of {len(files)} image(s) is predicted as a source class of {names}: nothing to attack",
                " ".join(filter(None, (scores.doubt(), ELSE_NOTHING))),
            )
        require_gradients(self.folder, jobs, files)
        count = Schedule(self, jobs, files, progress).run(workers)
        skipped = tuple(self.skipped(files))
        done = replace(
            manifest,
            complete=True,
            sample_count=count,
            skipped=skipped,
            samples_sha256=sha256_file(self.folder.samples_path),
        )
        self.folder.write_manifest(done)
        return done

    def opened(self, fresh: AdversarialSet, resume: bool) -> AdversarialSet:
        """The manifest on disk: `fresh`, or that of the same configuration.

        A set of another configuration in which nothing was attacked yet, perhaps because it could not be, gives way.
        """
        root = self.folder.root
        if not self.folder.manifest_path.exists():
            self.folder.write_manifest(fresh)
            return fresh
        found = self.folder.manifest()
        if changed := differences(found, fresh):
            if not found.complete and not self.begun():
                self.clear()
                self.folder.write_manifest(fresh)
                return fresh
            raise ConfigurationError(*refusal(root, found, changed))
        if not resume and not found.complete:
            raise ConfigurationError(f"{root} holds an unfinished set", "continue it with --resume")
        return self.folder.complete_manifest() if found.complete else found

    def begun(self) -> bool:
        """Whether the folder holds at least one sample."""
        path = self.folder.samples_path
        return path.exists() and path.stat().st_size > 0

    def clear(self) -> None:
        """Remove what an earlier run prepared."""
        for name in FOLDERS:
            shutil.rmtree(self.folder.root / name, ignore_errors=True)

    def manifest(self) -> AdversarialSet:
        """The manifest before the first image, of the size of the first image."""
        first = self.dataset[self.chosen[0]]
        height, width = first.image.shape[:2]
        for model in self.models:
            model.require_size(height, width, f"image {first.id}")
            logits = answer(model, first.image, f"image {first.id}")
            require_logits_of(model, logits)
            require_repeatable(model, first.image, logits, f"image {first.id}")
            model.logit_scale = scale_of(logits)
        return AdversarialSet(
            config=self.config,
            table=self.dataset.table,
            height=height,
            width=width,
            images=tuple(self.dataset.ids[index] for index in self.chosen),
            models=tuple(model.record for model in self.models),
            attacks=tuple(self.specs.values()),
            tasks=tuple(self.tasks),
            versions=versions("torch", "numpy", "pillow"),
            revision=revision(),
            resize=self.resize,
        )

    def save_images(self, scores: CleanScores, progress: Progress) -> dict[str, ImageFiles]:
        """Save every clean image, its ground truth and predictions; what samples rest on must be as it was."""
        keep = self.begun()
        saved: dict[str, ImageFiles] = {}
        size: tuple[int, ...] | None = None
        for number, index in enumerate(self.chosen, start=1):
            example = self.dataset[index]
            size = size or example.image.shape
            require_size(example, size, self.dataset.ids[self.chosen[0]])
            files, predictions = save_image(self.folder, example, self.models, self.groups, self.tasks, keep)
            saved[example.id] = files
            scores.add(example, predictions)
            progress("clean predictions", number, len(self.chosen))
        return saved

    def jobs(self, files: Mapping[str, ImageFiles]) -> Iterator[Job]:
        """All batches, in the order of samples.jsonl; the configuration alone decides how images are batched."""
        for victims in self.groups:
            for trajectory in self.trajectories:
                for task in self.tasks:
                    key = (victims.name, task.name)
                    images = [name for name, file in files.items() if file.phi_pixels[key]]
                    for start in range(0, len(images), self.batch_size):
                        batch = tuple(images[start : start + self.batch_size])
                        yield Job(victims, trajectory, task, batch)

    @property
    def batch_size(self) -> int:
        """How many images are attacked together.

        On the CPU always one: it is as fast, and only so the last bit of a result does not depend on the batch, since
        PyTorch's threads divide a batch at places where its kernels round differently. On a GPU results of
        different batches agree up to rounding.
        """
        return 1 if self.on_cpu else self.config.batch_size

    @property
    def on_cpu(self) -> bool:
        """Whether attacks run on the CPU."""
        return self.models[0].mean.device.type == "cpu"

    def attack(
        self,
        job: Job,
        files: Mapping[str, ImageFiles],
        limits: Sequence[Sequence[float | None]],
        tick: Callable[[int], None],
    ) -> list[AdversarialSample]:
        """Carry out one job and save its images. limits: per image and spec, mean change that is allowed."""
        attack = job.trajectory.specs[0].label
        seeds = tuple(seed_of(self.config.seed, job.sample_id(image, attack)) for image in job.images)
        shown = self.models if self.config.transfer else job.victims.segmenters
        return attack_batch(self.folder, job, shown, [files[image] for image in job.images], limits, seeds, tick)

    def skipped(self, files: dict[str, ImageFiles]) -> Iterator[SkippedSample]:
        """What was not attacked because φ is empty."""
        for name, file in files.items():
            for victims in self.groups:
                for task in self.tasks:
                    if not file.phi_pixels[victims.name, task.name]:
                        yield SkippedSample(name, task.name, victims.names)


def groups(models: Sequence[Segmenter], groupings: Sequence[Grouping]) -> list[Victims]:
    """Who is attacked by one perturbation: each model by itself, all of them together, or both."""
    found: dict[str, Victims] = {}
    for grouping in groupings:
        for victims in [together([model]) for model in models] if grouping == "each" else [together(models)]:
            found.setdefault(victims.name, victims)  # a single model is itself and all of them
    return list(found.values())


def chosen(ids: Sequence[str], config: CraftConfig) -> list[int]:
    """Which images of a dataset are attacked. Raises ConfigurationError for an id that it does not have."""
    if not config.ids:
        return spread(len(ids), config.limit)
    places = {name: index for index, name in enumerate(ids)}
    for name in config.ids:
        if name not in places:
            raise ConfigurationError(f"{config.dataset} ({config.split}) has no image {name!r}", "check --image")
    return [places[name] for name in dict.fromkeys(config.ids)][: config.limit]


def spread(length: int, limit: int | None) -> list[int]:
    """`limit` indices spread evenly over a dataset, since neighbours in a video are nearly the same image."""
    if limit is None or limit >= length:
        return list(range(length))
    return [index * length // limit for index in range(limit)]


def require_size(example: Example, size: tuple[int, ...], first: str) -> None:
    """Raise DataError for an image of another size than the first."""
    if example.image.shape != size:
        shape = "x".join(map(str, example.image.shape[:2]))
        raise DataError(
            f"image {example.id} is {shape}, {first} is {size[0]}x{size[1]}; a set has one size",
            f"bring them to one size, for example --size {size[0]}x{size[1]}",
        )


def refusal(root: Path, found: AdversarialSet, changed: Sequence[str]) -> tuple[str, str]:
    """That a folder holds another set than the one asked for, and what to do. changed: see `differences`."""
    names = ", ".join(changed)
    if changed[0] not in MADE_FROM:
        what = f"{root} holds a set that was made with other options ({names})"
        return what, "choose another --out, or repeat the options of that set"
    usable = "; that one can still be deployed and evaluated" if found.complete else ""
    return (
        f"{root} holds a set of the same options that was made from something else ({names}): other files, or other "
        "versions of segeval or its libraries",
        f"choose another --out{usable}",
    )


def differences(found: AdversarialSet, fresh: AdversarialSet) -> list[str]:
    """Names of what decides the result and differs between two manifests."""
    options = [
        name for name in CraftConfig.__dataclass_fields__ if getattr(found.config, name) != getattr(fresh.config, name)
    ]
    inputs = [name for name in MADE_FROM if getattr(found, name) != getattr(fresh, name)]
    return options or inputs
