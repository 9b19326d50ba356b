"""The records of an adversarial set: what was attacked, how, and with which result. All are frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal

from segeval.classes import ClassTable
from segeval.files.earlier import of_today
from segeval.goals import Goal, Kind
from segeval.metrics import AttackCounts
from segeval.registry import STANDARD

Scope = Literal["local", "full"]
Grouping = Literal["each", "joint"]
Resize = Literal["opencv", "pillow", "box"]
"""How images are brought to another size; see `segeval.datasets.pixels.resize_image`."""
Setting = str | int | float | bool | None

MadeOn = Literal["fp32", "int8", "both", "evasive"]
"""What the gradients of an attack come from: the float network, files that were deployed of it, or both.

``int8`` means the deployed files alone, of whatever precision; ``evasive`` asks for both, and for images that the files
fall for while the float network shows what it shows on the clean image (Hao et al. 2022, DIVA, arXiv:2204.10933).
"""


Forward = Literal["graph", "onnxruntime", "openvino", "tensorrt"]
"""What computes the logits of a deployed file: the graph that its gradient comes from, or an engine by its package."""


@dataclass(frozen=True)
class FileRecord:
    """A file inside a set or bundle. path: relative to its root, with forward slashes."""

    path: str
    sha256: str


@dataclass(frozen=True)
class CardRecord:
    """The model card that a network was loaded by.

    Attributes:
        sha256: of the card.
        files: that the network was read from, by their paths from the card's folder.
        code: what loading it runs, as the card names it; empty for none, as of an ONNX file.
        nested: code that builds what `code` is called with.
    """

    sha256: str
    files: tuple[FileRecord, ...] = ()
    code: str = ""
    nested: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """All code that loading it runs."""
        return (self.code, *self.nested) if self.code else ()


@dataclass(frozen=True)
class ModelRecord:
    """The network that was attacked, as far as another machine needs to know it.

    Attributes:
        weights: as the user gave them, empty for the registered file.
        outputs: class name of each network output.
        source: what it is loaded by, a registered name, ``package.module:attribute`` or the path of a model card;
            empty for `name`.
        logit_scale: what its logits were multiplied by in the attacks' losses and in the margins, 1 for a usual
            network.
        card: what the model card was, of a network that has one.
    """

    name: str
    table: str
    outputs: tuple[str, ...]
    weights: str
    weights_sha256: str
    source: str = ""
    logit_scale: float = 1.0
    card: CardRecord | None = None


@dataclass(frozen=True)
class TaskRecord:
    """An attack task resolved for one class table: a name and the members of its `Goal`."""

    name: str
    sources: tuple[int, ...]
    target: int | None
    kind: Kind = "class"

    @property
    def goal(self) -> Goal:
        """What the attack wants."""
        return Goal(self.sources, self.target, self.kind)


LONGEST_NAME = 255
"""Bytes that the name of a file or folder may have on usual file systems."""


def made_on(on: MadeOn, files: str) -> str:
    """The end of an attack's label: what it was made on, empty for the float network."""
    return {
        "fp32": "",
        "int8": f"-on-{files}",
        "both": f"-on-fp32+{files}",
        "evasive": f"-on-{files}-not-fp32",
    }[on]


@dataclass(frozen=True)
class AttackSpec:
    """An attack with every hyper-parameter.

    Attributes:
        budget: L-infinity radius in 0–255 levels, None for an unbounded attack.
        keep: which iterate is saved.
        stop_at: success at which an image is finished, None to take every step.
        within: mean change in levels, over φ for the local scope and else over the image, that the saved image may
            have.
        match: label of an attack whose mean change on the same image is that limit; empty for none.
        on: what its gradients come from.
        engines: the deployed files among that, as in ``int8``, ``int8-entropy``; empty for the float network alone.
        whole_levels: whether networks see every iterate rounded to whole levels, as deployed files must. Where a set
            has attacks on files, all its attacks do, so that two of them differ in what they were made on alone.
        robust_to: corruptions that the attack is made to survive as well, as in ``jpeg-75``.
        dithered: whether networks see every iterate in the whole levels that it would be saved with, rounded up with
            the probability of its fraction, so that saving changes nothing.
    """

    attack: str
    preset: str
    scope: Scope
    steps: int
    keep: Literal["best", "last"]
    stop_at: float | None
    budget: float | None
    parameters: Mapping[str, Setting]
    within: float | None = None
    match: str = ""
    on: MadeOn = "fp32"
    engines: tuple[str, ...] = ()
    whole_levels: bool = False
    robust_to: tuple[str, ...] = ()
    dithered: bool = False

    @property
    def label(self) -> str:
        """Name of the attack on disk and in tables, as in ``tanh-local-paper``, ``fgsm-full-on-int8``."""
        preset = "" if self.preset == "default" or self.match else f"-{self.preset}"
        within = "" if self.within is None else f"-within-{self.within:g}"
        reference = self.match_on_float.replace(f"-{self.scope}", "", 1)
        match = f"-as-{reference}" if self.match else ""
        robust = f"-robust-to-{'+'.join(self.robust_to)}" if self.robust_to else ""
        name = f"{self.attack}-{self.scope}{preset}{within}{match}{robust}"
        whole = name + self.made_on
        return whole if len(whole.encode()) <= LONGEST_NAME else name + self.made_on_so_many

    @property
    def made_on(self) -> str:
        """The end of its label: what it was made on, empty for the float network."""
        return made_on(self.on, "+".join(self.engines))

    @property
    def made_on_so_many(self) -> str:
        """The same for files whose names together are too long for a folder's: their number, and a digest of them."""
        digest = sha256("+".join(self.engines).encode()).hexdigest()[:8]
        return made_on(self.on, f"{len(self.engines)}-files-{digest}")

    @property
    def on_files(self) -> bool:
        """Whether it was made on deployed files, by themselves or together with the network."""
        return self.on != "fp32"

    @property
    def plain(self) -> "AttackSpec":
        """The same attack made on the float network, of images as they are."""
        return replace(self.on_float, robust_to=())

    @property
    def on_float(self) -> "AttackSpec":
        """The same attack made on the float network."""
        return replace(self, on="fp32", engines=(), match=self.match_on_float)

    @property
    def match_on_float(self) -> str:
        """The attack that it is matched to, made on the float network."""
        return self.match.removesuffix(self.made_on).removesuffix(self.made_on_so_many)


@dataclass(frozen=True)
class Norms:
    """Size of a perturbation of the saved 8-bit image, in 0–255 levels.

    Attributes:
        mean: mean absolute change over all pixels and channels.
        mean_phi: the same over φ.
        l2: root of the summed squares.
        linf: largest change.
    """

    mean: float
    mean_phi: float
    l2: float
    linf: int


@dataclass(frozen=True)
class Step:
    """One iterate of an attack on one image.

    Attributes:
        mean, mean_phi: as in `Norms`, of the float image.
        counts: on the image that the networks saw: the float one, or in whole levels (`AttackSpec.whole_levels` and
            `dithered`).
    """

    mean: float
    mean_phi: float
    counts: Mapping[str, AttackCounts]


@dataclass(frozen=True)
class AdversarialSample:
    """One adversarial image, measured on the saved 8-bit file after reading it back.

    Attributes:
        id: ``image/task/attack/victims``.
        attack: label of its AttackSpec.
        seed: of this image's random numbers.
        best_step: the iterate that was saved, counted from 0; -1 where none keeps the limit and it is the clean image.
        counts: on the adversarial image, per victim and per other model it was shown to, over the victims' φ.
        files: clean, adversarial, phi, and where known truth; per model it was shown to ``prediction:NAME`` (of the
            clean image), ``adversarial_prediction:NAME`` and ``margin:NAME`` (`SetFolder.margins`; older sets have
            none); for several victims also ``prediction:A+B``, where φ is from. All PNG, margins .npy.
        curve: every step that was taken, per victim; empty for an iterate of another spec's trajectory (`within`).
    """

    id: str
    image: str
    task: str
    attack: str
    victims: tuple[str, ...]
    seed: int
    best_step: int
    norms: Norms
    counts: Mapping[str, AttackCounts]
    clean_counts: Mapping[str, AttackCounts]
    files: Mapping[str, FileRecord]
    curve: tuple[Step, ...]


@dataclass(frozen=True)
class SkippedSample:
    """An image that was not attacked because its clean prediction has no source pixel."""

    image: str
    task: str
    victims: tuple[str, ...]


@dataclass(frozen=True)
class CraftConfig:
    """Everything that decides what `segeval craft` computes; two runs with equal configurations give equal bytes.

    Attributes:
        models: NAME or NAME=WEIGHTS.
        victims: whether each model is attacked by itself, all of them by one perturbation, or both.
        transfer: show every adversarial image to all models, not to its victims alone.
        within: save for every attack also the best iterates within these mean changes, in levels.
        match: ATTACK=REFERENCE, craft ATTACK once more within the mean change of REFERENCE on the same image.
        ids: of the images to attack, in this order; empty for all of them.
        size: (height, width) images are brought to, None to leave them.
        settings: KEY=VALUE overrides of attack parameters.
        on: what every attack is made on, one after another.
        bundle: folder of the bundle with the deployed files that attacks are made on, None if they are made on none.
        engines: which of its files: a precision, with the name of a calibration behind it as in ``int8-entropy``.
        forward: what computes their logits.
        robust_to: corruptions that every attack is made to survive once more, as in ``jpeg:75``.
        ignore: values of label files that never count; empty for those that the dataset itself says.
    """

    dataset: str
    models: tuple[str, ...]
    attacks: tuple[str, ...] = STANDARD
    scopes: tuple[Scope, ...] = ("local", "full")
    presets: tuple[str, ...] = ("default",)
    tasks: tuple[str, ...] = ("vehicle-to-road",)
    settings: tuple[str, ...] = ()
    victims: tuple[Grouping, ...] = ("each",)
    transfer: bool = False
    within: tuple[float, ...] = ()
    match: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    split: str = "test"
    data_root: str | None = None
    limit: int | None = None
    size: tuple[int, int] | None = None
    steps: int = 50
    keep: Literal["best", "last"] | None = None
    stop_at: float | None = None
    batch_size: int = 1
    seed: int = 0
    device: str = "cpu"
    on: tuple[MadeOn, ...] = ("fp32",)
    bundle: str | None = None
    engines: tuple[str, ...] = ()
    forward: Forward = "graph"
    robust_to: tuple[str, ...] = ()
    ignore: tuple[int, ...] = ()


@dataclass(frozen=True)
class DeployedFile:
    """A deployed file that attacks were made on.

    Attributes:
        model: name of the network.
        engine: which of its files, as in `AttackSpec.engines`.
        sha256: of the ONNX file.
    """

    model: str
    engine: str
    sha256: str


@dataclass(frozen=True)
class AdversarialSet:
    """Manifest of an adversarial set (set.json).

    Attributes:
        table: the classes of the dataset, whole, so that nobody needs the dataset to read the set.
        height, width: of every image.
        images: ids in order.
        tasks: per class table, per task name.
        resize: how images were brought to that size, and those of a calibration are.
        samples_sha256: of samples.jsonl, empty until the set is complete.
        deployed: the files that attacks were made on besides the float networks.
    """

    config: CraftConfig
    table: ClassTable
    height: int
    width: int
    images: tuple[str, ...]
    models: tuple[ModelRecord, ...]
    attacks: tuple[AttackSpec, ...]
    tasks: tuple[TaskRecord, ...]
    versions: Mapping[str, str]
    revision: str
    complete: bool = False
    sample_count: int = 0
    samples_sha256: str = ""
    skipped: tuple[SkippedSample, ...] = ()
    resize: Resize = "box"
    deployed: tuple[DeployedFile, ...] = ()
    schema: Literal["segeval.set/2"] = field(default="segeval.set/2")

    @staticmethod
    def upgraded(said: object) -> object:
        """The JSON of segeval.set/1, whose tasks were all from class to class, as that of today."""
        return of_today(said, "segeval.set/1", "segeval.set/2")
