"""Two runs compared: what is paired, what is said to differ, and what only one of them has."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from segeval.errors import ConfigurationError
from segeval.evaluate import SurvivalReport
from segeval.evaluate.compare import RunComparison, changes, compare_runs, comparison_view, write
from segeval.evaluate.compare.compare_csv import markdown
from segeval.evaluate.measure import paired
from segeval.evaluate.measure.bootstrap import Floats
from segeval.evaluate.measure.paired import holm
from segeval.evaluate.measure.paired_records import Paired
from segeval.evaluate.measure.report_records import CleanRow
from segeval.evaluate.measure.row_key import RowKey
from segeval.files.encoding import decode
from segeval.files.engine_records import Calibration, CalibrationImage
from segeval.progress import silent

RunOf = Callable[..., Path]
MODEL = "espnet-camvid"
TASKS = ("vehicle-to-road", "vehicle-to-building")


def compare(a: Path, b: Path) -> RunComparison:
    return compare_runs(a, b, 0, silent)


def printed(comparison: RunComparison, width: int = 160) -> str:
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        for part in comparison_view(comparison):
            console.print(part)
    return capture.get()


def test_a_run_does_not_differ_from_itself(run_of: RunOf) -> None:
    run = run_of("same")
    found = compare(run, run)
    assert found.same_set and found.notes == ()
    assert {change.paired.difference for change in found.changes} == {0.0}
    assert {change.p_holm for change in found.changes if change.task is None} == {1.0}
    assert {(change.paired.low, change.paired.high) for change in found.changes} == {(None, None)}
    assert found.finding == "All 12 quantities that were tested have the same mean in both runs."
    assert "What changed" not in printed(found)


def test_what_differs_in_how_the_replays_ran_is_told_before_what_changed(
    run_of: RunOf, base: SurvivalReport, tmp_path: Path
) -> None:
    def run(name: str, threads: int, version: str, **how: Any) -> Path:
        environment = replace(base.replays[0].environment, threads=threads)
        replays = tuple(replace(each, environment=environment) for each in base.replays)
        engines = tuple(replace(each, backend="onnxruntime", backend_version=version, **how) for each in base.engines)
        return run_of(name, report={"replays": replays, "engines": engines}, lost=0.4 + threads / 100)

    a = run("a", 1, "1.20.1", power_mode="15W", arithmetic="fp32")
    assert compare(a, run("c", 1, "1.20.1", arithmetic="fp32")).conditions == "", "nothing that both tell"
    b = run("b", 4, "1.22.0", power_mode="MAXN", arithmetic="fp32")
    found = compare(a, b)
    told = "power mode 15W → MAXN, threads 1 → 4, onnxruntime 1.20.1 → 1.22.0"
    assert found.conditions == f"The runs differ in: {told}; differences below may come from these."
    for text in (printed(found), markdown(found)):
        assert text.index("The runs differ in") < text.index(found.finding[:20])
    tensorrt = tuple(replace(each, backend="tensorrt", backend_version="10.3", arithmetic="x") for each in base.engines)
    told = compare(a, run_of("d", report={"engines": tensorrt, "replays": base.replays})).conditions
    assert "onnxruntime 1.20.1 → tensorrt 10.3" in told and "arithmetic of int8: fp32 → x" in told


def test_attacks_that_were_allowed_more_are_told(run_of: RunOf, base: SurvivalReport) -> None:
    first, second = base.set.attacks
    longer = replace(base.set, attacks=(replace(first, steps=99), replace(second, steps=99, budget=7)))
    told = compare(run_of("a"), run_of("b", report={"set": longer})).conditions
    assert f"budget of {second.label} 2 → 7, steps of {first.label}, {second.label} " in told and "→ 99;" in told


def test_attacks_with_other_settings_are_told(run_of: RunOf, base: SurvivalReport) -> None:
    first, second = base.set.attacks

    def run(name: str, penalty: float, stop_at: float | None) -> Path:
        attacks = (replace(first, parameters={"penalty": penalty}, stop_at=stop_at), second)
        return run_of(name, report={"set": replace(base.set, attacks=attacks)})

    told = compare(run("a", 1000.0, None), run("b", 3e4, 0.5)).conditions
    assert f"penalty of {first.label} 1000 → 30000, stop-at of {first.label} none → 0.5;" in told


def test_other_images_are_told(run_of: RunOf, base: SurvivalReport) -> None:
    config = replace(base.set.config, dataset="elsewhere")
    moved = replace(base.set, config=config, height=base.set.height * 2)
    told = compare(run_of("a"), run_of("b", report={"set": moved})).conditions
    size = f"{base.set.height}×{base.set.width} → {moved.height}×{moved.width}"
    assert f"dataset {base.set.config.dataset} → elsewhere, image size {size}" in told


def test_engines_of_one_name_with_other_calibrations_are_told(run_of: RunOf, base: SurvivalReport) -> None:
    images = tuple(CalibrationImage(str(number), str(number)) for number in range(3))
    plain = Calibration("percentile", 99.99, "somewhere", 0, images, ("Conv",))

    def run(name: str, calibration: Calibration | None) -> Path:
        engines = tuple(
            replace(each, calibration=calibration) if each.precision == "int8" else each for each in base.engines
        )
        return run_of(name, report={"engines": engines})

    def told(calibration: Calibration | None) -> str:
        return compare(run("a", plain), run("b", calibration)).conditions

    assert told(plain) == told(None) == told(replace(plain, source="elsewhere")) == ""
    text = told(replace(plain, method="entropy", percentile=None, per_channel=False))
    assert "method of the int8 calibration percentile 99.99 → entropy" in text
    assert "weights of the int8 calibration per-channel → per-tensor" in text
    others = (*images[:2], CalibrationImage("2", "another"))
    assert "images of the int8 calibration 3 → 3 others;" in told(replace(plain, images=others))


def test_a_network_with_other_weights_is_told_first(run_of: RunOf, base: SurvivalReport) -> None:
    trained = replace(base.set, models=tuple(replace(each, weights_sha256="1" * 64) for each in base.set.models))
    found = compare(run_of("a"), run_of("b", report={"set": trained}))
    told = "espnet-camvid has other weights in B: differences below may come from the network."
    assert found.conditions == told
    assert printed(found).index("other weights in B") < printed(found).index(found.finding[:20])


def test_in_markdown_no_table_has_a_heading_alone(run_of: RunOf) -> None:
    found = compare(run_of("same"), run_of("same"))
    assert "| attack |" not in markdown(found) and "| engine | mIoU A" in markdown(found)
    assert "| engine |" not in markdown(replace(found, clean=()))


def test_that_nothing_is_more_than_chance_is_said_before_the_rows(run_of: RunOf) -> None:
    few = compare(run_of("a", images=("x", "y", "z")), run_of("b", images=("x", "y", "z"), lost=0.9))
    assert printed(few).index("None of 12 differences") < printed(few).index("What changed")
    some = compare(run_of("a", lost=0.4), run_of("b", lost=0.5))
    assert printed(some).index("of 12 differences") > printed(some).index("What changed")


def test_only_what_changed_is_significant_and_it_comes_first(run_of: RunOf) -> None:
    found = compare(run_of("a", lost=0.4), run_of("b", lost=0.5))
    significant = [change for change in found.changes if change.significant]
    assert significant == list(found.changes[: len(significant)])
    assert {change.a_engine for change in significant} == {f"{MODEL}.int8"}
    assert {change.quantity for change in significant} == {"survival", "engine_success", "engine_accuracy"}
    assert {change.task for change in significant} == {None}
    sizes = [abs(change.paired.difference or 0) for change in significant]
    assert sizes == sorted(sizes, reverse=True)
    for change in found.changes:
        if change.a_engine == f"{MODEL}.fp32":
            assert (change.paired.difference, change.paired.p) == (0.0, None if change.task else 1.0)
    assert found.finding.startswith(f"{len(significant)} of 12 differences are significant")


def test_survival_is_compared_of_attacks_made_on_the_network_alone(run_of: RunOf, base: SurvivalReport) -> None:
    plain = base.set.attacks[0]
    attacks = (plain, replace(plain, on="int8", engines=("int8",)))
    run = run_of("a", {"set": replace(base.set, attacks=attacks)}, attacks=tuple(spec.label for spec in attacks))
    found = compare(run, run)
    quantities = [{change.quantity for change in found.changes if change.attack == spec.label} for spec in attacks]
    assert quantities == [
        {"survival", "engine_success", "engine_accuracy"},
        {"engine_success", "engine_accuracy"},
    ]


def test_only_all_tasks_together_are_tested(run_of: RunOf) -> None:
    found = compare(run_of("a", lost=0.4), run_of("b", lost=0.5))
    tested = [change for change in found.changes if change.paired.test]
    assert len(tested) == 2 * 2 * 3 and {change.task for change in tested} == {None}  # attacks, engines, quantities
    assert list(found.changes[: len(tested)]) == tested
    single = found.changes[len(tested) :]
    assert {change.task for change in single} == {"vehicle-to-road", "vehicle-to-building"}
    assert {(change.paired.p, change.p_holm) for change in single} == {(None, None)}
    assert any(change.paired.low is not None and (change.paired.high or 0.0) < 0 for change in single)
    _, together, *alone = printed(found).split("What changed")
    assert not any(task in together for task in TASKS) and re.search(r" p +n ", together)
    assert sorted(each.partition(" alone, not tested ")[0] for each in alone) == sorted(f" in {task}" for task in TASKS)
    assert not any(re.search(r" p +n ", each) for each in alone)
    assert found.permutations == 9999


def test_its_tables_fit_into_80_columns(run_of: RunOf) -> None:
    shown = printed(compare(run_of("a", lost=0.4), run_of("b", lost=0.5)), width=80)
    assert re.findall(r"^ (attack|engine) +(engine|mIoU A) ", shown, re.M) == [
        *[("attack", "engine")] * 3,
        ("engine", "mIoU A"),
    ]
    assert " int8 " in shown and max(map(len, shown.splitlines())) <= 80
    assert "noise" not in shown  # nothing is known of it


def test_a_single_task_is_tested(run_of: RunOf) -> None:
    one = ("vehicle-to-road",)
    found = compare(run_of("a", tasks=one), run_of("b", tasks=one, lost=0.5))
    assert {(change.task, change.paired.test) for change in found.changes} == {(*one, "permutation")}


@pytest.mark.parametrize(("only", "without"), [(("encoder",), ()), ((), ("encoder",))])
def test_engines_of_which_a_part_is_quantized_are_left_out(
    run_of: RunOf, base: SurvivalReport, only: tuple[str, ...], without: tuple[str, ...]
) -> None:
    part = Calibration("percentile", 99.99, "", 0, (), ("Conv",), "part", only=only, without=without)
    engines = [replace(each, calibration=part) if each.precision == "int8" else each for each in base.engines]
    report = {"engines": tuple(engines)}
    found = compare(run_of("a", report=report), run_of("b", report=report, lost=0.5))
    assert {change.precision for change in found.changes} == {"fp32"}
    assert "int8" not in {row.precision for row in found.clean}
    assert found.a.only.engines == found.b.only.engines == ()


def test_the_more_is_tested_the_more_permutations_are_drawn(
    run_of: RunOf, base: SurvivalReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []

    def recorded(first: Floats, second: Floats, seed: int, permutations: int) -> Paired:
        drawn.append(permutations)
        return paired.compare(first, second, seed, permutations)

    monkeypatch.setattr(changes, "compare", recorded)
    values = np.array([0.1, 0.2]), np.array([0.3, 0.5])
    pair = base.engines[0], base.engines[0]
    key = RowKey(MODEL, (MODEL,), "fgsm-full", None, pair[0].label)
    question = changes.Question(pair, key, "survival", True, *values)
    for tests, permutations in ((101, 10_099), (150, 14_999)):
        drawn.clear()
        changes.measure([question] * tests + [replace(question, tested=False)], 0, silent)
        assert drawn == [permutations] * tests + [0]


def test_differences_are_b_minus_a_over_the_images_by_hand(run_of: RunOf) -> None:
    a, b = run_of("a", lost=0.4), run_of("b", lost=0.5)
    found = compare(a, b)

    def shares(run: Path) -> dict[str, float]:
        with (run / "samples.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["attack"] == "fgsm-full" and "int8" in row["engine"]]
        images = dict.fromkeys(row["image"] for row in rows)
        own = {image: [row for row in rows if row["image"] == image] for image in images}
        return {
            image: sum(int(row["survived"]) for row in mine) / sum(int(row["desktop_hit"]) for row in mine)
            for image, mine in own.items()
        }

    first, second = shares(a), shares(b)
    change = next(
        each
        for each in found.changes
        if (each.attack, each.task, each.quantity, each.precision) == ("fgsm-full", None, "survival", "int8")
    )
    assert (change.paired.images, change.paired.left_out) == (20, 0)
    assert change.paired.first == pytest.approx(np.mean(list(first.values())))
    assert change.paired.difference == pytest.approx(np.mean([second[image] - first[image] for image in first]))
    assert change.paired.difference is not None and change.paired.low is not None and change.paired.high is not None
    assert change.paired.low < change.paired.difference < change.paired.high < 0
    assert [each.p_holm for each in found.changes] == holm([each.paired.p for each in found.changes])


def test_the_other_way_round_every_sign_changes(run_of: RunOf) -> None:
    a, b = run_of("a", lost=0.4), run_of("b", lost=0.5)
    there, back = compare(a, b), compare(b, a)
    forth = [-(change.paired.difference or 0) for change in there.changes]
    assert forth == [change.paired.difference for change in back.changes]
    assert there.clean[0].miou_difference == 0.0


def test_what_only_one_run_has_is_named_and_left_alone(run_of: RunOf) -> None:
    a = run_of("a", attacks=("fgsm-full", "tanh-local"), tasks=("vehicle-to-road",))
    b = run_of("b", attacks=("fgsm-full",), images=(*(f"image-{n:02}" for n in range(12)), "elsewhere"))
    found = compare(a, b)
    assert found.a.only.attacks == (f"tanh-local on {MODEL}",) and found.b.only.attacks == ()
    assert found.b.only.tasks == ("vehicle-to-building",) and found.b.only.images == ("elsewhere",)
    assert len(found.a.only.images) == 8
    assert {(change.attack, change.task) for change in found.changes} == {("fgsm-full", "vehicle-to-road")}
    assert {(change.paired.images, change.paired.left_out) for change in found.changes} == {(12, 9)}
    assert "12 of 21 images are in both runs; only they are compared." in found.notes
    text = printed(found)
    assert f"only in A: 1 attack: tanh-local on {MODEL}" in text
    assert "only in A: 8 images: image-12, image-13, image-14, image-15, image-16 and 3 more" in text


def test_engines_of_other_names_are_paired_by_their_precision(run_of: RunOf) -> None:
    found = compare(run_of("a"), run_of("b", engine="other.int8", lost=0.5))
    assert {(change.a_engine, change.b_engine) for change in found.changes if change.precision == "int8"} == {
        (f"{MODEL}.int8", "other.int8")
    }
    assert found.a.only.engines == found.b.only.engines == ()
    assert f"{MODEL}.int8 | other.int8" in printed(found)


def test_an_engine_of_two_replays_is_told_apart_by_its_label(run_of: RunOf, base: SurvivalReport) -> None:
    int8 = next(engine for engine in base.engines if engine.precision == "int8")
    twice = (replace(int8, label=f"{MODEL}.int8@x"), replace(int8, label=f"{MODEL}.int8@y"))
    a = run_of("a", report={"engines": (*base.engines[:1], *twice)}, engine=f"{MODEL}.int8@y")
    b = run_of("b")
    found = compare(a, b)
    assert {change.precision for change in found.changes} == {"fp32"}
    assert found.a.only.engines == (f"{MODEL}.int8@x", f"{MODEL}.int8@y")
    assert {change.precision for change in compare(a, a).changes} == {"fp32", "int8"}


def test_another_set_is_paired_by_image_with_a_warning(run_of: RunOf, base: SurvivalReport) -> None:
    found = compare(run_of("a"), run_of("b", report={"set": replace(base.set, sha256="f" * 64)}))
    assert not found.same_set and len(found.changes) == 36
    assert "the perturbations differ" in found.notes[0]


def test_an_unfinished_replay_is_named(run_of: RunOf, base: SurvivalReport) -> None:
    unfinished = tuple(replace(engine, complete=engine.precision != "fp16") for engine in base.engines)
    found = compare(run_of("a"), run_of("b", report={"engines": unfinished}))
    assert found.notes == (f"Partial: in B the replay of {MODEL}.fp16 is not finished.",)


def test_too_few_images_are_said_to_be_too_few(run_of: RunOf) -> None:
    few = compare(run_of("a", images=("x", "y", "z")), run_of("b", images=("x", "y", "z"), lost=0.9))
    assert "12 of 12 differences rest on too few images" in few.notes[-1]
    assert "The largest, which may be chance: " in few.finding
    same = compare(run_of("a", images=("x", "y", "z")), run_of("b", images=("x", "y", "z")))
    assert same.notes == (), "nothing differs"
    one = compare(run_of("a", images=("x",)), run_of("b", images=("x",), lost=0.9))
    assert one.finding == "There is only one common image, too few for a test."
    assert {change.paired.p for change in one.changes} == {None}


def test_without_ground_truth_accuracy_is_no_question(run_of: RunOf) -> None:
    found = compare(run_of("a", truth=False), run_of("b", truth=False))
    assert {change.quantity for change in found.changes} == {"survival", "engine_success"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"images": ("elsewhere",)}, "no image is in both, as image-00 and elsewhere"),
        ({"attacks": ("pgd-full",)}, f"no attack is in both, as fgsm-full on {MODEL} and pgd-full on {MODEL}"),
        ({"tasks": ("car-to-sky",)}, "no task is in both, as vehicle-to-building and car-to-sky"),
    ],
)
def test_runs_with_nothing_in_common_are_refused(run_of: RunOf, changes: dict[str, tuple[str, ...]], why: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        compare(run_of("a"), run_of("b", **changes))
    assert why in caught.value.what and "compare reports of one set" in caught.value.hint


def test_clean_scores_and_latency_stand_beside(run_of: RunOf, base: SurvivalReport) -> None:
    def slower(row: CleanRow) -> CleanRow:
        if row.latency is None or row.miou is None or row.precision != "int8":
            return row
        return replace(row, miou=row.miou - 0.1, latency=replace(row.latency, p50=2 * row.latency.p50))

    found = compare(run_of("a"), run_of("b", report={"clean": tuple(map(slower, base.clean))}))
    assert [row.precision for row in found.clean] == ["fp32", "fp16", "int8"]
    assert [row.miou_difference for row in found.clean] == pytest.approx([0.0, 0.0, -0.1])
    int8 = found.clean[-1]
    assert int8.a_p50_ms is not None and int8.b_p50_ms == 2 * int8.a_p50_ms
    untimed = tuple(replace(row, latency=None, miou=None) for row in base.clean)
    bare = compare(run_of("a"), run_of("b", report={"clean": untimed}))
    assert (bare.clean[0].b_p50_ms, bare.clean[0].miou_difference) == (None, None)
    assert "–" in printed(bare)


def test_the_files_read_back(run_of: RunOf, tmp_path: Path) -> None:
    found = compare(run_of("a"), run_of("b", lost=0.5))
    write(found, tmp_path / "out")
    assert decode((tmp_path / "out" / "compare.json").read_bytes(), RunComparison, "compare.json") == found
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "compare.csv").read_text())))
    assert [float(row["difference"]) for row in rows] == [change.paired.difference for change in found.changes]
    assert {row["task"] for row in rows} == {"*", "vehicle-to-road", "vehicle-to-building"}
    markdown = (tmp_path / "out" / "compare.md").read_text()
    assert found.finding in markdown
    tables = [line for line in markdown.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} == {11, 8}
    assert "same mean in both runs" in markdown


def test_names_cannot_break_out_of_the_markdown(run_of: RunOf, tmp_path: Path) -> None:
    odd = "<img src=x>|# ![x](http://x) int8"
    write(compare(run_of("a", engine=odd), run_of("b", engine=odd, lost=0.5)), tmp_path / "out")
    lines = (tmp_path / "out" / "compare.md").read_text().splitlines()
    assert not any("<img" in line or "](" in line for line in lines)
    assert [line for line in lines if line.startswith("#")] == ["### segeval: B compared with A"]


def test_the_same_input_gives_the_same_bytes(run_of: RunOf, tmp_path: Path) -> None:
    a, b = run_of("a"), run_of("b", lost=0.5)
    for name in ("one", "two"):
        write(compare(a, b), tmp_path / name)
    for file in ("compare.json", "compare.csv", "compare.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
