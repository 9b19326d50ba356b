"""Calibration matrices and attributions as CSV."""

from collections.abc import Iterable, Iterator

from ..measure.sweep import Attribution, BlockEffect, BlockRow, CalibrationColumn, CalibrationMatrix
from .report_csv import Cell, attack_cells, csv_bytes, joined, survival_cells


def calibrations_csv(matrices: Iterable[CalibrationMatrix]) -> bytes:
    """One line per model, attack and calibration; empty if there is no matrix."""
    return csv_bytes(
        {
            "model": matrix.model,
            **attack_cells(row.key),
            **_calibration(column),
            **survival_cells(cell),
        }
        for matrix in matrices
        for row in matrix.rows
        for column, cell in zip(matrix.columns, row.cells, strict=True)
        if cell is not None
    )


def attribution_csv(attributions: Iterable[Attribution]) -> bytes:
    """One line per model, mode, block and attack, in the order of the ranking; empty if there is none.

    Block and rank are empty for all blocks together, by mode ``only``.
    """
    return csv_bytes(line for attribution in attributions for line in _blocks(attribution))


def _blocks(attribution: Attribution) -> Iterator[dict[str, Cell]]:
    for rank, block in enumerate(attribution.blocks, start=1):
        yield from _lines(attribution, block, rank)
    if attribution.total is not None:
        yield from _lines(attribution, attribution.total, None)


def _lines(attribution: Attribution, block: BlockRow, rank: int | None) -> Iterator[dict[str, Cell]]:
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


def _calibration(column: CalibrationColumn) -> dict[str, Cell]:
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


def _effect(effect: BlockEffect) -> dict[str, Cell]:
    return {
        "images": effect.survival.images,
        "left_out": effect.survival.left_out,
        "survival_mean": effect.survival.mean,
        "survival_low": effect.survival.low,
        "survival_high": effect.survival.high,
        "loss": effect.loss,
        "gain": effect.gain,
    }


def _cost(block: BlockRow) -> dict[str, Cell]:
    return {
        "effect_over_attacks": block.effect,
        "clean_miou_drop": block.miou_drop,
        "clean_miou_gain": block.miou_gain,
        "clean_labels_changed": block.labels_changed,
    }
