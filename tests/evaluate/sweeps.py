"""A report whose numbers are made up: one network, seven engines of several calibrations and blocks, two attacks."""

from collections.abc import Mapping
from dataclasses import replace

from segeval.evaluate.measure import sweep
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import DESKTOP, CleanRow, EngineSummary, SurvivalReport, SurvivalRow
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.measure.sweep import Attribution, CalibrationMatrix
from segeval.files.engine_records import Calibration, CalibrationImage

MODEL = "espnet-camvid"
FIRST = Calibration("percentile", 99.99, "train split", 0, (CalibrationImage("a", "0" * 64),), ("Conv",))
ATTACKS = ("fgsm-full", "tanh-local")
SURVIVAL = {
    "fp32": (1.0, 0.99),
    "int8": (0.60, 0.80),
    "int8-minmax": (0.20, 0.30),
    "int8-only-a": (0.95, 0.97),
    "int8-only-b": (0.70, 0.85),
    "int8-without-a": (0.66, 0.82),
    "int8-without-b": (0.90, 0.96),
}
"""Survival of each attack by engine."""
MIOU = {DESKTOP: 0.60, "fp32": 0.60, "int8": 0.58, "int8-minmax": 0.40, "int8-only-a": 0.595, "int8-only-b": 0.59}
CALIBRATIONS: Mapping[str, Calibration | None] = {
    "fp32": None,
    "int8": FIRST,
    "int8-minmax": replace(FIRST, method="minmax", percentile=None, name="minmax"),
    **{f"int8-only-{block}": replace(FIRST, name=f"only-{block}", only=(block,)) for block in "ab"},
    **{f"int8-without-{block}": replace(FIRST, name=f"without-{block}", without=(block,)) for block in "ab"},
}


def calibration_matrices(report: SurvivalReport) -> tuple[CalibrationMatrix, ...]:
    return sweep.calibration_matrices(ReportRows.of(report))


def attributions(report: SurvivalReport) -> tuple[Attribution, ...]:
    return sweep.attributions(ReportRows.of(report))


def estimate(mean: float | None) -> Estimate:
    return Estimate(mean, mean, mean, mean, mean, mean, 3, 0, "")


def swept(plain: SurvivalReport) -> SurvivalReport:
    """The report of seven engines of one network under two attacks."""
    engine, row, clean = plain.engines[0], plain.survival[0], plain.clean[0]
    return replace(
        plain,
        engines=tuple(made(engine, name) for name in SURVIVAL),
        survival=tuple(survived(row, name, attack, at) for at, attack in enumerate(ATTACKS) for name in SURVIVAL),
        clean=tuple(cleaned(clean, name) for name in (DESKTOP, *SURVIVAL)),
    )


def made(engine: EngineSummary, name: str, replay: int = 0) -> EngineSummary:
    plain = f"{MODEL}.{name}"
    label = plain + (f"@device-{replay}" if replay else "")
    precision = "fp32" if name == "fp32" else "int8"
    calibration = CALIBRATIONS[name]
    return replace(engine, label=label, name=plain, precision=precision, calibration=calibration, replay=replay)


def survived(row: SurvivalRow, name: str, attack: str, at: int, label: str = "") -> SurvivalRow:
    calibration = CALIBRATIONS[name]
    return replace(
        row,
        attack=attack,
        task=None,
        engine=label or f"{MODEL}.{name}",
        precision="fp32" if name == "fp32" else "int8",
        survival=estimate(SURVIVAL[name][at]),
        variant=calibration.name if calibration else "",
    )


def cleaned(row: CleanRow, name: str) -> CleanRow:
    engine = name if name == DESKTOP else f"{MODEL}.{name}"
    miou = MIOU.get(name)
    return replace(row, engine=engine, precision="", miou=miou, equal=miou and 0.4 + miou)


def second_device(report: SurvivalReport, worse: float) -> SurvivalReport:
    """The report with every engine once more, of another replay. worse: how much less survives there, fp32 included."""
    engines = tuple(replace(e, label=f"{e.label}@device-1", replay=1) for e in report.engines)
    rows = tuple(
        replace(row, engine=f"{row.engine}@device-1", survival=estimate((row.survival.mean or 0.0) - worse))
        for row in report.survival
    )
    clean = tuple(replace(row, engine=f"{row.engine}@device-1") for row in report.clean if row.engine != DESKTOP)
    return replace(
        report, engines=report.engines + engines, survival=report.survival + rows, clean=report.clean + clean
    )


def changed(report: SurvivalReport, name: str, attack: str, **fields: object) -> SurvivalReport:
    """The report with other fields in the row of an engine under an attack."""
    at = (f"{MODEL}.{name}", attack)
    rows = tuple(replace(r, **fields) if (r.engine, r.attack) == at else r for r in report.survival)  # type: ignore[arg-type]
    return replace(report, survival=rows)
