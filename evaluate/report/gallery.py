"""The gallery of a report: every case that fits, with what was shown and what each engine saw.

A picture that several cases share, such as the clean image of an image attacked four times, is embedded once.
"""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from segeval.files.sets import AdversarialSample
from segeval.goals import Goal
from segeval.metrics import Labels
from segeval.precision import PRECISION_ORDER
from segeval.progress import Progress

from ..measure.inputs import Engine, Sources
from ..measure.report_rows import made_on_files
from ..measure.row_key import RowKey, within_model
from ..measure.survival import LabelMaps, SampleCounts
from .example_selection import ordered_cases, typical
from .palette import LegendEntry, class_colours, hexadecimal
from .panels import change_picture, fates_picture, painted, photo, picture_size

FEWEST_CASES = 4
"""Shown even if there is no room."""
FRAME = 15_000
"""Bytes of a gallery that belong to no case: the strip on the first screen, what stands above the cases, and the
names in its legends and filters."""
FAINT = 16
"""Amplification from which on a change is at most 8 levels nearly everywhere, and not to be seen in a small photo."""
RULE = 64
"""Bytes that surround a picture in the page."""
WIDTHS = (480, 400, 320)
"""Of the longer side of a picture in pixels: the largest at which there is room for a case of every image."""
TRIED = 4
"""Cases from which it is estimated what one costs."""
MOST_CASES = 150
"""Of small pictures more would fit; nobody looks at them, and each costs a fifth of a second."""


@dataclass(frozen=True)
class Seen:
    """What one engine made of a case.

    Attributes:
        engine: without its model's name.
        adversarial, clean, fates: its pictures.
    """

    engine: str
    counts: SampleCounts
    adversarial: str
    clean: str
    fates: str


@dataclass(frozen=True)
class Case:
    """A sample on one model.

    Attributes:
        why: it comes first, or empty.
        seen: per engine, the lowest precision first.
        clean, adversarial, change, desktop_*: names of pictures.
        factor: by which the change is amplified.
    """

    why: str
    seen: tuple[Seen, ...]
    clean: str
    adversarial: str
    change: str
    factor: int
    desktop_clean: str
    desktop_adversarial: str

    @property
    def counts(self) -> SampleCounts:
        """On the engine of the lowest precision."""
        return self.seen[0].counts

    @property
    def glares(self) -> bool:
        """Whether a reader sees the change in the small photo: from about eight levels on."""
        return self.factor < FAINT or self.counts.mean_phi >= 8


@dataclass(frozen=True)
class Lead:
    """The case on the first screen. seen: by the engine that the report begins with. classes: of its task."""

    case: Case
    seen: Seen
    classes: tuple[LegendEntry, ...]


@dataclass(frozen=True)
class Gallery:
    """What a page shows.

    Attributes:
        width, height: of its pictures.
        possible: cases there are.
        classes: that occur in maps.
        pictures: WebP as base64, by name.
        lead: the case on the first screen, if any.
    """

    cases: tuple[Case, ...]
    possible: int
    width: int
    height: int
    classes: tuple[LegendEntry, ...]
    pictures: dict[str, str]
    lead: Lead | None = None

    @property
    def left_out(self) -> int:
        """Cases for which there was no room."""
        return self.possible - len(self.cases)

    @property
    def images(self) -> int:
        """Different images that are shown."""
        return len({case.counts.image for case in self.cases})


NO_GALLERY = Gallery((), 0, 1, 1, (), {})


@dataclass(frozen=True)
class Room:
    """What a gallery may take.

    Attributes:
        bytes: of the page.
        markup: bytes that a case takes there without its pictures.
    """

    bytes: int
    markup: Callable[[Case], int]


@dataclass
class Album:
    """Pictures by what they show, each encoded and kept once. size: bytes that they take in the page."""

    names: dict[object, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    by_text: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, key: object, encode: Callable[[], bytes]) -> str:
        """The name of a picture; `encode` is called only for a new key."""
        if key not in self.names:
            text = base64.b64encode(encode()).decode()
            if text not in self.by_text:
                self.by_text[text] = f"p{len(self.kept)}"
                self.kept[self.by_text[text]] = text
                self.size += len(text) + RULE
            self.names[key] = self.by_text[text]
        return self.names[key]


def gallery(
    sources: Sources, rows: Sequence[SampleCounts], room: Room, progress: Progress, key: RowKey | None = None
) -> Gallery:
    """The cases that fit, on every engine that ships.

    Args:
        sources: what the report is made from.
        rows: of all engines.
        room: in the page.
        progress: called with the stage, what is done of it and its total.
        key: of the row that the report begins with; the image on which its survival is nearest to the median leads.
    """
    engines = shipping(sources)
    by_case = rows_by_case(rows, engines)
    first = [of_case[0] for of_case in by_case.values()]
    ordered = ordered_cases(first, made_on_files(sources.manifest.attacks))
    wanted = ordered[:MOST_CASES]
    chosen = None if key is None else typical([row for row in rows if key.covers(row.key)])
    ids = {row.sample for row in (*(row for row, _ in wanted), *([chosen] if chosen else []))}
    samples = {sample.id: sample for sample in sources.folder.samples() if sample.id in ids}
    shown = [(samples[row.sample], by_case[row.sample, row.model]) for row, _ in wanted]
    painter = fitting_painter(sources, engines, shown, room)
    lead = painter.lead(samples[chosen.sample], by_case[chosen.sample, chosen.model], chosen) if chosen else None
    cases: list[Case] = []
    markup = FRAME
    pictures: dict[str, str] = {}
    for done, (row, why) in enumerate(wanted, start=1):
        case = painter.case(samples[row.sample], by_case[row.sample, row.model], why)
        markup += room.markup(case)
        progress("gallery", done, len(wanted))
        if painter.album.size + markup > room.bytes and len(cases) >= FEWEST_CASES:
            break
        cases.append(case)
        pictures = dict(painter.album.kept)
    return Gallery(tuple(cases), len(ordered), *painter.size, legend(sources, painter.labels), pictures, lead)


def fitting_painter(
    sources: Sources,
    engines: Sequence[Engine],
    cases: Sequence[tuple[AdversarialSample, Sequence[SampleCounts]]],
    room: Room,
) -> "Painter":
    """One of the largest pictures with which a case of every image fits, or of the smallest.

    Args:
        sources: what the report is made from.
        engines: in the report's order.
        cases: to be shown.
        room: in the page.
    """
    first: dict[str, int] = {}
    for place, (sample, _) in enumerate(cases):
        first.setdefault(sample.image, place)
    needed = 1 + max(first.values())
    tried = [cases[place] for place in list(first.values())[:TRIED]]
    for width in WIDTHS:
        painter = Painter(sources, engines, picture_size(sources.shape, width))
        markup = sum(room.markup(painter.case(sample, rows, "")) for sample, rows in tried)
        if FRAME + (painter.album.size + markup) / len(tried) * needed <= room.bytes:
            break
    return Painter(sources, engines, painter.size)


def shipping(sources: Sources) -> list[Engine]:
    """The engines as they ship, or each model's first if none does: of the others only numbers are shown."""
    first = {engine.model: engine for engine in reversed(sources.engines)}
    found = [engine for engine in sources.engines if engine.ships]
    return found or [engine for engine in sources.engines if engine is first[engine.model]]


def rows_by_case(rows: Sequence[SampleCounts], engines: Sequence[Engine]) -> dict[tuple[str, str], list[SampleCounts]]:
    """The rows of every (sample, model) on these engines, those that the verdict is about first."""
    rank = {(e.label, e.model): (PRECISION_ORDER.index(e.record.precision), place) for place, e in enumerate(engines)}
    found: dict[tuple[str, str], list[SampleCounts]] = {}
    for row in rows:
        if (row.engine, row.model) in rank:
            found.setdefault((row.sample, row.model), []).append(row)
    return {case: sorted(own, key=lambda row: rank[row.engine, row.model]) for case, own in found.items()}


def legend(sources: Sources, labels: set[tuple[str, int]]) -> tuple[LegendEntry, ...]:
    """Names and colours of (model, label) pairs, each once."""
    colours = class_colours(sources.manifest.table)
    entries = [
        LegendEntry(sources.models[model].outputs[label], hexadecimal(colours[label].tolist()))
        for model, label in sorted(labels, key=lambda pair: (pair[1], pair[0]))
    ]
    return tuple(dict.fromkeys(entries))


class Painter:
    """Encodes the pictures of cases. size: (width, height) of them. labels: (model, label) pairs they show."""

    def __init__(self, sources: Sources, engines: Sequence[Engine], size: tuple[int, int]) -> None:
        self.sources, self.size = sources, size
        self.engines = {(engine.label, engine.model): engine for engine in engines}
        self.colours = class_colours(sources.manifest.table)
        self.album = Album()
        self.labels: set[tuple[str, int]] = set()

    def case(self, sample: AdversarialSample, rows: Sequence[SampleCounts], why: str) -> Case:
        """One case.

        Args:
            sample: record of the adversarial image.
            rows: of it, one per engine.
            why: it was chosen.
        """
        model = rows[0].model
        clean, adversarial = self.sources.image(sample, "clean"), self.sources.image(sample, "adversarial")
        seen_clean = self.sources.desktop(sample, model, adversarial=False)
        seen_adversarial = self.sources.desktop(sample, model, adversarial=True)
        change, factor = change_picture(clean, adversarial, self.size)
        return Case(
            why=why,
            seen=tuple(self._seen(sample, row, seen_clean, seen_adversarial) for row in rows),
            clean=self.album.add(("photo", sample.image), lambda: photo(clean, self.size)),
            adversarial=self.album.add(("photo", sample.id, True), lambda: photo(adversarial, self.size)),
            change=self.album.add(("change", sample.id), lambda: change),
            factor=factor,
            desktop_clean=self._painted(model, ("desktop", sample.image, model), seen_clean),
            desktop_adversarial=self._painted(model, ("desktop", sample.id, model, True), seen_adversarial),
        )

    def lead(self, sample: AdversarialSample, rows: Sequence[SampleCounts], chosen: SampleCounts) -> Lead:
        """The case on the first screen.

        Args:
            sample: record of the adversarial image.
            rows: of it, one per engine.
            chosen: of these, the one on the engine that the report begins with.
        """
        case = self.case(sample, rows, "")
        seen = next(each for each in case.seen if each.counts is chosen)
        goal, table = self.sources.tasks[sample.task].goal, self.sources.manifest.table
        there = np.unique(self.sources.desktop(sample, chosen.model, adversarial=False)).tolist()
        shown = [label for label in goal.sources if label in there]
        shown += [] if goal.target is None else [goal.target]
        entries = [LegendEntry(table.names[label], hexadecimal(self.colours[label].tolist())) for label in shown]
        return Lead(case, seen, tuple(entries))

    def _seen(self, sample: AdversarialSample, row: SampleCounts, clean: Labels, adversarial: Labels) -> Seen:
        """One engine's view. clean, adversarial: what the desktop saw."""
        engine = self.engines[row.engine, row.model]
        engine_clean = engine.labels(engine.clean_key(sample.image), self.sources.shape)
        engine_adversarial = engine.labels(engine.adversarial_key(sample.id), self.sources.shape)
        phi = self.sources.phi(sample)
        reference = self.sources.reference(sample)
        maps = LabelMaps(phi, None, clean, adversarial, engine_clean, engine_adversarial, reference=reference)
        goal = self.sources.tasks[sample.task].goal
        return Seen(
            engine=within_model(engine.label, engine.model),
            counts=row,
            adversarial=self._painted(row.model, (row.engine, sample.id, row.model, True), engine_adversarial),
            clean=self._painted(row.model, (row.engine, sample.image, row.model), engine_clean),
            fates=self.album.add(("fates", row.engine, sample.id, row.model), lambda: self._fates(maps, goal)),
        )

    def _painted(self, model: str, key: object, labels: Labels) -> str:
        self.labels.update((model, label) for label in np.unique(labels).tolist())
        return self.album.add(key, lambda: painted(labels, self.colours, self.size))

    def _fates(self, maps: LabelMaps, goal: Goal) -> bytes:
        return fates_picture(maps, goal, self.size)
