"""What the network and its engines show of one sample, as numbers: nothing is added up here, and no map is kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from segeval.errors import IntegrityError
from segeval.files.npy import Margins
from segeval.files.sets import AdversarialSample
from segeval.metrics import Labels, Mask, count_attack

from .clean import CleanCounts
from .decomposition import Counts, Decomposition, Shape
from .inputs import Engine, Sources
from .report_records import DESKTOP
from .row_key import RowKey
from .survival import LabelMaps, SampleCounts, count_sample
from .under_attack import Reference, Seen

REMEMBERED = 1024
"""Clean images, each on one engine, whose counts are kept at hand: the next samples are about the same ones."""

CleanSight = tuple[CleanCounts, Seen]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one engine, or the desktop, shows of one sample.

    Attributes:
        key: its row.
        hit, phi: pixels of φ that are hit, and all.
        clean: the clean image.
        clean_seen, seen: the clean and the adversarial image against their reference.
        row: the sample's counts; None on the desktop.
        bins: pixels of φ per bin, of engines as they ship.
    """

    key: RowKey
    hit: int
    phi: int
    clean: CleanCounts
    clean_seen: Seen
    seen: Seen
    row: SampleCounts | None = None
    bins: Counts | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What is shown of one sample. missing: rows that an unfinished replay lacks it for."""

    sights: list[Sight] = field(default_factory=list)
    missing: list[RowKey] = field(default_factory=list)


class Looker:
    """Looks at the samples of a set, one after the other."""

    def __init__(self, sources: Sources) -> None:
        self.sources = sources
        self.classes = len(sources.manifest.table)
        self._clean: dict[tuple[str, str, str], CleanSight] = {}

    def look(self, sample: AdversarialSample) -> Looked:
        """What is shown of a sample.

        Raises DataError or IntegrityError naming the file or input that cannot be used.
        """
        looked, phi = Looked(), self.sources.phi(sample)
        shape, reference = Shape.of(phi), self.sources.reference(sample)
        for model, engines in self.sources.evaluated(sample):
            found = OnModel(self, sample, model, shape, reference)
            looked.sights.append(found.desktop)
            for engine in engines:
                if engine.pending(engine.clean_key(sample.image)) or engine.pending(engine.adversarial_key(sample.id)):
                    looked.missing.append(found.desktop.key.on(engine.label))
                else:
                    looked.sights.append(found.on(engine))
        return looked

    def clean_sight(self, place: tuple[str, str, str], count: Callable[[], CleanSight]) -> CleanSight:
        """Counts of a clean image on one engine, made once where they are still at hand.

        Args:
            place: model, engine, image.
            count: makes them.
        """
        if place not in self._clean:
            if len(self._clean) >= REMEMBERED:
                del self._clean[next(iter(self._clean))]
            self._clean[place] = count()
        return self._clean[place]


class OnModel:
    """A sample on one network; `desktop` is what the network itself shows."""

    def __init__(
        self, looker: Looker, sample: AdversarialSample, model: str, shape: Shape, reference: Labels | None
    ) -> None:
        sources = looker.sources
        self._looker, self._sample, self._shape, self._reference = looker, sample, shape, reference
        self._model, self._task, self._phi = model, sources.tasks[sample.task], shape.phi
        self._truth = sources.truth(sample)
        self._clean = sources.desktop(sample, model, adversarial=False)
        self._adversarial = sources.desktop(sample, model, adversarial=True)
        self._require_recorded()
        won = self._task.goal.reached(self._adversarial, reference)[self._phi]
        self._margins = margins_of(sources, sample, model, won)
        self._against = own = Reference.of(self._truth, self._clean, looker.classes)
        clean, clean_seen = self._clean_sight(DESKTOP, self._clean, lambda: own.seen(self._clean))
        key = RowKey(model, sample.victims, sample.attack, sample.task, DESKTOP)
        seen = own.seen(self._adversarial, (clean_seen, self._clean))
        self.desktop = Sight(key, int(np.count_nonzero(won)), won.size, clean, clean_seen, seen)
        outputs = len(sources.models[model].outputs)
        self._parts = Decomposition(
            shape, self._clean, self._adversarial, self._margins, self._task.goal, outputs, reference
        )

    def _require_recorded(self) -> None:
        recorded = self._sample.counts.get(self._model)
        counted = count_attack(self._adversarial, self._phi, self._task.goal, self._truth, self._reference)
        if recorded and recorded != counted:
            what = f"sample {self._sample.id}: its label maps give other counts than samples.jsonl"
            raise IntegrityError(what, "craft the set again")

    def _clean_sight(self, engine: str, labels: Labels, seen: Callable[[], Seen]) -> CleanSight:
        def count() -> CleanSight:
            return CleanCounts.of(labels, self._clean, self._truth, self._looker.classes), seen()

        return self._looker.clean_sight((self._model, engine, self._sample.image), count)

    def on(self, engine: Engine) -> Sight:
        """What an engine shows."""
        shape, sample, own = self._looker.sources.shape, self._sample, self._against
        clean = engine.labels(engine.clean_key(sample.image), shape)
        adversarial = engine.labels(engine.adversarial_key(sample.id), shape)
        near = (self.desktop.clean_seen, self._clean)
        counts, clean_seen = self._clean_sight(engine.label, clean, lambda: own.seen(clean, near))
        maps = LabelMaps(
            self._phi,
            self._truth,
            self._clean,
            self._adversarial,
            clean,
            adversarial,
            self._margins,
            self._reference,
            bool(engine.corruption),
        )
        row = count_sample(sample, self._task, self._model, engine.label, maps)
        seen = own.seen(adversarial, (self.desktop.seen, self._adversarial))
        sight = Sight(row.key, row.engine_hit, row.phi, counts, clean_seen, seen, row)
        return replace(sight, bins=self._parts.count(adversarial)) if engine.ships else sight


def margins_of(sources: Sources, sample: AdversarialSample, model: str, won: Mask) -> Margins | None:
    """Margins of a model, None in a set without them. won: of the pixels of φ, where they have to be positive."""
    record = sample.files.get(f"margin:{model}")
    if record is None:
        return None
    margins = sources.folder.margins(record)
    if not np.array_equal(margins > 0, won):
        raise IntegrityError(f"{record.path}: its margins are not those of sample {sample.id}", "craft the set again")
    return margins
