"""From a finished reproduction to its report: tables, figures with their data, one JSON file and one page."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from segeval.evaluate.measure.bootstrap import RESAMPLES
from segeval.evaluate.measure.report_records import Curve
from segeval.evaluate.report.palette import LegendEntry
from segeval.evaluate.report.places import require_place
from segeval.evaluate.report.renewal import hashes_below, renewed
from segeval.evaluate.report.report_csv import csv_bytes, flat
from segeval.files.encoding import encode_sealed
from segeval.files.experiments import ExperimentFolder
from segeval.files.images import png_bytes
from segeval.files.provenance import versions
from segeval.files.storage import write_atomic
from segeval.progress import Progress
from segeval.reproduce.kang2020 import charts
from segeval.reproduce.kang2020.claims import claims
from segeval.reproduce.kang2020.figures import Figure
from segeval.reproduce.kang2020.findings import notes
from segeval.reproduce.kang2020.gradients import gradient_images, gradient_shares
from segeval.reproduce.kang2020.kang2020_csv import tables
from segeval.reproduce.kang2020.kang2020_page import Shown, render
from segeval.reproduce.kang2020.kang2020_records import (
    FILE,
    KEPT,
    BudgetPoint,
    Cell,
    Claim,
    ClassShare,
    FigureRecord,
    GradientImage,
    Kang2020Report,
    ScaledMap,
    StepRow,
)
from segeval.reproduce.kang2020.matched_budgets import interpolated, measured
from segeval.reproduce.kang2020.parts import Sources
from segeval.reproduce.kang2020.pictures import pictures
from segeval.reproduce.kang2020.sheets import draw, uri_of
from segeval.reproduce.kang2020.shown_examples import Chosen
from segeval.reproduce.kang2020.step_curves import curves
from segeval.reproduce.kang2020.table1 import Counted, cells, count


def write_report(folder: ExperimentFolder, progress: Progress) -> None:
    """Write ``report/`` of a reproduction anew, from whatever parts its configuration has.

    progress: called with the stage, what is done of it and its total. The same input gives the same bytes. A report
    that is there already is replaced as a whole, or stays.
    Raises ConfigurationError if something else lies there, DataError, FormatError, IntegrityError for a part that is
    unfinished or damaged, StorageError.
    """
    require_place(folder.report, KEPT)
    sources = Sources(folder)
    with renewed(folder.report, KEPT) as root:
        table1 = count(sources, progress) if "table1" in sources.manifests else None
        numbers = numbers_of(sources, table1, progress)
        gallery = Gallery(root)
        for figure in figures(sources, table1, numbers, progress):
            gallery.add(figure)
        gallery.shown.sort(key=lambda each: each.record.number or "9")
        report = report_of(sources, numbers, gallery)
        for name, data in tables(report).items():
            if data:
                write_atomic(root / name, data)
        write_atomic(root / "report.html", render(report, gallery.shown))
        report = replace(report, files=hashes_below(root))
        write_atomic(root / FILE, encode_sealed(report, indent=2) + b"\n")


@dataclass(frozen=True)
class Numbers:
    """What a report says besides its pictures; see `Kang2020Report`."""

    cells: tuple[Cell, ...]
    claims: tuple[Claim, ...]
    curves: tuple[Curve, ...]
    budgets: tuple[BudgetPoint, ...]
    gradient_images: tuple[GradientImage, ...]


def numbers_of(sources: Sources, table1: Counted | None, progress: Progress) -> Numbers:
    """Estimate everything. table1: None if it was not made."""
    seed = sources.config.seed
    return Numbers(
        cells=tuple(cells(table1, seed, progress)) if table1 else (),
        claims=claims(table1, seed) if table1 else (),
        curves=curves(table1) if table1 else (),
        budgets=measured(sources, progress),
        gradient_images=gradient_images(sources.maps) if sources.maps else (),
    )


def figures(sources: Sources, table1: Counted | None, numbers: Numbers, progress: Progress) -> Iterator[Figure]:
    """Every figure there is anything in, drawn one at a time: the charts, then the pictures."""
    models = [model.name for model in sources.models]
    scopes = {cell.attack: cell.scope for cell in numbers.cells}
    makers: list[Callable[[], Figure | None]] = [
        charts.figure_1,
        partial(charts.figure_6, numbers.curves, scopes, models),
        partial(charts.budgets_mean, numbers.budgets),
        partial(charts.budgets_linf, numbers.budgets),
        *pictures(Chosen(sources, table1)),
    ]
    for done, make in enumerate(makers):
        progress("pictures", done, len(makers))
        figure = make()
        if figure is not None:
            yield figure
    progress("pictures", len(makers), len(makers))


class Gallery:
    """Writes each figure and its data when it is drawn, and keeps what the report says and shows of it.

    root: of the report.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shown: list[Shown] = []
        self.classes: list[ClassShare] = []
        self.scales: list[ScaledMap] = []
        self.steps: list[StepRow] = []

    def add(self, figure: Figure) -> None:
        """Write a chart, or a sheet of pictures with what was counted in it."""
        name = figure.name
        data = self.write(
            {f"{name}.csv": csv_bytes(figure.data), f"{name}-scale.csv": csv_bytes(map(flat, figure.scales))}
        )
        if figure.svg:
            files = self.write({f"{name}.svg": charts.svg_file(figure.svg)})
            look: dict[str, Any] = {"svg": Markup(figure.svg)}  # drawn from numbers and escaped names
        else:
            sheet = draw(figure.rows)
            files = self.write({f"{name}.png": png_bytes(sheet)})
            legend = {each.name: LegendEntry(each.name, each.colour) for each in figure.classes}
            look = {
                "uri": uri_of(sheet),
                "height": sheet.shape[0],
                "width": sheet.shape[1],
                "legend": (*legend.values(),),
            }
        record = FigureRecord(name, figure.number, figure.title, figure.caption, files, data)
        self.shown.append(Shown(record, figure.alt, **look))
        self.classes += figure.classes
        self.scales += figure.scales
        self.steps += figure.steps

    def write(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Write files below ``figures/``, those that are not empty; returns their paths below the report."""
        kept = {f"figures/{name}": data for name, data in files.items() if data}
        for path, data in kept.items():
            write_atomic(self.root / path, data)
        return tuple(kept)


def report_of(sources: Sources, numbers: Numbers, gallery: Gallery) -> Kang2020Report:
    """The record of all that was found, but for the hashes of its files."""
    experiment, config, manifest = sources.experiment, sources.config, sources.manifest
    return Kang2020Report(
        config=config,
        versions=experiment.versions,
        revision=experiment.revision,
        machine=experiment.machine,
        # The report's own time is known only after it was written.
        seconds={name: seconds for name, seconds in experiment.seconds.items() if name != "report"},
        height=manifest.height if manifest else None,
        width=manifest.width if manifest else None,
        sets=sources.set_rows(),
        models=sources.models,
        tasks=manifest.tasks if manifest else (),
        notes=notes(config, [model.name for model in sources.models], numbers.cells),
        **vars(numbers),
        interpolated=interpolated(numbers.budgets),
        gradients=gradient_shares(numbers.gradient_images, config.seed),
        classes=tuple(gallery.classes),
        scales=tuple(gallery.scales),
        steps=tuple(gallery.steps),
        figures=tuple(each.record for each in gallery.shown),
        evaluated_with=versions("numpy", "scipy", "matplotlib", "pillow"),
        seed=config.seed,
        resamples=RESAMPLES,
    )
