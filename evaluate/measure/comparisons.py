"""Which rows of a report are compared with each other, and what came of it.

Every comparison is one more chance of a false alarm, and the correction for their number costs power. So there are few,
each the answer to a question a reader has, over all tasks together, for the networks an attack was made for:

* what a precision costs the attack: the first engine of a replay against its others;
* what another machine changes: an engine against the same one of a later replay;
* what another calibration changes: against the first one of that precision, the one that ships;
* what a corruption changes: against the same engine on images as they are, in the coarsest precision;
* which attack survives better: every two attacks with the same victims, on the coarsest engine alone;
* what an attacker gains who has the engine: an attack made on the float network against the same one made on deployed
  files, on every engine (the adaptive gap).

All but the last are asked of attacks that were made on the float network alone.

Calibrations of a part of the network are ranked elsewhere and compared with nothing here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Literal

from segeval.files.sets import AttackSpec
from segeval.progress import Progress

from .bootstrap import derived
from .paired import can_be_significant, compare, holm, paired_values, permutations_for
from .paired_records import Paired
from .report_records import Comparison, EngineSummary
from .report_rows import ReportRows, coarsest_engine
from .row_key import RowKey
from .statistics import QUANTITIES
from .survival import SampleCounts
from .within_noise import noise_floor

BETWEEN_ENGINES = ("survival", "engine_success", "engine_accuracy")
BETWEEN_ATTACKS = ("survival", "engine_success")


@dataclass(frozen=True)
class Question:
    """What is compared.

    Attributes:
        first, second: rows of one model, with attacks on the same victims.
        floor: of noise.
    """

    between: Literal["engines", "attacks", "adaptive"]
    first: RowKey
    second: RowKey
    quantity: str
    floor: float | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """What tells it from every other of its report."""
        one, other = self.first, self.second
        about = (self.between, one.model, one.victims, one.task, self.quantity)
        return (*about, one.attack, one.engine, other.attack, other.engine)

    def answered(self, paired: Paired, p_holm: float | None) -> Comparison:
        """The record of what came of it."""
        return Comparison(
            between=self.between,
            model=self.first.model,
            victims=self.first.victims,
            task=self.first.task,
            quantity=self.quantity,
            first_attack=self.first.attack,
            first_engine=self.first.engine,
            second_attack=self.second.attack,
            second_engine=self.second.engine,
            paired=paired,
            p_holm=p_holm,
            noise_floor=self.floor,
        )


def comparisons(
    counts: Sequence[SampleCounts], rows: ReportRows, attacks: Sequence[AttackSpec], seed: int, progress: Progress
) -> tuple[Comparison, ...]:
    """Every comparison of a report, with p-values that are corrected for their number.

    Args:
        counts: of every sample on every engine.
        rows: of the report.
        attacks: of the set.
        seed: of the resampling.
        progress: called with the stage, what is done of it and its total.
    """
    samples: dict[RowKey, list[SampleCounts]] = {}
    for row in counts:
        samples.setdefault(row.key.over_tasks(), []).append(row)
    asked = [*plan(rows.on_network), *adaptive_questions(rows, attacks)]
    permutations = permutations_for(len(asked))
    found = []
    for done, each in enumerate(asked, start=1):
        first, second = (samples[key.over_tasks()] for key in (each.first, each.second))
        values = paired_values(first, second, QUANTITIES[each.quantity])
        found.append(compare(*values, derived(seed, "comparison", *each.identity), permutations))
        progress("comparing", done, len(asked))
    corrected = holm([paired.p for paired in found])
    return tuple(each.answered(paired, p) for each, paired, p in zip(asked, found, corrected, strict=True))


def decidable(compared: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Those that could come out significant: not on too few images, nor as one of too many tests."""
    tested = [pair for pair in compared if pair.p_holm is not None]
    return tuple(pair for pair in tested if can_be_significant(pair.paired.images, len(tested)))


def undecidable(compared: Sequence[Comparison]) -> bool:
    """Whether none of these could come out significant."""
    return not decidable(compared)


def plan(rows: ReportRows) -> Iterator[Question]:
    """What is compared but for `adaptive_questions`. rows: of attacks that were made on the network."""
    for model in dict.fromkeys(row.model for row in rows.own):
        about = rows.about(model)
        for victims in dict.fromkeys(row.victims for row in about.own):
            yield from _plan([row.key for row in about.own if row.victims == victims], about.engines)


def float_attacks(attacks: Sequence[AttackSpec]) -> dict[str, str]:
    """Of each attack that was made on deployed files, by label, the label of the same one made on the float network."""
    labels = {spec.label for spec in attacks}
    found = {spec.label: spec.on_float.label for spec in attacks if spec.on_files}
    return {label: other for label, other in found.items() if other in labels}


def adaptive_questions(rows: ReportRows, attacks: Sequence[AttackSpec]) -> Iterator[Question]:
    """What is gained by making an attack on deployed files, on every whole engine and images as they are."""
    whole = {engine.label for engine in rows.uncorrupted.engines if not engine.is_partial}
    keys = {row.key for row in rows.own}
    pairs = float_attacks(attacks)
    for key in (row.key for row in rows.own if row.attack in pairs and row.engine in whole):
        first = replace(key, attack=pairs[key.attack])
        if first in keys:
            yield Question("adaptive", first, key, "engine_success")


def _plan(keys: Sequence[RowKey], engines: Sequence[EngineSummary]) -> Iterator[Question]:
    """keys: of one model and of attacks on the same victims. engines: of the model."""
    attacks = dict.fromkeys(key.over_engines() for key in keys)
    for attack in attacks:
        present = [each for each in engines if attack.on(each.label) in keys and not each.is_partial]
        for first, second in engine_pairs(present):
            sides = attack.on(first.label), attack.on(second.label)
            floor = noise_floor(first, second)
            yield from (Question("engines", *sides, quantity, floor) for quantity in BETWEEN_ENGINES)
    labels = {key.engine for key in keys}
    coarsest = coarsest_engine([each for each in engines if each.label in labels])
    if coarsest is not None:
        shown = [key for attack in attacks if (key := attack.on(coarsest.label)) in keys]
        for sides in combinations(shown, 2):
            yield from (Question("attacks", *sides, quantity) for quantity in BETWEEN_ATTACKS)


def engine_pairs(engines: Sequence[EngineSummary]) -> Iterator[tuple[EngineSummary, EngineSummary]]:
    """The engines of one model that are compared, reference first.

    Args:
        engines: with results, in the report's order.
    """
    shipping = [engine for engine in engines if engine.ships]
    hardest = coarsest_engine(engines)
    for engine in engines:
        here = [other for other in shipping if other.replay == engine.replay]
        same = [other for other in shipping if other.kind == engine.kind]
        if engine.corruption and (engine.variant or hardest is None or engine.precision != hardest.precision):
            continue
        if engine.corruption or engine.variant:
            references = [other for other in same if other.replay == engine.replay][:1]
        else:
            references = here[:1] + same[:1]
        yield from ((other, engine) for other in references if other is not engine)
