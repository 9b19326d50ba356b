"""From names, presets and ``--set key=value`` to attacks with every hyper-parameter decided."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec

from segeval.errors import ConfigurationError, UnknownNameError
from segeval.generate.problem import Attack
from segeval.records import AttackSpec, CraftConfig, Scope
from segeval.registry import ATTACKS

LAST_STEP_PRESETS = ("paper",)
"""Presets that save what the last step reached, as the paper does, instead of the best iterate."""


def short_name(attack: str) -> str:
    """Name of an attack in labels and paths: its registered name, or the last word of ``package.module:Class``."""
    return attack.rpartition(":")[2].lower()


def parse_settings(settings: Iterable[str], attacks: Iterable[str]) -> dict[str, dict[str, str]]:
    """``key=value`` or ``attack.key=value`` per attack; a bare key goes to every attack that has it.

    Raises ConfigurationError for a malformed setting or a key that no attack has.
    """
    chosen: dict[str, dict[str, str]] = {attack: {} for attack in attacks}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting!r} is not KEY=VALUE", "for example --set penalty=300")
        prefix, dot, name = key.rpartition(".")
        owners = [
            attack for attack in chosen if (not dot or short_name(attack) == prefix) and name in parameters(attack)
        ]
        if not owners:
            known = sorted({parameter for attack in chosen for parameter in parameters(attack)})
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ConfigurationError(f"no attack here has a setting {key!r}", f"{hint}settings: {', '.join(known)}")
        for attack in owners:
            chosen[attack][name] = value
    return chosen


def parameters(attack: str) -> tuple[str, ...]:
    """Names of an attack's hyper-parameters."""
    return tuple(field.name for field in fields(ATTACKS.load(attack)))


def build_attack(name: str, preset: str, scope: Scope, settings: Mapping[str, str]) -> Attack:
    """An attack with its preset and settings. Raises UnknownNameError, ConfigurationError."""
    form: Any = ATTACKS.load(name)
    known = sorted({"default", *(given for given, _ in form.presets)})
    if preset not in known:
        raise UnknownNameError(f"attack {name!r} has no preset {preset!r}", f"presets: {', '.join(known)}")
    chosen = {**form.presets.get((preset, scope), {}), **settings}
    try:
        attack: Attack = msgspec.convert(chosen, form, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"attack {name!r}: {error}", "check the values given with --set") from error
    for key, value in getattr(form, "local_only", {}).items():
        if scope == "full" and getattr(attack, key) == value:
            raise ConfigurationError(
                f"attack {name!r}: {key}={value} is of the local scope", "craft with --scope local"
            )
    return attack


def resolve(config: CraftConfig) -> list[tuple[AttackSpec, Attack]]:
    """Every combination of attack, scope and preset, in that order."""
    settings = parse_settings(config.settings, config.attacks)
    resolved = []
    for name in config.attacks:
        for scope in config.scopes:
            for preset in config.presets:
                attack = build_attack(name, preset, scope, settings[name])
                resolved.append((describe(name, preset, scope, attack, config), attack))
    return resolved


def describe(name: str, preset: str, scope: Scope, attack: Attack, config: CraftConfig) -> AttackSpec:
    """The record of one attack."""
    return AttackSpec(
        attack=short_name(name),
        preset=preset,
        scope=scope,
        steps=config.steps,
        keep=config.keep or ("last" if preset in LAST_STEP_PRESETS else "best"),
        stop_at=config.stop_at,
        budget=attack.radius,
        parameters=asdict(attack),  # type: ignore[call-overload]
    )
