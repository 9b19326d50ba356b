"""Goals: what an attack wants to turn its pixels φ into."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Kind = Literal["class", "lost", "wrong"]


class Goal(NamedTuple):
    """Which labels of a pixel an attack accepts; φ are the pixels that the clean prediction sees as a source class.

    class: the adversarial class alone, as in Kang et al. 2020.
    lost: whatever is no source class, so that what was there is gone.
    wrong: whatever the clean prediction is not; untargeted. The source classes are all there are.

    Attributes:
        sources: indices of the source classes.
        target: index of the adversarial class, None unless `kind` is "class".
        kind: one of the three above.
    """

    sources: tuple[int, ...]
    target: int | None = None
    kind: Kind = "class"

    def phi(self, clean: NDArray[np.integer]) -> NDArray[np.bool_]:
        """(H, W) bool, the pixels of a clean prediction (H, W) that the attack is made for."""
        return source_mask(clean, self.sources)

    def reached(self, labels: NDArray[np.uint8], clean: NDArray[np.uint8] | None = None) -> NDArray[np.bool_]:
        """Where labels are what the attack wants.

        Args:
            labels: of any shape.
            clean: the clean prediction of the same pixels, needed where the kind is "wrong".

        Returns:
            Booleans of that shape; only those of pixels of φ mean anything.
        """
        if self.kind == "class":
            return np.asarray(labels == self.target)
        return self.damaged(labels, clean)

    def damaged(self, labels: NDArray[np.uint8], clean: NDArray[np.uint8] | None = None) -> NDArray[np.bool_]:
        """Where labels are no source class, or for "wrong" not the clean one; the arguments are those of `reached`."""
        if self.kind == "wrong":
            if clean is None:
                raise ValueError("an untargeted goal needs the clean prediction")
            return np.asarray(labels != clean)
        found = np.ones(labels.shape, np.bool_)
        for source in self.sources:  # a comparison each: np.isin takes as long as fifty of them
            found &= labels != source
        return found


def source_mask(labels: NDArray[np.integer], sources: Sequence[int]) -> NDArray[np.bool_]:
    """Boolean mask of the pixels of `labels` that belong to a source class: φ when `labels` is a clean prediction."""
    return np.isin(labels, sources)
