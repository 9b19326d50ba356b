"""From pixel counts to shares with intervals. The image is the unit.

Several samples of one image (one per task) are added up to one before anything else, so that they are
resampled together; images differ and are few, while their pixels are many and nearly copies of each other.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from .bootstrap import NO_INTERVAL, Floats, Interval, averaged, fraction, intervals
from .estimate_records import Estimate, Perturbation
from .survival import SampleCounts

QUANTITIES: dict[str, tuple[str, ...]] = {
    "survival": ("survived", "desktop_hit"),
    "desktop_success": ("desktop_hit", "phi"),
    "engine_success": ("engine_hit", "phi"),
    "control": ("clean_hit", "phi"),
    "changed_phi": ("changed_phi", "phi"),
    "changed": ("changed", "pixels"),
    "desktop_accuracy": ("desktop_source_correct", "source"),
    "engine_accuracy": ("engine_source_correct", "source"),
    "desktop_ratio": ("desktop_source_correct", "source", "desktop_other_correct", "other"),
    "engine_ratio": ("engine_source_correct", "source", "engine_other_correct", "other"),
    "gained": ("gained", "phi"),
    "already": ("already", "phi"),
    "evaded": ("evaded", "phi"),
    "damage": ("damage_survived", "desktop_damaged"),
    "desktop_damage": ("desktop_damaged", "phi"),
    "engine_damage": ("engine_damaged", "phi"),
    "clean_damage": ("clean_damaged", "phi"),
    "margin_survived": ("margin_survived_sum", "survived"),
    "margin_lost": ("margin_lost_sum", "lost"),
}
"""Columns of `SampleCounts` that make each quantity of a survival row: a / b, or (a / b) / (c / d)."""
OPTIONAL = ("evaded", "margin_survived", "margin_lost")
"""Quantities that some rows lack: evaded behind a corruption, margins in sets without them."""


def per_image(counts: Sequence[SampleCounts], columns: Sequence[str]) -> Floats:
    """(images, columns) sums over the samples of each image; nan where a count is unknown."""
    sums: dict[str, Floats] = {}
    for row in counts:
        values = [getattr(row, column) for column in columns]
        parts = np.array([np.nan if value is None else value for value in values], np.float64)
        sums[row.image] = sums[row.image] + parts if row.image in sums else parts
    return np.array(list(sums.values()), np.float64).reshape(-1, len(columns))


def estimates(counts: Sequence[SampleCounts], seed: int) -> dict[str, Estimate]:
    """Every quantity of `QUANTITIES` for the samples of one row; without those of `OPTIONAL` that no sample has."""
    lacking = {name for name in OPTIONAL if all(getattr(row, QUANTITIES[name][0]) is None for row in counts)}
    names = [name for name in QUANTITIES if name not in lacking]
    return dict(zip(names, estimated([per_image(counts, QUANTITIES[name]) for name in names], seed), strict=True))


def estimate(parts: Floats, seed: int) -> Estimate:
    """The share that (images, 2 or 4) counts make, over the images for which it exists."""
    return estimated([parts], seed)[0]


def estimated(quantities: Sequence[Floats], seed: int) -> list[Estimate]:
    """The share that the (images, 2 or 4) counts of each quantity make, over the images for which it exists.

    Quantities that exist for the same images are bootstrapped together, which takes a fraction of the time.
    """
    exists = [np.isfinite(fraction(parts)) for parts in quantities]
    alone, together = ([NO_INTERVAL] * len(quantities) for _ in range(2))
    for members in alike([mask.tobytes() for mask in exists]):
        parts = [quantities[each][exists[each]] for each in members]
        found = intervals([*(averaged(fraction(part)) for part in parts), *parts], seed)
        for place, member in enumerate(members):
            alone[member], together[member] = found[place], found[len(members) + place]
    return [
        record(parts[mask], len(mask), alone[number], together[number])
        for number, (parts, mask) in enumerate(zip(quantities, exists, strict=True))
    ]


def alike(keys: Sequence[Hashable]) -> list[list[int]]:
    """The places of equal keys."""
    places: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return list(places.values())


def record(parts: Floats, images: int, alone: Interval, together: Interval) -> Estimate:
    """One quantity.

    Args:
        parts: its counts where it exists.
        images: all of them.
        alone: mean's and pooled.
        together: likewise.
    """
    used = len(parts)
    if not used:
        return Estimate(None, None, None, None, None, None, 0, images, "")
    low, high, method = alone
    pooled_low, pooled_high, _ = together
    return Estimate(
        mean=float(fraction(parts).mean()),
        low=low,
        high=high,
        pooled=float(fraction(parts.sum(axis=0))),
        pooled_low=pooled_low,
        pooled_high=pooled_high,
        images=used,
        left_out=images - used,
        method=method,
    )


def perturbation(counts: Sequence[SampleCounts]) -> Perturbation:
    """Size of the perturbation: means over images, where an image's value is the mean over its samples."""
    images: dict[str, list[tuple[float, float, float]]] = {}
    for row in counts:
        images.setdefault(row.image, []).append((row.mean, row.mean_phi, row.l2))
    mean, mean_phi, l2 = np.mean([np.mean(sizes, axis=0) for sizes in images.values()], axis=0).tolist()
    return Perturbation(mean, mean_phi, l2, max(row.linf for row in counts))
