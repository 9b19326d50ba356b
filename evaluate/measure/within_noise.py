"""The noise floor beside a difference: what another order of the same sums changes by itself, and so no effect.

It is a share of the labels of clean images, measured by `segeval deploy` on each file. Success, accuracy and survival
are shares of other pixels, so for them it only indicates how large a difference must be to mean more.
"""

from .report_records import EngineSummary


def noise_floor(*engines: EngineSummary) -> float | None:
    """The largest floor of these engines, 0..1; None if none has one."""
    known = [engine.noise_floor.share for engine in engines if engine.noise_floor is not None]
    return max(known, default=None)


def within_noise(difference: float | None, floor: float | None) -> bool:
    """Whether there is a difference, and it is no larger than the floor."""
    return difference is not None and floor is not None and 0 < abs(difference) <= floor


def floor_percent(floor: float | None) -> str:
    """``0.53``, ``<0.01``, ``0``; a dash for None."""
    if floor is None:
        return "–"
    return "0" if floor == 0 else "<0.01" if floor < 5e-5 else f"{100 * floor:.2f}"


def floor_cell(difference: float | None, floor: float | None) -> str:
    """The floor in percent, marked where the difference is within it: ``within 0.53``."""
    return f"{'within ' if within_noise(difference, floor) else ''}{floor_percent(floor)}"
