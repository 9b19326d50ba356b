"""Calibration matrices and attributions as CSV."""

from collections.abc import Iterable, Iterator

from ..measure.sweep import Attribution, BlockEffect, BlockRow, CalibrationColumn, CalibrationMatrix
from .report_csv import CsvLine, attack_cells, joined, share_cells, survival_cells


def calibration_lines(matrices: Iterable[CalibrationMatrix]) -> Iterator[CsvLine]:
    """One per model, attack and calibration."""
    for matrix in matrices:
        for row in matrix.rows:
            for column, cell in zip(matrix.columns, row.cells, strict=True):
                if cell is not None:
                    attack = attack_cells(row.key)
                    yield {"model": matrix.model, **attack, **_calibration(column), **survival_cells(cell)}


def attribution_lines(attributions: Iterable[Attribution]) -> Iterator[CsvLine]:
    """One per model, mode, block and attack, in the order of the ranking.

    Block and rank are empty for all blocks together, by mode ``only``.
    """
    for attribution in attributions:
        for rank, block in enumerate(attribution.blocks, start=1):
            yield from _lines(attribution, block, rank)
        if attribution.total is not None:
            yield from _lines(attribution, attribution.total, None)


def _lines(attribution: Attribution, block: BlockRow, rank: int | None) -> Iterator[CsvLine]:
    for attack, effect in zip(attribution.attacks, block.effects, strict=True):
        if effect is not None:
            yield {
                "model": attribution.model,
                "mode": attribution.mode,
                "rank": rank,
                "block": block.block,
                "engine": block.engine,
                "reference": attribution.reference,
                "whole": attribution.whole,
                **attack_cells(attack),
                **_effect(effect),
                **_cost(block),
            }


def _calibration(column: CalibrationColumn) -> CsvLine:
    found = column.calibration
    return {
        "engine": column.engine,
        "precision": column.precision,
        "calibration": found.name,
        "method": found.method,
        "percentile": found.percentile,
        "calibration_images": len(found.images),
        "calibration_seed": found.seed,
        "op_types": joined(found.op_types),
        "weights": "per-channel" if found.per_channel else "per-tensor",
        "activations": found.activations,
        "placement": found.placement,
        "clean_miou": column.miou,
        "clean_miou_drop": column.miou_drop,
        "clean_equal": column.equal,
    }


def _effect(effect: BlockEffect) -> CsvLine:
    return {
        "images": effect.survival.images,
        "left_out": effect.survival.left_out,
        **share_cells("survival", effect.survival),
        "loss": effect.loss,
        "gain": effect.gain,
    }


def _cost(block: BlockRow) -> CsvLine:
    return {
        "effect_over_attacks": block.effect,
        "clean_miou_drop": block.miou_drop,
        "clean_miou_gain": block.miou_gain,
        "clean_labels_changed": block.labels_changed,
    }
