"""One part of a replay: every n-th input, so that several machines can share the work."""

from __future__ import annotations

import re
from typing import List, NamedTuple, Sequence


class Part(NamedTuple):
    """Part `number`, from 1 on, of `total`."""

    number: int = 1
    total: int = 1

    def of(self, indices: Sequence[int]) -> List[int]:
        """Those of some inputs that belong to this part."""
        return [index for index in indices if index % self.total == self.number - 1]

    @property
    def name(self) -> str:
        """As in ``1/4``; empty for the whole."""
        return "{}/{}".format(self.number, self.total) if self.total > 1 else ""


def parse(text: str) -> Part:
    """``2/4`` as a part, an empty text as the whole. Raises ValueError."""
    if not text:
        return Part()
    found = re.match(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})\Z", text)
    if found is None or int(found.group(1)) > int(found.group(2)):
        raise ValueError("{!r} is not a shard such as 1/4, 2/4, 3/4 or 4/4".format(text))
    return Part(int(found.group(1)), int(found.group(2)))
