"""Several replays that share the inputs of one: ``segeval replay --shard 1/2`` here and ``--shard 2/2`` there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from segeval.errors import ConfigurationError, FormatError
from segeval.files.replays import EngineResults, Replay, ReplayedEngine
from segeval.metrics import Labels
from segeval_runner.parts import Part, parse

SAME = ("model", "precision", "backend", "backend_version", "height", "width", "batch", "classes")
"""What an engine has in common in all shards."""
ONE_MACHINE = ("machine", "cpu", "device", "threads")
"""What of the environment latencies, and perhaps roundings, depend on. All Jetsons of a generation have one "cpu"."""
ONE_WAY = ("file", "arithmetic", "gpu", "device", "provider")
"""What of the facts of an engine they depend on."""


class ShardedResults(EngineResults):
    """The results of one engine in several replays."""

    def __init__(self, engine: ReplayedEngine, parts: Sequence[EngineResults]) -> None:
        self.engine = engine
        self.parts: Mapping[str, EngineResults] = {key: part for part in parts for key in part.keys}
        self.labels_path = parts[0].labels_path
        if len(self.parts) < sum(len(part.keys) for part in parts):
            raise FormatError(f"{self.labels_path}: two shards have the same input", "copy the replays again")

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the inputs that have a result."""
        return tuple(self.parts)

    def latencies(self) -> dict[str, float]:
        """Milliseconds of the engine call that computed each input, for its whole batch."""
        return {key: ms for part in dict.fromkeys(self.parts.values()) for key, ms in part.latencies().items()}

    def labels(self, key: str) -> Labels:
        """(H, W) uint8 label map; see `EngineResults.labels`."""
        return self.parts.get(key, next(iter(self.parts.values()))).labels(key)


class ShardedReplay(Replay):
    """The shards of one replay together. Complete only if all of them are here, and complete."""

    def __init__(self, shards: Sequence[Replay]) -> None:
        self.shards = shards
        first, count = shards[0], part_of(shards[0]).total
        engines = [
            whole(name, [shard for shard in shards if name in names(shard)], count)
            for name in dict.fromkeys(name for shard in shards for name in names(shard))
        ]
        super().__init__(first.root, replace(first.record, engines=tuple(engines), shard=""))

    @cached_property
    def _results(self) -> dict[str, EngineResults]:
        return {
            engine.name: ShardedResults(
                engine, [shard.results(engine.name) for shard in self.shards if engine.name in names(shard)]
            )
            for engine in self.engines
        }


def part_of(replay: Replay) -> Part:
    """Which shard a replay is. Raises FormatError if it says nothing that is one."""
    try:
        return parse(replay.record.shard)
    except ValueError as error:
        raise FormatError(f"{replay.root / 'replay.json'}: {error}", "copy the replay again") from error


def names(replay: Replay) -> list[str]:
    """Names of a replay's engines."""
    return [engine.name for engine in replay.engines]


def whole(name: str, shards: Sequence[Replay], count: int) -> ReplayedEngine:
    """What the shards say of one engine.

    Args:
        name: of the engine.
        shards: that have begun it.
        count: how many there should be.
    """
    found = [engine for shard in shards for engine in shard.engines if engine.name == name]
    known: tuple[str, ...] = ()
    for engine, shard in zip(found, shards, strict=True):
        for part in SAME:
            if getattr(engine, part) != getattr(found[0], part):
                raise mixed(shards[0].root, shard.root, f"the {part} of {name}")
        for fact in ONE_WAY:
            if engine.facts.get(fact) != found[0].facts.get(fact):
                raise mixed(shards[0].root, shard.root, f"the {fact} of {name}")
        known = known or engine.power_modes  # a short run may have seen none
        if engine.power_modes not in ((), known):
            raise mixed(shards[0].root, shard.root, f"the power mode of {name}")
    return replace(
        found[0],
        inputs=sum(engine.inputs for engine in found),
        complete=len(found) == count and all(engine.complete for engine in found),
        telemetry=None,
    )


def joined(replays: Sequence[Replay]) -> list[Replay]:
    """Replays in their order, with shards of the same bundle on the same kind of machine as one.

    Raises:
        ConfigurationError: for a shard that is given twice, or shards of another number or of different machines.
    """
    groups: dict[str | Path, list[Replay]] = {}
    for replay in replays:
        key = replay.record.bundle_sha256 if part_of(replay).total > 1 else replay.root
        groups.setdefault(key, []).append(replay)
    return [group[0] if part_of(group[0]).total == 1 else together(group) for group in groups.values()]


def together(shards: Sequence[Replay]) -> ShardedReplay:
    """The shards of one replay, checked against each other. Raises ConfigurationError."""
    first, seen = shards[0], dict[str, Path]()
    for shard in shards:
        if part_of(shard).total != part_of(first).total:
            raise mixed(first.root, shard.root, "the number of shards")
        if shard.record.shard in seen:
            what = f"{seen[shard.record.shard]} and {shard.root} are both shard {shard.record.shard}"
            raise ConfigurationError(what, "leave one of them out")
        seen[shard.record.shard] = shard.root
        for part in ONE_MACHINE:
            if getattr(shard.record.environment, part) != getattr(first.record.environment, part):
                raise mixed(first.root, shard.root, f"the {part}")
    return ShardedReplay(sorted(shards, key=lambda shard: part_of(shard).number))


def mixed(first: Path, other: Path, what: str) -> ConfigurationError:
    """The error for shards that do not belong together."""
    return ConfigurationError(
        f"{first} and {other} are no shards of one replay: they differ in {what}",
        "replay all shards of a bundle on machines of one kind, with the same options",
    )
