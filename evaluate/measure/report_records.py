"""The records of a report and their JSON form: encode and decode them with `segeval.files.encoding`.

Rows are keyed by (model, victims, attack, task, engine), a `RowKey`. A task of None stands for all tasks together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from segeval.files.earlier import of_today, within
from segeval.files.engine_records import Calibration, NoiseFloor
from segeval.files.own import OwnFile
from segeval.files.replays import Environment
from segeval.files.sets import AttackSpec, CraftConfig, DeployedFile, ModelRecord, Scope, TaskRecord
from segeval.precision import kind_of

from .estimate_records import Estimate, Perturbation
from .paired_records import Paired, Tested, nested
from .row_key import Keyed, RowKey
from .under_attack_records import AttackedRow

DESKTOP = "desktop"
"""Name of the reference in rows that stand beside the engines' rows: the network in torch, fp32, as it was attacked."""


@dataclass(frozen=True)
class SurvivalRow(Keyed):
    """What one engine made of one attack on one model.

    Attributes:
        images, samples: counted.
        skipped: images without a source pixel, which were not attacked.
        missing: samples an unfinished replay does not have.
        desktop_*: the network in torch, fp32, on the same images.
        gained: pixels of φ that the engine shows as the adversarial class and the desktop does not, over φ.
        already: pixels of φ that the engine shows as the adversarial class with and without the attack, over φ.
        evaded: pixels of φ that the engine shows as the adversarial class on the adversarial image and not on the clean
            one, while the desktop shows the same on both, over φ: what a desktop audit does not see. None behind a
            corruption, and in reports of earlier versions.
        damage: of the pixels of φ that left the source classes on the desktop, whatever they became, the share that did
            on the engine too;
        desktop_damage, engine_damage, clean_damage: such pixels over φ, the last on the clean image.
        margin_survived, margin_lost: mean over images of the mean margin on the desktop (adversarial minus best other
            logit, fp32) of pixels that survived and of those that did not; None where the set has no margins.
        variant: name of the calibration if it is not the network's first.
        corruption: what the images went through before the engine, as in ``jpeg-75``; both empty for what ships.
        own: what the user called the engine's file, if they brought it.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    scope: Scope
    task: str | None
    engine: str
    precision: str
    images: int
    samples: int
    skipped: int
    missing: int
    survival: Estimate
    desktop_success: Estimate
    engine_success: Estimate
    control: Estimate
    changed_phi: Estimate
    changed: Estimate
    desktop_accuracy: Estimate
    engine_accuracy: Estimate
    desktop_ratio: Estimate
    engine_ratio: Estimate
    perturbation: Perturbation
    gained: Estimate | None = None
    already: Estimate | None = None
    damage: Estimate | None = None
    desktop_damage: Estimate | None = None
    engine_damage: Estimate | None = None
    clean_damage: Estimate | None = None
    margin_survived: Estimate | None = None
    margin_lost: Estimate | None = None
    variant: str = ""
    corruption: str = ""
    evaded: Estimate | None = None
    own: str = ""

    @property
    def kind(self) -> str:
        """What its engine is among those of its network: its precision, or what the user called its file."""
        return kind_of(self.own, self.precision)

    @property
    def ships(self) -> bool:
        """Whether it is about an engine as it ships: the first calibration, images as they are."""
        return not self.variant and not self.corruption


Dimension = Literal["margin", "border", "size", "class"]


@dataclass(frozen=True)
class BreakdownRow(Keyed):
    """Part of a survival row: only the pixels of φ of one kind.

    Attributes:
        by: margin on the desktop in logits, distance to the border of φ in pixels, pixels of the connected part of φ it
            lies in, or the class that the desktop saw there without the attack.
        bin: of it, as in ``1–2``.
        place: in order.
        low, high: its edges, of which the lower belongs to it; None for a class, and where it is open.
        images: with a pixel of A of this kind.
        phi, desktop_hit, engine_hit, survived: pixels, over all images.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    task: str | None
    engine: str
    precision: str
    by: Dimension
    bin: str
    place: int
    images: int
    phi: int
    desktop_hit: int
    engine_hit: int
    survived: int
    survival: Estimate
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Comparison(Tested):
    """A paired difference of one quantity, over the images that have both.

    Attributes:
        between: whether two engines under one attack are compared, two attacks on one engine, or on one engine an
            attack that was made on the float network and the same one made on deployed files (adaptive).
        quantity: a column of SurvivalRow, such as ``survival`` and ``engine_success``.
        p_holm: p corrected for all comparisons of the report.
        noise_floor: the larger one of two engines that are compared, as a share; None between attacks, or if unknown.
    """

    between: Literal["engines", "attacks", "adaptive"]
    model: str
    victims: tuple[str, ...]
    task: str | None
    quantity: str
    first_attack: str
    first_engine: str
    second_attack: str
    second_engine: str
    paired: Paired
    p_holm: float | None
    noise_floor: float | None = None

    @property
    def first(self) -> RowKey:
        """The row that the second one is compared with."""
        return RowKey(self.model, self.victims, self.first_attack, self.task, self.first_engine)

    @property
    def second(self) -> RowKey:
        """The row that is compared with the first one."""
        return RowKey(self.model, self.victims, self.second_attack, self.task, self.second_engine)


@dataclass(frozen=True)
class Latency:
    """Milliseconds per call of the engine, after the warm-up.

    Attributes:
        inputs: measured.
        batch: images in one call.
    """

    inputs: int
    batch: int
    p50: float
    p90: float
    mean: float


@dataclass(frozen=True)
class CleanRow:
    """One engine, or the desktop, on the clean images of the samples.

    Attributes:
        images: compared with the desktop.
        labelled: of these, with ground truth.
        equal: share of pixels labelled as on the desktop.
        confusion: rows are ground truth, columns predictions; the last row is ignored pixels, the last column
            predictions outside the class table. None without ground truth.
        miou: over the classes that the ground truth has, `classes_in_truth` of them.
        classes_only_predicted: classes that are predicted on labelled pixels although it has none of them. Both None
            without ground truth.
    """

    model: str
    engine: str
    precision: str
    images: int
    labelled: int
    miou: float | None
    class_average: float | None
    pixel_accuracy: float | None
    equal: float | None
    latency: Latency | None
    confusion: tuple[tuple[int, ...], ...] | None
    classes_in_truth: int | None = None
    classes_only_predicted: int | None = None


@dataclass(frozen=True)
class CurvePoint:
    """Means over images at one step, of what the networks saw: the float image, or the one in whole levels.

    Attributes:
        images: with a success.
        mean, mean_phi: of the float image.
    """

    step: int
    images: int
    accuracy: float | None
    ratio: float | None
    success: float | None
    mean: float
    mean_phi: float


@dataclass(frozen=True)
class Curve:
    """One attack over its steps. A sample that stopped early keeps its last values.

    Attributes:
        file: deployed file that the attack was made on and that it was measured on, as in ``int8``; empty for the
            network in torch.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    task: str | None
    points: tuple[CurvePoint, ...]
    file: str = ""

    @property
    def key(self) -> RowKey:
        """What it is about; no engine has steps."""
        return RowKey(self.model, self.victims, self.attack, self.task)


class Deployed:
    """An engine of which is known how it was calibrated and what its images went through."""

    precision: str
    calibration: Calibration | None
    corruption: str
    own: str

    @property
    def kind(self) -> str:
        """What it is among those of its network: its precision, or what the user called its file."""
        return kind_of(self.own, self.precision)

    @property
    def variant(self) -> str:
        """Name of its calibration, empty for the one that ships and for engines that are not calibrated."""
        return self.calibration.name if self.calibration else ""

    @property
    def ships(self) -> bool:
        """Whether it is as it ships: the first calibration, images as they are."""
        return not self.corruption and not self.variant

    @property
    def is_partial(self) -> bool:
        """Whether only some blocks of the network are quantized."""
        return self.calibration is not None and bool(self.calibration.only or self.calibration.without)


@dataclass(frozen=True)
class EngineSummary(Deployed):
    """An engine that was evaluated.

    Attributes:
        label: its name in the rows.
        replay: index into the report's replays.
        calibration: of an int8 engine, None if the replay has no bundle.json to tell.
        corruption: what its images went through, as in ``jpeg-75``; empty for images as they are.
        arithmetic: what numbers it computed with, in words; empty if its record does not say.
        noise_floor: of its file; None if the replay has no bundle.json to tell, or deployment did not measure it.
        file_sha256: of the file that was run; empty if the replay does not tell, or has no bundle.json.
        own: what the user called its file, if they brought it.
        own_file: what is known of that; None if the replay has no bundle.json to tell.
        power_mode: of the board while it ran, several in the order in which they were seen; empty if nothing tells.
    """

    label: str
    name: str
    model: str
    precision: str
    backend: str
    backend_version: str
    replay: int
    complete: bool
    calibration: Calibration | None
    corruption: str = ""
    arithmetic: str = ""
    noise_floor: NoiseFloor | None = None
    file_sha256: str = ""
    own: str = ""
    own_file: OwnFile | None = None
    power_mode: str = ""


@dataclass(frozen=True)
class ReplaySummary:
    """Where label maps came from."""

    bundle_sha256: str
    complete: bool
    environment: Environment


@dataclass(frozen=True)
class SetSummary:
    """The adversarial set as its manifest describes it.

    Attributes:
        images: that were asked for.
        attacked: of these, with at least one sample; only they were replayed clean as well.
        deployed: files that attacks were made on.
        classes: names, in the order of the table; empty in reports of earlier versions.
    """

    sha256: str
    config: CraftConfig
    table: str
    height: int
    width: int
    models: tuple[ModelRecord, ...]
    attacks: tuple[AttackSpec, ...]
    tasks: tuple[TaskRecord, ...]
    versions: Mapping[str, str]
    revision: str
    images: int
    attacked: int
    samples: int
    deployed: tuple[DeployedFile, ...] = ()
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SurvivalReport:
    """Everything a report says (report.json).

    Attributes:
        verdict: the finding in sentences, the main one first.
        notes: what limits it.
        examples: (sample id, engine) pairs shown as pictures.
        resamples, seed: of the bootstrap.
        breakdown, comparisons: parts of the rows, and paired tests between them.
        attacked: accuracy and mIoU under attack, the worst case over several attacks first; empty in reports of earlier
            versions.
        files: SHA-256 of the other files of the report, by path; empty in reports of earlier versions. The copy inside
            of the page has only those that are in the page as well.
    """

    verdict: tuple[str, ...]
    notes: tuple[str, ...]
    survival: tuple[SurvivalRow, ...]
    clean: tuple[CleanRow, ...]
    curves: tuple[Curve, ...]
    engines: tuple[EngineSummary, ...]
    replays: tuple[ReplaySummary, ...]
    examples: tuple[tuple[str, str], ...]
    set: SetSummary
    versions: Mapping[str, str]
    seed: int
    resamples: int
    breakdown: tuple[BreakdownRow, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    attacked: tuple[AttackedRow, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    schema: Literal["segeval.report/2"] = field(default="segeval.report/2")

    @staticmethod
    def upgraded(said: object) -> object:
        """The JSON of segeval.report/1 as that of today."""
        for rows in ("survival", "engines"):
            said = within(said, rows, channel="corruption")
        return of_today(nested(said, "comparisons"), "segeval.report/1", "segeval.report/2")
