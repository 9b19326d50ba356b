"""The section of the report on speed and power."""

from dataclasses import dataclass

from markupsafe import Markup

from segeval.files.benches import BenchRun

from . import device_wording
from .device_records import Accuracy, Benchmark, BenchmarkReport, EngineRow
from .latency_figure import latency_figure


@dataclass(frozen=True)
class BenchmarkView:
    """One benchmark as the page shows it. chart: an SVG element, or empty."""

    title: str
    found: Benchmark
    chart: Markup

    @property
    def runs(self) -> tuple[tuple[EngineRow, BenchRun], ...]:
        """Every run with the row it belongs to."""
        return tuple((row, run) for row in self.found.engines for run in row.runs)

    @property
    def seen_into(self) -> tuple[EngineRow, ...]:
        """The engines of which is known what a call is made of."""
        return tuple(row for row in self.found.engines if device_wording.is_seen_into(row))


@dataclass(frozen=True)
class DeviceSection:
    """What the template needs."""

    benchmarks: tuple[BenchmarkView, ...]
    unmeasured: tuple[EngineRow, ...]
    notes: tuple[str, ...]

    @staticmethod
    def known(row: EngineRow) -> Accuracy | None:
        """The accuracy of an engine, None if it was not replayed."""
        return row.accuracy if isinstance(row.accuracy, Accuracy) else None


def device_section(report: BenchmarkReport) -> DeviceSection:
    """The section of these benchmarks."""
    views = []
    for index, benchmark in enumerate(report.benchmarks, start=1):
        title = "Benchmark" if len(report.benchmarks) == 1 else f"Benchmark {index}"
        streams = [run for row in benchmark.engines if (run := row.run("latency")) is not None]
        chart = ""
        if streams:
            description = f"{title}: share of the calls that took at most so long, by engine; see benchmark.json"
            chart = latency_figure(streams, f"latency-{index}", description)
        # Drawn by latency_figure.py from numbers and escaped names.
        views.append(BenchmarkView(title, benchmark, Markup(chart)))
    return DeviceSection(tuple(views), report.unmeasured, device_wording.notes(report))
