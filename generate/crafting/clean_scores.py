"""How well the networks do before they are attacked: an attack on one that sees nothing shows nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from segeval.classes import ClassTable
from segeval.datasets import Example
from segeval.errors import counted
from segeval.files.sets import AdversarialSet
from segeval.metrics import ConfusionMatrix, Labels
from segeval.models import Segmenter
from segeval.models.soundness import worse_than_none


class CleanScores:
    """Pixel counts of every network over the clean images that have ground truth."""

    def __init__(self, table: ClassTable) -> None:
        self.table = table
        self.images = 0
        self._matrices: dict[str, ConfusionMatrix] = {}

    def add(self, example: Example, predictions: Mapping[str, Labels]) -> None:
        """Count an image.

        Args:
            example: image and ground truth.
            predictions: (H, W) per network.
        """
        if example.labels is None:
            return
        self.images += 1
        for model, labels in predictions.items():
            self._matrices.setdefault(model, ConfusionMatrix(len(self.table))).update(example.labels, labels)

    def merge(self, others: Iterable["CleanScores"]) -> None:
        """Add what was counted elsewhere, on other images."""
        for other in others:
            self.images += other.images
            for model, matrix in other._matrices.items():
                self._matrices.setdefault(model, ConfusionMatrix(len(self.table))).counts += matrix.counts

    def told(self) -> Iterator[str]:
        """Clean mIoU of every network, and what is doubtful."""
        found = {model: matrix.mean_iou() for model, matrix in self._matrices.items()}
        words = [f"{model} {100 * miou:.1f} %" for model, miou in found.items() if miou is not None]
        if words:
            yield f"clean mIoU on {counted(self.images, 'labelled image')}: {', '.join(words)}"
            yield self.doubt()

    def doubt(self) -> str:
        """About the first network that does worse than no network; empty if none does."""
        doubts = (worse_than_none(model, matrix, self.table) for model, matrix in self._matrices.items())
        return next(filter(None, doubts), "")


def told_of_scale(model: Segmenter) -> str:
    """That a network's logits are scaled for its attacks; empty if they are not."""
    scale = model.record.logit_scale
    if scale == 1:
        return ""
    logits, loss = ("small", "nearly flat") if scale > 1 else ("large", "saturated")
    return (
        f"{model.spec.name}: its logits are unusually {logits}, which makes the loss {loss} in float32; "
        f"attacks multiply them by {scale:g}, and no prediction changes"
    )


def told_of_size(models: Sequence[Segmenter], manifest: AdversarialSet) -> str:
    """That no network was made for images of the set's size, and for which the first was; empty if one was."""
    size, spec = (manifest.height, manifest.width), models[0].spec
    if not all(spec.size) or size in [model.spec.size for model in models]:
        return ""
    return f"images are {size[0]}x{size[1]}; {spec.name} was made for another size: {spec.size_option(*size)}"


def told_of_resizing(models: Sequence[Segmenter]) -> str:
    """That networks whose authors resize images differently get the same ones; empty if they do not differ."""
    ways = {model.spec.name: model.spec.preprocessing.resize for model in models}
    if len(set(ways.values())) == 1:
        return ""
    first = models[0].spec
    others = ", ".join(f"{name} as {way}" for name, way in ways.items() if way != first.preprocessing.resize)
    return (
        f"images that need resizing are resized as {first.name}'s authors do ({first.preprocessing.resize}); those of "
        f"other networks differ: {others}"
    )
