"""Reading a report back: of this segeval, or of an earlier one whose rows had fewer columns."""

from dataclasses import replace
from pathlib import Path

from segeval.errors import DataError
from segeval.evaluate.clean import recounted
from segeval.evaluate.report_records import SurvivalReport
from segeval.records import decode
from segeval.store import read_file

FILE = "report.json"
MOST_BYTES = 1 << 30


def read_report(folder: Path) -> SurvivalReport:
    """Read report.json in `folder`. Raises DataError if there is none, FormatError if it is malformed.

    What an earlier version did not measure is None, empty or absent, as the records say; its mIoU is counted anew.
    """
    path = folder / FILE
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        raise DataError(f"{folder} is not a report: no readable {FILE}", "make one with segeval evaluate") from error
    report = decode(data, SurvivalReport, str(path))
    return replace(report, clean=tuple(map(recounted, report.clean)))
