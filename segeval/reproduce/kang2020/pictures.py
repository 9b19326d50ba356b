"""The figures that are pictures (2, 3, 4, 5, 7, 8 and the strips), with what is counted in them."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segeval.errors import DataError, IntegrityError
from segeval.evaluate.report.palette import class_colours, hexadecimal
from segeval.files.experiments import ExperimentFolder, Maps, Strip
from segeval.files.images import load_png
from segeval.files.sets import AdversarialSample, FileRecord, Scope
from segeval.files.storage import inside, sha256
from segeval.metrics import Labels
from segeval.reproduce.kang2020.kang2020_records import SCOPES, ClassShare, ScaledMap, StepRow
from segeval.reproduce.kang2020.sheets import Rows, Tile, photo, plain, scaled
from segeval.reproduce.kang2020.shown_examples import Chosen

STRIP_TILE = 256
SCOPE_WORDS: dict[Scope, str] = {"local": "local", "full": "whole-image"}


@dataclass(frozen=True)
class Picture:
    """One sheet. name: of its files.   number: the paper's figure.   alt: what a reader who cannot see it is told."""

    name: str
    number: str
    title: str
    caption: str
    alt: str
    rows: Rows
    classes: tuple[ClassShare, ...] = ()
    scales: tuple[ScaledMap, ...] = ()
    steps: tuple[StepRow, ...] = ()


@dataclass
class Painter:
    """Makes the tiles of one figure, and counts what they show."""

    figure: str
    chosen: Chosen
    classes: list[ClassShare] = field(default_factory=list)
    scales: list[ScaledMap] = field(default_factory=list)

    def labels(self, title: str, note: str, model: str, labels: Labels) -> Tile:
        """A label map in the colours of its classes."""
        colours = class_colours(self.chosen.table)
        panel = f"{title}, {note}" if note else title
        for label, count in zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True):
            name, colour = self.chosen.class_name(model, label), hexadecimal(colours[label].tolist())
            self.classes.append(ClassShare(self.figure, panel, model, name, colour, count / labels.size))
        return plain(title, note, colours[labels])

    def change(self, title: str, what: str, sample: AdversarialSample) -> Tile:
        """The perturbation of a sample, scaled by Eq. 9. what: stands before the ends of the scale."""
        clean = self.chosen.image(sample.files["clean"])
        change = self.chosen.image(sample.files["adversarial"]).astype(np.int16) - clean
        pixels, low, high = scaled(change)
        self.scales.append(ScaledMap(self.figure, what or title, "+".join(sample.victims), low, high, "levels"))
        return plain(title, f"{what}: {ends(low, high)}" if what else ends(low, high), pixels)


def ends(low: float, high: float) -> str:
    """The ends of a scale in levels."""
    return f"{low:+.0f} to {high:+.0f} levels".replace("-", "−")


def whom(victims: Sequence[str]) -> str:
    """Whom an image was made for."""
    return victims[0] if len(victims) == 1 else "all jointly"


def figure_2(chosen: Chosen) -> Picture | None:
    """Clean and adversarial predictions of all models under the local joint attack."""
    sample = chosen.shown.get(("local", chosen.models))
    if sample is None:
        return None
    painter = Painter("fig2", chosen)
    rows = []
    for kind, which in (("clean", "prediction"), ("adversarial", "adversarial_prediction")):
        note = sample.image if kind == "clean" else change_of(sample)
        tiles = [photo(f"{kind} image", note, chosen.image(sample.files[kind]))]
        for model in chosen.models:
            labels = chosen.labels(sample.files[f"{which}:{model}"])
            tiles.append(painter.labels(f"{model} sees", f"{kind} image", model, labels))
        rows.append(tiles)
    return Picture(
        name="fig2",
        number="2",
        title="Clean against adversarial segmentation, local attack",
        caption=f"{chosen.describe()} One image for {' + '.join(sample.victims)}.",
        alt=f"Above, a clean image and what {', '.join(chosen.models)} see in it; below, the same for the adversarial "
        "image. The shares of the classes are in fig2.csv.",
        rows=rows,
        classes=tuple(painter.classes),
    )


def figure_3(chosen: Chosen, scope: Scope) -> Picture | None:
    """The adversarial image made for one model, shown to every model."""
    name = f"fig3-{scope}"
    painter = Painter(name, chosen)
    rows = []
    for victim in chosen.models if len(chosen.models) > 1 else ():
        sample = chosen.shown.get((scope, (victim,)))
        if sample is None:
            continue
        tiles = [photo(f"made for {victim}", sample.image, chosen.image(sample.files["adversarial"]))]
        for model in chosen.models:
            key = f"adversarial_prediction:{model}"
            if key in sample.files:
                note = "its victim" if model == victim else f"made for {victim}"
                tiles.append(painter.labels(f"{model} sees", note, model, chosen.labels(sample.files[key])))
        rows.append(tiles)
    if not rows:
        return None
    return Picture(
        name=name,
        number="3",
        title=f"Transfer, {SCOPE_WORDS[scope]} attack",
        caption="Each row: an adversarial image made for one model by the tanh method as published, then what every "
        "model sees in it.",
        alt=f"One row for each of {', '.join(chosen.models)}: the adversarial image made for it and the label maps of "
        f"all models. The shares of the classes are in {name}.csv.",
        rows=rows,
        classes=tuple(painter.classes),
    )


def figure_4(folder: ExperimentFolder, maps: Maps, chosen: Chosen) -> Picture:
    """What each model sees in a black image with a white square."""
    painter = Painter("fig4", chosen)
    tiles: list[Tile | None] = [plain("probe image", "", load_png(folder.maps, maps.probe_image, "RGB"))]
    for probe in maps.probes:
        labels = load_png(folder.maps, probe.labels, "L")
        tiles.append(painter.labels(f"{probe.model} sees", "", probe.model, labels))
    return Picture(
        name="fig4",
        number="4",
        title="Answer to a probe image",
        caption="All 0 with a square of 255 in the centre, 100 × 100 pixels unless the image is smaller.",
        alt="A black image with a white square, and the label map that each model gives it. The shares of the classes "
        "are in fig4.csv.",
        rows=[tiles],
        classes=tuple(painter.classes),
    )


def figure_5(folder: ExperimentFolder, maps: Maps, chosen: Chosen) -> Picture | None:
    """The gradient of ξ at one step and the perturbation after the last, both scaled by Eq. 9."""
    painter = Painter("fig5", chosen)
    rows: list[list[Tile | None]] = []
    for each in maps.gradients:
        if each.gradient is None:
            continue
        pixels, low, high = scaled(load_array(folder.maps, each.gradient).transpose(1, 2, 0))
        note = f"gradient of ξ, step {each.step}"
        painter.scales.append(ScaledMap("fig5", note, each.model, low, high, "gradient"))
        tiles: list[Tile | None] = [plain(each.model, f"{note}: {low:.2g} to {high:.2g}".replace("-", "−"), pixels)]
        sample = chosen.mapped.get((each.model, each.image))
        tiles.append(None if sample is None else painter.change(each.model, "ε, last step", sample))
        rows.append(tiles)
    if not rows:
        return None
    return Picture(
        name="fig5",
        number="5",
        title="Gradient of ξ and perturbation, whole-image attack",
        caption=f"Task {maps.task}, tanh method as published, image {maps.gradients[0].image}. Each map is scaled by "
        "Eq. 9 over all its pixels and channels; red, green and blue are the channels of the image.",
        alt="One row per model: where the gradient of ξ is large, and the change of the saved image. The ends of the "
        "scales are in fig5-scale.csv.",
        rows=rows,
        scales=tuple(painter.scales),
    )


def load_array(root: Path, record: FileRecord) -> NDArray[np.float32]:
    """A recorded .npy file. Raises DataError if it is missing, IntegrityError if it is not what was recorded."""
    path = inside(root, record.path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} is missing") from error
    if sha256(data) != record.sha256:
        raise IntegrityError(f"{path} is not the file that was recorded", "make the maps again, or restore the file")
    array: NDArray[np.float32] = np.load(io.BytesIO(data), allow_pickle=False)
    return array


def figure_7_8(chosen: Chosen, scope: Scope) -> Picture | None:
    """Adversarial images with their scaled perturbations and what their victims see."""
    name, number = ("fig7", "7") if scope == "local" else ("fig8", "8")
    painter = Painter(name, chosen)
    rows = []
    for victims in chosen.groups:
        sample = chosen.shown.get((scope, victims))
        if sample is None:
            continue
        tiles = [
            photo(f"made for {whom(victims)}", change_of(sample), chosen.image(sample.files["adversarial"])),
            painter.change("perturbation", "", sample),
        ]
        for model in victims:
            labels = chosen.labels(sample.files[f"adversarial_prediction:{model}"])
            tiles.append(painter.labels(f"{model} sees", f"made for {whom(victims)}", model, labels))
        rows.append(tiles)
    if not rows:
        return None
    return Picture(
        name=name,
        number=number,
        title=f"Adversarial images, {SCOPE_WORDS[scope]} attack",
        caption=f"{chosen.describe()} Perturbations are scaled by Eq. 9.",
        alt="One row for each model by itself and one for the joint attack: adversarial image, scaled perturbation, "
        f"and the label maps of the victims. Shares of the classes are in {name}.csv, ends of the scales in "
        f"{name}-scale.csv.",
        rows=rows,
        classes=tuple(painter.classes),
        scales=tuple(painter.scales),
    )


def change_of(sample: AdversarialSample) -> str:
    """The size of a perturbation in words."""
    norms = sample.norms
    return f"mean {norms.mean:.2f}, over φ {norms.mean_phi:.2f}, L∞ {norms.linf}"


def strip(folder: ExperimentFolder, maps: Maps, chosen: Chosen, progress: Strip) -> Picture:
    """One image over the steps, with its scaled change below where the clean image is known."""
    models = list(dict.fromkeys(each.model for each in maps.progress))
    name = f"steps-{models.index(progress.model) + 1}-{progress.scope}"
    record = chosen.clean.get(progress.image)
    clean = None if record is None else chosen.image(record)
    above: list[Tile] = []
    below: list[Tile] = []
    rows: list[StepRow] = []
    for each in progress.iterates:
        image = load_png(folder.maps, each.image, "RGB")
        above.append(photo(f"step {each.step}", f"mean {each.mean:.2f} levels", image, STRIP_TILE))
        low: int | None = None
        high: int | None = None
        if clean is not None:
            change = image.astype(np.int16) - clean
            low, high = int(change.min()), int(change.max())
            below.append(plain("change", ends(low, high), scaled(change)[0], STRIP_TILE))
        where = (name, progress.model, progress.image, progress.scope)
        rows.append(StepRow(*where, each.step, each.mean, low, high))
    return Picture(
        name=name,
        number="",
        title=f"Over the steps: {progress.model}, {SCOPE_WORDS[progress.scope]} attack",
        caption=f"Image {progress.image}, tanh method as published; below, the change, each scaled by Eq. 9 by itself.",
        alt=f"The image after {', '.join(str(each.step) for each in progress.iterates)} steps, and its scaled change. "
        f"The numbers are in {name}.csv.",
        rows=[above, below] if below else [above],
        steps=tuple(rows),
    )


def pictures(folder: ExperimentFolder, maps: Maps | None, chosen: Chosen) -> list[Callable[[], Picture | None]]:
    """The sheets in the paper's order, none drawn yet; each gives None where there is nothing on it."""
    found: list[Callable[[], Picture | None]] = [
        partial(figure_2, chosen),
        *(partial(figure_3, chosen, scope) for scope in SCOPES),
    ]
    if maps is not None:
        found += [partial(figure_4, folder, maps, chosen), partial(figure_5, folder, maps, chosen)]
    found += [partial(figure_7_8, chosen, scope) for scope in SCOPES]
    if maps is not None:
        found += [partial(strip, folder, maps, chosen, progress) for progress in maps.progress]
    return found


def legend_of(classes: Sequence[ClassShare]) -> dict[str, str]:
    """Name and colour of the classes of a figure."""
    return {each.name: each.colour for each in classes}
