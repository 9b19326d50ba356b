"""From a finished reproduction to its report: tables, figures with their data, one JSON file and one page."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from segeval.evaluate.measure.bootstrap import RESAMPLES
from segeval.evaluate.report.places import require_place
from segeval.evaluate.report.renewal import hashes_below, renewed
from segeval.evaluate.report.report_csv import csv_bytes
from segeval.files.encoding import encode_sealed
from segeval.files.experiments import ExperimentFolder
from segeval.files.provenance import versions
from segeval.files.storage import write_atomic
from segeval.progress import Progress
from segeval.reproduce.kang2020 import charts, kang2020_csv
from segeval.reproduce.kang2020.charts import Chart
from segeval.reproduce.kang2020.claims import claims
from segeval.reproduce.kang2020.findings import notes
from segeval.reproduce.kang2020.gradients import gradient_images, gradient_shares
from segeval.reproduce.kang2020.kang2020_page import Shown, render
from segeval.reproduce.kang2020.kang2020_records import (
    FILE,
    KEPT,
    ClassShare,
    FigureRecord,
    Kang2020Report,
    ScaledMap,
    StepRow,
)
from segeval.reproduce.kang2020.matched_budgets import interpolated, measured
from segeval.reproduce.kang2020.parts import Sources
from segeval.reproduce.kang2020.pictures import Picture, legend_of, pictures
from segeval.reproduce.kang2020.sheets import draw, file_of, uri_of
from segeval.reproduce.kang2020.shown_examples import choose
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
        table1 = sources.opened("table1")
        counted = count(*table1, progress) if table1 else None
        report = numbers(sources, counted, progress)
        gallery = drawn(report, sources, counted, root, progress)
        report = replace(
            report,
            classes=tuple(gallery.classes),
            scales=tuple(gallery.scales),
            steps=tuple(gallery.steps),
            figures=tuple(each.record for each in gallery.shown),
        )
        for name, data in files_of(report, gallery).items():
            if data:
                write_atomic(root / name, data)
        report = replace(report, files=hashes_below(root))
        write_atomic(root / FILE, encode_sealed(report, indent=2) + b"\n")


def drawn(
    report: Kang2020Report, sources: Sources, counted: Counted | None, root: Path, progress: Progress
) -> "Gallery":
    """The figures of a report, written below `root`."""
    chosen = choose(report.config, sources.any_set(), counted, sources.maps)
    gallery = Gallery(root)
    for chart in charts_of(report):
        gallery.add_chart(chart)
    makers = pictures(sources.folder, sources.maps, chosen)
    for done, make in enumerate(makers):
        progress("pictures", done, len(makers))
        gallery.add_picture(make())
    progress("pictures", len(makers), len(makers))
    gallery.shown.sort(key=lambda each: each.record.number or "9")
    return gallery


def numbers(sources: Sources, counted: Counted | None, progress: Progress) -> Kang2020Report:
    """Everything that is not a picture."""
    experiment = sources.experiment
    config, seed = experiment.config, experiment.config.seed
    found = tuple(cells(counted, seed, progress)) if counted else ()
    points = measured(sources.folder, seed, progress) if "budgets" in config.parts else ()
    images = gradient_images(sources.maps) if sources.maps else ()
    source = sources.any_set()
    manifest = source[1] if source else None
    models = manifest.models if manifest else ()
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
        models=models,
        tasks=manifest.tasks if manifest else (),
        notes=notes(config, [model.name for model in models], found),
        cells=found,
        claims=claims(counted, seed) if counted else (),
        curves=curves(counted) if counted else (),
        budgets=points,
        interpolated=interpolated(points),
        gradients=gradient_shares(images, seed),
        gradient_images=images,
        classes=(),
        scales=(),
        steps=(),
        figures=(),
        evaluated_with=versions("numpy", "scipy", "matplotlib", "pillow"),
        seed=seed,
        resamples=RESAMPLES,
    )


def charts_of(report: Kang2020Report) -> Iterator[Chart]:
    """Figure 1, Figure 6 and the matched budgets, as far as there is anything in them."""
    scopes = {cell.attack: cell.scope for cell in report.cells}
    models = [model.name for model in report.models]
    found = (
        charts.figure_1(),
        charts.figure_6(report.curves, scopes, models),
        charts.budgets_mean(report.budgets),
        charts.budgets_linf(report.budgets),
    )
    yield from (chart for chart in found if chart is not None)


@dataclass
class Gallery:
    """Writes each figure and its data when it is made, and keeps what the page shows of it. root: ``report/``."""

    root: Path
    shown: list[Shown] = field(default_factory=list)
    classes: list[ClassShare] = field(default_factory=list)
    scales: list[ScaledMap] = field(default_factory=list)
    steps: list[StepRow] = field(default_factory=list)

    def add_chart(self, chart: Chart) -> None:
        """Write a chart and its data."""
        files = self.write({f"{chart.name}.svg": chart.file})
        data = self.write({f"{chart.name}.csv": csv_bytes(chart.data)})
        record = FigureRecord(chart.name, chart.number, chart.title, chart.caption, files, data)
        self.shown.append(Shown(record, chart.alt, svg=chart.svg))

    def add_picture(self, picture: Picture | None) -> None:
        """Write a sheet and what was counted in it, if there is one."""
        if picture is None:
            return
        sheet = draw(picture.rows)
        files = self.write({f"{picture.name}.png": file_of(sheet)})
        counted = {
            "": kang2020_csv.rows_csv(picture.classes or picture.steps),
            "-scale": kang2020_csv.rows_csv(picture.scales),
        }
        data = self.write({f"{picture.name}{suffix}.csv": rows for suffix, rows in counted.items()})
        record = FigureRecord(picture.name, picture.number, picture.title, picture.caption, files, data)
        height, width = sheet.shape[:2]
        legend = legend_of(picture.classes)
        self.shown.append(Shown(record, picture.alt, uri=uri_of(sheet), width=width, height=height, legend=legend))
        self.classes += picture.classes
        self.scales += picture.scales
        self.steps += picture.steps

    def write(self, files: dict[str, bytes]) -> tuple[str, ...]:
        """Write files below ``figures/``, those that are not empty; returns their paths below the report."""
        kept = {f"figures/{name}": data for name, data in files.items() if data}
        for path, data in kept.items():
            write_atomic(self.root / path, data)
        return tuple(kept)


def files_of(report: Kang2020Report, gallery: Gallery) -> dict[str, bytes]:
    """The files of a report by name, figures and kang2020.json apart; empty where a part was not made."""
    return {
        "table1.csv": kang2020_csv.table1_csv(report.cells),
        "table1-tasks.csv": kang2020_csv.tasks_csv(report.cells),
        "claims.csv": kang2020_csv.claims_csv(report.claims),
        "transfer.csv": kang2020_csv.transfer_csv(report.cells),
        "curves.csv": csv_bytes(row for curve in report.curves for row in charts.curve_rows(curve)),
        "budgets.csv": csv_bytes(charts.budget_row(point) for point in report.budgets),
        "budgets-interpolated.csv": kang2020_csv.interpolated_csv(report.interpolated),
        "gradients.csv": kang2020_csv.gradients_csv(report.gradients),
        "gradients-images.csv": kang2020_csv.rows_csv(report.gradient_images),
        "report.html": render(report, gallery.shown),
    }
