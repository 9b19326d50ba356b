"""Which images of an adversarial set go into a bundle, and which model runs which of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from segeval.corruptions import Corruption
from segeval.errors import DataError
from segeval.files.bundles import corrupted_key
from segeval.files.consistency import consistent_samples, require_consistent_set
from segeval.files.images import RgbImage
from segeval.files.set_folder import SetFolder
from segeval.files.sets import FileRecord
from segeval.metrics import Labels

from .bundle import Input, ranges


@dataclass(frozen=True)
class Crafted:
    """An adversarial image and the models that crafting showed it to: its victims, and others where asked for."""

    id: str
    models: frozenset[str]
    file: FileRecord


@dataclass(frozen=True)
class Contents:
    """The images of a set.

    Attributes:
        clean, truth: by image id; truth only where it is known.
        predictions: by (image id, network), what the network showed on the clean image when it was attacked.
        corruptions: what every image is run after as well, besides as it is.
    """

    folder: SetFolder
    clean: dict[str, FileRecord]
    truth: dict[str, FileRecord]
    adversarial: tuple[Crafted, ...]
    corruptions: tuple[Corruption, ...] = ()
    predictions: Mapping[tuple[str, str], FileRecord] = field(default_factory=dict)

    def image(self, id: str) -> RgbImage:
        """A clean image, (H, W, 3) RGB."""
        return self.folder.image(self.clean[id])

    def ground_truth(self, id: str) -> Labels | None:
        """Labels of a clean image, (H, W) with IGNORE, or None if unknown."""
        return self.folder.labels(self.truth[id]) if id in self.truth else None

    def prediction(self, id: str, model: str) -> Labels | None:
        """Labels (H, W) that a network showed on a clean image when it was attacked, None if it saw no attack on it."""
        saved = self.predictions.get((id, model))
        return None if saved is None else self.folder.labels(saved)

    def inputs(self) -> list[Input]:
        """Everything to run: clean images, adversarial images, then both again after each corruption."""
        clean = [Input(f"clean/{id}", partial(self.image, id)) for id in self.clean]
        crafted = [Input(f"adversarial/{c.id}", partial(self.folder.image, c.file)) for c in self.adversarial]
        plain = clean + crafted
        return plain + [after(corruption, each) for corruption in self.corruptions for each in plain]

    def inputs_for(self, model: str, corruptions: bool = True) -> tuple[tuple[int, int], ...]:
        """The inputs a model runs: every clean image, and the adversarial images that crafting showed it.

        Args:
            model: name of the network.
            corruptions: whether also after each corruption.
        """
        clean = len(self.clean)
        own = [clean + at for at, crafted in enumerate(self.adversarial) if model in crafted.models]
        plain, block = [*range(clean), *own], clean + len(self.adversarial)
        blocks = 1 + len(self.corruptions) * corruptions
        return ranges([number * block + index for number in range(blocks) for index in plain])


def after(corruption: Corruption, plain: Input) -> Input:
    """An input as it comes out of a corruption."""
    return Input(corrupted_key(corruption.name, plain.key), partial(through, corruption, plain.load))


def through(corruption: Corruption, load: Callable[[], RgbImage]) -> RgbImage:
    """The image that `load` reads, as it comes out of a corruption."""
    return corruption.apply(load())


def survey(folder: SetFolder, corruptions: tuple[Corruption, ...] = ()) -> Contents:
    """Read what a set holds; no image is loaded yet.

    Raises DataError if nothing was attacked, FormatError if its records contradict each other.
    """
    manifest = folder.manifest()
    require_consistent_set(manifest, str(folder.manifest_path))
    clean: dict[str, FileRecord] = {}
    truth: dict[str, FileRecord] = {}
    predictions: dict[tuple[str, str], FileRecord] = {}
    adversarial = []
    for sample in consistent_samples(folder, manifest):
        clean.setdefault(sample.image, sample.files["clean"])
        if "truth" in sample.files:
            truth.setdefault(sample.image, sample.files["truth"])
        for model in sample.counts:
            if (saved := sample.files.get(f"prediction:{model}")) is not None:
                predictions.setdefault((sample.image, model), saved)
        adversarial.append(Crafted(sample.id, frozenset(sample.counts), sample.files["adversarial"]))
    if not clean:
        hint = "craft with a task whose source classes occur in the images"
        raise DataError(f"{folder.root} holds no adversarial image", hint)
    return Contents(folder, clean, truth, tuple(adversarial), corruptions, predictions)
