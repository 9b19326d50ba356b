"""Which engine of one run is which of the other."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ..measure.report_records import EngineSummary

Pair = tuple[EngineSummary, EngineSummary]


@dataclass(frozen=True)
class Matched:
    """Engines of both runs, and those that only one has, in the order of the reports."""

    pairs: tuple[Pair, ...]
    only_a: tuple[EngineSummary, ...]
    only_b: tuple[EngineSummary, ...]


def match(a: Sequence[EngineSummary], b: Sequence[EngineSummary]) -> Matched:
    """Pair the engines of the same name and corruption; of the rest, those that alone have a precision and calibration.

    Where several replays of one report have an engine, its name there has the replay's folder behind it.
    """
    pairs: list[Pair] = []
    for identity in (by_name, by_precision):
        one, other = left(a, [pair[0] for pair in pairs]), left(b, [pair[1] for pair in pairs])
        mine, theirs = identified(one, identity(a)), identified(other, identity(b))
        pairs += [(engine, theirs[key]) for key, engine in mine.items() if key in theirs]
    order = {id(engine): place for place, engine in enumerate(a)}
    pairs.sort(key=lambda pair: order[id(pair[0])])
    return Matched(
        tuple(pairs),
        tuple(left(a, [pair[0] for pair in pairs])),
        tuple(left(b, [pair[1] for pair in pairs])),
    )


Identity = Callable[[EngineSummary], Hashable]


def by_name(engines: Sequence[EngineSummary]) -> Identity:
    """Its name without the replay, where that tells it from the others."""
    names = Counter((engine.model, engine.name, engine.corruption) for engine in engines)

    def identity(engine: EngineSummary) -> Hashable:
        name = engine.model, engine.name, engine.corruption
        return name if names[name] == 1 else (engine.model, engine.label, engine.corruption)

    return identity


def by_precision(_: Sequence[EngineSummary]) -> Identity:
    """What it is, whatever it is called."""
    return lambda engine: (engine.model, engine.kind, engine.variant, engine.corruption)


def identified(engines: Sequence[EngineSummary], identity: Identity) -> dict[Hashable, EngineSummary]:
    """The engines that no other shares its identity with."""
    counts = Counter(map(identity, engines))
    return {identity(engine): engine for engine in engines if counts[identity(engine)] == 1}


def left(engines: Sequence[EngineSummary], taken: Sequence[EngineSummary]) -> list[EngineSummary]:
    """Those that are not taken; by identity, since two replays of one bundle may look the same."""
    gone = {id(engine) for engine in taken}
    return [engine for engine in engines if id(engine) not in gone]
