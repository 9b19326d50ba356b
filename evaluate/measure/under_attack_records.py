"""What networks see under attack, of the whole image: the records of accuracy and mIoU beside the clean ones."""

from dataclasses import dataclass
from typing import Literal

from segeval.files.sets import Scope
from segeval.precision import kind_of

from .estimate_records import Estimate
from .row_key import Keyed

Against = Literal["ground truth", "clean prediction"]


@dataclass(frozen=True)
class Scores:
    """How far label maps agree with the reference of their row, from one confusion matrix over all of them.

    Attributes:
        pixel_accuracy: share of the labelled pixels that are right.
        miou: mean over the classes that the reference has.
        cmiou: mean over these and the classes that are only predicted, whose IoU is 0, as torchmetrics' macro average
            and with it the CmIoU of Halmosi et al. 2024 (arXiv 2407.09150) have it.
        nmiou: `miou` of each image, and of these the mean over images.
        class_iou: per class of the table; None for a class that the reference does not have.
        predicted, hit: pixels per class that are predicted as it, and those of them that are right.
    """

    pixel_accuracy: float | None
    miou: float | None
    cmiou: float | None
    nmiou: Estimate
    class_iou: tuple[float | None, ...]
    predicted: tuple[int, ...]
    hit: tuple[int, ...]


@dataclass(frozen=True)
class AttackedRow(Keyed):
    """One engine, or the desktop, under one attack, or under the worst of several attacks for every image.

    Attributes:
        attack: label of the attack; for several the label of their group, as in ``worst-full-2``.
        attacks: labels of the attacks that the row is over: one, or all of one budget, scope and origin.
        chosen: of each of them, samples on which it had the most success of all, the first one of equals.
        budget: L-infinity radius of all of them in 0–255 levels; None for an unbounded attack.
        images: with a reference, which the scores are over; `success` may be over more.
        missing: samples that an unfinished replay does not have.
        success: pixels of φ that are hit, over φ.
        against: what the labels are compared with. ``clean prediction``: of the network in torch, fp32, where no
            image of the row has ground truth.
        truth: pixels per class of the table that the reference has; pixels that it ignores count nowhere.
        clean: on the clean versions of the same images, each as often as it was attacked.
        attacked: on the adversarial images.
        variant, corruption, own: of the engine, as in `SurvivalRow`.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    scope: Scope
    task: str | None
    engine: str
    precision: str
    attacks: tuple[str, ...]
    chosen: tuple[int, ...]
    budget: float | None
    images: int
    missing: int
    success: Estimate
    against: Against
    truth: tuple[int, ...]
    clean: Scores
    attacked: Scores
    variant: str = ""
    corruption: str = ""
    own: str = ""

    @property
    def is_worst(self) -> bool:
        """Whether it is over several attacks, the worst one of every image."""
        return len(self.attacks) > 1

    @property
    def kind(self) -> str:
        """What its engine is among those of its network: its precision, or what the user called its file."""
        return kind_of(self.own, self.precision)

    @property
    def ships(self) -> bool:
        """Whether it is about the desktop or an engine as it ships: the first calibration, images as they are."""
        return not self.variant and not self.corruption
