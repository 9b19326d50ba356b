"""What of an adversarial set goes into a bundle, and which model runs which of it."""

from dataclasses import dataclass
from functools import partial

from segeval.deploy.bundle import Input, ranges
from segeval.errors import DataError
from segeval.metrics import Labels
from segeval.records import FileRecord
from segeval.store import RgbImage, SetFolder


@dataclass(frozen=True)
class Crafted:
    """An adversarial image and the models that crafting showed it to: its victims, and others where asked for."""

    id: str
    models: frozenset[str]
    file: FileRecord


@dataclass(frozen=True)
class Contents:
    """The images of a set. clean, truth: by image id; truth only where it is known."""

    folder: SetFolder
    clean: dict[str, FileRecord]
    truth: dict[str, FileRecord]
    adversarial: tuple[Crafted, ...]

    def image(self, id: str) -> RgbImage:
        """A clean image, (H, W, 3) RGB."""
        return self.folder.image(self.clean[id])

    def ground_truth(self, id: str) -> Labels | None:
        """Labels of a clean image, (H, W) with IGNORE, or None if unknown."""
        return self.folder.labels(self.truth[id]) if id in self.truth else None

    def inputs(self) -> list[Input]:
        """Everything to run, clean images first."""
        clean = [Input(f"clean/{id}", partial(self.image, id)) for id in self.clean]
        crafted = [Input(f"adversarial/{c.id}", partial(self.folder.image, c.file)) for c in self.adversarial]
        return clean + crafted

    def inputs_for(self, model: str) -> tuple[tuple[int, int], ...]:
        """The inputs a model runs: every clean image, and the adversarial images that crafting showed it."""
        clean = len(self.clean)
        own = [clean + at for at, crafted in enumerate(self.adversarial) if model in crafted.models]
        return ranges([*range(clean), *own])


def survey(folder: SetFolder) -> Contents:
    """Read what a set holds; no image is loaded yet. Raises DataError if nothing was attacked."""
    clean: dict[str, FileRecord] = {}
    truth: dict[str, FileRecord] = {}
    adversarial = []
    for sample in folder.samples():
        clean.setdefault(sample.image, sample.files["clean"])
        if "truth" in sample.files:
            truth.setdefault(sample.image, sample.files["truth"])
        adversarial.append(Crafted(sample.id, frozenset(sample.counts), sample.files["adversarial"]))
    if not clean:
        hint = "craft with a task whose source classes occur in the images"
        raise DataError(f"{folder.root} holds no adversarial image", hint)
    return Contents(folder, clean, truth, tuple(adversarial))
