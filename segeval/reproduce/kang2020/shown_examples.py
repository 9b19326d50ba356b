"""The samples that the pictures show: one image and one task, under every group of victims."""

from segeval.classes import CITYSCAPES, TABLES
from segeval.files.sets import AdversarialSample, FileRecord, Scope
from segeval.reproduce.kang2020.kang2020_records import SCOPES
from segeval.reproduce.kang2020.parts import Sources
from segeval.reproduce.kang2020.table1 import Counted, columns_of

Group = tuple[str, ...]


class Chosen:
    """Samples of the tanh method as published, and how label maps are painted.

    Attributes:
        counted: of Table 1, if it was made.
        models: all.
        outputs: class names of each.
        folder: of the samples.
        shown: by scope and victims.
        mapped: by model and image, those the gradient maps belong to.
        clean: by image.
    """

    def __init__(self, sources: Sources, counted: Counted | None) -> None:
        self.sources, self.folder, manifest = sources, sources.set(sources.first), sources.manifest
        if manifest is None:
            known = TABLES.get(sources.config.dataset)
            names = [text.partition("=")[0] for text in sources.config.models]
            self.table, self.outputs = known or CITYSCAPES, dict.fromkeys(names, known.names if known else ())
        else:
            self.table, self.outputs = manifest.table, {model.name: model.outputs for model in manifest.models}
        self.models: Group = tuple(sorted(self.outputs))
        self.shown: dict[tuple[Scope, Group], AdversarialSample] = {}
        self.mapped: dict[tuple[str, str], AdversarialSample] = {}
        self.clean: dict[str, FileRecord] = {}
        if manifest is not None:
            self._look_through_the_set(counted)

    def _look_through_the_set(self, counted: Counted | None) -> None:
        maps = self.sources.maps
        scopes = {counted.label("tanh", scope): scope for scope in SCOPES} if counted else {}
        gradients = {(each.model, each.image) for each in maps.gradients if each.gradient} if maps else set()
        progressing = {each.image for each in maps.progress} if maps else set()
        for sample in self.folder.samples():
            if sample.image in progressing:
                self.clean.setdefault(sample.image, sample.files["clean"])
            scope = scopes.get(sample.attack)
            if scope and counted and (sample.image, sample.task) == counted.first:
                self.shown[scope, sample.victims] = sample
            key = (sample.victims[0], sample.image)
            if scope == "full" and maps and sample.task == maps.task and len(sample.victims) == 1 and key in gradients:
                self.mapped[key] = sample

    def class_name(self, model: str, label: int) -> str:
        """What a model calls a label."""
        names = self.outputs.get(model, ())
        return names[label] if label < len(names) else f"class {label}"

    def samples(self, scope: Scope) -> list[AdversarialSample]:
        """What is shown of a scope: of each model by itself, then of all together."""
        groups = dict.fromkeys(victims for victims, _ in columns_of(self.models))
        return [self.shown[scope, victims] for victims in groups if (scope, victims) in self.shown]

    def describe(self) -> str:
        """Image, task and attack in words."""
        sample = next(iter(self.shown.values()))
        return f"Image {sample.image}, task {sample.task}, tanh method as published."
