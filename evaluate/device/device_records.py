"""benchmark.json beside a report, `segeval.benchmark/1`: encode and decode it with `segeval.files.encoding`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from segeval.files.benches import BenchRun, LayerProfile, Rules, Scenario
from segeval.files.encoding import decode
from segeval.files.replays import Environment
from segeval.files.storage import read_file

from ..measure.estimate_records import Estimate

FILE = "benchmark.json"
MOST_BYTES = 1 << 30

NotReplayed = Annotated[str, Meta(pattern="^not replayed")]
"""Text in the place of the accuracy, with the reason."""


@dataclass(frozen=True)
class Accuracy:
    """What an engine's labels are worth.

    Attributes:
        engine: its name in the report.
        images, miou, pixel_accuracy: of the clean images, None without ground truth.
        attack: the strongest on the desktop of those made on the model's network, None if none of them reached a pixel.
        success, survival: of it on this engine, None if it was not replayed yet; survival is empty if it failed.
    """

    engine: str
    images: int
    miou: float | None
    pixel_accuracy: float | None
    attack: str | None
    success: Estimate | None
    survival: Estimate | None


@dataclass(frozen=True)
class EngineRow:
    """One engine of one version on one machine.

    Attributes:
        runs: by scenario; none if it was not benchmarked.
        without_argmax: its network alone, None if that was not measured.
        layers: None if it was not profiled.
    """

    engine: str
    model: str
    precision: str
    backend: str
    backend_version: str
    accuracy: Accuracy | NotReplayed
    runs: tuple[BenchRun, ...]
    without_argmax: BenchRun | None = None
    layers: LayerProfile | None = None

    def run(self, scenario: Scenario) -> BenchRun | None:
        """Its run in a scenario, None if there is none."""
        return next((run for run in self.runs if run.scenario == scenario), None)


@dataclass(frozen=True)
class Benchmark:
    """One bench.json.

    Attributes:
        bundle_sha256: whose engines ran.
        preset, rules: by which it was measured.
    """

    bundle_sha256: str
    environment: Environment
    preset: str
    rules: Rules
    engines: tuple[EngineRow, ...]


@dataclass(frozen=True)
class BenchmarkReport:
    """Everything the report says about speed and power. unmeasured: engines that were replayed, but not benchmarked."""

    set_sha256: str
    benchmarks: tuple[Benchmark, ...]
    unmeasured: tuple[EngineRow, ...]
    schema: Literal["segeval.benchmark/1"] = field(default="segeval.benchmark/1")


def read_benchmark_report(folder: str | Path) -> BenchmarkReport:
    """Read benchmark.json of a report. Raises OSError if there is none, FormatError if it is malformed."""
    path = Path(folder) / FILE
    return decode(read_file(path, MOST_BYTES), BenchmarkReport, str(path))
