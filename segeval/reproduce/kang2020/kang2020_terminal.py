"""Table 1 for a terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from segeval.errors import DataError
from segeval.evaluate.report.plain_table import as_shown
from segeval.evaluate.report.renewal import require_recorded
from segeval.files.encoding import decode
from segeval.files.experiments import ExperimentFolder
from segeval.reproduce.kang2020.findings import headline
from segeval.reproduce.kang2020.kang2020_page import printed, three
from segeval.reproduce.kang2020.kang2020_records import FILE, Cell, Kang2020Report, PaperCell

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
    rows = [cell for cell in report.cells if cell.task is None and cell.model in cell.victims]
    caption = CAPTION if rows else "Table 1 was not part of this reproduction."
    title = as_shown(headline(report.claims))
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left", box=SIMPLE_HEAD)
    table.pad_edge, table.collapse_padding = False, True
    table.add_column("attacked", overflow="fold")
    table.add_column("attack", no_wrap=True)
    for heading in ("accuracy", "ratio", "success", "clean", "levels", "n"):
        table.add_column(heading, justify="right", no_wrap=True)
    before: tuple[object, ...] = ()
    for cell in rows:
        column = (cell.scope, cell.victims, cell.model)
        if before and column != before:
            table.add_section()
        table.add_row(
            *map(as_shown, ("" if column == before else attacked(cell), METHODS[cell.method], *figures(cell)))
        )
        if cell.paper is not None:
            table.add_row(*(Text(text, style="dim") for text in ("", "  paper", *paper_figures(cell.paper))))
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


def attacked(cell: Cell) -> str:
    """Whom, and where."""
    scope = "local" if cell.scope == "local" else "whole image"
    return f"{cell.model}, {scope}{'' if len(cell.victims) == 1 else ', joint'}"


def figures(cell: Cell) -> tuple[str, ...]:
    """The numbers of one line."""
    return (
        three(cell.accuracy.mean),
        three(cell.ratio.mean),
        three(cell.success.mean),
        three(cell.control.mean),
        three(cell.perturbation.mean),
        str(cell.images),
    )


def paper_figures(paper: PaperCell) -> tuple[str, ...]:
    """The paper's numbers of the line above."""
    return printed(paper.accuracy), printed(paper.ratio), printed(paper.success), "", printed(paper.perturbation), ""
