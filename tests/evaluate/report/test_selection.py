"""Which cases a gallery shows, in which order and on which engines."""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.counting import count_everything
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.measure.survival import SampleCounts
from segeval.evaluate.report.example_selection import BEST, FARTHEST, LEAST, extremes, ordered_cases, typical
from segeval.evaluate.report.gallery import FEWEST_CASES, NO_GALLERY, Case, Lead, Room, Seen, gallery, shipping
from segeval.evaluate.report.page import Page
from segeval.progress import silent

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

PLAIN = SampleCounts(
    sample="s",
    image="i",
    task="t",
    attack="a",
    victims=("m",),
    model="m",
    engine="e",
    pixels=100,
    phi=50,
    desktop_hit=40,
    engine_hit=6,
    survived=20,
    clean_hit=1,
    changed=3,
    changed_phi=2,
    source=None,
    desktop_source_correct=None,
    engine_source_correct=None,
    other=None,
    desktop_other_correct=None,
    engine_other_correct=None,
    mean=1.0,
    mean_phi=2.0,
    l2=3.0,
    linf=4,
)


def sample(image: str, survived: int, reached: int = 40, phi: int = 50, attack: str = "a") -> SampleCounts:
    return replace(
        PLAIN,
        sample=f"{image}{survived}{attack}",
        image=image,
        attack=attack,
        survived=survived,
        desktop_hit=reached,
        phi=phi,
    )


def test_extremes_are_the_least_and_the_best_surviving_of_different_images() -> None:
    rows = [sample("a", 39), sample("a", 40), sample("b", 30), sample("a", 1), sample("c", 2), sample("e", 0, 0)]
    assert [(row.sample, why) for row, why in extremes(rows)] == [("c2a", LEAST), ("a40a", BEST)]
    assert [row.sample for row, _ in extremes([rows[0], rows[1]])] == ["a39a", "a40a"]


def test_what_hardly_shows_is_an_extreme_only_if_there_is_nothing_else() -> None:
    invisible = sample("f", 1, reached=1)  # 2 % of φ reached
    tiny = replace(sample("g", 0), pixels=100_000)
    rows = [sample("a", 40), sample("b", 30), invisible, tiny]
    assert [row.image for row, _ in extremes(rows)] == ["b", "a"]
    assert extremes([invisible]) == [(invisible, BEST)]
    assert extremes([sample("e", 0, 0)]) == []


def test_the_typical_case_is_nearest_to_the_median_and_shows_something() -> None:
    rows = [sample("a", 40), sample("b", 10), sample("c", 30), sample("d", 28, phi=60), sample("e", 36)]
    assert typical(rows) is rows[2]
    invisible = replace(sample("f", 30), pixels=100_000)
    assert typical([invisible, *rows[:2]]) in rows[:2], "the median is that of all, but a tiny object shows nothing"
    nothing = [sample("g", 0, reached=0), sample("h", 0, reached=0, phi=70)]
    assert typical(nothing) is nothing[1] and typical([]) is None


def test_extremes_of_the_strongest_attack_come_first_and_every_row_once() -> None:
    weak = [
        sample(image, survived, reached=20, attack="weak")
        for image, survived in zip("abcd", (3, 9, 20, 1), strict=True)
    ]
    strong = [
        sample(image, survived, attack="strong") for image, survived in zip("abcd", (40, 30, 20, 10), strict=True)
    ]
    nothing = sample("e", 0, 0, attack="weak")
    cases = ordered_cases([*weak, nothing, *strong])
    assert [(row.attack, row.image, why) for row, why in cases[:4]] == [
        ("strong", "d", LEAST),
        ("strong", "a", BEST),
        ("weak", "d", LEAST),
        ("weak", "c", BEST),
    ]
    assert sorted(row.sample for row, _ in cases) == sorted(row.sample for row in [*weak, nothing, *strong])
    assert cases[-1] == (nothing, "")
    assert [row.image for row, _ in cases[4:6]] == ["b", "a"]  # b was not shown yet, a once


def test_of_attacks_on_files_the_one_with_most_success_on_the_engine_is_shown_after_the_others() -> None:
    on_files = [
        replace(sample(image, 0, attack="on"), engine_hit=hit) for image, hit in zip("abc", (3, 9, 0), strict=True)
    ]
    nothing = replace(sample("a", 0, attack="none"), engine_hit=0)
    plain = [sample("a", 1, reached=20), sample("b", 2, reached=20)]
    cases = ordered_cases([*on_files, nothing, *plain], {"on", "none"})
    assert [(row.attack, row.image, why) for row, why in cases[:3]] == [
        ("a", "a", LEAST),
        ("a", "b", BEST),
        ("on", "b", FARTHEST),
    ]
    assert {why for _, why in cases[3:]} == {""} and len(cases) == 6


def test_after_the_extremes_every_image_has_its_turn() -> None:
    rows = [sample(image, 10 + n, attack=f"{n}") for n in range(3) for image in "abcdefgh"]
    cases = ordered_cases(rows)
    shown = Counter(row.image for row, why in cases if why)
    assert sum(shown.values()) == 6
    turns = []
    for row, why in cases:
        if not why:
            turns.append(shown[row.image])
            shown[row.image] += 1
    assert turns == sorted(turns) and turns[0] == 0  # always one that was shown least often
    assert set(shown.values()) == {3}


def test_engines_that_ship_are_shown_or_one_of_each_model(shared: tuple["World", SurvivalReport]) -> None:
    sources = Sources(shared[0].set_root, [shared[0].replay_root])
    first, second, third = sources.engines
    behind = replace(first, label="behind", corruption="jpeg-75")
    sources.engines = [behind, second, third]
    assert shipping(sources) == [second, third]
    sources.engines = [behind, replace(second, corruption="jpeg-75"), replace(third, corruption="jpeg-75")]
    assert shipping(sources) == [behind]


def test_without_room_a_few_cases_are_shown(shared: tuple["World", SurvivalReport]) -> None:
    sources = Sources(shared[0].set_root, [shared[0].replay_root])
    rows = count_everything(sources, silent).rows
    few = gallery(sources, rows, Room(-1, lambda case: 0), silent)
    assert (len(few.cases), few.possible) == (FEWEST_CASES, 12)
    all_of_them = gallery(sources, rows, Room(2_000_000, lambda case: 0), silent)
    assert len(all_of_them.cases) == 12 and all_of_them.cases[:FEWEST_CASES] == few.cases
    markup = gallery(sources, rows, Room(2_000_000, lambda case: 300_000), silent)
    assert len(markup.cases) == 6


def test_a_change_that_glares_is_not_said_to_be_too_small_to_see(shared: tuple["World", SurvivalReport]) -> None:
    seen = Seen("int8", replace(PLAIN, linf=24), "p", "p", "p")
    faint = Case("", (seen,), "p", "p", "p", 16, "p", "p")
    local = replace(faint, seen=(replace(seen, counts=replace(seen.counts, mean_phi=9.0)),))
    said = {}
    for case in (faint, replace(faint, factor=4), local):
        page = Page(shared[1]).render(replace(NO_GALLERY, lead=Lead(case, seen, ())), ()).decode()
        said[case] = "too small to see" in page, "of up to 24 levels of 255, can be seen" in page
    assert list(said.values()) == [(True, False), (False, True), (False, True)]


def test_of_an_image_on_which_the_attack_failed_no_survival_is_told(shared: tuple["World", SurvivalReport]) -> None:
    seen = Seen("int8", replace(PLAIN, desktop_hit=2, survived=1), "p", "p", "p")
    case = Case("", (seen,), "p", "p", "p", 16, "p", "p")
    page = Page(shared[1]).render(replace(NO_GALLERY, cases=(case,), lead=Lead(case, seen, ())), ()).decode()
    assert "which failed here" in page and "the attack failed on this image" in page
    assert "50 % survived" not in page and 'data-survival=""' in page
