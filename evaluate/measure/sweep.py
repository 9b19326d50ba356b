"""What calibration does to survival, and which blocks of a network do it: read off a report's rows.

Only engines count whose calibration is known, images as they are, and attacks that were made for the network and on it,
not on deployed files. Rows of all tasks together are taken, or of the only task. Differences exist between what saw the
same images alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from segeval.files.engine_records import Calibration

from .attack_lines import AttackLine, attack_lines, rows_by_attack
from .clean import miou_difference
from .decisive import told_survival
from .estimate_records import Estimate
from .report_records import DESKTOP, EngineSummary, SurvivalRow
from .report_rows import ReportRows
from .row_key import RowKey, within_model
from .sweep_rows import difference, is_whole, quantized, survival_difference


@dataclass(frozen=True)
class CalibrationColumn:
    """A quantized engine on clean images.

    Attributes:
        replay: index into the report's replays.
        miou_drop: mIoU of the desktop minus its own, in -1..1; None without ground truth, or where it saw fewer images.
        equal: share of pixels labelled as on the desktop.
    """

    engine: str
    replay: int
    precision: str
    calibration: Calibration
    miou: float | None
    miou_drop: float | None
    equal: float | None


@dataclass(frozen=True)
class CalibrationMatrix:
    """Attack × calibration for one model. The first column is what ships."""

    model: str
    columns: tuple[CalibrationColumn, ...]
    rows: tuple[AttackLine, ...]

    def heading(self, column: CalibrationColumn) -> str:
        """Name of its calibration, ``ships`` for the first; of several replays its engine, without the model's name."""
        if len({each.replay for each in self.columns}) > 1:
            return within_model(column.engine, self.model)
        return column.calibration.name or "ships"


@dataclass(frozen=True)
class BlockEffect:
    """One attack on an engine of which one block, or all but one, is quantized.

    Attributes:
        loss: survival on fp32 minus survival here.
        gain: survival here minus survival on the whole int8 engine. Both are differences of means over images, in
            -1..1, and None where one of the two does not exist or rests on other images. They are not tested, and have
            no interval; survival has one.
    """

    survival: Estimate
    loss: float | None
    gain: float | None


@dataclass(frozen=True)
class BlockRow:
    """A block of the network.

    Attributes:
        mode: whether only it is quantized, or everything without it.
        effects: one per attack of the attribution, None where the engine was not shown it.
        effect: what it is ranked by, the mean loss of ``only`` and the mean gain of ``without``; None unless every
            attack has one.
        miou_drop: mIoU of fp32 minus its own.
        miou_gain: its own minus that of the whole int8 engine, both in -1..1, None where one is not known or they rest
            on other images.
        equal: share of pixels labelled as on the desktop.
    """

    block: str
    mode: Literal["only", "without"]
    engine: str
    effects: tuple[BlockEffect | None, ...]
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

    Attributes:
        replay: which of several it is about, as in ``orin``; empty where there is one.
        attacks: made for the model, on all engines.
        reference: what a loss is measured against, the fp32 engine of the same replay or the desktop.
        whole: the engine that is int8 everywhere; empty if there is none.
        total: that engine as a row, for what all blocks do together; its block is empty and its effect the mean loss.
            None if there is none, and by mode ``without``.
    """

    model: str
    mode: Literal["only", "without"]
    replay: str
    attacks: tuple[RowKey, ...]
    reference: str
    whole: str
    blocks: tuple[BlockRow, ...]
    total: BlockRow | None


def calibration_matrices(rows: ReportRows) -> tuple[CalibrationMatrix, ...]:
    """One matrix per model that was replayed under at least two calibrations; those of attribution do not count."""
    found = []
    for model in rows.models:
        engines = [engine for engine in quantized(rows.about(model)) if not engine.is_partial]
        if len({replace(engine.calibration, name="") for engine in engines if engine.calibration}) > 1:
            found.append(matrix(rows.about(model), model, engines))
    return tuple(found)


def matrix(rows: ReportRows, model: str, engines: Sequence[EngineSummary]) -> CalibrationMatrix:
    """The matrix of these engines of a model. What ships comes first."""
    engines = sorted(engines, key=lambda engine: bool(engine.variant))
    lines = attack_lines(rows.uncorrupted.on_network.own, [engine.label for engine in engines])
    shown = tuple(line for line in lines if any(line.cells))
    return CalibrationMatrix(model, tuple(column(rows, engine) for engine in engines), shown)


def column(rows: ReportRows, engine: EngineSummary) -> CalibrationColumn:
    """An engine on clean images."""
    assert engine.calibration is not None
    own, desktop = (rows.clean_by_engine.get((engine.model, label)) for label in (engine.label, DESKTOP))
    return CalibrationColumn(
        engine=engine.label,
        replay=engine.replay,
        precision=engine.precision,
        calibration=engine.calibration,
        miou=own.miou if own else None,
        miou_drop=miou_difference(desktop, own),
        equal=own.equal if own else None,
    )


def attributions(rows: ReportRows) -> tuple[Attribution, ...]:
    """The ranked blocks of every model and mode that engines of single blocks were replayed of.

    Those of different replays, such as of two devices, are ranked apart.
    """
    found = []
    for model in rows.models:
        about = rows.about(model).uncorrupted
        partial = [engine for engine in quantized(about) if engine.is_partial]
        replays = list(dict.fromkeys(engine.replay for engine in partial))
        for replay in replays:
            of_replay = [engine for engine in partial if engine.replay == replay]
            name = replay_name(of_replay[0]) if len(replays) > 1 else ""
            modes = (with_mode(of_replay, mode) for mode in ("only", "without"))
            found += [ranked(about, engines, name) for engines in modes if engines]
    return tuple(found)


def replay_name(engine: EngineSummary) -> str:
    """What its label tells of its replay, the folder; its number where the label tells nothing."""
    return engine.label.removeprefix(engine.name).lstrip("@") or f"replay {engine.replay + 1}"


def ranked(rows: ReportRows, engines: Sequence[EngineSummary], replay: str) -> Attribution:
    """The blocks of one model, mode and replay.

    Args:
        rows: of the model, on images as they are.
        engines: in the report's order.
        replay: its name.
    """
    first = engines[0]
    beside = [engine for engine in rows.engines if engine.replay == first.replay]
    reference = next((engine.label for engine in beside if engine.precision == "fp32"), DESKTOP)
    whole = next((engine for engine in quantized(rows) if engine in beside and is_whole(engine)), None)
    label = whole.label if whole else ""
    attacks = {
        attack: found for attack, found in rows_by_attack(rows.on_network.own).items() if reached(found, engines)
    }
    blocks = [block_row(rows, engine, attacks.values(), reference, label) for engine in engines]
    blocks.sort(key=lambda block: -2.0 if block.effect is None else block.effect, reverse=True)
    mode = blocks[0].mode
    total = block_row(rows, whole, attacks.values(), reference, label) if whole and mode == "only" else None
    return Attribution(first.model, mode, replay, tuple(attacks), reference, label, tuple(blocks), total)


def reached(rows: Mapping[str, SurvivalRow], engines: Sequence[EngineSummary]) -> bool:
    """Whether an attack that did not fail has anything that one of these engines could keep.

    Args:
        rows: by engine.
        engines: in the report's order.
    """
    shown = (rows.get(engine.label) for engine in engines)
    return any(row is not None and told_survival(row).mean is not None for row in shown)


def block_row(
    rows: ReportRows,
    engine: EngineSummary,
    attacks: Iterable[Mapping[str, SurvivalRow]],
    reference: str,
    whole: str,
) -> BlockRow:
    """What one block, or the whole network, does to every attack and to clean images.

    Args:
        rows: of the report.
        engine: with the block.
        attacks: rows by engine.
        reference: label of the engine without it.
        whole: label of the int8 engine with every block.
    """
    assert engine.calibration is not None
    mode: Literal["only", "without"] = "without" if engine.calibration.without else "only"
    effects = tuple(effect_of(found, engine.label, reference, whole) for found in attacks)
    values = [None if effect is None else effect.loss if mode == "only" else effect.gain for effect in effects]
    known = [value for value in values if value is not None]
    clean = rows.clean_by_engine
    own, fp32, int8 = (clean.get((engine.model, label)) for label in (engine.label, reference, whole))
    return BlockRow(
        block="+".join(engine.calibration.only or engine.calibration.without),
        mode=mode,
        engine=engine.label,
        effects=effects,
        effect=sum(known) / len(known) if known and len(known) == len(values) else None,
        miou_drop=miou_difference(fp32, own),
        miou_gain=miou_difference(own, int8),
        equal=own.equal if own else None,
    )


def effect_of(rows: Mapping[str, SurvivalRow], engine: str, reference: str, whole: str) -> BlockEffect | None:
    """What an engine makes of an attack, None if it was not shown it. On the desktop all survives, by definition."""
    own = rows.get(engine)
    if own is None:
        return None
    if reference == DESKTOP:
        loss = difference(None if own.missing else 1.0, own.survival.mean)
    else:
        loss = survival_difference(rows.get(reference), own)
    return BlockEffect(own.survival, loss, survival_difference(own, rows.get(whole)))


def with_mode(engines: Sequence[EngineSummary], mode: str) -> list[EngineSummary]:
    """Those of which one block alone is quantized, or of which all but one are."""
    return [e for e in engines if e.calibration is not None and bool(getattr(e.calibration, mode))]
