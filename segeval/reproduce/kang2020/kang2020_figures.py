"""What all figures of a report have in common, charts and sheets of pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from segeval.evaluate.report.report_csv import CsvLine
from segeval.reproduce.kang2020.kang2020_records import ClassShare, ScaledMap, StepRow
from segeval.reproduce.kang2020.sheets import Rows


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: of its files.
        number: the paper's figure.
        alt: what a reader who cannot see it is told.
        data: rows of its CSV.
        svg: of a chart, for the page.
        rows: of a sheet.
        classes, scales, steps: counted there.
    """

    name: str
    number: str
    title: str
    caption: str
    alt: str
    data: Sequence[CsvLine]
    svg: str = ""
    rows: Rows = ()
    classes: Sequence[ClassShare] = ()
    scales: Sequence[ScaledMap] = ()
    steps: Sequence[StepRow] = ()
