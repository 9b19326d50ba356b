"""Table 1 for a terminal."""

from rich.table import Table

from segeval.errors import DataError
from segeval.evaluate.report.renewal import require_recorded
from segeval.files.encoding import decode
from segeval.files.experiments import ExperimentFolder
from segeval.plain_table import as_shown, plain_table
from segeval.reproduce.kang2020.grid import SCOPE_NAMES
from segeval.reproduce.kang2020.kang2020_findings import headline
from segeval.reproduce.kang2020.kang2020_page import printed, three
from segeval.reproduce.kang2020.kang2020_records import FILE, Kang2020Report

CAPTION = (
    "Means over images, and the paper's figures for Cityscapes. clean: success on the clean image. levels: mean change "
    "of 255, over φ for local attacks. Intervals are in report/report.html."
)
METHODS = {"fgsm": "FGSM", "tanh": "tanh", "fgsm-as-tanh": "FGSM as tanh"}


def summary_table(folder: ExperimentFolder) -> Table:
    """Table 1 of a reproduction whose report was written: a line per attack and column of the paper's table.

    Below each the paper's own figures, if it has them. Raises DataError if there is no report, FormatError if it is
    malformed, IntegrityError if it was changed.
    """
    report = read(folder)
    rows = [cell for cell in report.cells if cell.task is None and cell.own]
    table = plain_table(headline(report.claims), CAPTION if rows else "Table 1 was not part of this reproduction.")
    table.add_column("attacked", overflow="fold")
    table.add_column("attack", no_wrap=True)
    for heading in ("accuracy", "ratio", "success", "clean", "levels", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    before = ""
    for cell in rows:
        column = f"{cell.model}, {SCOPE_NAMES[cell.scope]}{'' if len(cell.victims) == 1 else ', joint'}"
        if before and column != before:
            table.add_section()
        means = (each.mean for each in (cell.accuracy, cell.ratio, cell.success, cell.control, cell.perturbation))
        first = "" if column == before else column
        table.add_row(*map(as_shown, (first, METHODS[cell.method], *map(three, means), str(cell.images))))
        if paper := cell.paper:
            known = (paper.accuracy, paper.ratio, paper.success, None, paper.perturbation)
            table.add_row("", "  paper", *map(printed, known), style="dim")
        before = column
    return table


def read(folder: ExperimentFolder) -> Kang2020Report:
    """The report beside the page."""
    path = folder.report / FILE
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} is not there", "finish the reproduction with --resume") from error
    report = decode(data, Kang2020Report, str(path))
    require_recorded(folder.report, report.files, FILE)
    return report
