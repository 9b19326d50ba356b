"""What a report makes of files that the user brought: their names, their place, and gates on them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from segeval.errors import ConfigurationError
from segeval.evaluate import SurvivalReport, check_gates, evaluate, parse_gate, require_known_gates
from segeval.evaluate.compare.compare_matching import by_precision
from segeval.evaluate.measure.comparisons import engine_pairs
from segeval.evaluate.measure.report_rows import ReportRows, coarsest_engine
from segeval.evaluate.report.figures import colours_of, survival_figure
from segeval.evaluate.report.verdict import doubtful, simulated
from segeval.files.own import OwnFile
from segeval.files.replays import Replay

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Build = Callable[..., "World"]
FIRST, SECOND = "espnet-camvid", "other"


def brought(world: "World") -> None:
    """Let the first network's fp16 and int8 engines be files of the user's, my_file and trt."""
    names = {f"{FIRST}.fp16": f"{FIRST}.my_file", f"{FIRST}.int8": f"{FIRST}.trt"}
    engines = [
        replace(engine, name=names[engine.name], precision="own") if engine.name in names else engine
        for engine in Replay.open(world.replay_root).engines
    ]
    world.rewrite_replay(engines=tuple(engines))


@dataclass(frozen=True)
class Evaluated:
    """A world with files of the user's, and its report."""

    world: "World"
    report: SurvivalReport


@pytest.fixture(scope="module")
def evaluated(build_at: Build, tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    """Two networks, of which only the first has files of the user's; there is no bundle.json that would tell."""
    root = tmp_path_factory.mktemp("own")
    attack = {"attacks": (("fgsm", "full"),), "tasks": ("vehicle-to-road",)}
    world = build_at(root, models=(FIRST, SECOND), names=("a", "b"), **attack)
    brought(world)
    return Evaluated(world, evaluate(world.set_root, [world.replay_root], root / "out"))


def test_they_are_what_the_report_is_about_first_and_go_by_their_names(evaluated: Evaluated) -> None:
    report = evaluated.report
    rows = ReportRows.of(report)
    assert [(engine.precision, engine.own) for engine in rows.about(FIRST).engines] == [
        ("fp32", ""),
        ("own", "my_file"),
        ("own", "trt"),
    ]
    hardest = [coarsest_engine(rows.about(model).engines) for model in (FIRST, SECOND)]
    assert [engine.kind if engine else "" for engine in hardest] == ["my_file", "int8"]
    assert re.search(r"on your own '(my_file|trt)', .* % of these are still road.*'\1'", report.verdict[0])
    pairs = [(first.kind, second.kind) for first, second in engine_pairs(rows.about(FIRST).engines)]
    assert pairs == [("fp32", "my_file"), ("fp32", "trt")], "two files of the user's are not one on two devices"
    identity = by_precision(report.engines)
    assert len({identity(engine) for engine in report.engines}) == 6
    panels = survival_figure(rows.about(FIRST).own, colours_of(report.set.attacks), "x", "")
    assert all(f">{kind}<" in panels or f"<!-- {kind} -->" in panels for kind in ("fp32", "my_file", "trt"))


def test_what_labels_little_as_the_desktop_is_doubted(evaluated: Evaluated) -> None:
    """Only of the user's files: segeval proved its own when it made them."""
    rows = ReportRows.of(evaluated.report)
    less = replace(rows, clean=tuple(replace(row, equal=0.31) for row in rows.clean))
    said = doubtful(less)
    assert [sentence.partition(" is in doubt: ")[0] for sentence in said] == [f"{FIRST}.my_file", f"{FIRST}.trt"]
    assert "31 % of its labels are those of the desktop" in said[0]
    assert doubtful(replace(rows, clean=tuple(replace(row, equal=0.9) for row in rows.clean))) == ()
    known = OwnFile("net.onnx", "0" * 64, 1, "onnx", "int8", doubt="as described, nothing fits")
    engines = tuple(replace(each, own_file=known) if each.own == "trt" else each for each in rows.engines)
    (told,) = doubtful(replace(rows, engines=engines, clean=()))
    assert told.startswith(f"{FIRST}.trt is in doubt: as described, nothing fits.")


def test_a_gate_on_such_a_file_is_about_the_networks_that_have_it(evaluated: Evaluated) -> None:
    report = evaluated.report
    world = evaluated.world
    gates = [parse_gate(text) for text in ("my_file.success <= 1 and fp32.success <= 1", "int8.success <= 1")]
    with pytest.raises(ConfigurationError, match=f"{FIRST} was not run at int8"):
        check_gates(report, gates)
    found = check_gates(report, gates[:1])
    assert [finding.key.model for finding in found] == [FIRST] and found[0].held
    assert dict(found[0].numbers).keys() == {"my_file.success", "fp32.success"}
    require_known_gates(gates, world.set_root, [world.replay_root])
    with pytest.raises(ConfigurationError, match="nothing ran at mine") as caught:
        require_known_gates([parse_gate("mine.success < 1")], world.set_root, [world.replay_root])
    assert "my_file, trt" in caught.value.hint
    with pytest.raises(ConfigurationError, match="nothing ran at own"):
        require_known_gates([parse_gate("own.success < 1")], world.set_root, [world.replay_root])


def test_only_what_was_computed_in_fp32_instead_is_called_simulated(evaluated: Evaluated) -> None:
    """A file in fp32 is not, although its precision does not say so."""
    report = evaluated.report
    own = next(engine for engine in report.engines if engine.own)
    said = {"": False, "fp32": False, "fp32 on values rounded to int8": True, "integers": False}
    assert {words: simulated(replace(own, arithmetic=words)) for words in said} == said
