"""Gates: what they may say, what they mean, and that nothing else is ever computed."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segeval.errors import ConfigurationError
from segeval.evaluate import (
    SurvivalReport,
    check_gates,
    evaluate,
    gates_as_junit,
    gates_as_markdown,
    parse_gate,
    require_known_gates,
)
from segeval.evaluate.evaluate import summarise
from segeval.evaluate.gates.expressions import METRICS, value_of
from segeval.evaluate.gates.under_attack_numbers import WORST
from segeval.evaluate.measure.counting import count_everything
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.measure.report_records import DESKTOP
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.progress import silent
from segeval_runner.strict import UNPRINTABLE

Shared = tuple[Any, SurvivalReport]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("__import__('os').system('true') < 1", '"\'" has no place in a gate'),
        ("int8.success", "neither true nor false"),
        ("int8.success + 1", "neither true nor false"),
        ("int8.success < 'a'", '"\'" has no place in a gate'),
        ("int8.success < True", "'True' is no number"),
        ("int8.hits < 1", "'int8.hits' is no number of the report"),
        ("int8.success.real < 1", "'int8.success.real' is no number of the report"),
        ("int8['success'] < 1", "'[' has no place in a gate"),
        ("(lambda: 1)() < 2", "':' has no place in a gate"),
        ("int8.success in (1)", "is no comparison of a gate"),
        ("int8.success < 9 ** 9", "'9 ** 9' is no number"),
        ("int8.success < (1 if 2 else 3)", "is no number"),
        ("1 < 2", "names no number"),
        ("", "is no expression"),
        ("int8.success <", "is no expression"),
        ("import os", "is no expression"),
        ("(" * 300 + "int8.success < 1" + ")" * 300, "is no expression"),
        ("int8.success < 1" + " " * 1000, "is no expression"),
        ("int8.success < \x00", "has no place in a gate"),
    ],
)
def test_what_is_no_gate_is_refused_with_its_reason(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_gate(text)
    assert complaint in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "int8.success is 0.5",
        "int8.success is not 0.5",
        "int8.success < 0.5 is 1",
        "int8.success < 1and 2 > 1",
        "int8.success < 0.5or 1 < 0",
        "int8.success < 0xfor 1 < 2",
        "int8.success < 1_",
        "int8.success < 0777",
        "int8.success < 0.5j",
        "int8.success < 1e999",
        "int8.success < " + "1" * 400,
        "int8.success < nan",
        "int8.success < '\\d'",
        "int8.success < b'\\777'",
        "int8.success < f'{1}'",
        "int8.success < 1('x')",
        "int8.success < [1](2)",
        "int8.success < 'a'[0]",
        "int8.success := 1",
        "int8.success < 0.5; 1",
        "int8.success < 0.5 # c",
        "int8.success < \\\n1",
        "ｉｎｔ８.success < 1",
        "int8.success < ٣",
        "int8.success\u202e < 1",
        "int8.success < \ud800",
        "\x00",
        "",
        "tanh-full:",
    ],
)
def test_what_python_only_warns_of_is_an_error_that_explains_itself(text: str) -> None:
    with warnings.catch_warnings(record=True) as warned, pytest.raises(ConfigurationError) as caught:
        warnings.simplefilter("always")
        parse_gate(text)
    assert not warned
    assert ascii(text)[1:9] in ascii(caught.value.what) and caught.value.hint
    assert not UNPRINTABLE.search(caught.value.what)


@given(st.text(max_size=60))
def test_any_text_is_a_gate_or_an_error_that_explains_itself(text: str) -> None:
    try:
        gate = parse_gate(text)
    except ConfigurationError:
        return
    assert gate.names


OPERANDS = st.sampled_from(["int8.success", "fp32.miou", "0.5", "-2", "(1 + int8_fp16.survival)"])
COMPARED = st.builds("{} {} {}".format, OPERANDS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), OPERANDS)
EXPRESSIONS = st.recursive(
    COMPARED,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner.map("({})".format)),
    ),
    max_leaves=5,
)


@given(EXPRESSIONS)
def test_it_means_what_it_means_in_python(text: str) -> None:
    numbers = {("int8", "success"): 0.25, ("fp32", "miou"): 0.5, ("int8-fp16", "survival"): 1.0}
    try:
        gate = parse_gate(text)
    except ConfigurationError as error:
        assert "names no number" in error.what
        return
    plain = text.replace("int8.success", "0.25").replace("fp32.miou", "0.5").replace("int8_fp16.survival", "1.0")
    assert value_of(gate.expression, numbers, text) == eval(plain)


def test_it_is_about_every_attack_and_engine_that_it_names(shared: Shared) -> None:
    report = shared[1]
    rows = [row for row in ReportRows.of(report).as_shipped.own if row.precision == "int8"]
    found = check_gates(report, [parse_gate("int8.success < 0.5")])
    assert len(found) == len(rows) > 1
    for finding, row in zip(found, rows, strict=True):
        assert (finding.key.model, finding.key.attack, finding.engines) == (row.model, row.attack, (row.engine,))
        assert finding.numbers == (("int8.success", row.engine_success.mean),)
        assert row.engine_success.mean is not None
        assert finding.held == (row.engine_success.mean < 0.5)
    one = rows[0].attack
    assert {finding.key.attack for finding in check_gates(report, [parse_gate(f"{one}: int8.success >= 0")])} == {one}


def test_what_was_made_jointly_is_told_from_what_was_not(shared: Shared) -> None:
    report = shared[1]
    joint = [replace(row, victims=(row.model, "fast-scnn-camvid")) for row in report.survival]
    both = replace(report, survival=(*report.survival, *joint))
    found = check_gates(both, [parse_gate("int8.success > 1")])
    attack, model = found[0].key.attack, found[0].key.model
    told = f"{attack}, joint"
    assert [each.described for each in found if each.key.attack == attack] == [attack, told]
    assert found[-1].told.startswith(f"{found[-1].described} on {model}: int8.success = ")
    cases = ElementTree.fromstring(gates_as_junit(found)).findall("testcase")
    names = [case.get("name") or "" for case in cases]
    assert len(set(names)) == len(found)
    assert any(told in name for name in names)
    assert f"| {told} | {model} |" in gates_as_markdown(found, ())


def test_every_metric_is_that_of_the_report(shared: Shared) -> None:
    report = shared[1]
    rows = ReportRows.of(report).as_shipped.own
    row = next(row for row in rows if row.precision == "int8" and row.survival.mean is not None)
    clean = {(each.model, each.engine): each.miou for each in report.clean}
    here, desktop = clean[row.model, row.engine], clean[row.model, DESKTOP]
    assert here is not None
    assert desktop is not None
    attacked = next(each.attacked for each in report.attacked if each.key == row.key)
    expected = {
        "survival": row.survival.mean,
        "success": row.engine_success.mean,
        "control": row.control.mean,
        "accuracy": row.engine_accuracy.mean,
        "evaded": row.evaded.mean if row.evaded else None,
        "levels": row.perturbation.mean,
        "miou": here,
        "miou_drop": desktop - here,
        "attacked_accuracy": attacked.pixel_accuracy,
        "attacked_miou": attacked.miou,
    }
    assert set(expected) == set(METRICS) - {"adaptive_gap"} - WORST.keys()
    text = " and ".join(f"int8.{metric} == int8.{metric}" for metric in expected)
    found = next(f for f in check_gates(report, [parse_gate(f"{row.attack}: {text}")]) if f.engines == (row.engine,))
    assert dict(found.numbers) == {f"int8.{metric}": value for metric, value in expected.items()}


def test_what_the_report_does_not_have_is_an_error_and_no_pass(
    shared: Shared, build: Callable[..., Any], tmp_path: Path
) -> None:
    report = shared[1]
    for text, complaint in (
        ("int8_fp16.success < 1", "nothing ran at int8-fp16"),
        ("no-such-attack: int8.success < 1", "fits no attack"),
        ("int8.success / 0 < 1", "divides by 0"),
        ("int8.success < 9e307 * 9", "too large"),
        ("not int8.success > 9e307 * 9 - 9e307 * 9", "too large"),
    ):
        with pytest.raises(ConfigurationError, match=complaint):
            check_gates(report, [parse_gate(text)])
    world = build(truth=False)
    blind = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    for metric in ("miou_drop", "attacked_miou", "attacked_accuracy"):
        with pytest.raises(ConfigurationError, match=f"has no {metric}") as caught:
            check_gates(blind, [parse_gate(f"int8.{metric} < 0.02")])
        assert "without ground truth" in caught.value.hint


def test_survival_of_an_attack_that_failed_is_an_error_and_no_pass(shared: Shared) -> None:
    """It is that of a few pixels, and told nowhere else. The other gates judge the attack all the same."""
    report = shared[1]
    few = [replace(row, desktop_success=replace(row.desktop_success, mean=0.01)) for row in report.survival]
    failed = replace(report, survival=tuple(few))
    with pytest.raises(ConfigurationError, match="int8 has no survival under") as caught:
        check_gates(failed, [parse_gate("int8.survival < 0.9")])
    assert "the attack failed on the desktop" in caught.value.hint
    assert all(finding.held for finding in check_gates(failed, [parse_gate("int8.success <= 1")]))


def test_the_worst_case_is_judged_once_for_its_attacks(build: Callable[..., Any]) -> None:
    attacks = (("fgsm", "full"), ("pgd", "full"), ("tanh", "local"))
    world = build(attacks=attacks, tasks=("vehicle-to-road",), precisions=("int8",), size=(32, 40))
    sources = Sources(world.set_root, [world.replay_root])
    report = summarise(sources, count_everything(sources, silent), 0, silent)
    worst = next(row for row in report.attacked if row.is_worst and row.precision == "int8")
    numbers = (worst.success.mean, worst.attacked.pixel_accuracy, worst.attacked.miou)
    (found,) = check_gates(report, [parse_gate("int8.worst_success + int8.worst_accuracy + int8.worst_miou > 0")])
    assert (found.key.attack, dict(found.numbers)) == (
        "worst-full-2",
        dict(zip((f"int8.{name}" for name in WORST), numbers, strict=True)),
    )
    each = check_gates(report, [parse_gate("int8.worst_success >= int8.success")])
    assert [(one.key.attack, one.held) for one in each] == [("fgsm-full", True), ("pgd-full", True)]
    (single,) = check_gates(report, [parse_gate("pgd-full: int8.worst_miou < int8.miou")])
    assert single.key.attack == "pgd-full"
    with pytest.raises(ConfigurationError, match="fits no attack") as caught:
        require_known_gates([parse_gate("tanh-local: int8.worst_success < 1")], world.set_root, [world.replay_root])
    assert "with the same scope and budget" in caught.value.hint


def test_what_set_and_replay_do_not_have_is_said_before_anything_is_counted(shared: Shared) -> None:
    world, report = shared
    places = (world.set_root, [world.replay_root])
    attack = report.survival[0].attack
    require_known_gates([parse_gate(f"{attack}: int8.success < 0"), parse_gate("fp16.miou > 2")], *places)
    for text, complaint, hint in (
        ("int8.success < 1 and int8_fp16.success < 1", "nothing ran at int8-fp16", "fp32, fp16, int8"),
        ("no-such-attack: int8.success < 1", "fits no attack", attack),
    ):
        with pytest.raises(ConfigurationError, match=complaint) as caught:
            require_known_gates([parse_gate("int8.success < 1"), parse_gate(text)], *places)
        assert hint in caught.value.hint


def test_what_did_not_run_to_its_end_is_an_error_and_no_pass(build: Callable[..., Any], tmp_path: Path) -> None:
    world = build(done=4)
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    for done in (report, replace(report, engines=tuple(replace(each, complete=True) for each in report.engines))):
        with pytest.raises(
            ConfigurationError, match=r"int8 has not run every image; \d+ results are missing"
        ) as caught:
            check_gates(done, [parse_gate("int8.success <= 1")])
        assert "finish segeval replay" in caught.value.hint


def test_a_network_that_was_not_run_is_no_pass(shared: Shared) -> None:
    report = shared[1]
    other = replace(report.set.models[0], name="other")
    wider = replace(report, set=replace(report.set, models=(*report.set.models, other)))
    with pytest.raises(ConfigurationError, match="about every network of the set, and other was not run at int8"):
        check_gates(wider, [parse_gate("int8.success <= 1")])


def test_an_engine_without_a_row_is_no_pass(shared: Shared) -> None:
    """Of an attack that an unfinished replay has not come to, there is none."""
    report = shared[1]
    int8 = next(engine for engine in report.engines if engine.precision == "int8")
    later = replace(int8, label="later", complete=False)
    gate = parse_gate("int8.success <= 1")
    with pytest.raises(ConfigurationError, match="later has not run every image; its replay is not finished"):
        check_gates(replace(report, engines=(*report.engines, later)), [gate])
    for other in (replace(later, precision="fp16"), replace(later, corruption="jpeg-75")):
        assert check_gates(replace(report, engines=(*report.engines, other)), [gate]), "the gate is not about it"


def test_a_drop_between_different_images_is_no_pass(shared: Shared) -> None:
    report = shared[1]
    clean = tuple(replace(row, images=row.images + (row.engine == DESKTOP)) for row in report.clean)
    with pytest.raises(ConfigurationError, match=r"int8 has 3 clean images, the desktop 4"):
        check_gates(replace(report, clean=clean), [parse_gate("int8.miou_drop < 1")])
    assert check_gates(replace(report, clean=clean), [parse_gate("int8.miou >= 0")])


def test_build_servers_and_pull_requests_are_told(shared: Shared) -> None:
    report = shared[1]
    found = check_gates(report, [parse_gate("int8.success >= 0"), parse_gate("int8.success > 1 or fp32.success < -1")])
    held = [finding for finding in found if finding.held]
    suite = ElementTree.fromstring(gates_as_junit(found))
    assert (suite.get("tests"), suite.get("failures")) == (str(len(found)), str(len(found) - len(held)))
    failures = suite.findall("testcase/failure")
    assert len(failures) == len(found) - len(held) > 0
    assert "int8.success = " in (failures[0].get("message") or "")
    text = gates_as_markdown(found, report.verdict)
    assert text.startswith(f"### segeval: {len(held)} of {len(found)} checks held")
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == len(found) + 1
    assert table[1].startswith("| **missed** |"), "what was missed comes first"
    assert report.verdict[0] in text
    assert "all of" in gates_as_markdown(held, ())
