"""From a finished reproduction to its report: tables, figures with their data, one JSON file and one page."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from segeval.evaluate.measure.bootstrap import RESAMPLES
from segeval.evaluate.measure.report_records import Curve
from segeval.evaluate.report.palette import LegendEntry
from segeval.evaluate.report.renewal import hashes_below, renewed
from segeval.evaluate.report.report_csv import csv_bytes, flat
from segeval.evaluate.report.report_folder import require_place
from segeval.files.encoding import encode_sealed
from segeval.files.experiments import ExperimentFolder
from segeval.files.images import png_bytes
from segeval.files.provenance import versions
from segeval.files.storage import write_atomic
from segeval.progress import Progress
from segeval.reproduce.kang2020.charts import charts, svg_file
from segeval.reproduce.kang2020.claims import claims
from segeval.reproduce.kang2020.gradients import gradient_images, gradient_shares
from segeval.reproduce.kang2020.kang2020_csv import tables
from segeval.reproduce.kang2020.kang2020_figures import Figure
from segeval.reproduce.kang2020.kang2020_findings import notes
from segeval.reproduce.kang2020.kang2020_page import Shown, render
from segeval.reproduce.kang2020.kang2020_records import (
    FILE,
    KEPT,
    BudgetPoint,
    Cell,
    ClassShare,
    FigureRecord,
    Kang2020Report,
    ScaledMap,
    SetRow,
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

    The same input gives the same bytes. A report that is there already is replaced as a whole, or stays.

    Args:
        folder: of the reproduction.
        progress: called with the stage, what is done of it and its total.

    Raises:
        ConfigurationError: if something else lies there, DataError, FormatError, IntegrityError for a part that is
            unfinished or damaged.
        StorageError: if the report cannot be written.
    """
    require_place(folder.report, KEPT)
    sources = Sources(folder)
    with renewed(folder.report, KEPT) as root:
        table1 = count(sources, progress) if "table1" in sources.config.parts else None
        over_steps = curves(table1) if table1 else ()
        points = measured(sources, progress) if "budgets" in sources.config.parts else ()
        gallery = Gallery(root)
        makers = (*charts(table1, over_steps, points), *pictures(Chosen(sources, table1)))
        for done, make in enumerate(makers):
            progress("pictures", done, len(makers))
            if figure := make():
                gallery.add(figure)
        progress("pictures", len(makers), len(makers))
        gallery.shown.sort(key=lambda each: each.record.number or "9")
        found = tuple(cells(table1, sources.config.seed, progress)) if table1 else ()
        report = report_of(sources, table1, found, over_steps, points, gallery)
        gallery.write(tables(report) | {"report.html": render(report, gallery.shown)})
        report = replace(report, files=hashes_below(root))
        write_atomic(root / FILE, encode_sealed(report, indent=2) + b"\n")


class Gallery:
    """Writes each figure and its data when it is drawn, and keeps what the report says and shows of it.

    Attributes:
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
        path = f"figures/{figure.name}"
        counted = {".csv": figure.data, "-scale.csv": map(flat, figure.scales)}
        data = self.write({f"{path}{ending}": csv_bytes(rows) for ending, rows in counted.items()})
        uri, size = "", (0, 0)
        if figure.svg:
            files = self.write({f"{path}.svg": svg_file(figure.svg)})
        else:
            sheet = draw(figure.rows)
            files = self.write({f"{path}.png": png_bytes(sheet)})
            uri, size = uri_of(sheet), (sheet.shape[1], sheet.shape[0])
        record = FigureRecord(figure.name, figure.number, figure.title, figure.caption, files, data)
        legend = {each.name: LegendEntry(each.name, each.colour) for each in figure.classes}
        self.shown.append(Shown(record, figure.alt, Markup(figure.svg), uri, size, tuple(legend.values())))
        self.classes += figure.classes
        self.scales += figure.scales
        self.steps += figure.steps

    def write(self, files: Mapping[str, bytes]) -> tuple[str, ...]:
        """Write files by their path below the report, those that are not empty; returns the paths."""
        kept = {path: data for path, data in files.items() if data}
        for path, data in kept.items():
            write_atomic(self.root / path, data)
        return tuple(kept)


def report_of(
    sources: Sources,
    table1: Counted | None,
    found: tuple[Cell, ...],
    over_steps: tuple[Curve, ...],
    points: tuple[BudgetPoint, ...],
    gallery: Gallery,
) -> Kang2020Report:
    """The record of all that was found, without the hashes of its files."""
    experiment, config, manifest = sources.experiment, sources.config, sources.manifest
    images = gradient_images(sources.maps) if sources.maps else ()
    return Kang2020Report(
        config=config,
        versions=experiment.versions,
        revision=experiment.revision,
        machine=experiment.machine,
        # The report's own time is known only after it was written.
        seconds={name: seconds for name, seconds in experiment.seconds.items() if name != "report"},
        height=manifest.height if manifest else None,
        width=manifest.width if manifest else None,
        sets=tuple(
            SetRow(name, len(each.images), each.sample_count, len(each.skipped), experiment.seconds.get(name))
            for name, each in sources.manifests.items()
        ),
        models=sources.models,
        tasks=manifest.tasks if manifest else (),
        notes=notes(config, [model.name for model in sources.models], found),
        cells=found,
        claims=claims(table1, config.seed) if table1 else (),
        curves=over_steps,
        budgets=points,
        interpolated=interpolated(points),
        gradients=gradient_shares(images, config.seed),
        gradient_images=images,
        classes=tuple(gallery.classes),
        scales=tuple(gallery.scales),
        steps=tuple(gallery.steps),
        figures=tuple(each.record for each in gallery.shown),
        evaluated_with=versions("numpy", "scipy", "matplotlib", "pillow"),
        seed=config.seed,
        resamples=RESAMPLES,
    )
