"""What a crafting run works on: the images, victims, attacks and tasks that its configuration names."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from segeval.classes import ClassTable, class_difference, parse_task, same_classes
from segeval.corruptions import parse_corruptions
from segeval.datasets import Example, Size, open_dataset
from segeval.datasets.checked import CheckedDataset
from segeval.datasets.sizes import most_common, told_of_sizes
from segeval.errors import ConfigurationError, nearest
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, CraftConfig, DeployedFile, Grouping, Scope, SkippedSample, TaskRecord
from segeval.models import Segmenter, load_models
from segeval.models.cards.card import CARD_OF_CLASSES
from segeval.models.loading import named_specs
from segeval.models.segmenter import resizing
from segeval.models.soundness import answer, require_logits_of, require_repeatable, scale_of
from segeval.places import dataset_root

from ..attacks.fitted import Fitted
from ..attacks.specs import Trajectory, resolve
from ..attacks.victims import Attacked, Victims, attacked, together
from ..numerics import prepare_torch
from .deployed import attacked_bundle, open_deployed
from .jobs import Job, seed_of
from .samples import ImageFiles, attack_batch


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


class Setup:
    """What a crafting configuration names, opened and checked against each other: images, victims, attacks, tasks.

    Attributes:
        models: those of the configuration, where they are loaded already.
        size: (height, width) of the images, as another process has settled it; None to settle it here.
        notes: what a person should know of how images and labels are read.
    """

    def __init__(self, config: CraftConfig, models: Sequence[Segmenter] = (), size: Size | None = None) -> None:
        prepare_torch()
        self.config = config
        self.trajectories = resolve(config)
        self.corruptions = parse_corruptions(config.robust_to, "--robust-to")
        # What does not fit is told before networks are loaded.
        specs = [model.spec for model in models] or named_specs(config.models)
        bundle = attacked_bundle(config, [spec.name for spec in specs])
        self.specs = {spec.label: spec for trajectory in self.trajectories for spec in trajectory.specs}
        self.resize = resizing(specs)
        self.size = size or config.size
        self.dataset = self.opened(specs[0].table)
        self.chosen = chosen(self.dataset.ids, config)
        self.notes = (*self.dataset.notes, *(self.dataset.told_of(self.chosen) if size is None else ()))
        if size is None:
            self.settle_size(specs[0].table)
        self.models = list(models) or load_models(config.models, config.device)
        self.require_fit()
        table = self.dataset.table
        resolved = {task.name: task.resolve(table) for task in map(parse_task, config.tasks)}
        self.tasks = [TaskRecord(name, *goal) for name, goal in resolved.items()]
        self.notes += tuple(told_of_scopes(config.scopes, self.tasks, len(table)))
        for pattern in self.patterns:
            pattern.require_made_for(table, self.tasks)
        self.groups = groups(self.models, config.victims)
        self.deployed = open_deployed(config, bundle, self.models)

    def opened(self, table: ClassTable, split: str | None = None) -> CheckedDataset:
        """The dataset, its images brought to `size`. Raises DataError, ConfigurationError.

        Args:
            table: the classes of a dataset that does not say them.
            split: None for that of the configuration.
        """
        config, root = self.config, dataset_root(self.config.data_root)
        split = config.split if split is None else split
        return open_dataset(config.dataset, root, split, self.size, self.resize, table, config.ignore)

    def settle_size(self, table: ClassTable) -> None:
        """Bring images of different sizes to the most common one, if no size was asked for, and note what that does.

        Args:
            table: see `opened`.
        """
        sizes = self.dataset.sizes(self.chosen)
        if not sizes:
            return
        chosen_here = self.size is None
        self.size = self.size or most_common(sizes)
        told = told_of_sizes(sizes, self.size)
        if told and chosen_here:
            self.dataset = self.opened(table)
            told = f"{told}; that is the most common size"
        self.notes += (told,) if told else ()

    def require_fit(self) -> None:
        """Raise unless every victim knows the dataset's classes and suits the attacks, and no name is used twice."""
        attacks = [spec.label for trajectory in self.trajectories for spec in trajectory.specs]
        doubled = sorted({name for name in attacks if attacks.count(name) > 1})
        if doubled:
            raise ConfigurationError(f"attack {doubled[0]!r} is given more than once", "leave one of them out")
        for model in self.models:
            if not same_classes(model.spec.table, self.dataset.table):
                other = "choose a model made for these classes: segeval ls models"
                raise ConfigurationError(
                    f"{model.spec.name} knows the classes of {model.spec.table.name}, the dataset those of "
                    f"{self.dataset.table.name}: {class_difference(model.spec.table, self.dataset.table)}",
                    CARD_OF_CLASSES if model.record.card else other,
                )
        for trajectory in self.trajectories:
            require = getattr(trajectory.attack, "require", None)
            if require is not None and trajectory.specs[0].on in ("fp32", "both"):
                for model in self.models:
                    require(model)

    @property
    def deployed_files(self) -> tuple[DeployedFile, ...]:
        """The files that attacks are made on besides the networks."""
        return tuple(deployed.file for deployed in self.deployed.values())

    @property
    def said(self) -> list[str]:
        """What a person should know of how the networks were read."""
        return [line for model in self.models for line in model.said]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of images that lie beside those of the split and belong to other ones."""
        return tuple(self.dataset.left_out)

    def plan(self) -> CraftPlan:
        """Counts that an image without a source pixel, or an early stop, can only lower."""
        each = len(self.chosen) * len(self.tasks)
        gradients: Counter[str] = Counter()
        for victims in self.groups:
            for trajectory in self.trajectories:
                names = self.attacked(victims, trajectory).names
                gradients.update(dict.fromkeys(names, each * trajectory.specs[0].steps))
        return CraftPlan(len(self.chosen), each * len(self.specs) * len(self.groups), gradients)

    def jobs(self, files: Mapping[str, ImageFiles]) -> Iterator[Job]:
        """All batches, in the order of samples.jsonl; the configuration alone decides how images are batched."""
        for victims in self.groups:
            for trajectory in self.trajectories:
                for task in self.tasks:
                    key = (victims.name, task.name)
                    images = [name for name, file in files.items() if file.phi_pixels[key]]
                    for start in range(0, len(images), self.batch_size):
                        batch = tuple(images[start : start + self.batch_size])
                        yield Job(victims, self.attacked(victims, trajectory), trajectory, task, batch)

    def require_networks_for(self, first: Example) -> None:
        """Settle the scale of every network's logits by the first image.

        Raises ConfigurationError for a network or file that images of its size do not fit, EngineError for answers
        that are no logits, not finite, or different from call to call.
        """
        where, (height, width) = f"image {first.id}", first.image.shape[:2]
        for model in self.models:
            model.require_size(height, width, where)
            logits = answer(model, first.image, where)
            require_logits_of(model, logits)
            require_repeatable(model, first.image, logits, where)
            model.record = replace(model.record, logit_scale=scale_of(logits))
        for deployed in self.deployed.values():
            deployed.require_size(height, width, where)

    def require_unseen(self, example: Example) -> None:
        """Raise ConfigurationError for an image that a pattern was fitted on, or of another size than those."""
        for pattern in self.patterns:
            pattern.require_fit(example.id, example.image)

    @property
    def patterns(self) -> list[Fitted]:
        """The fitted patterns among the attacks."""
        attacks = (trajectory.attack for trajectory in self.trajectories)
        return [attack for attack in attacks if isinstance(attack, Fitted)]

    def attacked(self, victims: Victims, trajectory: Trajectory) -> Attacked:
        """What an attack on these victims is made on."""
        spec = trajectory.specs[0]
        corruptions = [each for each in self.corruptions if each.name in spec.robust_to]
        return attacked(victims, spec.on, spec.engines, self.deployed, corruptions)

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
        folder: SetFolder,
        job: Job,
        files: Mapping[str, ImageFiles],
        limits: Sequence[Sequence[float | None]],
        tick: Callable[[int], None],
    ) -> list[AdversarialSample]:
        """Carry out one job and save its images in a set.

        Args:
            folder: of the set.
            job: what to attack, and how.
            files: on disk, per image.
            limits: per image and spec, mean change that is allowed.
            tick: called with the number of steps taken.
        """
        attack = job.trajectory.specs[0].plain.label  # the same random numbers, whatever it is made on
        seeds = tuple(seed_of(self.config.seed, job.sample_id(image, attack)) for image in job.images)
        shown = self.models if self.config.transfer else job.victims.segmenters
        return attack_batch(folder, job, shown, [files[image] for image in job.images], limits, seeds, tick)

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
            raise ConfigurationError(f"{config.dataset} ({config.split}) has no image {name!r}", nearest(name, ids))
    return [places[name] for name in dict.fromkeys(config.ids)][: config.limit]


def spread(length: int, limit: int | None) -> list[int]:
    """`limit` indices spread evenly over a dataset, since neighbours in a video are nearly the same image."""
    if limit is None or limit >= length:
        return list(range(length))
    return [index * length // limit for index in range(limit)]


def told_of_scopes(scopes: Sequence[Scope], tasks: Sequence[TaskRecord], classes: int) -> Iterator[str]:
    """What to say of tasks that are about every class, whose φ is the whole image.

    Args:
        scopes: of the attacks.
        tasks: of the set.
        classes: number of classes of the dataset.
    """
    for task in tasks:
        if len(set(scopes)) > 1 and len(task.sources) == classes:
            yield f"{task.name} attacks nearly every pixel: --scope local and full are nearly the same, one is enough"
