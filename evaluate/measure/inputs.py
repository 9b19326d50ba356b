"""What an evaluation reads: one adversarial set, one or more replays of it, checked against each other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from segeval.errors import ConfigurationError, DataError, FormatError, IntegrityError
from segeval.files.bundles import BundleFolder, BundleManifest, corrupted_key, corruption_of
from segeval.files.consistency import require_consistent_set
from segeval.files.engine_records import Calibration, EngineRecord, NoiseFloor
from segeval.files.images import RgbImage
from segeval.files.own import OwnFile
from segeval.files.replays import COPY_AGAIN, EngineResults, Replay, ReplayedEngine
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, ModelRecord, TaskRecord
from segeval.files.shards import joined
from segeval.files.storage import sha256_file
from segeval.metrics import Labels, Mask
from segeval.precision import kind_of, own_name

from .clean import check_truth
from .report_records import Deployed
from .row_key import RowKey

EVERY_LABEL = 256
"""More than any value of a label map: for maps whose values are not the classes of a network."""


@dataclass(frozen=True)
class Engine(Deployed):
    """One engine of one replay, on images as they are or on those that went through one corruption.

    Attributes:
        label: unique in the report.
        keys: of its inputs that have a result.
        replay_index: which replay it belongs to.
        corruption: as in ``jpeg-75``, empty for images as they are.
        own: what the user called its file, if they brought it.
        file_sha256: of the file that was run, empty if no bundle.json tells.
        own_file: what is known of a file that the user brought, None if no bundle.json tells.
    """

    label: str
    record: ReplayedEngine
    results: EngineResults
    keys: frozenset[str]
    replay_index: int
    precision: str
    own: str
    calibration: Calibration | None
    corruption: str = ""
    noise_floor: NoiseFloor | None = None
    file_sha256: str = ""
    own_file: OwnFile | None = None

    @property
    def model(self) -> str:
        """Name of the model it runs."""
        return self.record.model

    def clean_key(self, image: str) -> str:
        """Key of the input that is this clean image."""
        return corrupted_key(self.corruption, f"clean/{image}")

    def adversarial_key(self, sample: str) -> str:
        """Key of the input that is the adversarial image of this sample."""
        return corrupted_key(self.corruption, f"adversarial/{sample}")

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


def bundle_of(replay: Replay) -> BundleManifest | None:
    """The manifest that lies beside replay.json, None if there is none and it is not needed.

    Raises IntegrityError if it is of another bundle, ConfigurationError if it is needed to tell engines apart.
    """
    bundle = BundleFolder(replay.root)
    if not bundle.manifest_path.is_file():
        require_told_apart(replay)
        return None
    if bundle.sha256() != replay.record.bundle_sha256:
        raise IntegrityError(f"{bundle.manifest_path} is not of the bundle that was replayed", COPY_AGAIN)
    return bundle.manifest()


def require_told_apart(replay: Replay) -> None:
    """Raise ConfigurationError if two engines could be the one that ships: without a bundle.json nothing tells."""
    seen: dict[tuple[str, str], str] = {}
    for engine in replay.engines:
        kind = kind_of(own_name(engine.name, engine.precision), engine.precision)
        other = seen.setdefault((engine.model, kind), engine.name)
        if other != engine.name:
            what = f"{replay.root} has no bundle.json to tell which of {other} and {engine.name} ships"
            raise ConfigurationError(what, "copy it there from the bundle that was replayed")


def run_file(record: ReplayedEngine, deployed: EngineRecord, bundle: BundleManifest) -> str:
    """SHA-256 of the ONNX file that was run, as its record tells: an engine may have two. Empty if it does not."""
    files = [deployed.file, *filter(None, [deployed.flagged_file])]
    name = str(record.facts.get("file", "" if deployed.flagged_file else PurePosixPath(deployed.file).name))
    return next((bundle.files[file].sha256 for file in files if PurePosixPath(file).name == name), "")


def engines_of(label: str, results: EngineResults, index: int, bundle: BundleManifest | None) -> Iterator[Engine]:
    """A replayed engine on images as they are, then behind each corruption.

    Corruptions are those of the bundle that the engine was to run, and of the results. A replay that has not come to a
    corruption of its bundle is unfinished there too.

    Args:
        label: of the first.
        results: of the replay.
        index: of the replay.
        bundle: manifest of the bundle, None if it is not here.
    """
    record = results.engine
    deployed = next((engine for engine in bundle.engines if engine.name == record.name), None) if bundle else None
    calibration, floor = (deployed.calibration, deployed.noise_floor) if deployed else (None, None)
    file = run_file(record, deployed, bundle) if bundle and deployed else ""
    brought = deployed.own if deployed else None
    precision = record.precision
    kind = precision, own_name(record.name, precision)
    keys: dict[str, set[str]] = {"": set()}
    if bundle and deployed and deployed.ships:
        keys.update((corruption, set()) for corruption in bundle.options.corruptions)
    for key in results.keys:
        keys.setdefault(corruption_of(key), set()).add(key)
    for corruption, run in keys.items():
        called, ran = f"{label}+{corruption}" if corruption else label, frozenset(run)
        yield Engine(called, record, results, ran, index, *kind, calibration, corruption, floor, file, brought)


class Sources:
    """A finished set and the engines whose replays are to be compared with it.

    Raises DataError for a folder that is no finished set or replay, ConfigurationError for a replay of another set, a
    replay that is given twice, shards that do not belong together, replays without an engine of any attacked model, or
    one whose engines only a bundle.json would tell apart, IntegrityError for a replay with the manifest of another
    bundle.
    """

    def __init__(self, set_root: Path, replays: Sequence[Path]) -> None:
        self.folder, self.given = SetFolder(set_root), tuple(replays)
        self.manifest: AdversarialSet = self.folder.complete_manifest()
        self.sha256 = sha256_file(self.folder.manifest_path)
        require_consistent_set(self.manifest, str(self.folder.manifest_path))
        if not self.manifest.sample_count:
            raise DataError(
                f"{set_root} has no samples", "no image had a source pixel; craft with another task or images"
            )
        if not replays:
            raise ConfigurationError("no replay to evaluate", "make one with segeval replay")
        require_each_once(replays, "replay")
        self.replays = joined([self._open(path) for path in replays])
        self.models: dict[str, ModelRecord] = {model.name: model for model in self.manifest.models}
        self.tasks: dict[str, TaskRecord] = {task.name: task for task in self.manifest.tasks}
        self.not_run: dict[str, str] = {}
        """Engines of the bundles that no replay has begun, by name, and their models."""
        self.engines = self._engines()

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of every image and label map."""
        return self.manifest.height, self.manifest.width

    def evaluated(self, sample: AdversarialSample) -> Iterator[tuple[str, list[Engine]]]:
        """Models that a sample can be evaluated on, each with its engines: its victims, and others it was shown to."""
        for model in self.models:
            engines = [engine for engine in self.engines if engine.model == model]
            if engines and model in sample.counts:
                yield model, engines

    def ordered(self, keys: Iterable[RowKey]) -> list[RowKey]:
        """Keys of rows in the order of the set's models, attacks and tasks, all tasks first, and of the engines."""
        models = list(self.models)
        attacks = [attack.label for attack in self.manifest.attacks]
        tasks = [None, *self.tasks]
        engines = [engine.label for engine in self.engines]

        def place(key: RowKey) -> tuple[int, tuple[str, ...], int, int, int]:
            indices = attacks.index(key.attack), tasks.index(key.task), engines.index(key.engine)
            return models.index(key.model), key.victims, *indices

        return sorted(keys, key=place)

    def desktop(self, sample: AdversarialSample, model: str, adversarial: bool) -> Labels:
        """A model's fp32 torch prediction of the clean or adversarial image. Raises FormatError if it is not there."""
        key = f"{'adversarial_' if adversarial else ''}prediction:{model}"
        return self._labels(sample, key, len(self.models[model].outputs))

    def _labels(self, sample: AdversarialSample, key: str, classes: int) -> Labels:
        if key not in sample.files:
            raise FormatError(
                f"{self.folder.samples_path}: sample {sample.id} has no file {key!r}", "craft the set again"
            )
        record = sample.files[key]
        return checked(self.folder.labels(record), self.shape, classes, record.path)

    def reference(self, sample: AdversarialSample) -> Labels | None:
        """The victims' clean prediction, which an untargeted attack leads away from; None for another attack."""
        if self.tasks[sample.task].kind != "wrong":
            return None
        return self._labels(sample, f"prediction:{'+'.join(sample.victims)}", EVERY_LABEL)

    def phi(self, sample: AdversarialSample) -> Mask:
        """The (H, W) mask of φ of a sample. Raises DataError if it is of another size."""
        record = sample.files["phi"]
        return checked(self.folder.labels(record), self.shape, EVERY_LABEL, record.path) > 0

    def truth(self, sample: AdversarialSample) -> Labels | None:
        """The (H, W) ground truth of a sample with IGNORE, None if there is none.

        Raises DataError if it is of another size or has labels outside the class table.
        """
        if "truth" not in sample.files:
            return None
        record = sample.files["truth"]
        truth = checked(self.folder.labels(record), self.shape, EVERY_LABEL, record.path)
        if not check_truth(truth, len(self.manifest.table)):
            raise DataError(
                f"{record.path}: the ground truth has labels outside the class table {self.manifest.table.name}",
                "craft the set again, from label files of that table",
            )
        return truth

    def image(self, sample: AdversarialSample, name: Literal["clean", "adversarial"]) -> RgbImage:
        """(H, W, 3) RGB. Raises DataError if it is of another size."""
        record = sample.files[name]
        image = self.folder.image(record)
        if image.shape != (*self.shape, 3):
            what = f"{record.path}: the image is {image.shape[:2]}, those of the set are {self.shape}"
            raise DataError(what, "craft the set again, or restore the file")
        return image

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
        bundles = [bundle_of(replay) for replay in self.replays]
        deployed = {engine.name: engine.model for bundle in bundles if bundle for engine in bundle.engines}
        self.not_run = {name: model for name, model in deployed.items() if model in self.models and name not in names}
        engines: list[Engine] = []
        for index, record in found:
            label = record.name if names.count(record.name) == 1 else self._qualified(record.name, index)
            outputs = len(self.models[record.model].outputs)
            if record.classes != outputs:
                hint = "the bundle holds another network of the same name"
                raise DataError(f"{label} gives {record.classes} classes, {record.model} has {outputs}", hint)
            engines += engines_of(label, self.replays[index].results(record.name), index, bundles[index])
        labels = [engine.label for engine in engines]
        if len(set(labels)) < len(labels):
            twice = next(label for label in labels if labels.count(label) > 1)
            raise FormatError(f"two engines of the replays would be called {twice!r}", "evaluate them one by one")
        return engines

    def _qualified(self, name: str, index: int) -> str:
        """A name for an engine that several replays have: with its folder, and a number if the folders share a name."""
        folders = [replay.root.name for replay in self.replays]
        suffix = f"#{index + 1}" if folders.count(folders[index]) > 1 else ""
        return f"{name}@{folders[index]}{suffix}"


def require_each_once(folders: Sequence[Path], what: str) -> None:
    """Raise ConfigurationError for a folder that is given twice. what: it is."""
    found: set[Path] = set()
    for folder in folders:
        if folder.resolve() in found:
            raise ConfigurationError(f"{folder} is given twice", f"name each {what} once")
        found.add(folder.resolve())
