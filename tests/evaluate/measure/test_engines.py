"""What a report says of an engine's precision, and of what its record says about how it computes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate import evaluate
from segeval.evaluate.report.verdict import SIMULATED
from segeval.files.encoding import encode
from segeval.files.replays import Replay
from segeval.files.storage import write_atomic
from segeval.precision import PRECISION_ORDER, coarsest

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
MODEL = "espnet-camvid"


def recorded(world: "World", facts: dict[str, object]) -> None:
    """Let the record of every engine say this."""
    record = Replay.open(world.replay_root).record
    engines = tuple(replace(engine, facts=facts) for engine in record.engines)
    write_atomic(world.replay_root / "replay.json", encode(replace(record, engines=engines)))


@pytest.mark.parametrize(("saturates", "noted"), [(True, True), (False, False), (None, False)])
def test_labels_of_a_processor_that_saturates_are_noted(
    build: Build, tmp_path: Path, saturates: object, noted: bool
) -> None:
    world = build(precisions=("int8",), names=("a",))
    recorded(world, {"saturates": saturates})
    notes = evaluate(world.set_root, [world.replay_root], tmp_path / "out").notes
    assert any(f"in 16 bits and cuts large sums: {MODEL}.int8." in note for note in notes) == noted


def test_an_engine_whose_file_could_not_be_built_is_told_apart(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("int8-fp16",), names=("a",))
    before = evaluate(world.set_root, [world.replay_root], tmp_path / "before").notes
    recorded(world, {"fallback": "computes as int8, since TensorRT cannot build it"})
    notes = evaluate(world.set_root, [world.replay_root], tmp_path / "out").notes
    (said,) = set(notes) - set(before)
    assert said.startswith("Computed as int8, since ") and said.endswith(f": {MODEL}.int8-fp16.")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, True),
        ({"arithmetic": "fp32, weights rounded to fp16"}, True),
        ({"arithmetic": "fp16 where ONNX Runtime has a kernel, fp32 elsewhere"}, False),
    ],
)
def test_what_an_engine_computed_in_stands_beside_it(
    build: Build, tmp_path: Path, facts: dict[str, object], said: bool
) -> None:
    """That it was fp32 is warned of, in replays that do not know as well."""
    world = build(precisions=("fp16",), names=("a",))
    recorded(world, facts)
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    assert (SIMULATED in report.notes) == said
    told = str(facts.get("arithmetic", ""))
    assert [engine.arithmetic for engine in report.engines] == [told]
    assert (f", computed in {told}</span>" in " ".join((tmp_path / "out" / "report.html").read_text().split())) == bool(
        told
    )


def test_int8_fp16_is_the_coarsest_and_has_its_place_in_every_table(build: Build, tmp_path: Path) -> None:
    world = build(precisions=("fp32", "int8", "int8-fp16"))
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    assert "; on int8-fp16, " in report.verdict[0]
    assert coarsest(("fp32", "int8-fp16", "int8")) == PRECISION_ORDER[1] == "int8-fp16"
    assert [row.engine for row in report.clean] == ["desktop", *(f"{MODEL}.{p}" for p in ("fp32", "int8", "int8-fp16"))]
    assert {row.precision for row in report.survival} == {"fp32", "int8", "int8-fp16"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"<dt>{MODEL}.int8-fp16</dt><dd>calibration unknown" in page
    assert f"{MODEL}.int8-fp16" in (tmp_path / "out" / "survival.csv").read_text()
    assert json.loads((tmp_path / "out" / "report.json").read_text())["engines"][2]["precision"] == "int8-fp16"
