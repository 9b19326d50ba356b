"""From names, presets and ``--set key=value`` to attacks with every hyper-parameter decided."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import product
from typing import Any

from segeval.corruptions import parse_corruptions
from segeval.errors import ConfigurationError, UnknownNameError, nearest, some
from segeval.files.patterns import is_pattern
from segeval.files.sets import AttackSpec, CraftConfig, MadeOn, Scope, Setting
from segeval.registry import ATTACKS

from .budgets import require_budget
from .fitted import load_fitted
from .problem import Attack
from .settings import with_settings

LAST_STEP_PRESETS = ("paper",)
"""Presets that go as the paper does: on float images, of which the last one is saved instead of the best."""


def short_name(attack: str) -> str:
    """Name of an attack in labels and paths: its registered name, or the last word of ``package.module:Class``."""
    return attack.rpartition(":")[2].lower()


def parse_settings(settings: Iterable[str], attacks: Iterable[str]) -> dict[str, dict[str, str]]:
    """``key=value`` or ``attack.key=value`` per attack; a bare key goes to every attack that has it.

    Raises ConfigurationError for a malformed setting or a key that no attack has.
    """
    chosen: dict[str, dict[str, str]] = {attack: {} for attack in attacks if not is_pattern(attack)}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigurationError(f"--set {setting!r} is not KEY=VALUE", "for example --set penalty=300")
        prefix, dot, name = key.rpartition(".")
        owners = [
            attack for attack in chosen if (not dot or short_name(attack) == prefix) and name in parameters(attack)
        ]
        if not owners:
            raise without_owner(key, chosen)
        for attack in owners:
            chosen[attack][name] = value
    return chosen


def without_owner(key: str, attacks: Collection[str]) -> ConfigurationError:
    """The error for a setting that no attack has, or that is of an attack which is not crafted."""
    prefix, dot, name = key.rpartition(".")
    names = sorted(map(short_name, attacks))
    if dot and names and prefix not in names:
        near = nearest(prefix, names)
        hint = near if near.startswith("did you mean") else f"add --attack {prefix}, or leave out --set {key}"
        return ConfigurationError(f"--set {key}: {prefix} is not among your attacks: {some(names, 10)}", hint)
    asked = [attack for attack in attacks if not dot or short_name(attack) == prefix]
    known = sorted({parameter for attack in asked for parameter in parameters(attack)})
    return ConfigurationError(f"no attack here has a setting {key!r}", nearest(name, known, prefix + dot))


def parameters(attack: str) -> tuple[str, ...]:
    """Names of an attack's hyper-parameters."""
    return tuple(field.name for field in fields(ATTACKS.load(attack)))


def build_attack(name: str, preset: str, scope: Scope, settings: Mapping[str, Setting], on: MadeOn = "fp32") -> Attack:
    """An attack with its preset and settings. Raises UnknownNameError, ConfigurationError."""
    form: Any = ATTACKS.load(name)
    known = sorted({"default", *(given for given, _ in form.presets)})
    if preset not in known:
        raise UnknownNameError(f"attack {name!r} has no preset {preset!r}", f"presets: {', '.join(known)}")
    chosen = {**form.presets.get((preset, scope), {}), **settings}
    if on == "evasive":
        chosen = without_own_loss(name, getattr(form, "own_loss", ()), chosen, settings)
    attack: Attack = with_settings(f"attack {name!r}", form, chosen)
    for key, value in getattr(form, "local_only", {}).items():
        if scope == "full" and getattr(attack, key) == value:
            raise ConfigurationError(
                f"attack {name!r}: {key}={value} is of the local scope", "craft with --scope local"
            )
    if attack.radius is not None:
        require_budget(short_name(name), attack.radius)
    return attack


def without_own_loss(
    name: str, own_loss: Collection[str], chosen: Mapping[str, Setting], settings: Collection[str]
) -> dict[str, Setting]:
    """The parameters of an attack whose own loss is replaced by the evasive loss.

    Raises ConfigurationError for a setting of the replaced loss, which would have no effect.

    Args:
        name: of the attack.
        own_loss: the parameters of its own loss.
        chosen: parameters of the preset and settings.
        settings: the parameters that were asked for.
    """
    if useless := sorted(set(own_loss) & set(settings)):
        raise ConfigurationError(
            f"attack {name!r}: {useless[0]} belongs to its own loss, which --on evasive replaces",
            f"leave out --set {useless[0]}, or craft --on evasive into another set, without it",
        )
    return {key: value for key, value in chosen.items() if key not in own_loss}


@dataclass(frozen=True)
class Trajectory:
    """One run of an attack, and what is saved of it: specs that differ only in which iterate they keep."""

    attack: Attack
    specs: tuple[AttackSpec, ...]


def resolve(config: CraftConfig) -> list[Trajectory]:
    """Every combination of attack, scope, preset and what it is made on; then the attacks matched to another."""
    if config.stop_at is not None and (config.within or config.match):
        raise ConfigurationError(
            "--stop-at with --within or --match: an image would stop at an iterate beyond its limit", "leave one out"
        )
    for limit in config.within:
        if not 0 < limit <= 255:
            raise ConfigurationError(
                f"--within {limit} is not a mean change in levels", "limits are above 0 and up to 255"
            )
    robust = tuple(corruption.name for corruption in parse_corruptions(config.robust_to, "--robust-to"))
    matches = [parse_match(text, config.attacks) for text in config.match]
    settings = parse_settings(config.settings, dict.fromkeys((*config.attacks, *(name for name, _ in matches))))
    resolved = []
    for name in config.attacks:
        if is_pattern(name):
            resolved.append(fitted(name, config))
            continue
        for scope in config.scopes:
            for preset in config.presets:
                for on, robust_to in product(config.on, ((), robust) if robust else ((),)):
                    attack = build_attack(name, preset, scope, settings[name], on)
                    spec = replace(describe(name, preset, scope, attack, config, on), robust_to=robust_to)
                    within = (replace(spec, within=limit, keep="best") for limit in config.within)
                    resolved.append(Trajectory(attack, (spec, *within)))
    references = [trajectory.specs[0] for trajectory in resolved if not trajectory.specs[0].robust_to]
    for name, reference in matches:
        own = [spec for spec in references if spec.attack == short_name(reference)]
        resolved.extend(matched(name, spec, settings[name], config) for spec in own)
    return resolved


def fitted(folder: str, config: CraftConfig) -> Trajectory:
    """A pattern from `segeval fit`, which takes no step. Raises ConfigurationError where it may not change all."""
    pattern = load_fitted(folder)
    if "full" not in config.scopes:
        raise ConfigurationError(f"pattern {pattern.name!r} changes pixels outside φ", "craft with --scope full")
    spec = AttackSpec(
        attack=pattern.name,
        preset="default",
        scope="full",
        steps=0,
        keep="best",
        stop_at=None,
        budget=pattern.radius,
        parameters=pattern.parameters,
        whole_levels=True,
    )
    return Trajectory(pattern, (spec,))


def parse_match(text: str, attacks: Collection[str]) -> tuple[str, str]:
    """``fgsm=tanh`` as the attack and its reference. Raises ConfigurationError."""
    name, equals, reference = text.partition("=")
    if not equals or reference not in attacks:
        raise ConfigurationError(
            f"--match {text!r} is not ATTACK=REFERENCE with a REFERENCE that is crafted too",
            f"as in --match fgsm={next(iter(attacks))}",
        )
    return name, reference


def matched(name: str, reference: AttackSpec, settings: Mapping[str, str], config: CraftConfig) -> Trajectory:
    """An attack kept within the mean change that its reference has on the same image.

    Its settings `matched` are taken where it has some: steps so small that an iterate comes close to the limit.
    """
    finer = getattr(ATTACKS.load(name), "matched", {})
    attack = build_attack(name, "default", reference.scope, {**finer, **settings}, reference.on)
    spec = describe(name, "matched" if finer else "default", reference.scope, attack, config, reference.on)
    return Trajectory(attack, (replace(spec, match=reference.label, keep="best"),))


def describe(name: str, preset: str, scope: Scope, attack: Attack, config: CraftConfig, on: MadeOn) -> AttackSpec:
    """The record of one attack. Raises ConfigurationError if it restarts more often than it has steps."""
    restarts = getattr(attack, "restarts", 0)
    if restarts > config.steps:
        what = f"attack {name!r} restarts {restarts} times, but has {config.steps} steps in all"
        raise ConfigurationError(what, "every start needs a step: give more --steps")
    return AttackSpec(
        attack=short_name(name),
        preset=preset,
        scope=scope,
        steps=config.steps,
        keep=config.keep or ("last" if preset in LAST_STEP_PRESETS else "best"),
        stop_at=config.stop_at,
        budget=attack.radius,
        parameters=asdict(attack),  # type: ignore[call-overload]
        on=on,
        engines=() if on == "fp32" else config.engines,
        whole_levels=set(config.on) != {"fp32"},
        dithered=preset not in LAST_STEP_PRESETS,
    )
