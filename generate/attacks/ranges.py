"""Ranges of attacks' settings."""

from collections.abc import Callable, Sequence
from math import isfinite

from segeval.errors import ConfigurationError

RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    "positive": (lambda value: value > 0, "is above 0"),
    "from_zero": (lambda value: value >= 0, "is 0 or above"),
    "shares": (lambda value: 0 < value <= 1, "is above 0 and up to 1"),
    "kept": (lambda value: 0 <= value < 1, "is 0 or above and below 1"),
    "counts": (lambda value: value >= 1, "is 1 or above"),
    "levels": (lambda value: 0 < value <= 255, "is above 0 and up to 255 levels"),
}


def require(name: str, attack: object, **settings: Sequence[str]) -> None:
    """Raise ConfigurationError for the first setting that is outside its range, or not finite.

    Args:
        name: of the attack.
        attack: whose attributes the settings are.
        settings: names of settings, by their range in `RANGES`.
    """
    for kind, names in settings.items():
        allowed, words = RANGES[kind]
        for setting in names:
            value = getattr(attack, setting)
            if not (isfinite(value) and allowed(value)):
                raise ConfigurationError(f"{name}: {setting}={value}", f"{setting} {words}")
