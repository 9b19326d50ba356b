"""JSON schemas of the files that segeval writes, made from the records that read them.

    python -m segeval.evaluate.formats.schemas docs/schema

writes them anew. A record's documentation becomes the description of its object.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import msgspec

from segeval.files.benches import BenchRecord
from segeval.files.bundles import BundleManifest, InputKey
from segeval.files.patterns import PatternRecord
from segeval.files.replays import ReplayRecord, Result
from segeval.files.sets import AdversarialSample, AdversarialSet
from segeval.files.storage import write_atomic

from ..compare.compare_records import RunComparison
from ..device.device_records import BenchmarkReport
from ..measure.report_records import SurvivalReport
from .sample_records import SampleRecord

DIALECT = "https://json-schema.org/draft/2020-12/schema"

RECORDS: Mapping[str, tuple[str, type]] = {
    "set": ("set.json", AdversarialSet),
    "set-sample": ("a line of samples.jsonl of an adversarial set", AdversarialSample),
    "pattern": ("pattern.json", PatternRecord),
    "bundle": ("bundle.json", BundleManifest),
    "bundle-input": ("a line of inputs/index.jsonl of a bundle", InputKey),
    "replay": ("replay.json", ReplayRecord),
    "replay-result": ("a line of ENGINE/results.jsonl of a replay", Result),
    "bench": ("bench.json", BenchRecord),
    "report": ("report.json", SurvivalReport),
    "report-sample": ("a line of samples.jsonl of a report", SampleRecord),
    "benchmark": ("benchmark.json of a report", BenchmarkReport),
    "compare": ("compare.json", RunComparison),
}
"""By name of the schema: which file it is of, and the record of that file."""


def json_schema(name: str) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of one of `RECORDS`. Fields that it does not name are allowed and ignored."""
    title, form = RECORDS[name]
    schema = msgspec.json.schema(form)
    for definition in schema["$defs"].values():
        if "description" in definition:
            definition["description"] = inspect.cleandoc(definition["description"])
    # A record that extends another is told with what it has from there.
    told = [inspect.cleandoc(each.__doc__ or "") for each in form.__mro__ if is_dataclass(each)]
    schema["$defs"][form.__name__]["description"] = "\n\n".join(told)
    return {"$schema": DIALECT, "title": title, **schema}


def schema_files() -> Iterator[tuple[str, bytes]]:
    """Name and content of every schema file."""
    for name in RECORDS:
        text = msgspec.json.format(msgspec.json.encode(json_schema(name)), indent=2)
        yield f"{name}.schema.json", text + b"\n"


def main(folder: Path) -> None:
    """Write every schema file into `folder`."""
    for name, data in schema_files():
        write_atomic(folder / name, data)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
