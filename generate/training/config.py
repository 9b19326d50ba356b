"""The options of a training."""

import math
from dataclasses import dataclass

from segeval.errors import ConfigurationError


@dataclass(frozen=True)
class TrainConfig:
    """Everything that decides the result of a training.

    Attributes:
        rate: peak learning rate.
        warm_up: share of the steps until it is reached.
        auxiliary: weight of each auxiliary loss.
        averaging: decay of the weights' average per step.
        crop: (height, width).
        initial: what to start from: a weight file of this network, or NAME[=WEIGHTS] of a registered one whose output
            layers are taken over class by class; empty for random weights.
        teacher: NAME[=WEIGHTS] of a network whose class probabilities are learnt beside the labels, weighted by
            `distillation`; empty for none.
        colour: `Augmentation`'s.
        lovasz: weight of the Lovász-softmax loss beside the cross entropy.
        hold_out: beginning of the names of the training images that are validated on instead of trained on; empty to
            validate on `validation_split`.
        loss_stride: the loss is taken at the crop's resolution divided by this.
        validate_every: epochs between validations; the last epoch is always validated.
    """

    model: str
    dataset: str
    data_root: str | None = None
    train_split: str = "train"
    validation_split: str = "val"
    size: tuple[int, int] | None = None
    limit: int | None = None
    epochs: int = 30
    batch_size: int = 8
    crop: tuple[int, int] = (256, 512)
    scale: tuple[float, float] = (0.75, 1.5)
    colour: float = 0.3
    loss_stride: int = 1
    rate: float = 2e-3
    decay: float = 1e-2
    warm_up: float = 0.03
    auxiliary: float = 0.4
    class_weights: bool = True
    averaging: float = 0.99
    initial: str = ""
    teacher: str = ""
    distillation: float = 1.0
    lovasz: float = 0.0
    hold_out: str = ""
    validate_every: int = 1
    seed: int = 0
    device: str = "cpu"
    ignore: tuple[int, ...] = ()


def require_sensible(config: TrainConfig) -> None:
    """Raise ConfigurationError for options that no training can have."""
    low, high = config.scale
    if not 0 < low <= high < math.inf:
        raise ConfigurationError(f"--zoom {low} {high} is not a range", "give the smallest, then the largest")
    if min(config.crop) < 1:
        raise ConfigurationError(
            f"--crop {config.crop[0]}x{config.crop[1]}: no pixel is left", "for example --crop 256x512"
        )
    if config.epochs < 1 or (config.limit is not None and config.limit < 1):
        raise ConfigurationError("the number of epochs and the limit must be at least 1")
    if config.batch_size < 2:
        raise ConfigurationError("the batch size must be at least 2", "batch normalization needs several examples")
    if not 0 <= config.colour < 1 or not 0 <= config.distillation < math.inf or not 0 <= config.lovasz < math.inf:
        given = f"--colour {config.colour} --distillation {config.distillation} --lovasz {config.lovasz}"
        raise ConfigurationError(f"{given}: out of range")
    if config.loss_stride < 1 or config.validate_every < 1:
        raise ConfigurationError("--loss-stride and --validate-every must be at least 1")
    if not 0 < config.rate < math.inf:
        raise ConfigurationError(f"--rate {config.rate}: the learning rate must be above 0", "the default is 0.002")
