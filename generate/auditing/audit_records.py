"""What an audit is asked for, and what it found."""

from dataclasses import dataclass
from typing import Literal

from segeval.files.sets import CraftConfig

Verdict = Literal["ok", "sign", "not checked"]


@dataclass(frozen=True)
class AuditConfig:
    """Everything that decides what `segeval audit` computes.

    Attributes:
        craft: the images, networks, files, attack and its steps, as `segeval craft` would be told them.
        budget: of the attack, L-infinity in 0–255 levels.
        restarts: from how many random images the attack begins as well.
    """

    craft: CraftConfig
    budget: int = 1
    restarts: int = 2

    @property
    def attack(self) -> str:
        """Name of the one that is audited."""
        return self.craft.attacks[0]


@dataclass(frozen=True)
class Found:
    """A number of a check, a mean over images, and what it is of."""

    label: str
    value: float


@dataclass(frozen=True)
class Check:
    """One question about a gradient.

    Attributes:
        name: what is looked at.
        found: what was measured: shares of φ that an attack won, losses or numbers of images.
        verdict: whether that is a sign of a gradient that hides something.
        told: what the sign is, or why nothing was checked; empty if all is well.
    """

    name: str
    found: tuple[Found, ...]
    verdict: Verdict
    told: str = ""


@dataclass(frozen=True)
class NetworkAudit:
    """The checks of a network, or of a file that was deployed of it.

    Attributes:
        network: its name, ``espnet-camvid`` or ``espnet-camvid.int8``.
        images: how many have a source pixel.
    """

    network: str
    images: int
    checks: tuple[Check, ...]

    @property
    def signs(self) -> tuple[Check, ...]:
        """Those that show one."""
        return tuple(check for check in self.checks if check.verdict == "sign")


@dataclass(frozen=True)
class AuditRecord:
    """All that an audit found. images: ids of those that were looked at, source pixels or not."""

    config: AuditConfig
    images: tuple[str, ...]
    networks: tuple[NetworkAudit, ...]

    @property
    def signs(self) -> int:
        """How many checks show one."""
        return sum(len(network.signs) for network in self.networks)
