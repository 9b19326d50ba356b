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
from segeval.evaluate.report.report_csv import flat
from segeval.files.experiments import Maps, Strip
from segeval.files.images import load_png
from segeval.files.sets import AdversarialSample, FileRecord, Scope
from segeval.files.storage import inside, sha256
from segeval.metrics import Labels
from segeval.reproduce.kang2020.kang2020_figures import Figure
from segeval.reproduce.kang2020.kang2020_records import SCOPES, ClassShare, ScaledMap, StepRow
from segeval.reproduce.kang2020.sheets import Tile, scaled, tile
from segeval.reproduce.kang2020.shown_examples import Chosen

STRIP_TILE = 256
SCOPE_WORDS: dict[Scope, str] = {"local": "local attack", "full": "whole-image attack"}


@dataclass
class Painter:
    """Puts the tiles of one figure together, and counts what they show. number: the paper's figure."""

    name: str
    number: str
    chosen: Chosen
    rows: list[list[Tile | None]] = field(default_factory=list)
    classes: list[ClassShare] = field(default_factory=list)
    scales: list[ScaledMap] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)

    def labels(self, title: str, note: str, model: str, labels: Labels) -> Tile:
        """A label map in the colours of its classes."""
        colours = class_colours(self.chosen.table)
        panel = f"{title}, {note}" if note else title
        for label, count in zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True):
            name, colour = self.chosen.class_name(model, label), hexadecimal(colours[label].tolist())
            self.classes.append(ClassShare(self.name, panel, model, name, colour, count / labels.size))
        return tile(title, note, colours[labels])

    def seen(self, sample: AdversarialSample, model: str, note: str, which: str = "adversarial_prediction") -> Tile:
        """What a model sees in an image of a sample."""
        return self.labels(f"{model} sees", note, model, self.chosen.folder.labels(sample.files[f"{which}:{model}"]))

    def photo(self, title: str, note: str, sample: AdversarialSample, kind: str = "adversarial") -> Tile:
        """An image of a sample."""
        return tile(title, note, self.chosen.folder.image(sample.files[kind]), smooth=True)

    def change(self, title: str, what: str, sample: AdversarialSample) -> Tile:
        """The perturbation of a sample, scaled by Eq. 9.

        Args:
            title: text above it.
            what: text before the ends of the scale.
            sample: record of the adversarial image.
        """
        clean = self.chosen.folder.image(sample.files["clean"])
        change = self.chosen.folder.image(sample.files["adversarial"]).astype(np.int16) - clean
        pixels, low, high = scaled(change)
        self.scales.append(ScaledMap(self.name, what or title, "+".join(sample.victims), low, high, "levels"))
        return tile(title, f"{what}: {ends(low, high)}" if what else ends(low, high), pixels)

    def figure(self, title: str, caption: str, alt: str) -> Figure:
        """What was painted."""
        data = [flat(row) for row in self.classes or self.steps]
        counted = (self.classes, self.scales, self.steps)
        return Figure(self.name, self.number, title, caption, alt, data, "", self.rows, *counted)


def ends(low: float, high: float) -> str:
    """The ends of a scale in levels."""
    return f"{low:+.0f} to {high:+.0f} levels".replace("-", "−")


def figure_2(chosen: Chosen) -> Figure | None:
    """Clean and adversarial predictions of all models under the local joint attack."""
    sample = chosen.shown.get(("local", chosen.models))
    if sample is None:
        return None
    painter = Painter("fig2", "2", chosen)
    for kind, which in (("clean", "prediction"), ("adversarial", "adversarial_prediction")):
        photo = painter.photo(f"{kind} image", sample.image if kind == "clean" else change_of(sample), sample, kind)
        painter.rows.append([photo, *(painter.seen(sample, m, f"{kind} image", which) for m in chosen.models)])
    return painter.figure(
        "Clean against adversarial segmentation, local attack",
        f"{chosen.describe()} One image for {' + '.join(sample.victims)}.",
        f"Above, a clean image and what {', '.join(chosen.models)} see in it; below, the same for the adversarial "
        "image. The shares of the classes are in fig2.csv.",
    )


def figure_3(chosen: Chosen, scope: Scope) -> Figure | None:
    """The adversarial image made for one model, shown to every model."""
    painter = Painter(f"fig3-{scope}", "3", chosen)
    samples = [sample for sample in chosen.samples(scope) if len(sample.victims) == 1]
    if not samples or len(chosen.models) == 1:
        return None
    for sample in samples:
        made = f"made for {sample.victims[0]}"
        seen = (painter.seen(sample, m, "its victim" if m in sample.victims else made) for m in chosen.models)
        painter.rows.append([painter.photo(made, sample.image, sample), *seen])
    return painter.figure(
        f"Transfer, {SCOPE_WORDS[scope]}",
        "Each row: an adversarial image made for one model by the tanh method as published, then what every model sees "
        "in it.",
        f"One row for each of {', '.join(chosen.models)}: the adversarial image made for it and the label maps of all "
        f"models. The shares of the classes are in {painter.name}.csv.",
    )


def figure_4(chosen: Chosen, maps: Maps) -> Figure:
    """What each model sees in a black image with a white square."""
    painter, root = Painter("fig4", "4", chosen), chosen.sources.folder.maps
    probe = tile("probe image", "", load_png(root, maps.probe_image, "RGB"))
    seen = (painter.labels(f"{p.model} sees", "", p.model, load_png(root, p.labels, "L")) for p in maps.probes)
    painter.rows.append([probe, *seen])
    return painter.figure(
        "Answer to a probe image",
        "All 0 with a square of 255 in the centre, 100 × 100 pixels unless the image is smaller.",
        "A black image with a white square, and the label map that each model gives it. The shares of the classes are "
        "in fig4.csv.",
    )


def figure_5(chosen: Chosen, maps: Maps) -> Figure | None:
    """The gradient of ξ at one step and the perturbation after the last, both scaled by Eq. 9."""
    painter = Painter("fig5", "5", chosen)
    for each in maps.gradients:
        if each.gradient is None:
            continue
        pixels, low, high = scaled(load_array(chosen.sources.folder.maps, each.gradient).transpose(1, 2, 0))
        note = f"gradient of ξ, step {each.step}"
        painter.scales.append(ScaledMap("fig5", note, each.model, low, high, "gradient"))
        gradient = tile(each.model, f"{note}: {low:.2g} to {high:.2g}".replace("-", "−"), pixels)
        sample = chosen.mapped.get((each.model, each.image))
        painter.rows.append([gradient, painter.change(each.model, "ε, last step", sample) if sample else None])
    if not painter.rows:
        return None
    return painter.figure(
        "Gradient of ξ and perturbation, whole-image attack",
        f"Task {maps.task}, tanh method as published, image {maps.gradients[0].image}. Each map is scaled by Eq. 9 "
        "over all its pixels and channels; red, green and blue are the channels of the image.",
        "One row per model: where the gradient of ξ is large, and the change of the saved image. The ends of the "
        "scales are in fig5-scale.csv.",
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


def figure_7_8(chosen: Chosen, scope: Scope) -> Figure | None:
    """Adversarial images with their scaled perturbations and what their victims see."""
    painter = Painter("fig7", "7", chosen) if scope == "local" else Painter("fig8", "8", chosen)
    samples, name = chosen.samples(scope), painter.name
    if not samples:
        return None
    for sample in samples:
        made = f"made for {sample.victims[0] if len(sample.victims) == 1 else 'all jointly'}"
        shown = [painter.photo(made, change_of(sample), sample), painter.change("perturbation", "", sample)]
        painter.rows.append([*shown, *(painter.seen(sample, model, made) for model in sample.victims)])
    return painter.figure(
        f"Adversarial images, {SCOPE_WORDS[scope]}",
        f"{chosen.describe()} Perturbations are scaled by Eq. 9.",
        "One row for each model by itself and one for the joint attack: adversarial image, scaled perturbation, and "
        f"the label maps of the victims. Shares of the classes are in {name}.csv, ends of the scales in "
        f"{name}-scale.csv.",
    )


def change_of(sample: AdversarialSample) -> str:
    """The size of a perturbation in words."""
    norms = sample.norms
    return f"mean {norms.mean:.2f}, over φ {norms.mean_phi:.2f}, L∞ {norms.linf}"


def strip(chosen: Chosen, progress: Strip, name: str) -> Figure:
    """One image over the steps, with its scaled change below where the clean image is known."""
    painter = Painter(name, "", chosen)
    record = chosen.clean.get(progress.image)
    clean = None if record is None else chosen.folder.image(record)
    above: list[Tile | None] = []
    below: list[Tile | None] = []
    for each in progress.iterates:
        image = load_png(chosen.sources.folder.maps, each.image, "RGB")
        above.append(tile(f"step {each.step}", f"mean {each.mean:.2f} levels", image, STRIP_TILE, smooth=True))
        low, high = None, None
        if clean is not None:
            change = image.astype(np.int16) - clean
            low, high = int(change.min()), int(change.max())
            below.append(tile("change", ends(low, high), scaled(change)[0], STRIP_TILE))
        where = (name, progress.model, progress.image, progress.scope)
        painter.steps.append(StepRow(*where, each.step, each.mean, low, high))
    painter.rows += [above, below] if below else [above]
    return painter.figure(
        f"Over the steps: {progress.model}, {SCOPE_WORDS[progress.scope]}",
        f"Image {progress.image}, tanh method as published; below, the change, each scaled by Eq. 9 by itself.",
        f"The image after {', '.join(str(each.step) for each in progress.iterates)} steps, and its scaled change. "
        f"The numbers are in {name}.csv.",
    )


def pictures(chosen: Chosen) -> Sequence[Callable[[], Figure | None]]:
    """The sheets in the paper's order, none drawn yet; each gives None where there is nothing on it."""
    maps = chosen.sources.maps
    models = list(dict.fromkeys(each.model for each in maps.progress)) if maps else []
    return (
        partial(figure_2, chosen),
        *(partial(figure_3, chosen, scope) for scope in SCOPES),
        *(partial(figure, chosen, maps) for figure in (figure_4, figure_5) if maps),
        *(partial(figure_7_8, chosen, scope) for scope in SCOPES),
        *(
            partial(strip, chosen, each, f"steps-{models.index(each.model) + 1}-{each.scope}")
            for each in (maps.progress if maps else ())
        ),
    )
