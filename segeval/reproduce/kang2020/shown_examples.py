"""The samples that the pictures show: one image and one task, under every group of victims."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segeval.classes import CITYSCAPES, TABLES, ClassTable
from segeval.files.experiments import ExperimentConfig, Maps
from segeval.files.images import RgbImage
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, FileRecord, Scope
from segeval.metrics import Labels
from segeval.reproduce.kang2020.kang2020_records import SCOPES
from segeval.reproduce.kang2020.table1 import Counted

Group = tuple[str, ...]


@dataclass
class Chosen:
    """Samples of the tanh method as published, and how label maps are painted.

    models: all.   outputs: class names of each.   folder: of the set the samples and clean images are in.
    shown: by scope and victims.   mapped: by model and image, those the gradient maps belong to.   clean: by image.
    """

    models: Group
    table: ClassTable
    outputs: Mapping[str, tuple[str, ...]]
    folder: SetFolder | None = None
    shown: dict[tuple[Scope, Group], AdversarialSample] = field(default_factory=dict)
    mapped: dict[tuple[str, str], AdversarialSample] = field(default_factory=dict)
    clean: dict[str, FileRecord] = field(default_factory=dict)

    @property
    def groups(self) -> list[Group]:
        """Each model by itself, then all together."""
        single: list[Group] = [(model,) for model in self.models]
        return single if len(single) == 1 else [*single, self.models]

    def class_name(self, model: str, label: int) -> str:
        """What a model calls a label."""
        names = self.outputs.get(model, ())
        return names[label] if label < len(names) else f"class {label}"

    def image(self, record: FileRecord) -> RgbImage:
        """(H, W, 3) an image of the set."""
        assert self.folder is not None, "nothing was chosen from a set"
        return self.folder.image(record)

    def labels(self, record: FileRecord) -> Labels:
        """(H, W) a label map of the set."""
        assert self.folder is not None, "nothing was chosen from a set"
        return self.folder.labels(record)

    def describe(self) -> str:
        """Image, task and attack in words."""
        sample = next(iter(self.shown.values()))
        return f"Image {sample.image}, task {sample.task}, tanh method as published."


def choose(
    config: ExperimentConfig,
    source: tuple[SetFolder, AdversarialSet] | None,
    counted: Counted | None,
    maps: Maps | None,
) -> Chosen:
    """Read a set again for the samples that are shown. counted: of Table 1, if the set is it."""
    if source is None:
        models = tuple(sorted(text.partition("=")[0] for text in config.models))
        table = TABLES.get(config.dataset)
        return Chosen(models, table or CITYSCAPES, dict.fromkeys(models, table.names) if table else {})
    folder, manifest = source
    names = tuple(sorted(model.name for model in manifest.models))
    chosen = Chosen(names, manifest.table, {model.name: model.outputs for model in manifest.models}, folder)
    scopes = {counted.label("tanh", scope): scope for scope in SCOPES} if counted else {}
    gradients = {(each.model, each.image) for each in maps.gradients if each.gradient} if maps else set()
    progressing = {each.image for each in maps.progress} if maps else set()
    for sample in folder.samples():
        if sample.image in progressing:
            chosen.clean.setdefault(sample.image, sample.files["clean"])
        scope = scopes.get(sample.attack)
        if scope and counted and (sample.image, sample.task) == counted.first:
            chosen.shown[scope, sample.victims] = sample
        key = (sample.victims[0], sample.image)
        if scope == "full" and maps and sample.task == maps.task and len(sample.victims) == 1 and key in gradients:
            chosen.mapped[key] = sample
    return chosen
