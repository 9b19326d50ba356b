"""`segeval evaluate`: one set and its replays in, one report out."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from segeval.files.encoding import encode_sealed
from segeval.files.storage import write_atomic
from segeval.progress import Progress, silent

from .device.device_csv import benchmark_lines
from .device.device_records import FILE as BENCHMARK
from .device.device_records import BenchmarkReport
from .device.join import benchmark_report, open_benches
from .formats.label_maps import write_label_maps
from .formats.sample_files import write_samples
from .measure.adaptive import adaptive_tables
from .measure.bootstrap import RESAMPLES
from .measure.clean import measure_latency
from .measure.comparisons import comparisons
from .measure.corruption_tables import corruption_tables
from .measure.counting import Counted, count_everything
from .measure.decisive import decisive
from .measure.inputs import Engine, Sources
from .measure.report_records import CleanRow, EngineSummary, ReplaySummary, SetSummary, SurvivalReport
from .measure.report_rows import ReportRows, made_on_files
from .measure.survival_summary import survival_rows
from .measure.sweep import attributions, calibration_matrices
from .measure.under_attack_rows import attacked_rows
from .report.adaptive_csv import adaptive_lines
from .report.corruptions_csv import corruption_lines
from .report.downloads import downloads, kept_free
from .report.gallery import gallery
from .report.page import Page
from .report.renewal import hashes_below, hashes_of, make_above, renewed
from .report.report_csv import CsvLine, clean_line, csv_bytes, curve_lines, flat, survival_line, tested_cells
from .report.report_folder import require_place
from .report.report_reading import FILE as REPORT
from .report.report_reading import KEPT
from .report.sweep_csv import attribution_lines, calibration_lines
from .report.under_attack_csv import attacked_lines
from .report.under_attack_wording import worst_sentences
from .report.verdict import audited, limits, verdict


def evaluate(
    set_root: Path,
    replays: Sequence[Path],
    out: Path,
    seed: int = 0,
    progress: Progress = silent,
    benches: Sequence[Path] = (),
    label_maps: bool = False,
    workers: int | None = 1,
) -> SurvivalReport:
    """Measure how much of each attack survived, and write the report.

    Raises DataError, ConfigurationError, FormatError, IntegrityError, StorageError, EngineError.

    The same input gives the same bytes. A report that is in `out` already is replaced as a whole, or stays.

    Args:
        set_root: a finished adversarial set.
        replays: of that set; an unfinished one is evaluated as far as it got, and the report says so.
        out: gets report.html, report.json, survival.csv, attacked.csv, clean.csv, curves.csv, breakdown.csv and the
            samples as samples.csv, samples.jsonl and samples.parquet; comparisons.csv as well if there is something to
            compare, adaptive.csv if attacks were made on deployed files, corruptions.csv if images were corrupted,
            calibrations.csv and attribution.csv if there were several int8 files.
        seed: of the bootstrap.
        progress: called with the stage, what is done of it and its total.
        benches: benchmarks of the replayed bundles; with them `out` gets benchmark.csv and benchmark.json as well.
        label_maps: write every label map of the replays as PNG into `out`/labels.
        workers: processes that count, None for one per core unless the set is small; the report does not depend on it.
    """
    require_place(out, KEPT)
    sources = Sources(set_root, replays)
    records = open_benches(sources, benches)
    make_above(out)
    with renewed(out, KEPT) as folder:
        counted = count_everything(sources, progress, workers)
        report = summarise(sources, counted, seed, progress)
        benchmark = benchmark_report(sources, records, report) if records else None
        page = Page(report, benchmark)
        room = page.room(kept_free(report_files(report, counted, benchmark)))
        first = decisive(ReportRows.of(report))
        shown = gallery(sources, counted.rows, room, progress, None if first is None else first.key)
        report = replace(report, examples=tuple((case.counts.sample, case.counts.engine) for case in shown.cases))
        files = report_files(report, counted, benchmark)
        write_atomic(folder / "report.html", page.render(shown, downloads(files, page.left(shown))))
        for name, data in files.items():
            if name != REPORT:
                write_atomic(folder / name, data)
        write_samples(folder, report, counted.rows)
        if label_maps:
            write_label_maps(sources, folder, progress)
        report = replace(report, files=hashes_below(folder))
        write_atomic(folder / REPORT, in_a_file(report))
    return report


def in_a_file(record: object) -> bytes:
    """A record as its file has it."""
    return encode_sealed(record, indent=2) + b"\n"


def report_files(report: SurvivalReport, counted: Counted, benchmark: BenchmarkReport | None) -> dict[str, bytes]:
    """The files that are embedded in a report, by name: report.json as far as it tells of these, and the tables."""
    rows = ReportRows.of(report)
    tables: dict[str, Iterable[CsvLine]] = {
        "survival": map(survival_line, report.survival),
        "attacked": attacked_lines(report.attacked, report.set.classes),
        "samples": map(flat, counted.rows),
        "clean": map(clean_line, report.clean),
        "curves": curve_lines(report.curves),
        "breakdown": map(flat, report.breakdown),
        "comparisons": map(tested_cells, report.comparisons),
        "adaptive": adaptive_lines(adaptive_tables(rows, report.comparisons, report.set)),
        "corruptions": corruption_lines(corruption_tables(rows)),
        "calibrations": calibration_lines(calibration_matrices(rows)),
        "attribution": attribution_lines(attributions(rows)),
        "benchmark": benchmark_lines(benchmark) if benchmark else (),
    }
    files = {f"{name}.csv": csv_bytes(lines) for name, lines in tables.items()}
    files[BENCHMARK] = in_a_file(benchmark) if benchmark else b""
    present = {name: data for name, data in files.items() if data}
    return {REPORT: in_a_file(replace(report, files=hashes_of(present))), **present}


def summarise(sources: Sources, counted: Counted, seed: int, progress: Progress) -> SurvivalReport:
    """The report of what was counted, without the examples of its gallery."""
    survival = tuple(survival_rows(sources, counted, seed, progress))
    plain = [engine for engine in sources.engines if not engine.corruption]
    saturating = [engine.label for engine in plain if engine.record.facts.get("saturates") is True]
    replaced = [engine.label for engine in plain if "fallback" in engine.record.facts]
    engines = tuple(map(engine_summary, sources.engines))
    about = set_summary(sources, len(counted.attacked))
    rows = ReportRows(survival, clean_rows(sources, counted), engines, made_on_files(about.attacks))
    attacked = attacked_rows(survival, counted.under_attack, about.attacks, seed)
    compared = comparisons(counted.rows, rows, about.attacks, seed, progress)
    return SurvivalReport(
        verdict=(
            *verdict(rows, compared, about.attacks),
            *worst_sentences(attacked, rows.on_files),
            *audited(adaptive_tables(rows, compared, about)),
        ),
        notes=limits(rows, counted.missing.total(), saturating, replaced, sources.not_run, about.deployed),
        survival=rows.survival,
        clean=rows.clean,
        curves=counted.curves.curves(dict.fromkeys(row.key.over_engines() for row in survival)),
        engines=engines,
        replays=tuple(
            ReplaySummary(replay.record.bundle_sha256, replay.complete, replay.record.environment)
            for replay in sources.replays
        ),
        examples=(),
        set=about,
        versions=versions(),
        seed=seed,
        resamples=RESAMPLES,
        breakdown=tuple(counted.breakdown.rows(sources, seed, progress)),
        comparisons=compared,
        attacked=attacked,
    )


def engine_summary(engine: Engine) -> EngineSummary:
    """What the report says about an engine."""
    return EngineSummary(
        label=engine.label,
        name=engine.record.name,
        model=engine.model,
        precision=engine.precision,
        backend=engine.record.backend,
        backend_version=engine.record.backend_version,
        replay=engine.replay_index,
        complete=engine.record.complete,
        calibration=engine.calibration,
        corruption=engine.corruption,
        arithmetic=str(engine.record.facts.get("arithmetic", "")),
        noise_floor=engine.noise_floor,
        file_sha256=engine.file_sha256,
        own=engine.own,
        own_file=engine.own_file,
        power_mode=", then ".join(engine.record.power_modes),
    )


def clean_rows(sources: Sources, counted: Counted) -> tuple[CleanRow, ...]:
    """Per model the desktop, then its engines with their latency."""
    latencies = {(each.model, each.label): measure_latency(each.results, each.keys) for each in sources.engines}
    return tuple(tally.row(latencies.get(key)) for key, tally in counted.clean.items())


def set_summary(sources: Sources, attacked: int) -> SetSummary:
    """What the report says about the set; folders of the machine it was made on stay out of it.

    Args:
        sources: what the report is made from.
        attacked: images.
    """
    manifest = sources.manifest
    return SetSummary(
        sha256=sources.sha256,
        config=manifest.config,
        table=manifest.table.name,
        height=manifest.height,
        width=manifest.width,
        models=manifest.models,
        attacks=manifest.attacks,
        tasks=manifest.tasks,
        versions=manifest.versions,
        revision=manifest.revision,
        images=len(manifest.images),
        attacked=attacked,
        samples=manifest.sample_count,
        deployed=manifest.deployed,
        classes=manifest.table.names,
    )


def versions() -> dict[str, str]:
    """Versions of what computed the report."""
    found = {"python": platform.python_version()}
    for package in ("segeval-embedded", "numpy", "scipy", "matplotlib"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
