"""What a report says of attacks that were made on deployed files, beside those made on the network and alone."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from segeval.evaluate import SurvivalReport, adaptive_in_terminal, check_gates, evaluate, parse_gate, read_report
from segeval.evaluate.measure.adaptive import AdaptiveCell, AdaptiveTable, adaptive_tables
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.report.example_selection import FARTHEST
from segeval.evaluate.report.figures import colours_of, curves_figure
from segeval.evaluate.report.gallery import NO_GALLERY
from segeval.evaluate.report.page import Page, environment
from segeval.evaluate.report.sections import model_sections
from segeval.evaluate.report.verdict import MADE_ON_FILES, NOTHING_GAINED, audited, never_judged, verdict
from segeval.files.sets import DeployedFile

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

MODEL = "espnet-camvid"
FGSM, FGSM_ON, TANH, TANH_ON = "fgsm-full", "fgsm-full-on-int8", "tanh-full", "tanh-full-on-int8"
PLAN = {"attacks": (("fgsm", "full"), ("tanh", "full")), "precisions": ("fp32", "int8")}


@pytest.fixture(scope="module")
def folder(build_at: Callable[..., "World"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of two attacks, each made on the network and on its int8 file."""
    root = tmp_path_factory.mktemp("both")
    world = build_at(root, on=("fp32", "int8"), tasks=("vehicle-to-road",), **PLAN)
    evaluate(world.set_root, [world.replay_root], root / "out")
    return root / "out"


@pytest.fixture(scope="module")
def report(folder: Path) -> SurvivalReport:
    return read_report(folder)


def keep(report: SurvivalReport, attacks: Iterable[str]) -> SurvivalReport:
    """A report whose replay came to these attacks alone."""
    kept = set(attacks)
    return replace(
        report,
        survival=tuple(row for row in report.survival if row.attack in kept),
        breakdown=tuple(row for row in report.breakdown if row.attack in kept),
        curves=tuple(curve for curve in report.curves if curve.attack in kept),
        comparisons=tuple(pair for pair in report.comparisons if {pair.first_attack, pair.second_attack} <= kept),
    )


def made(report: SurvivalReport, attacks: Iterable[str]) -> SurvivalReport:
    """A report of a set that has these attacks alone."""
    kept = keep(report, attacks)
    specs = tuple(spec for spec in report.set.attacks if spec.label in set(attacks))
    return replace(kept, set=replace(report.set, attacks=specs))


@pytest.fixture(scope="module")
def page(report: SurvivalReport) -> str:
    return Page(report).render(NO_GALLERY, ()).decode()


def section(page: str, name: str) -> str:
    return page.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def tables(report: SurvivalReport) -> tuple[AdaptiveTable, ...]:
    return adaptive_tables(ReportRows.of(report), report.comparisons, report.set)


def printed(report: SurvivalReport) -> str:
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        for table in adaptive_in_terminal(report):
            console.print(table)
    return " ".join(capture.get().split())


def test_the_curves_say_what_they_are_of(report: SurvivalReport, page: str) -> None:
    """And on files alone every network has its heading over them."""
    both = section(page, "steps")
    assert "on the image in whole levels" in both and "measured on the float image" not in both
    assert "on the network in torch, and on the deployed files" in both and "<h3>" not in both
    alone = made(report, (FGSM_ON,))
    other = replace(
        alone,
        survival=(*alone.survival, *(replace(row, model="other", victims=("other",)) for row in alone.survival)),
        curves=(*alone.curves, *(replace(curve, model="other", victims=("other",)) for curve in alone.curves)),
    )
    part = section(Page(other).render(NO_GALLERY, ()).decode(), "steps")
    assert re.findall("<h3>(.*?)</h3>", part) == [MODEL, "other"]
    assert "on the network in torch" not in part and "attacks, on the deployed files" in part


def colours(chart: str) -> set[str]:
    return set(re.findall(r"--series-\d", chart))


def test_an_attack_has_one_colour_in_every_chart_and_files_have_markers(report: SurvivalReport) -> None:
    """Of the third attack of a set, though it is the only one here. A single file needs no marker."""
    (own,) = model_sections(keep(report, (TANH, TANH_ON)))
    for chart in (own.survival_chart, own.curves_chart, own.breakdown_chart):
        assert colours(chart) == {"--series-3"}
    assert colours(own.file_curves_chart) == {"--series-4"}
    curve = next(each for each in report.curves if each.attack == TANH_ON)
    curves = [replace(curve, file=file) for file in ("int8", "int8-minmax")]
    two = curves_figure(curves, {TANH_ON: "full"}, colours_of(report.set.attacks), "x", "")
    assert colours(two) == {"--series-4"}
    marked = re.compile(r"<use [^>]*--series-4")
    assert marked.search(two) and not marked.search(own.file_curves_chart)


def test_no_survival_is_told_of_attacks_on_files(page: str) -> None:
    part = section(page, "survival")
    network, _, files = part.partition(f"{MODEL}: attacks made on deployed files")
    assert network.count('class="survived"') == 2 and 'class="survived"' not in files
    assert network.count('<th scope="row" colspan="6"><span>fp32 shows what the desktop shows.') == 2
    assert f"{FGSM_ON}<" in files and f"{FGSM_ON}<" not in network
    for line in re.findall(r"<tr(?: class=\"reference\")?><th scope=\"row\">.*?</tr>", files, re.DOTALL):
        assert len(re.findall("<t[hd]", line)) == 5


@pytest.mark.parametrize("crafted", [True, False])
def test_a_gap_that_is_lacking_says_what_to_do(report: SurvivalReport, crafted: bool) -> None:
    """The attack on the network may have been made, and not replayed yet."""
    lacking = (keep if crafted else made)(report, (FGSM_ON, TANH, TANH_ON))
    one, other = tables(lacking)
    assert (one.has_float, one.float_crafted, other.has_float, other.float_crafted) == (False, crafted, True, True)
    todo, wrong = "replay the same attack made on the float network too", "craft with --on fp32 too"
    todo, wrong = (todo, wrong) if crafted else (wrong, todo)
    assert f"There is no adaptive gap of {FGSM}: {todo}." in audited((one, other))
    template = environment().get_template("adaptive.html.j2")
    for said in (printed(lacking), template.render(adaptive=(one, other), attacked_files="")):
        assert f"here is no gap: {todo}" in said and wrong not in said


def test_a_set_on_files_alone_is_told_once_to_craft_on_the_network_too(report: SurvivalReport) -> None:
    alone = made(report, (FGSM_ON, TANH_ON))
    found = (*verdict(ReportRows.of(alone)), *audited(tables(alone)))
    assert found[0] == MADE_ON_FILES and sum("craft with --on fp32 too" in sentence for sentence in found) == 1


@pytest.mark.parametrize("difference", [-0.1, 0.0])
def test_a_gap_that_nobody_gains_by_is_told_too(report: SurvivalReport, difference: float) -> None:
    pairs = tuple(
        replace(pair, paired=replace(pair.paired, difference=difference)) if pair.between == "adaptive" else pair
        for pair in report.comparisons
    )
    assert audited(tables(replace(report, comparisons=pairs))) == (NOTHING_GAINED,)
    gained = next(pair for pair in pairs if pair.between == "adaptive")
    more = replace(gained, paired=replace(gained.paired, difference=0.25))
    said = audited(tables(replace(report, comparisons=(more, *(pair for pair in pairs if pair is not gained)))))
    assert "the largest adaptive gap, +25.0 points" in said[0] and NOTHING_GAINED not in said
    assert "too few to tell whether that is chance" in said[0] and "p = " not in said[0]
    many = replace(more, paired=replace(more.paired, images=20))
    said = audited(tables(replace(report, comparisons=(many, *(pair for pair in pairs if pair is not gained)))))
    assert "after correction" in said[0] and "too few" not in said[0]


def test_an_evasive_attack_has_no_gap(report: SurvivalReport) -> None:
    """It is another attack than the one on the network: it must spare the desktop."""
    both = made(report, (FGSM, FGSM_ON))
    plain, on = both.set.attacks
    evasive = replace(on, on="evasive")
    names = {FGSM: FGSM, FGSM_ON: evasive.label}
    told = replace(
        both,
        set=replace(both.set, attacks=(plain, evasive)),
        survival=tuple(replace(row, attack=names[row.attack]) for row in both.survival),
        breakdown=(),
        curves=(),
        attacked=(),
        comparisons=tuple(replace(pair, second_attack=names[pair.second_attack]) for pair in both.comparisons),
    )
    (table,) = tables(told)
    _, line = table.lines
    assert any(cell is not None and cell.gap is not None for cell in line.cells), "CSV has it"
    (shown,) = adaptive_in_terminal(told)
    cells = list(zip(*(column.cells for column in shown.columns), strict=True))
    (gaps,) = [row[2:] for row in cells if str(row[0]).strip() == "gap"]
    assert {str(cell) for cell in gaps} == {"–"}
    assert "the largest adaptive gap" not in " ".join(audited((table,)))
    assert not re.search("gap [+−\\d]", Page(told).render(NO_GALLERY, ()).decode())


@pytest.mark.parametrize("share", [None, 0.0, 0.25])
def test_only_what_evaded_the_desktop_is_told(report: SurvivalReport, share: float | None) -> None:
    def evading(cell: AdaptiveCell | None) -> AdaptiveCell | None:
        assert cell is not None
        evaded = None if share is None else replace(cell.row.desktop_success, mean=share, low=None)
        return replace(cell, row=replace(cell.row, evaded=evaded))

    table, _ = tables(report)
    plain, on = table.lines
    evasive = replace(on, spec=replace(on.spec, on="evasive"), cells=tuple(map(evading, on.cells)))
    said = " ".join(audited((replace(table, lines=(plain, evasive)),)))
    assert ("A desktop audit would not have seen it all" in said) == bool(share)
    assert ("fgsm-full-on-int8-not-fp32 evaded it on 25 %" in said) == bool(share)


def test_a_gate_on_the_gap_has_the_number_of_the_comparison(report: SurvivalReport) -> None:
    found = check_gates(report, [parse_gate("int8.adaptive_gap < 2")])
    gaps = {pair.second: pair.paired.difference for pair in report.comparisons if pair.between == "adaptive"}
    assert [finding.key.attack for finding in found] == [FGSM_ON, TANH_ON]
    for finding in found:
        ((name, value),) = finding.numbers
        assert name == "int8.adaptive_gap" and value == pytest.approx(gaps[finding.key.on(f"{MODEL}.int8")], abs=1e-9)
        assert abs(value) > 1e-4, "or the other way round it would be the same"


def test_the_gallery_shows_what_reached_most_on_the_engine(folder: Path) -> None:
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count(f'<span class="tag">{FARTHEST}') == 2
    assert "of those made on deployed files the one with the most success on the engine" in page


def test_a_file_that_was_attacked_and_did_not_run_is_named(report: SurvivalReport) -> None:
    rows = ReportRows.of(report)
    rows = replace(rows, engines=tuple(replace(engine, file_sha256="1" * 64) for engine in rows.engines))
    assert never_judged(rows, [DeployedFile(MODEL, "int8", "1" * 64)]) == []
    (said,) = never_judged(rows, [DeployedFile(MODEL, name, "0" * 64) for name in ("mine", "int8-entropy")])
    assert said.startswith(f"Attacks were made on files of {MODEL} that did not run here (mine, int8-entropy): ")
    untold = tuple(replace(engine, file_sha256="") for engine in rows.engines)
    assert never_judged(replace(rows, engines=untold), [DeployedFile(MODEL, "mine", "0" * 64)]) == []
