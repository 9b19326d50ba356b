"""Checks that the records of a set agree with each other, before anything is counted.

Hashes cannot show that: a set assembled by hand, or from two versions, has correct ones too.
"""

import re
from collections.abc import Hashable, Iterator
from math import sqrt

from segeval.errors import FormatError
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, Norms, Step

HINT = "the set was not written by segeval craft, or was changed; craft it again"
LEVELS = 255
MOST_SIDE = 65_536
SMALLEST_SCALE = 1e-30


def require_consistent_set(manifest: AdversarialSet, where: str) -> None:
    """Raise FormatError if two entries share a name, a name is no file name, or something is outside of what can be.

    That is: a task of a class that the table lacks, a size that no image has, logits scaled by no positive number.
    """
    for what, names in (
        ("models", [model.name for model in manifest.models]),
        ("attacks", [attack.label for attack in manifest.attacks]),
        ("tasks", [task.name for task in manifest.tasks]),
        ("images", list(manifest.images)),
    ):
        if len(set(names)) < len(names):
            raise FormatError(f"{where}: two {what} have the same name", HINT)
    for name in (*(model.name for model in manifest.models), *manifest.images):
        if not name or any(part.startswith(".") for part in re.split(r"[/\\]", name)):
            raise FormatError(f"{where}: {name!r} cannot be the name of a file", HINT)
    if not (1 <= manifest.height <= MOST_SIDE and 1 <= manifest.width <= MOST_SIDE):
        raise FormatError(f"{where}: images of {manifest.height}x{manifest.width} are not possible", HINT)
    for model in manifest.models:
        if not SMALLEST_SCALE <= model.logit_scale <= 1 / SMALLEST_SCALE:
            raise FormatError(f"{where}: the logits of {model.name} cannot be scaled by {model.logit_scale}", HINT)
    for task in manifest.tasks:
        wanted = () if task.target is None else (task.target,)
        if not all(0 <= label < len(manifest.table) for label in (*task.sources, *wanted)):
            what = f"{where}: the task {task.name!r} names a class that the table {manifest.table.name} does not have"
            raise FormatError(what, HINT)
        if (task.kind == "class") != (task.target is not None):
            raise FormatError(
                f"{where}: the task {task.name!r} is of the kind {task.kind!r}, its target {task.target}", HINT
            )


def consistent_samples(folder: SetFolder, manifest: AdversarialSet) -> Iterator[AdversarialSample]:
    """The samples of a set in order, each once it proved to be about what the manifest names, and no sample came twice.

    Raises FormatError.
    """
    known = {
        "image": set(manifest.images),
        "task": {task.name for task in manifest.tasks},
        "attack": {attack.label for attack in manifest.attacks},
        "victim": {model.name for model in manifest.models},
    }
    seen: set[Hashable] = set()
    number = 0
    for number, sample in enumerate(folder.samples(), start=1):
        where = f"{folder.samples_path}:{number}"
        for kind, names in (
            ("image", (sample.image,)),
            ("task", (sample.task,)),
            ("attack", (sample.attack,)),
            ("victim", sample.victims),
        ):
            strange = [name for name in names if name not in known[kind]]
            if strange:
                raise FormatError(f"{where}: the {kind} {strange[0]!r} is not in set.json", HINT)
        for name in ("clean", "adversarial", "phi"):
            if name not in sample.files:
                raise FormatError(f"{where}: it has no file {name!r}", HINT)
        _require_sizes(sample, manifest.height * manifest.width, where)
        _require_new(sample, seen, where)
        yield sample
    if number != manifest.sample_count:
        raise FormatError(f"{folder.samples_path} has {number} samples, set.json says {manifest.sample_count}", HINT)


def _require_new(sample: AdversarialSample, seen: set[Hashable], where: str) -> None:
    """Note a sample's id and what it is about. Raises FormatError if one came before: its pixels would count twice."""
    subject = (sample.image, sample.task, sample.attack, sample.victims)
    for what, value in (("id", sample.id), ("image, task, attack and victims", subject)):
        if value in seen:
            raise FormatError(f"{where}: an earlier sample has the same {what}", HINT)
        seen.add(value)


def _require_sizes(sample: AdversarialSample, pixels: int, where: str) -> None:
    """Raise FormatError for a perturbation that no 8-bit image has, or a curve that lacks a model."""
    norms: Norms = sample.norms
    sizes: list[Norms | Step] = [norms, *sample.curve]
    if not all(0 <= size.mean <= LEVELS and 0 <= size.mean_phi <= LEVELS for size in sizes):
        raise FormatError(f"{where}: a mean change is outside 0–{LEVELS} levels", HINT)
    if not 0 <= norms.linf <= LEVELS or not 0 <= norms.l2 <= LEVELS * sqrt(3 * pixels):
        raise FormatError(f"{where}: no image of this size changes by linf {norms.linf}, l2 {norms.l2:g}", HINT)
    if any(step.counts.keys() != sample.curve[0].counts.keys() for step in sample.curve):
        raise FormatError(f"{where}: the steps of its curve are not about the same models", HINT)
