"""The sections of a report that exist only for some runs: transfer, calibrations, layers, channels, comparisons."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segeval.bundles import Calibration, CalibrationImage
from segeval.evaluate.gallery import Gallery
from segeval.evaluate.report import most_significant, render
from segeval.evaluate.report_records import CleanRow, Comparison, EngineSummary, SurvivalReport, SurvivalRow
from segeval.evaluate.sections import clean_rows, coarsest_engine, headline_rows, model_sections
from segeval.evaluate.transfer import transfer

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

EMPTY = Gallery((), 0, 64, 48, (), {})
INT8 = "espnet-camvid.int8"
OTHER = "fast-scnn"
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
        images=3,
        left_out=1,
        first=0.5,
        second=0.75,
        difference=difference,
        low=-0.1,
        high=0.4,
        test="permutation",
        p=p,
        p_holm=p,
    )


class Widened:
    """A report with more engines: copies of what the int8 engine did, under other names, calibrations and channels."""

    def __init__(self, report: SurvivalReport) -> None:
        self.report = report
        self.int8 = next(engine for engine in report.engines if engine.label == INT8)
        self.engines: list[EngineSummary] = [
            replace(engine, calibration=SHIPS) if engine is self.int8 else engine for engine in report.engines
        ]
        self.survival: list[SurvivalRow] = list(report.survival)
        self.clean: list[CleanRow] = list(report.clean)

    def engine(self, name: str, calibration: Calibration, channel: str = "") -> None:
        """One more engine, which does what the int8 engine does."""
        label = f"{INT8}+{channel}" if channel else f"espnet-camvid.{name}"
        own = replace(self.int8, label=label, calibration=calibration, channel=channel)
        self.engines.append(own if channel else replace(own, name=label))
        more = [row for row in self.report.survival if row.engine == INT8]
        self.survival += [replace(row, engine=label, variant=calibration.name, channel=channel) for row in more]
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
    widened.engine("", SHIPS, channel="jpeg-75")
    widened.transferred()
    return widened.done()


@pytest.fixture(scope="module")
def html(wide: SurvivalReport) -> str:
    return render(wide, EMPTY, ()).decode()


def headings(html: str) -> Iterator[str]:
    for part in html.split("<h2>")[1:]:
        yield part.partition("</h2>")[0]


def section(html: str, name: str) -> str:
    return html.partition(f'<section id="{name}"')[2].partition("</section>")[0]


def test_a_plain_report_has_only_the_sections_it_needs(shared: tuple["World", SurvivalReport]) -> None:
    plain = replace(shared[1], comparisons=(), breakdown=())
    assert list(headings(render(plain, EMPTY, ()).decode())) == [
        "Survival",
        "Without an attack",
        "Over the steps",
        "How it was measured",
        "Data",
        "Where it comes from",
    ]


def test_every_section_is_there_and_linked_where_there_is_something(html: str) -> None:
    for name in ("transfer", "breakdown", "comparisons", "calibration", "attribution", "channels"):
        assert f'<section id="{name}"' in html and f'<a href="#{name}">' in html


def test_what_does_not_ship_is_in_its_own_section_alone(wide: SurvivalReport, html: str) -> None:
    assert coarsest_engine(wide, "espnet-camvid") == INT8
    assert {row.engine for row in clean_rows(wide, "espnet-camvid")} == {
        "desktop",
        *(f"espnet-camvid.{precision}" for precision in ("fp32", "fp16", "int8")),
    }
    assert all(row.ships for row in headline_rows(wide))
    for part in model_sections(wide):
        assert all(row.ships for group in (*part.groups, *part.task_groups) for row in group.rows)
    assert "minmax" not in section(html, "survival") and "jpeg" not in section(html, "survival")
    assert "of which 3 as they ship" in html


def test_transfer_shows_who_looks_at_what_was_made_for_whom(wide: SurvivalReport, html: str) -> None:
    found = transfer(wide)
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
    assert alone.cells[4].success == row.desktop_success and alone.cells[4].images == 2
    assert jointly.cells[1] is None and jointly.cells[3] is not None
    assert section(html, "transfer").count('class="own"') == 2 * (4 + 2)


def test_no_transfer_where_every_attack_was_shown_to_its_own_model(shared: tuple["World", SurvivalReport]) -> None:
    assert transfer(shared[1]) is None


def test_calibrations_stand_beside_what_they_cost(html: str) -> None:
    part = section(html, "calibration")
    assert part.index(">ships<") < part.index(">minmax<")
    assert "percentile 99.99, 1 image," in part and "only-a" not in part
    assert part.count("clean mIoU") == 1


def test_blocks_are_ranked_with_a_bar(html: str) -> None:
    part = section(html, "attribution")
    assert "one block in int8" in part and "level1" in part and "level2" in part
    assert part.count('class="meter') == 2


def test_channels_are_grouped(html: str) -> None:
    part = section(html, "channels")
    assert part.index("as it is") < part.index("jpeg-75")
    assert part.count("<tbody>") == part.count("</tbody>") == 2


def test_the_surest_comparison_comes_first_and_is_marked(wide: SurvivalReport, html: str) -> None:
    assert [pair.p_holm for pair in most_significant(wide.comparisons)] == [0.001, 0.2]
    part = section(html, "comparisons")
    assert part.index("success") < part.index("survival<")
    assert part.count('class="sure"') == 1 and "1 left out" in part
    assert "2 of 3 are shown" in part
