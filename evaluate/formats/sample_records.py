"""A row of ``samples.jsonl`` and ``samples.parquet``: the counts of a sample on an engine, and of what."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Literal

from ..measure.report_records import SurvivalReport
from ..measure.survival import SampleCounts

SAMPLES_SCHEMA: Literal["segeval.samples/2"] = "segeval.samples/2"


@dataclass(frozen=True, kw_only=True)
class SampleRecord(SampleCounts):
    """One sample on one engine, with what tells it from the rows of other reports.

    Attributes:
        set: sha256 of the set's set.json.
        dataset, split: its images.
        precision: of the engine.
        calibration: name of the engine's calibration, empty for the first of its network and for engines without one.
        corruption: what the image went through before the engine, empty for nothing.
    """

    set: str
    dataset: str
    split: str
    precision: str
    calibration: str
    corruption: str
    schema: Literal["segeval.samples/2"] = SAMPLES_SCHEMA


def sample_records(report: SurvivalReport, rows: Iterable[SampleCounts]) -> Iterator[SampleRecord]:
    """The rows of a report's counts, one at a time, in their order."""
    engines = {(engine.model, engine.label): engine for engine in report.engines}
    config = report.set.config
    for row in rows:
        engine = engines[row.model, row.engine]
        yield SampleRecord(
            **{column.name: getattr(row, column.name) for column in fields(row)},
            set=report.set.sha256,
            dataset=config.dataset,
            split=config.split,
            precision=engine.precision,
            calibration=engine.variant,
            corruption=engine.corruption,
        )
