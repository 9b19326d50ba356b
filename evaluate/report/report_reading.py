"""Reading a report back: of this segeval, or of an earlier one whose rows had fewer columns."""

from dataclasses import replace
from pathlib import Path

from segeval.errors import DataError
from segeval.files.encoding import decode
from segeval.files.storage import read_file
from segeval_runner.ownership import lacking

from ..measure.clean import recounted
from ..measure.report_records import SurvivalReport
from .renewal import Kept, require_recorded

FILE = "report.json"
KEPT = Kept(
    "report",
    FILE,
    (
        "report.html",
        *(f"{name}.csv" for name in ("survival", "attacked", "clean", "curves", "breakdown", "comparisons")),
        *(f"{name}.csv" for name in ("adaptive", "corruptions", "calibrations", "attribution", "benchmark", "samples")),
        *("samples.jsonl", "samples.parquet", "benchmark.json", "labels/*.png"),
        "channels.csv",  # of segeval.report/1
    ),
)
"""What `segeval evaluate` writes."""
MOST_BYTES = 1 << 30
MAKE = "make one with segeval evaluate"


def read_report(folder: str | Path) -> SurvivalReport:
    """Read report.json in `folder`. Raises DataError if there is none, FormatError if it is malformed, IntegrityError
    if it was changed after it was written.

    What an earlier version did not measure is None, empty or absent, as the records say; its mIoU is counted anew.
    """
    folder = Path(folder)
    path = folder / FILE
    try:
        data = read_file(path, MOST_BYTES)
    except OSError as error:
        hint = "evaluate again, which was cut off there" if (folder / KEPT.ready).exists() else MAKE
        raise DataError(f"{folder} is not a report: {lacking(folder, FILE)}", hint) from error
    report = decode(data, SurvivalReport, str(path))
    return replace(report, clean=tuple(map(recounted, report.clean)))


def read_whole_report(folder: Path) -> SurvivalReport:
    """`read_report`, of a folder whose other files are those of the same evaluation. Raises IntegrityError as well.

    Of a report of an earlier version, which has no hashes, nothing tells.
    """
    report = read_report(folder)
    require_recorded(folder, report.files, FILE)
    return report
