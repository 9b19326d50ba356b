"""The example section of a report: which samples are shown, and everything that is shown of each."""

from collections.abc import Sequence
from dataclasses import dataclass

from segeval.evaluate.palette import class_colours
from segeval.evaluate.panels import Panel, choose_examples, classes_shown, example_panels
from segeval.evaluate.sources import Sources
from segeval.evaluate.survival import LabelMaps, SampleCounts
from segeval.evaluate.verdict import hardest_precision
from segeval.progress import Progress
from segeval.records import AdversarialSample

EXAMPLES = 6
"""Examples in a report, over all models; half of them survived best, half least."""
BUDGET = 2_200_000
"""Bytes of pictures in a report; examples beyond are left out."""


@dataclass(frozen=True)
class LegendEntry:
    """A class or fate and its colour as #rrggbb."""

    name: str
    colour: str


@dataclass(frozen=True)
class ExampleView:
    """One example. why: it was chosen.   legend: of the classes in its panels."""

    counts: SampleCounts
    why: str
    panels: tuple[Panel, ...]
    legend: tuple[LegendEntry, ...]


def hexadecimal(colour: Sequence[int]) -> str:
    """#rrggbb of an RGB triple."""
    return "#" + "".join(f"{int(part):02x}" for part in colour)


def examples(sources: Sources, rows: Sequence[SampleCounts], progress: Progress) -> tuple[ExampleView, ...]:
    """The best and the least surviving samples of every model on its coarsest engine, within the budget."""
    models = list(dict.fromkeys(row.model for row in rows))
    each = max(1, EXAMPLES // (2 * len(models)))
    wanted = [pair for model in models for pair in choose_examples(_coarsest(sources, rows, model), each)]
    ids = {row.sample for row, _ in wanted}
    samples = {sample.id: sample for sample in sources.folder.samples() if sample.id in ids}
    views: list[ExampleView] = []
    size = 0
    for done, (row, why) in enumerate(wanted, start=1):
        view = _view(sources, samples[row.sample], row, why)
        size += sum(len(panel.uri) for panel in view.panels)
        progress("examples", done, len(wanted))
        if size > BUDGET:
            break
        views.append(view)
    return tuple(views)


def _coarsest(sources: Sources, rows: Sequence[SampleCounts], model: str) -> list[SampleCounts]:
    """The rows of a model on its first engine of the coarsest precision that has any."""
    present = {row.engine for row in rows if row.model == model}
    engines = [engine for engine in sources.engines if engine.label in present and engine.model == model]
    coarsest = hardest_precision([engine.record.precision for engine in engines])
    label = next(engine.label for engine in engines if engine.record.precision == coarsest)
    return [row for row in rows if row.model == model and row.engine == label]


def _view(sources: Sources, sample: AdversarialSample, row: SampleCounts, why: str) -> ExampleView:
    engine = next(engine for engine in sources.engines if (engine.label, engine.model) == (row.engine, row.model))
    maps = LabelMaps(
        phi=sources.folder.mask(sample.files["phi"]),
        truth=None,
        desktop_clean=sources.desktop(sample, row.model, adversarial=False),
        desktop_adversarial=sources.desktop(sample, row.model, adversarial=True),
        engine_clean=engine.labels(f"clean/{sample.image}", sources.shape),
        engine_adversarial=engine.labels(f"adversarial/{sample.id}", sources.shape),
    )
    names = sources.models[row.model].outputs
    colours = class_colours(sources.manifest.table)
    panels = example_panels(
        sources.folder.image(sample.files["clean"]),
        sources.folder.image(sample.files["adversarial"]),
        maps,
        sources.tasks[sample.task].target,
        colours,
        engine.record.precision,
    )
    legend = tuple(LegendEntry(names[label], hexadecimal(colours[label].tolist())) for label in classes_shown(maps))
    return ExampleView(row, why, panels, legend)
