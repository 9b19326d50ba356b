"""Which rows of a report are compared with each other, and what came of it.

Every comparison is one more chance of a false alarm, and the correction for their number costs power. So there are few,
each the answer to a question a reader has, over all tasks together, for the networks an attack was made for:

* what a precision costs the attack: the first engine of a replay against its others;
* what another machine changes: an engine against the same one of a later replay;
* what another calibration changes: against the first one of that precision, the one that ships;
* what a corruption changes: against the same engine on images as they are, in the coarsest precision;
* which attack survives better: every two attacks with the same victims, on the coarsest engine alone.

Calibrations of a part of the network are ranked elsewhere and compared with nothing here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations

from segeval.precision import PRECISION_ORDER
from segeval.progress import Progress

from .bootstrap import derived
from .engines import is_partial, ships, together, variant_of
from .paired import can_be_significant, compare, holm, paired_values, permutations_for
from .report_records import Comparison, EngineSummary, SurvivalRow
from .statistics import QUANTITIES
from .survival import SampleCounts
from .within_noise import noise_floor

BETWEEN_ENGINES = ("survival", "engine_success", "engine_accuracy")
BETWEEN_ATTACKS = ("survival", "engine_success")

Target = tuple[str, tuple[str, ...]]
"""A model, and the victims of the attacks on it."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison."""

    attack: str
    engine: str


def comparisons(
    counts: Sequence[SampleCounts],
    survival: Sequence[SurvivalRow],
    engines: Sequence[EngineSummary],
    seed: int,
    progress: Progress,
) -> tuple[Comparison, ...]:
    """Every comparison of a report, with p-values that are corrected for their number.

    counts: of every sample on every engine.   survival, engines: of the report.   seed: of the resampling.
    """
    samples: dict[tuple[Target, Side], list[SampleCounts]] = {}
    for row in counts:
        samples.setdefault(((row.model, row.victims), Side(row.attack, row.engine)), []).append(row)
    planned = list(plan(survival, engines))
    permutations = permutations_for(len(planned))
    found = []
    for done, pair in enumerate(planned, start=1):
        target = pair.model, pair.victims
        first = samples[target, Side(pair.first_attack, pair.first_engine)]
        second = samples[target, Side(pair.second_attack, pair.second_engine)]
        values = paired_values(first, second, QUANTITIES[pair.quantity])
        measured = compare(*values, derived(seed, "comparison", *identity(pair)), permutations)
        found.append(replace(pair, **asdict(measured)))
        progress("comparing", done, len(planned))
    corrected = holm([pair.p for pair in found])
    return tuple(replace(pair, p_holm=p) for pair, p in zip(found, corrected, strict=True))


def identity(pair: Comparison) -> tuple[object, ...]:
    """What tells a comparison from every other of its report."""
    about = (pair.between, pair.model, pair.victims, pair.task, pair.quantity)
    return (*about, pair.first_attack, pair.first_engine, pair.second_attack, pair.second_engine)


def undecidable(compared: Sequence[Comparison]) -> bool:
    """Whether none of these could come out significant: on too few images, or as one of too many tests."""
    tested = [pair for pair in compared if pair.p_holm is not None]
    return not any(can_be_significant(pair.images, len(tested)) for pair in tested)


def plan(survival: Sequence[SurvivalRow], engines: Sequence[EngineSummary]) -> Iterator[Comparison]:
    """What is compared, not yet measured."""
    rows = [row for row in survival if row.model in row.victims]
    for target in dict.fromkeys((row.model, row.victims) for row in rows):
        own = together([row for row in rows if (row.model, row.victims) == target])
        summaries = {engine.label: engine for engine in engines if engine.model == target[0]}
        for attack in dict.fromkeys(row.attack for row in own):
            labels = {row.engine for row in own if row.attack == attack}
            present = [each for label, each in summaries.items() if label in labels and not is_partial(each)]
            for first, second in engine_pairs(present):
                sides = Side(attack, first.label), Side(attack, second.label)
                floor = noise_floor(first, second)
                yield from (unmeasured(own[0], quantity, *sides, floor) for quantity in BETWEEN_ENGINES)
        engine = coarsest([summaries[label] for label in dict.fromkeys(row.engine for row in own)])
        if engine is None:
            continue
        attacks = [row.attack for row in own if row.engine == engine.label]
        for one, other in combinations(dict.fromkeys(attacks), 2):
            sides = Side(one, engine.label), Side(other, engine.label)
            yield from (unmeasured(own[0], quantity, *sides) for quantity in BETWEEN_ATTACKS)


def unmeasured(row: SurvivalRow, quantity: str, first: Side, second: Side, floor: float | None = None) -> Comparison:
    """A comparison whose numbers are still unknown. floor: of noise, of two engines."""
    return Comparison(
        between="engines" if first.attack == second.attack else "attacks",
        model=row.model,
        victims=row.victims,
        task=row.task,
        quantity=quantity,
        first_attack=first.attack,
        first_engine=first.engine,
        second_attack=second.attack,
        second_engine=second.engine,
        images=0,
        left_out=0,
        first=None,
        second=None,
        difference=None,
        low=None,
        high=None,
        test="",
        p=None,
        p_holm=None,
        noise_floor=floor,
    )


def coarsest(engines: Sequence[EngineSummary]) -> EngineSummary | None:
    """The first engine of the coarsest precision that ships; None if none does."""
    shipping = [engine for engine in engines if ships(engine)]
    return min(shipping, key=lambda engine: PRECISION_ORDER.index(engine.precision), default=None)


def engine_pairs(engines: Sequence[EngineSummary]) -> Iterator[tuple[EngineSummary, EngineSummary]]:
    """The engines of one model that are compared, reference first. engines: with results, in the report's order."""
    shipping = [engine for engine in engines if ships(engine)]
    hardest = coarsest(engines)
    for engine in engines:
        here = [other for other in shipping if other.replay == engine.replay]
        same = [other for other in shipping if other.precision == engine.precision]
        if engine.corruption and (variant_of(engine) or hardest is None or engine.precision != hardest.precision):
            continue
        if engine.corruption or variant_of(engine):
            references = [other for other in same if other.replay == engine.replay][:1]
        else:
            references = here[:1] + same[:1]
        yield from ((other, engine) for other in references if other is not engine)
