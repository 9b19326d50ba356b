"""The records of a reproduction's report and their JSON form (kang2020.json).

A task of None stands for all tasks together. Estimates are over images: see `segeval.evaluate.measure.report_records`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import Curve
from segeval.evaluate.report.renewal import Kept
from segeval.files.experiments import ExperimentConfig
from segeval.files.sets import ModelRecord, Scope, TaskRecord

TABLES = (
    *("table1", "table1-tasks", "claims", "transfer", "curves"),
    *("budgets", "budgets-interpolated", "gradients", "gradients-images"),
)
FILE = "kang2020.json"
KEPT = Kept("kang2020", FILE, ("report.html", "figures/*", *(f"{name}.csv" for name in TABLES)))
"""What is written into ``report/``."""

Compared = Literal["accuracy", "ratio", "success"]
Metric = Literal[Compared, "perturbation"]
Budgeted = Literal["fgsm", "tanh"]
Method = Literal[Budgeted, "fgsm-as-tanh"]
METHODS: tuple[Method, ...] = get_args(Method)
"""``fgsm-as-tanh`` is FGSM within the mean change that the tanh method made on the same image."""
SCOPES: tuple[Scope, ...] = ("local", "full")
EVERY_VICTIM = "*"
"""Model of a curve that is the mean over the victims of a joint attack."""

Verdict = Literal["holds", "does not hold", "undecided", "not in the paper"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Kind = Literal[
    Compared, "accuracy-matched", "ratio-matched", "success-matched", "joint", "transfer", "transfer-control"
]
Expected = Literal["below", "above", ""]
Quantity = Literal["radius", "within", "penalty"]


@dataclass(frozen=True)
class PaperCell:
    """What the paper prints for one attack on one model.

    Attributes:
        misprint: the accuracy is not what is printed, see `paper.MISPRINT`.
        same_victims: of a joint attack, whether it is on ESPNet and Fast-SCNN here too.
    """

    accuracy: float
    ratio: float
    success: float
    perturbation: float
    misprint: bool
    same_victims: bool


@dataclass(frozen=True)
class Cell:
    """One attack made for `victims` and shown to `model`: of Table 1 if the model is a victim, else of the transfer.

    Attributes:
        attack: label in the set.
        images: that were attacked.
        skipped: images without a source pixel.
        control, clean_accuracy, clean_ratio: success, accuracy and ratio on the clean image, over the same φ.
        mean, mean_phi, l2: size of the perturbation in 0–255 levels, where an image's value is the mean over its
            samples and `pooled` the mean over all samples.
        linf: the largest change of all.
    """

    attack: str
    method: Method
    scope: Scope
    victims: tuple[str, ...]
    model: str
    task: str | None
    images: int
    samples: int
    skipped: int
    accuracy: Estimate
    ratio: Estimate
    success: Estimate
    control: Estimate
    clean_accuracy: Estimate
    clean_ratio: Estimate
    mean: Estimate
    mean_phi: Estimate
    l2: Estimate
    linf: int
    paper: PaperCell | None

    @property
    def own(self) -> bool:
        """Whether the model is one of the victims."""
        return self.model in self.victims

    @property
    def perturbation(self) -> Estimate:
        """As the paper states it: over φ for local attacks, else over the image."""
        return self.mean_phi if self.scope == "local" else self.mean


@dataclass(frozen=True)
class Mean:
    """Mean of one number per image, with its 95 % interval. method: of the interval, empty if there is none."""

    mean: float | None
    low: float | None
    high: float | None
    images: int
    method: Literal["", "BCa", "percentile"]


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        attack: empty for the clean image.
        levels: perturbation, as the paper states it.
        value: mean over the images that both sides have.
        paper: its figure.
    """

    attack: str
    victims: tuple[str, ...]
    model: str
    levels: float | None
    value: float | None
    paper: float | None


@dataclass(frozen=True)
class Claim:
    """One comparison that the paper's text or table makes.

    Attributes:
        difference: left − right, paired over images.
        expected, threshold: it holds where the whole interval lies on this side of the threshold, does not hold where
            the whole interval lies on the other, and else is undecided. expected is empty where the paper says nothing.
    """

    kind: Kind
    metric: Compared
    scope: Scope
    left: Side
    right: Side
    expected: Expected
    threshold: float
    difference: Mean
    verdict: Verdict


@dataclass(frozen=True)
class BudgetPoint:
    """One attack at one setting on one model by itself, measured on the saved images.

    Attributes:
        set, attack: where it comes from.
        limit: what was set, L∞ radius, mean change or penalty, as `quantity` says.
        change: mean change in levels, over φ for local attacks and else over the image.
        linf: largest change of all.
    """

    set: str
    attack: str
    method: Budgeted
    scope: Scope
    model: str
    quantity: Quantity
    limit: float
    images: int
    success: Estimate
    change: Mean
    linf: int


@dataclass(frozen=True)
class BudgetRow:
    """Success at one size of the perturbation.

    norm ``mean``: interpolated between measured points, without interval.   ``linf``: measured at that radius.

    Attributes:
        reason: why there is none.
    """

    norm: Literal["mean", "linf"]
    method: Budgeted
    scope: Scope
    model: str
    level: float
    success: float | None
    low: float | None
    high: float | None
    reason: str


@dataclass(frozen=True)
class GradientShare:
    """Where the gradient of ξ lies.

    Attributes:
        energy_in_phi: share of its squares.
        phi_share: of the image.
    """

    model: str
    steps: tuple[int, ...]
    energy_in_phi: Mean
    phi_share: Mean


@dataclass(frozen=True)
class GradientImage:
    """The same of one image."""

    model: str
    image: str
    step: int
    energy_in_phi: float
    phi_share: float


@dataclass(frozen=True)
class ClassShare:
    """Share of a label map in a figure that has a class. colour: of it in the picture, #rrggbb."""

    figure: str
    panel: str
    model: str
    name: str
    colour: str
    share: float


@dataclass(frozen=True)
class ScaledMap:
    """What Eq. 9 scaled a map in a figure from: its least and its largest value. unit: of both."""

    figure: str
    panel: str
    model: str
    minimum: float
    maximum: float
    unit: Literal["levels", "gradient"]


@dataclass(frozen=True)
class StepRow:
    """One image of a strip.

    Attributes:
        mean: change in levels over the image.
        minimum, maximum: of the change, where known.
    """

    figure: str
    model: str
    image: str
    scope: Scope
    step: int
    mean: float
    minimum: int | None
    maximum: int | None


@dataclass(frozen=True)
class FigureRecord:
    """A figure of the report.

    Attributes:
        number: of the paper's figure, empty if it has none.
        files, data: below ``report/``.
    """

    name: str
    number: str
    title: str
    caption: str
    files: tuple[str, ...]
    data: tuple[str, ...]


@dataclass(frozen=True)
class SetRow:
    """A set that was crafted.

    Attributes:
        images: asked for.
        skipped: (image, task, victims) without a source pixel.
    """

    name: str
    images: int
    samples: int
    skipped: int
    seconds: float | None


@dataclass(frozen=True)
class Kang2020Report:
    """Everything a report says (kang2020.json).

    Attributes:
        versions: of what made the sets.
        evaluated_with: of what made the report.
        resamples, seed: of the bootstrap.
        height, width: of every image, None where no set was made.
        files: SHA-256 of the other files of the report, by path; empty in reports of earlier versions.
    """

    config: ExperimentConfig
    versions: Mapping[str, str]
    revision: str
    machine: str
    seconds: Mapping[str, float]
    height: int | None
    width: int | None
    sets: tuple[SetRow, ...]
    models: tuple[ModelRecord, ...]
    tasks: tuple[TaskRecord, ...]
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    curves: tuple[Curve, ...]
    budgets: tuple[BudgetPoint, ...]
    interpolated: tuple[BudgetRow, ...]
    gradients: tuple[GradientShare, ...]
    gradient_images: tuple[GradientImage, ...]
    classes: tuple[ClassShare, ...]
    scales: tuple[ScaledMap, ...]
    steps: tuple[StepRow, ...]
    figures: tuple[FigureRecord, ...]
    evaluated_with: Mapping[str, str]
    seed: int
    resamples: int
    files: Mapping[str, str] = field(default_factory=dict)
    schema: Literal["segeval.kang2020/1"] = field(default="segeval.kang2020/1")
