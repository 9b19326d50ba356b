"""What went wrong in a soak, and how to see it again."""

import re
from dataclasses import dataclass


def slug(name: str) -> str:
    """A command or kind of file as --only takes it."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


@dataclass(frozen=True)
class Finding:
    """What went wrong. place: a command or a kind of file.   moment: of the run, or the flip, in words."""

    place: str
    seed: int
    moment: str
    what: str

    def __str__(self) -> str:
        again = f"python -m tests.soak.check --only {slug(self.place)} --seed {self.seed}"
        return f"{self.place}, seed {self.seed}, {self.moment}: {self.what}\n    again: {again}"
