"""Table 1: the three attacks on each model by itself and on all together, and every image shown to every model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from segeval.evaluate.measure.bootstrap import derived
from segeval.evaluate.measure.curves import CurveTally
from segeval.files.sets import AdversarialSample, AdversarialSet, AttackSpec, Scope
from segeval.progress import Progress
from segeval.reproduce.kang2020.kang2020_records import METHODS, SCOPES, Cell, Method
from segeval.reproduce.kang2020.paper import paper_cell
from segeval.reproduce.kang2020.parts import Sources
from segeval.reproduce.kang2020.tallies import Tally

Key = tuple[str, tuple[str, ...], str, str | None]
"""Attack, victims, the model the images were shown to, and the task or None for all."""


def method_of(attack: AttackSpec) -> Method | None:
    """Which row of the table an attack of the set is; None if it is none."""
    if attack.attack == "fgsm" and attack.match:
        return "fgsm-as-tanh"
    if attack.preset != "paper" or attack.match or attack.within is not None:
        return None
    return {"fgsm": METHODS[0], "tanh": METHODS[1]}.get(attack.attack)


@dataclass
class Counted:
    """What one pass over the set found.

    Attributes:
        attacks: that are rows of the table, by label.
        first: image and task of the first sample of the joint attack, or of any if there is none.
    """

    manifest: AdversarialSet
    attacks: Mapping[str, tuple[Method, Scope]]
    tallies: dict[Key, Tally] = field(default_factory=dict)
    curves: CurveTally = field(default_factory=CurveTally)
    first: tuple[str, str] | None = None
    first_is_joint: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models, in the order of the victims of a joint attack."""
        return tuple(sorted(model.name for model in self.manifest.models))

    def see(self, sample: AdversarialSample) -> None:
        """Count one sample of the table's attacks."""
        for model in sample.counts:
            for task in (None, sample.task):
                key = (sample.attack, sample.victims, model, task)
                self.tallies.setdefault(key, Tally()).add(sample, model)
        if self.attacks[sample.attack][0] != "fgsm-as-tanh":
            self.curves.add(sample)
        joint = sample.victims == self.models
        if self.first is None or (joint and not self.first_is_joint):
            self.first, self.first_is_joint = (sample.image, sample.task), joint

    def label(self, method: Method, scope: Scope) -> str | None:
        """Label of an attack; None if the set does not have it."""
        return next((label for label, kind in self.attacks.items() if kind == (method, scope)), None)

    def tally(self, method: Method, scope: Scope, victims: tuple[str, ...], model: str) -> Tally | None:
        """Of all tasks; None if there is no such sample."""
        label = self.label(method, scope)
        return None if label is None else self.tallies.get((label, victims, model, None))


def count(sources: Sources, progress: Progress) -> Counted:
    """Read the set once, one sample at a time."""
    manifest = sources.manifests["table1"]
    counted = Counted(manifest, {a.label: (method, a.scope) for a in manifest.attacks if (method := method_of(a))})
    for done, sample in enumerate(sources.set("table1").samples()):
        progress("reading Table 1", done, manifest.sample_count)
        if sample.attack in counted.attacks:
            counted.see(sample)
    progress("reading Table 1", manifest.sample_count, manifest.sample_count)
    return counted


def columns_of(models: Sequence[str]) -> list[tuple[tuple[str, ...], str]]:
    """(victims, model) of the table's columns: each model by itself, then the joint attack read on each."""
    single: list[tuple[tuple[str, ...], str]] = [((model,), model) for model in models]
    return single if len(models) == 1 else single + [(tuple(models), model) for model in models]


def cells(counted: Counted, seed: int, progress: Progress) -> Iterator[Cell]:
    """All tasks together for every model that was shown an image, then every task by itself for the victims."""
    keys = sorted(
        (key for key in counted.tallies if key[3] is None or key[2] in key[1]), key=lambda key: place(counted, key)
    )
    for done, key in enumerate(keys):
        progress("intervals of Table 1", done, len(keys))
        yield cell(counted, key, seed)
    progress("intervals of Table 1", len(keys), len(keys))


def place(counted: Counted, key: Key) -> tuple[int, int, int, tuple[str, ...], str, int]:
    """Sort key of a cell: all tasks before single tasks, local before full, single before joint."""
    attack, victims, model, task = key
    method, scope = counted.attacks[attack]
    tasks = [None, *(each.name for each in counted.manifest.tasks)]
    return tasks.index(task), SCOPES.index(scope), len(victims), victims, model, METHODS.index(method)


def cell(counted: Counted, key: Key, seed: int) -> Cell:
    """One cell with every estimate."""
    attack, victims, model, task = key
    method, scope = counted.attacks[attack]
    tally = counted.tallies[key]
    shares: dict[str, Any] = tally.estimates(derived(seed, "table1", *key))  # each is a field of the cell
    skipped = {each.image for each in counted.manifest.skipped if each.victims == victims and task in (None, each.task)}
    return Cell(
        attack=attack,
        method=method,
        scope=scope,
        victims=victims,
        model=model,
        task=task,
        images=len(tally.sums),
        samples=tally.samples,
        skipped=len(skipped - tally.sums.keys()),
        linf=tally.linf,
        paper=paper_cell(method, scope, victims, model) if task is None else None,
        **shares,
    )
