"""One pass over a set and its replays: a few samples in memory at a time, numbers kept."""

from collections import Counter
from dataclasses import dataclass, field

from segeval.errors import DataError
from segeval.files.sets import AdversarialSample
from segeval.progress import Progress

from .breakdown import BreakdownTally
from .clean import CleanTally
from .curves import CurveTally
from .inputs import Sources
from .looking import Looked
from .report_records import DESKTOP
from .row_key import RowKey
from .several_processes import looked_at
from .survival import SampleCounts
from .under_attack import UnderAttackTally


@dataclass
class Counted:
    """What the pass found.

    Attributes:
        missing: samples that an unfinished replay lacks, per row.
        attacked: images of the set that have a sample, replayed or not.
        breakdown: of engines as they ship.
    """

    under_attack: UnderAttackTally
    rows: list[SampleCounts] = field(default_factory=list)
    clean: dict[tuple[str, str], CleanTally] = field(default_factory=dict)
    curves: CurveTally = field(default_factory=CurveTally)
    breakdown: BreakdownTally = field(default_factory=BreakdownTally)
    missing: Counter[RowKey] = field(default_factory=Counter)
    attacked: set[str] = field(default_factory=set)

    def add(self, sample: AdversarialSample, looked: Looked) -> None:
        """Add what is shown of a sample."""
        self.attacked.add(sample.image)
        self.curves.add(sample)
        self.missing.update(looked.missing)
        for sight in looked.sights:
            key = sight.key
            self.clean[key.model, key.engine].add(sample.image, sight.clean)
            self.under_attack.add(key, sample.image, sight.clean_seen, sight.seen, sight.hit, sight.phi)
            if sight.row is not None:
                self.rows.append(sight.row)
            if sight.bins is not None:
                self.breakdown.add(sample, key, sight.bins)


def count_everything(sources: Sources, progress: Progress, workers: int | None = 1) -> Counted:
    """Count every sample on every engine of its models.

    Raises DataError or IntegrityError naming the file or input that cannot be used, DataError if nothing was counted,
    EngineError if a process was killed.

    Args:
        sources: what is counted.
        progress: called with how many samples are done.
        workers: as of `how_many`; the counts do not depend on it.
    """
    counted = Counted(UnderAttackTally(sources.manifest))
    for model in sources.models.values():
        classes = len(sources.manifest.table)
        engines = [engine for engine in sources.engines if engine.model == model.name]
        for name, precision in [(DESKTOP, "fp32")] * bool(engines) + [(e.label, e.record.precision) for e in engines]:
            counted.clean[model.name, name] = CleanTally(model.name, name, precision, classes)
    for done, (sample, looked) in enumerate(looked_at(sources, workers)):
        progress("counting", done, sources.manifest.sample_count)
        counted.add(sample, looked)
    progress("counting", sources.manifest.sample_count, sources.manifest.sample_count)
    if not counted.rows:
        raise DataError(
            "no sample of the set was run by any of these replays", "finish segeval replay, then evaluate again"
        )
    return counted
