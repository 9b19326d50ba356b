"""Which attacks of a set a gate is about."""

from collections.abc import Iterable, Sequence

from segeval.errors import ConfigurationError, nearest
from segeval.files.sets import AttackSpec

from ..measure.comparisons import float_attacks
from ..measure.report_rows import made_on_files
from .under_attack_numbers import WORST, grouped_attacks

SURVIVAL, GAP = "survival", "adaptive_gap"
NEEDS_BOTH = (
    "the gap compares an attack made on deployed files with the same one made on the network: craft with both, "
    "--on fp32 --on int8"
)
NEEDS_NETWORK = (
    "survival is only of attacks that were made on the network: craft with --on fp32 too, or ask for success or evaded"
)
NEEDS_SEVERAL = (
    "the worst of several attacks is only of attacks with the same scope and budget: craft with two of them or more"
)
NOT_TOGETHER = "survival is of attacks made on the network, adaptive_gap of those made on files: give two gates"


def fitting(text: str, attack: str, metrics: Iterable[str], attacks: Sequence[AttackSpec]) -> frozenset[str]:
    """Labels of the attacks that a gate is about.

    Survival is only of attacks that were made on the float network, the gap of those made on deployed files that have
    such a partner, worst cases of those that others are comparable with, and everything else of all. Raises
    ConfigurationError if there is none, with what to do.

    Args:
        text: of the gate.
        attack: the only one it is about, empty for all.
        metrics: in it.
        attacks: of the set.
    """
    what = f"--gate {text!r} fits no attack of the report"
    labels = dict.fromkeys(spec.label for spec in attacks)
    if attack and attack not in labels:
        raise ConfigurationError(what, nearest(attack, labels))
    found = {attack} if attack else set(labels)
    asked = set(metrics)
    if asked >= {SURVIVAL, GAP}:
        raise ConfigurationError(what, NOT_TOGETHER)
    if SURVIVAL in asked:
        found -= made_on_files(attacks)
    if GAP in asked:
        found &= float_attacks(attacks).keys()
    if not found:
        raise ConfigurationError(what, NEEDS_BOTH if GAP in asked else NEEDS_NETWORK)
    if asked & WORST.keys():
        # A gate on worst cases alone would say the same of every attack of a group.
        found &= grouped_attacks(attacks, once=not attack and asked <= WORST.keys())
    if not found:
        raise ConfigurationError(what, NEEDS_SEVERAL)
    return frozenset(found)
