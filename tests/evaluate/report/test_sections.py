"""The sections of a report that exist only for some runs: transfer, calibrations, layers, corruptions, comparisons."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from segeval.evaluate.measure.corruption_tables import corruption_tables
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.paired_records import Paired
from segeval.evaluate.measure.report_records import (
    BreakdownRow,
    CleanRow,
    Comparison,
    EngineSummary,
    SurvivalReport,
    SurvivalRow,
)
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.measure.sweep import attributions, calibration_matrices
from segeval.evaluate.measure.transfer import transfer
from segeval.evaluate.report.breakdown_figure import breakdown_figure
from segeval.evaluate.report.figures import colours_of
from segeval.evaluate.report.gallery import Gallery
from segeval.evaluate.report.page import Page, most_significant
from segeval.evaluate.report.report_terminal import corruptions_in_terminal, survival_in_terminal
from segeval.evaluate.report.sections import clean_rows, model_sections
from segeval.evaluate.report.sweep_terminal import sweeps_in_terminal
from segeval.evaluate.report.verdict import verdict
from segeval.evaluate.report.wording import decimals
from segeval.files.engine_records import Calibration, CalibrationImage

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

EMPTY = Gallery((), 0, 64, 48, (), {})
INT8 = "espnet-camvid.int8"
MODEL, OTHER = "espnet-camvid", "fast-scnn"
SHIPS = Calibration("percentile", 99.99, "elsewhere", 0, (CalibrationImage("i", "0" * 64),), ("Conv",))


def comparison(p: float | None, difference: float | None, quantity: str = "survival") -> Comparison:
    return Comparison(
        between="engines",
        model="espnet-camvid",
        victims=("espnet-camvid",),
        task=None,
        quantity=quantity,
        first_attack="fgsm-full",
        first_engine="espnet-camvid.fp32",
        second_attack="fgsm-full",
        second_engine=INT8,
        paired=Paired(3, 1, 0.5, 0.75, difference, -0.1, 0.4, "permutation", p),
        p_holm=p,
    )


def foreign(row: SurvivalRow) -> SurvivalRow:
    """The same row, of an attack that was made for another model."""
    return replace(row, victims=("elsewhere",))


def binned(place: int, name: str) -> BreakdownRow:
    """A bin by size in which half of the pixels survived."""
    half = Estimate(0.5, 0.4, 0.6, 0.5, 0.4, 0.6, 3, 0, "BCa")
    return BreakdownRow(MODEL, (MODEL,), "fgsm-full", None, INT8, "int8", "size", name, place, 3, 9, 8, 4, 4, half)


class Widened:
    """A report with more engines: copies of what int8 did, under other names, calibrations and corruptions."""

    def __init__(self, report: SurvivalReport) -> None:
        self.report = report
        self.int8 = next(engine for engine in report.engines if engine.label == INT8)
        self.engines: list[EngineSummary] = [
            replace(engine, calibration=SHIPS) if engine is self.int8 else engine for engine in report.engines
        ]
        self.survival: list[SurvivalRow] = list(report.survival)
        self.clean: list[CleanRow] = list(report.clean)

    def engine(self, name: str, calibration: Calibration, corruption: str = "") -> None:
        """One more engine, which does what the int8 engine does."""
        label = f"{INT8}+{corruption}" if corruption else f"espnet-camvid.{name}"
        own = replace(self.int8, label=label, calibration=calibration, corruption=corruption)
        self.engines.append(own if corruption else replace(own, name=label))
        more = [row for row in self.report.survival if row.engine == INT8]
        self.survival += [replace(row, engine=label, variant=calibration.name, corruption=corruption) for row in more]
        self.clean += [replace(row, engine=label) for row in self.report.clean if row.engine == INT8]

    def transferred(self) -> None:
        """The attacks as another model sees them, and made jointly."""
        rows = [row for row in self.report.survival if row.engine == INT8]
        both = ("espnet-camvid", OTHER)
        self.survival += [replace(row, model=OTHER, engine=f"{OTHER}.int8", images=2) for row in rows]
        self.survival += [replace(row, victims=both) for row in rows]

    def done(self) -> SurvivalReport:
        compared = (comparison(0.2, 0.1), comparison(0.001, -0.25, "engine_success"), comparison(None, None))
        return replace(
            self.report,
            engines=tuple(self.engines),
            survival=tuple(self.survival),
            clean=tuple(self.clean),
            comparisons=compared,
        )


@pytest.fixture(scope="module")
def wide(shared: tuple["World", SurvivalReport]) -> SurvivalReport:
    widened = Widened(shared[1])
    widened.engine("int8-minmax", replace(SHIPS, method="minmax", percentile=None, name="minmax"))
    widened.engine("int8-only-a", replace(SHIPS, name="only-a", only=("level1",)))
    widened.engine("int8-only-b", replace(SHIPS, name="only-b", only=("level2",)))
    widened.engine("", SHIPS, corruption="jpeg-75")
    widened.transferred()
    return widened.done()


@pytest.fixture(scope="module")
def html(wide: SurvivalReport) -> str:
    return Page(wide).render(EMPTY, ()).decode()


def headings(html: str) -> Iterator[str]:
    for part in html.split("<h2>")[1:]:
        yield part.partition("</h2>")[0]


def dashes(chart: str) -> set[str]:
    """Of the lines that carry data."""
    return set(re.findall(r"stroke-dasharray: ([^;]+); [^\"]*stroke: var\(--series", chart))


def section(html: str, name: str) -> str:
    return html.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_a_plain_report_has_only_the_sections_it_needs(shared: tuple["World", SurvivalReport]) -> None:
    plain = replace(shared[1], comparisons=(), breakdown=())
    assert list(headings(Page(plain).render(EMPTY, ()).decode())) == [
        "Survival",
        "What the networks see under attack",
        "Accuracy on clean images",
        "The attacks, step by step",
        "How it was measured",
        "Data",
        "Files, versions and devices",
    ]


def test_every_section_is_there_and_linked_where_there_is_something(html: str) -> None:
    for name in ("transfer", "breakdown", "comparisons", "calibration", "attribution", "corruptions"):
        assert f'<section id="{name}"' in html and f'<a href="#{name}">' in html


def test_what_does_not_ship_is_in_its_own_section_alone(wide: SurvivalReport, html: str) -> None:
    assert [part.broken_down for part in model_sections(wide)] == [INT8, ""]
    assert {row.engine for row in clean_rows(ReportRows.of(wide).about("espnet-camvid"))} == {
        "desktop",
        *(f"espnet-camvid.{precision}" for precision in ("fp32", "fp16", "int8")),
    }
    assert all(row.ships for row in ReportRows.of(wide).headline)
    for part in model_sections(wide):
        assert all(row.ships for group in (*part.groups, *part.task_groups) for row in group.rows)
    assert "minmax" not in section(html, "survival") and "jpeg" not in section(html, "survival")
    assert "of which 3 as they ship" in html


def test_transfer_shows_who_looks_at_what_was_made_for_whom(wide: SurvivalReport, html: str) -> None:
    found = transfer(ReportRows.of(wide))
    assert found is not None
    assert [(column.model, column.name) for column in found.columns] == [
        *(("espnet-camvid", name) for name in ("desktop", "fp32", "fp16", "int8")),
        *((OTHER, name) for name in ("desktop", "int8")),
    ]
    assert [matrix.attack for matrix in found.matrices] == ["fgsm-full", "tanh-local"]
    alone, jointly = found.matrices[0].rows
    row = next(r for r in wide.survival if (r.attack, r.task, r.engine) == ("fgsm-full", None, INT8))
    assert alone.victims == ("espnet-camvid",) and jointly.victims == ("espnet-camvid", OTHER)
    assert alone.cells[3] is not None and alone.cells[3].success == row.engine_success and alone.cells[3].own
    assert alone.cells[4] is not None and not alone.cells[4].own
    assert alone.cells[4].success == row.desktop_success
    assert jointly.cells[1] is None and jointly.cells[3] is not None
    part = section(html, "transfer")
    assert part.count('class="own"') == 2 * (4 + 2)
    assert part.count('<span class="interval">n 3</span>') == 2 * (4 + 2 + 2) and "title=" not in part


def test_a_joint_attack_has_one_name_in_every_table_and_in_the_verdict(wide: SurvivalReport, html: str) -> None:
    for name in ("survival", "calibration", "corruptions"):
        part = section(html, name)
        assert "fgsm-full, joint" in part and f"{MODEL} + {OTHER}" not in part
    joint = tuple(replace(row, victims=(MODEL, OTHER)) for row in wide.survival)
    pairs = tuple(replace(pair, victims=(MODEL, OTHER)) for pair in wide.comparisons)
    rows = replace(ReportRows.of(wide), survival=joint)
    strongest = rows.strongest
    assert strongest is not None
    name = f"{strongest.attack}, joint"
    assert verdict(rows)[0].startswith(f"The strongest attack on {strongest.model} ({name}) turned ")
    page = Page(replace(wide, survival=joint, comparisons=pairs)).render(EMPTY, ()).decode()
    assert f'<th scope="row">{name}' in page.partition('class="heat overview"')[2].partition("</table>")[0]
    assert section(page, "comparisons").count('<td class="words">fgsm-full, joint<') == 2 * 2


def test_no_transfer_where_every_attack_was_shown_to_its_own_model(shared: tuple["World", SurvivalReport]) -> None:
    assert transfer(ReportRows.of(shared[1])) is None


def test_calibrations_stand_beside_what_they_cost(html: str) -> None:
    part = section(html, "calibration")
    assert part.index(">ships<") < part.index(">minmax<")
    assert "percentile 99.99, 1 image," in part and "only-a" not in part
    assert part.count("clean mIoU") == 1


def test_blocks_are_ranked_with_a_bar(html: str) -> None:
    part = section(html, "attribution")
    assert "one block in int8" in part and "level1" in part and "level2" in part
    assert part.count('class="meter') == 2


def test_a_cell_has_success_and_what_the_clean_image_has_there(wide: SurvivalReport, html: str) -> None:
    """What survival leaves out, pixels hit on the engine alone, decides whether a calibration hardens."""
    row = next(r for r in wide.survival if (r.attack, r.task, r.engine) == ("fgsm-full", None, INT8))
    told = f"success&nbsp;{decimals(row.engine_success.mean)}, clean&nbsp;{decimals(row.control.mean)}"
    for name in ("calibration", "corruptions"):
        assert told in section(html, name)
    assert "beyond what the clean image has there" in section(html, "calibration")


def test_channels_leave_out_what_was_made_for_other_networks_and_keep_joint_attacks(wide: SurvivalReport) -> None:
    widened = replace(wide, survival=(*wide.survival, *(foreign(row) for row in wide.survival)))
    assert corruption_tables(ReportRows.of(widened)) == corruption_tables(ReportRows.of(wide))
    (table,) = corruption_tables(ReportRows.of(wide))
    assert {line.key.victims for line in table.lines} == {(MODEL,), (MODEL, OTHER)}


@pytest.mark.long
def test_charts_leave_out_transfers_and_mark_joint_attacks(wide: SurvivalReport) -> None:
    curves = [replace(curve, victims=(MODEL, OTHER)) for curve in wide.curves]
    widened = replace(wide, curves=(*wide.curves, *curves))
    own = model_sections(widened)[0]
    for chart in (own.survival_chart, own.curves_chart):
        assert "fgsm-full, joint" in chart and "tanh-local, joint" in chart
    plain = model_sections(wide)[0].curves_chart
    assert "joint" not in plain and len(dashes(plain)) == 1 and len(dashes(own.curves_chart)) == 3
    hollow = "fill-opacity: 0; stroke: var(--series"
    alone = tuple(row for row in wide.survival if row.victims == (row.model,))
    assert hollow in own.survival_chart
    assert hollow not in model_sections(replace(wide, survival=alone))[0].survival_chart
    more = replace(
        widened,
        survival=(*widened.survival, *(foreign(row) for row in widened.survival)),
        curves=(*widened.curves, *(replace(curve, victims=(OTHER,)) for curve in wide.curves)),
    )
    again = model_sections(more)[0]
    assert (again.survival_chart, again.curves_chart) == (own.survival_chart, own.curves_chart)


def test_what_was_made_on_files_is_in_no_table_of_survival(wide: SurvivalReport) -> None:
    every = ReportRows.of(wide)
    rows = replace(every, on_files=frozenset({"tanh-local"}))
    for told, attacks in ((rows, {"fgsm-full"}), (every, {"fgsm-full", "tanh-local"})):
        assert {line.key.attack for table in corruption_tables(told) for line in table.lines} == attacks
        assert {line.key.attack for table in calibration_matrices(told) for line in table.rows} == attacks
        assert {key.attack for found in attributions(told) for key in found.attacks} == attacks
    assert "tanh-local" in " ".join(verdict(every)) and "tanh-local" not in " ".join(verdict(rows))


def test_survival_of_an_attack_that_failed_is_shown_nowhere(wide: SurvivalReport) -> None:
    """Every number of it would be 12.3 %; the files alone have it."""
    odd = Estimate(0.123, 0.123, 0.123, 0.123, 0.123, 0.123, 3, 0, "BCa")
    few = Estimate(0.02, None, None, 0.02, None, None, 3, 0, "")
    failed = tuple(
        replace(row, survival=odd, desktop_success=few, engine_success=few) if row.attack == "fgsm-full" else row
        for row in wide.survival
    )
    report = replace(wide, survival=failed, breakdown=(binned(0, "small"), binned(1, "large")))
    html = Page(report).render(EMPTY, ()).decode()
    assert "12 %" not in html and "width: 12.3%" not in html and "attack failed" in section(html, "survival")
    assert 'id="breakdown"' not in html, "of this attack alone there are bins"
    chart = model_sections(report)[0].survival_chart
    assert "tanh-local" in chart and "fgsm-full" not in chart
    console = Console(width=200, color_system=None, file=io.StringIO(), record=True)
    for table in (*survival_in_terminal(report), *corruptions_in_terminal(report), *sweeps_in_terminal(report)):
        console.print(table)
    text = console.export_text()
    assert "fgsm-full" in text and not re.search(r"\b12\b", text)
    assert all(
        "fgsm-full" not in {key.attack for key in found.attacks} for found in attributions(ReportRows.of(report))
    )


def test_a_network_that_nothing_was_made_for_has_no_charts(wide: SurvivalReport, html: str) -> None:
    other = model_sections(wide)[1]
    assert other.name == OTHER and other.groups and not other.survival_chart and not other.curves_chart
    assert section(html, "survival").count("<figure") == 1
    assert f"Attacks made for {MODEL} alone." in section(html, "breakdown")


def test_curves_of_attacks_that_were_seen_rounded_say_so(wide: SurvivalReport) -> None:
    rounded = [replace(attack, dithered=True) for attack in wide.set.attacks]
    for attacks, told in (
        (rounded, "on the image in whole levels, but the size"),
        ([*rounded[1:], wide.set.attacks[0]], "on the image in whole levels (of published presets on the float image)"),
    ):
        given = replace(wide, set=replace(wide.set, attacks=tuple(attacks)))
        part = section(Page(given).render(EMPTY, ()).decode(), "steps")
        assert told in part and "measured on the float image" not in part


def test_curves_of_attacks_on_networks_alone_are_of_the_float_image(html: str) -> None:
    part = section(html, "steps")
    assert "on the network in torch. They were measured on the float image" in part and "<figcaption" not in part


def test_names_of_bins_are_slanted_where_they_would_touch(wide: SurvivalReport) -> None:
    for bins, slanted in (
        (("<16", "16–64", "≥64"), False),
        (("<16", "16–64", "64–256", "256–1024", "1024–4096"), True),
    ):
        rows = [binned(place, name) for place, name in enumerate(bins)]
        chart = breakdown_figure(rows, wide.set.attacks, colours_of(wide.set.attacks), "b", "d")
        assert ("rotate(-30" in chart) == slanted


def test_channels_are_grouped(html: str) -> None:
    part = section(html, "corruptions")
    assert part.index("as it is") < part.index("jpeg-75")
    assert part.count("<tbody>") == part.count("</tbody>") == 2
    assert part.index("fgsm-full") < part.index("Clean mIoU")


def test_the_surest_comparison_comes_first_and_is_marked(wide: SurvivalReport, html: str) -> None:
    assert [pair.p_holm for pair in most_significant(wide.comparisons)] == [0.001, 0.2]
    part = section(html, "comparisons")
    assert part.index("success") < part.index("survival<")
    assert part.count('class="sure"') == 1 and "1 left out" in part
    assert "2 of 3 are shown" in part


@pytest.mark.parametrize(("images", "rows"), [(3, 10), (40, 40)])
def test_where_nothing_can_be_significant_it_says_so_and_shows_few(
    shared: tuple["World", SurvivalReport], images: int, rows: int
) -> None:
    pair = comparison(0.5, 0.1)
    pairs = tuple(replace(pair, paired=replace(pair.paired, images=images)) for _ in range(45))
    part = section(Page(replace(shared[1], comparisons=pairs)).render(EMPTY, ()).decode(), "comparisons")
    assert f"{rows} of 45 are shown" in part
    assert ("there are too few images" in part) == (images == 3)
    assert ("are marked" in part) == (images == 40)
