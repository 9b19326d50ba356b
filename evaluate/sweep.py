"""What calibration does to survival, and which blocks of a network do it: read off a report's rows.

Only engines count whose calibration is known, and images as they are. Rows of all tasks together are taken, or of
the only task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from segeval.bundles import QUANTIZED, Calibration
from segeval.evaluate.engines import is_partial, ships, together, variant_of
from segeval.evaluate.report_records import DESKTOP, CleanRow, EngineSummary, Estimate, SurvivalReport, SurvivalRow

Attack = tuple[tuple[str, ...], str, str | None]
"""(victims, attack, task) of a row."""


@dataclass(frozen=True)
class CalibrationColumn:
    """A quantized engine on clean images. miou_drop: mIoU of the desktop minus its own, in 0..1; None without ground
    truth.   equal: share of pixels labelled as on the desktop.
    """

    engine: str
    precision: str
    calibration: Calibration
    miou: float | None
    miou_drop: float | None
    equal: float | None


@dataclass(frozen=True)
class MatrixRow:
    """An attack under every calibration. cells: one per column, None where the engine was not shown the attack."""

    victims: tuple[str, ...]
    attack: str
    task: str | None
    cells: tuple[SurvivalRow | None, ...]


@dataclass(frozen=True)
class CalibrationMatrix:
    """Attack × calibration for one model. The first column is what ships."""

    model: str
    columns: tuple[CalibrationColumn, ...]
    rows: tuple[MatrixRow, ...]


@dataclass(frozen=True)
class BlockEffect:
    """One attack on an engine of which one block, or all but one, is quantized.

    loss: survival on fp32 minus survival here.   gain: survival here minus survival on the whole int8 engine.
    Both are differences of means over images, in -1..1, and None where one of the two does not exist.
    """

    victims: tuple[str, ...]
    attack: str
    task: str | None
    survival: Estimate
    loss: float | None
    gain: float | None


@dataclass(frozen=True)
class BlockRow:
    """A block of the network. mode: whether only it is quantized, or everything without it.

    effects: one per attack.   effect: what it is ranked by, the mean loss of ``only`` and the mean gain of ``without``.
    miou_drop: mIoU of fp32 minus its own.   miou_gain: its own minus that of the whole int8 engine, both in -1..1.
    equal: share of pixels labelled as on the desktop.
    """

    block: str
    mode: Literal["only", "without"]
    engine: str
    effects: tuple[BlockEffect, ...]
    effect: float | None
    miou_drop: float | None
    miou_gain: float | None
    equal: float | None

    @property
    def labels_changed(self) -> float | None:
        """Share of the pixels of clean images with another label than on the desktop."""
        return None if self.equal is None else 1 - self.equal


@dataclass(frozen=True)
class Attribution:
    """The blocks of one model by one mode, the one with the largest effect first.

    reference: what a loss is measured against, the model's fp32 engine or the desktop.   whole: the engine that is
    int8 everywhere; empty if there is none.   total: that engine as a row, for what all blocks do together; its block
    is empty and its effect the mean loss. None if there is none.
    """

    model: str
    mode: Literal["only", "without"]
    reference: str
    whole: str
    blocks: tuple[BlockRow, ...]
    total: BlockRow | None


def calibration_matrices(report: SurvivalReport) -> tuple[CalibrationMatrix, ...]:
    """One matrix per model that was replayed under at least two calibrations; those of attribution do not count."""
    found = []
    for model in models_of(report):
        engines = [engine for engine in quantized(report, model) if not is_partial(engine)]
        if len({replace(engine.calibration, name="") for engine in engines if engine.calibration}) > 1:
            found.append(matrix(report, model, engines))
    return tuple(found)


def matrix(report: SurvivalReport, model: str, engines: Sequence[EngineSummary]) -> CalibrationMatrix:
    """The matrix of these engines. What ships comes first."""
    engines = sorted(engines, key=lambda engine: bool(variant_of(engine)))
    cells = rows_by_attack(report, model)
    rows = tuple(
        MatrixRow(*attack, tuple(found.get(engine.label) for engine in engines))
        for attack, found in cells.items()
        if any(engine.label in found for engine in engines)
    )
    return CalibrationMatrix(model, tuple(column(report, engine) for engine in engines), rows)


def column(report: SurvivalReport, engine: EngineSummary) -> CalibrationColumn:
    """An engine on clean images."""
    assert engine.calibration is not None
    own, desktop = clean(report, engine.model, engine.label), clean(report, engine.model, DESKTOP)
    return CalibrationColumn(
        engine=engine.label,
        precision=engine.precision,
        calibration=engine.calibration,
        miou=miou(own),
        miou_drop=difference(miou(desktop), miou(own)),
        equal=own.equal if own else None,
    )


def attributions(report: SurvivalReport) -> tuple[Attribution, ...]:
    """The ranked blocks of every model and mode that engines of single blocks were replayed of.

    Those of different replays, such as of two devices, are ranked apart.
    """
    found = []
    for model in models_of(report):
        partial = [engine for engine in quantized(report, model) if is_partial(engine)]
        for replay in dict.fromkeys(engine.replay for engine in partial):
            of_replay = [engine for engine in partial if engine.replay == replay]
            found += [ranked(report, each) for each in (with_mode(of_replay, m) for m in ("only", "without")) if each]
    return tuple(found)


def ranked(report: SurvivalReport, engines: Sequence[EngineSummary]) -> Attribution:
    """The blocks of one model, mode and replay."""
    model, replay = engines[0].model, engines[0].replay
    beside = [engine for engine in report.engines if (engine.model, engine.replay) == (model, replay)]
    reference = next((e.label for e in beside if e.precision == "fp32" and not e.channel), DESKTOP)
    whole = next((engine for engine in quantized(report, model) if engine in beside and is_whole(engine)), None)
    label = whole.label if whole else ""
    blocks = [block_row(report, engine, reference, label) for engine in engines]
    total = block_row(report, whole, reference, label) if whole else None
    blocks.sort(key=lambda block: -2.0 if block.effect is None else block.effect, reverse=True)
    return Attribution(model, blocks[0].mode, reference, label, tuple(blocks), total)


def block_row(report: SurvivalReport, engine: EngineSummary, reference: str, whole: str) -> BlockRow:
    """What one block, or the whole network, does to every attack and to clean images."""
    assert engine.calibration is not None
    mode: Literal["only", "without"] = "without" if engine.calibration.without else "only"
    effects = tuple(effects_of(report, engine, reference, whole))
    values = [effect.loss if mode == "only" else effect.gain for effect in effects]
    known = [value for value in values if value is not None]
    own, fp32, int8 = (clean(report, engine.model, label) for label in (engine.label, reference, whole))
    return BlockRow(
        block="+".join(engine.calibration.only or engine.calibration.without),
        mode=mode,
        engine=engine.label,
        effects=effects,
        effect=sum(known) / len(known) if known else None,
        miou_drop=difference(miou(fp32), miou(own)),
        miou_gain=difference(miou(own), miou(int8)),
        equal=own.equal if own else None,
    )


def effects_of(report: SurvivalReport, engine: EngineSummary, reference: str, whole: str) -> Iterator[BlockEffect]:
    """Each attack that the engine was shown. On the desktop all of it survives, by definition."""
    for attack, rows in rows_by_attack(report, engine.model).items():
        own = rows.get(engine.label)
        if own is None:
            continue
        fp32 = 1.0 if reference == DESKTOP else survival(rows.get(reference))
        mean = own.survival.mean
        yield BlockEffect(*attack, own.survival, difference(fp32, mean), difference(mean, survival(rows.get(whole))))


def rows_by_attack(report: SurvivalReport, model: str) -> dict[Attack, dict[str, SurvivalRow]]:
    """The rows of a model by attack and engine, of all tasks together or of the only task, images as they are."""
    plain = [row for row in report.survival if row.model == model and not row.channel]
    found: dict[Attack, dict[str, SurvivalRow]] = {}
    for row in together(plain):
        found.setdefault((row.victims, row.attack, row.task), {})[row.engine] = row
    return found


def models_of(report: SurvivalReport) -> list[str]:
    """The models of a report's engines, in order."""
    return list(dict.fromkeys(engine.model for engine in report.engines))


def quantized(report: SurvivalReport, model: str) -> list[EngineSummary]:
    """A model's engines whose calibration is known, on images as they are."""
    return [
        engine
        for engine in report.engines
        if engine.model == model and engine.precision in QUANTIZED and engine.calibration and not engine.channel
    ]


def is_whole(engine: EngineSummary) -> bool:
    """Whether it is the int8 engine that ships."""
    return engine.precision == "int8" and ships(engine)


def with_mode(engines: Sequence[EngineSummary], mode: str) -> list[EngineSummary]:
    """Those of which one block alone is quantized, or of which all but one are."""
    return [e for e in engines if e.calibration is not None and bool(getattr(e.calibration, mode))]


def clean(report: SurvivalReport, model: str, engine: str) -> CleanRow | None:
    """The row of an engine, or of the desktop, on clean images."""
    return next((row for row in report.clean if (row.model, row.engine) == (model, engine)), None)


def miou(row: CleanRow | None) -> float | None:
    """mIoU of a row, None if there is no row or no ground truth."""
    return row.miou if row is not None else None


def survival(row: SurvivalRow | None) -> float | None:
    """Mean survival of a row, None if there is no row."""
    return row.survival.mean if row is not None else None


def difference(first: float | None, second: float | None) -> float | None:
    """first - second, None if one is missing."""
    return None if first is None or second is None else first - second
