"""One pass over a set, which keeps only sums per image. The image is the unit, as in `measure.statistics`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from segeval.evaluate.measure.bootstrap import Floats, averaged, fraction, interval
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.statistics import estimate, estimated
from segeval.files.sets import AdversarialSample
from segeval.reproduce.kang2020.kang2020_records import Mean

SHARES: dict[str, tuple[str, ...]] = {
    "accuracy": ("source_correct", "source"),
    "ratio": ("source_correct", "source", "other_correct", "other"),
    "success": ("hit", "phi"),
    "control": ("clean_hit", "phi"),
    "clean_accuracy": ("clean_source_correct", "source"),
    "clean_ratio": ("clean_source_correct", "source", "clean_other_correct", "other"),
    "mean": ("mean", "samples"),
    "mean_phi": ("mean_phi", "samples"),
    "l2": ("l2", "samples"),
}
"""Columns that make each number of an image: a / b, or (a / b) / (c / d)."""
COLUMNS = tuple(dict.fromkeys(column for parts in SHARES.values() for column in parts))


def columns(sample: AdversarialSample, model: str) -> Floats:
    """(columns,) one sample as seen by one model; nan where a count is unknown."""
    clean = {f"clean_{name}": number for name, number in vars(sample.clean_counts[model]).items()}
    numbers = {**vars(sample.counts[model]), **clean, **vars(sample.norms), "samples": 1}
    return np.array([numbers[name] for name in COLUMNS], np.float64)


@dataclass
class Tally:
    """Sums over the samples of each image. linf: largest change of all."""

    sums: dict[str, Floats] = field(default_factory=dict)
    samples: int = 0
    linf: int = 0

    def add(self, sample: AdversarialSample, model: str) -> None:
        """Count one sample as seen by one model."""
        row = columns(sample, model)
        self.sums[sample.image] = self.sums[sample.image] + row if sample.image in self.sums else row
        self.samples += 1
        self.linf = max(self.linf, sample.norms.linf)

    def parts(self, share: str) -> Floats:
        """(images, 2 or 4) what makes one of `SHARES`."""
        table = np.array(list(self.sums.values()), np.float64).reshape(-1, len(COLUMNS))
        return table[:, [COLUMNS.index(name) for name in SHARES[share]]]

    def estimates(self, seed: int) -> dict[str, Estimate]:
        """Of each of `SHARES` the mean over images with its interval, and the pooled value."""
        return dict(zip(SHARES, estimated([self.parts(share) for share in SHARES], seed), strict=True))

    def estimate(self, share: str, seed: int) -> Estimate:
        """The same of one share."""
        return estimate(self.parts(share), seed)

    def values(self, share: str) -> dict[str, float]:
        """The number of every image for which it exists."""
        values = fraction(self.parts(share)).tolist()
        return {image: value for image, value in zip(self.sums, values, strict=True) if not math.isnan(value)}


def mean_of(values: Sequence[float], seed: int) -> Mean:
    """Mean of one number per image, with its bootstrap interval."""
    if not values:
        return Mean(None, None, None, 0, "")
    sample = np.array(values, np.float64)
    low, high, method = interval(averaged(sample), seed)
    return Mean(float(sample.mean()), low, high, len(values), method)
