"""What an evaluation reads: one adversarial set, one or more replays of it, checked against each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.bundles import BundleFolder, Calibration
from segeval.errors import ConfigurationError, DataError, FormatError, IntegrityError
from segeval.metrics import Labels
from segeval.records import AdversarialSample, AdversarialSet, ModelRecord, TaskRecord
from segeval.replays import COPY_AGAIN, EngineResults, Replay, ReplayedEngine
from segeval.store import SetFolder, sha256_file


@dataclass(frozen=True)
class Engine:
    """One engine of one replay. label: unique in the report.   replay_index: which replay it belongs to."""

    label: str
    record: ReplayedEngine
    results: EngineResults
    keys: frozenset[str]
    replay_index: int
    calibration: Calibration | None

    @property
    def model(self) -> str:
        """Name of the model it runs."""
        return self.record.model

    def pending(self, key: str) -> bool:
        """Whether an unfinished replay has not come to this input."""
        return not self.record.complete and key not in self.keys

    def labels(self, key: str, shape: tuple[int, int]) -> Labels:
        """The (H, W) label map of an input.

        Raises DataError if there is none or if it is not of this shape, IntegrityError if it is damaged.
        """
        where = f"{self.results.labels_path}, {key}"
        return checked(self.results.labels(key), shape, self.record.classes, where)


def checked(labels: Labels, shape: tuple[int, int], classes: int, where: str) -> Labels:
    """`labels`, if they are a label map of this size with classes below `classes`. Raises DataError."""
    if labels.shape != shape:
        raise DataError(
            f"{where}: the label map is {labels.shape}, the images are {shape}", "was it made from this set?"
        )
    if int(labels.max()) >= classes:
        hint = "the engine is not the network that was attacked, or its output is not a label map"
        raise DataError(f"{where}: label {int(labels.max())} in a map of {classes} classes", hint)
    return labels


class Sources:
    """A finished set and the engines whose replays are to be compared with it.

    Raises DataError for a folder that is no finished set or replay, ConfigurationError for a replay of another set, a
    replay that is given twice, or replays without an engine of any attacked model, IntegrityError for a replay with the
    manifest of another bundle.
    """

    def __init__(self, set_root: Path, replays: Sequence[Path]) -> None:
        self.folder = SetFolder(set_root)
        self.manifest: AdversarialSet = self.folder.complete_manifest()
        self.sha256 = sha256_file(self.folder.manifest_path)
        if not self.manifest.sample_count:
            raise DataError(
                f"{set_root} has no samples", "no image had a source pixel; craft with another task or images"
            )
        if not replays:
            raise ConfigurationError("no replay to evaluate", "make one with segeval replay")
        if len({path.resolve() for path in replays}) < len(replays):
            raise ConfigurationError("a replay is given twice")
        self.replays = [self._open(path) for path in replays]
        self.models: dict[str, ModelRecord] = {model.name: model for model in self.manifest.models}
        self.tasks: dict[str, TaskRecord] = {task.name: task for task in self.manifest.tasks}
        self.engines = self._engines()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of every image and label map."""
        return self.manifest.height, self.manifest.width

    def desktop(self, sample: AdversarialSample, model: str, adversarial: bool) -> Labels:
        """A model's fp32 torch prediction of the clean or adversarial image. Raises FormatError if it is not there."""
        key = f"{'adversarial_' if adversarial else ''}prediction:{model}"
        if key not in sample.files:
            raise FormatError(
                f"{self.folder.samples_path}: sample {sample.id} has no file {key!r}", "craft the set again"
            )
        record = sample.files[key]
        return checked(self.folder.labels(record), self.shape, len(self.models[model].outputs), record.path)

    def _open(self, path: Path) -> Replay:
        replay = Replay.open(path)
        if replay.record.set_sha256 != self.sha256:
            hint = f"deploy and replay {self.folder.root}, or evaluate the set this replay was made from"
            raise ConfigurationError(f"{path} is a replay of another set than {self.folder.root}", hint)
        return replay

    def _engines(self) -> list[Engine]:
        found = [
            (index, record)
            for index, replay in enumerate(self.replays)
            for record in replay.engines
            if record.model in self.models
        ]
        if not found:
            raise ConfigurationError(
                f"no engine of {', '.join(self.models)} in the replays", "replay a bundle of the attacked models"
            )
        names = [record.name for _, record in found]
        engines = []
        for index, record in found:
            label = record.name if names.count(record.name) == 1 else self._qualified(record.name, index)
            outputs = len(self.models[record.model].outputs)
            if record.classes != outputs:
                hint = "the bundle holds another network of the same name"
                raise DataError(f"{label} gives {record.classes} classes, {record.model} has {outputs}", hint)
            results = self.replays[index].results(record.name)
            calibration = self._calibrations(self.replays[index]).get(record.name)
            engines.append(Engine(label, record, results, frozenset(results.keys), index, calibration))
        return engines

    @staticmethod
    def _calibrations(replay: Replay) -> dict[str, Calibration | None]:
        """Calibration by engine, from the bundle.json beside replay.json; empty if there is none."""
        bundle = BundleFolder(replay.root)
        if not bundle.manifest_path.is_file():
            return {}
        if bundle.sha256() != replay.record.bundle_sha256:
            raise IntegrityError(f"{bundle.manifest_path} is not of the bundle that was replayed", COPY_AGAIN)
        return {engine.name: engine.calibration for engine in bundle.manifest().engines}

    def _qualified(self, name: str, index: int) -> str:
        """A name for an engine that several replays have: with its folder, and a number if the folders share a name."""
        folders = [replay.root.name for replay in self.replays]
        suffix = f"#{index + 1}" if folders.count(folders[index]) > 1 else ""
        return f"{name}@{folders[index]}{suffix}"
