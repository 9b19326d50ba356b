"""The table of accuracy, speed and power for a terminal."""

from rich.table import Table

from segeval.plain_table import as_shown, lines, plain_table

from ..report.wording import decimals, percent
from .device_records import Accuracy, BenchmarkReport, EngineRow
from .device_wording import latency, main_run, notes, quoted_power, throughput

HEADINGS = ("mIoU", "success", "survived %", "p50 ms", "p90 ms", "p99 ms", "images/s")


def benchmark_table(report: BenchmarkReport) -> Table:
    """One line per engine. Success and survival are of its model's strongest attack; names are shown as they are."""
    table = plain_table("On the device: accuracy, latency of a call in a single stream, throughput, power and energy")
    table.caption = lines((*notes(report), ""))
    runs = [run for benchmark in report.benchmarks for row in benchmark.engines for run in row.runs]
    powered = any(run.measured_energy for run in runs)  # else a note says in words that there is none
    table.add_column("engine", no_wrap=True)
    for heading in (*HEADINGS, *(("power", "energy/image") if powered else ())):
        table.add_column(heading, justify="right", overflow="fold")
    for benchmark in report.benchmarks:
        for row in benchmark.engines:
            table.add_row(*map(as_shown, (row.engine, *accuracy_cells(row), *run_cells(row, powered))))
        table.add_section()
    for row in report.unmeasured:
        table.add_row(*map(as_shown, (row.engine, *accuracy_cells(row), "not benchmarked")))
    return table


def accuracy_cells(row: EngineRow) -> tuple[str, str, str]:
    """mIoU in percent, success and survival."""
    found = row.accuracy
    if not isinstance(found, Accuracy):
        return "not replayed", "", ""
    return (
        "–" if found.miou is None else f"{100 * found.miou:.2f}",
        decimals(None if found.success is None else found.success.mean),
        percent(None if found.survival is None else found.survival.mean),
    )


def run_cells(row: EngineRow, powered: bool) -> tuple[str, ...]:
    """Percentiles and images per second; power and energy per image where any engine has them."""
    speed = (*(latency(row, name) for name in ("p50", "p90", "p99")), throughput(main_run(row)))
    return (*speed, *quoted_power(row)) if powered else speed
