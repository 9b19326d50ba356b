"""The first sentence of a report: the attack's success leads, and nothing is surer than its images allow."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from segeval.evaluate import SurvivalReport
from segeval.evaluate.measure.decisive import as_on_desktop, decisive, removed
from segeval.evaluate.measure.estimate_records import Estimate
from segeval.evaluate.measure.report_records import SurvivalRow
from segeval.evaluate.measure.report_rows import ReportRows
from segeval.evaluate.report.headline import plain_sentence, spoken_task
from segeval.evaluate.report.verdict import verdict
from segeval.files.sets import AttackSpec

if TYPE_CHECKING:
    from tests.evaluate.conftest import World


SPECS = (AttackSpec("fgsm", "default", "full", 10, "best", None, 2, {}),)


def share(mean: float | None, low: float | None = None, high: float | None = None, images: int = 20) -> Estimate:
    return Estimate(mean, low, high, mean, low, high, images, 0, "BCa" if low is not None else "")


@pytest.fixture
def row(shared: tuple["World", SurvivalReport]) -> SurvivalRow:
    """On int8: 80 % on the desktop, 97 % of them there too."""
    found = next(row for row in shared[1].survival if row.precision == "int8" and row.attack == "fgsm-full")
    told = {"survival": share(0.97, 0.94, 0.98), "desktop_success": share(0.8), "gained": share(0.01)}
    return replace(found, task="vehicle-to-road", engine_success=share(0.786), **told)  # type: ignore[arg-type]


def test_what_a_manager_reads(row: SurvivalRow) -> None:
    assert plain_sentence(row, False, None) == (
        "The attack on espnet-camvid (fgsm-full) turned 80 % of the vehicle pixels into road on the desktop; on int8, "
        "97 % of these are "
        "still road (between 94 and 98 % for images like these): quantization does not protect espnet-camvid."
    )
    sure = replace(row, desktop_success=share(0.8, 0.7, 0.88))
    said = "(fgsm-full, 2 levels, 10 steps) turned 80 % (between 70 and 88 %) of the vehicle pixels into road on"
    assert said in plain_sentence(sure, False, None, SPECS)


def test_few_images_tell_what_was_and_not_what_is(row: SurvivalRow) -> None:
    few = replace(row, desktop_success=share(0.64, 0.5, 0.7, 3), survival=share(0.99, 0.98, 0.995, 3))
    said = plain_sentence(few, False, None, SPECS)
    assert "turned 64 % of the vehicle pixels in 3 images into road on the desktop;" in said
    assert said.endswith("): in these 3 images quantization did not protect espnet-camvid.")


@pytest.mark.parametrize("success", [0.0, 0.02, 0.0499])
def test_an_attack_that_failed_is_said_to_have_failed_whatever_survives(row: SurvivalRow, success: float) -> None:
    said = plain_sentence(replace(row, desktop_success=share(success)), True, None)
    assert said.startswith("The strongest attack failed: fgsm-full turned only ") and "97" not in said
    assert "failed" not in plain_sentence(replace(row, desktop_success=share(0.05)), True, None)


def test_below_the_headline_of_a_failure_stands_what_to_try(shared: tuple["World", SurvivalReport]) -> None:
    rows = ReportRows.of(shared[1])
    weak = tuple(replace(row, desktop_success=share(0.02)) for row in rows.survival)
    specs = tuple(replace(spec, parameters={"budget": 2.0}) for spec in shared[1].set.attacks)
    said = verdict(replace(rows, survival=weak), (), specs)
    name = "fgsm" if "fgsm" in said[0] else "tanh"
    told = f"a larger budget (--set {name}.budget=4, now 2) or more --steps (now 4)"
    assert said[1:] == (f"To see what deployment changes, craft again with {told}.",)
    assert len(verdict(replace(rows, survival=weak))) == 1, "the attacks are not known"
    none = tuple(replace(row, survival=replace(row.survival, mean=None), desktop_success=share(0)) for row in weak)
    assert "craft again with a larger budget" in verdict(replace(rows, survival=none), (), specs)[1]


@pytest.mark.parametrize(
    ("survival", "said"),
    [
        (share(0.97, None, None, 1), "(1 image: too few to tell how sure that is)"),
        (share(0.97, 0.9, 0.99, 2), "(2 images: too few to tell how sure that is)"),
        (share(0.97, 0.94, 0.98, 3), "(roughly between 94 and 98 % for images like these)"),
        (share(0.97, 0.94, 0.998, 20), "(between 94 and nearly 100 % for images like these)"),
        (share(0.97, 0.968, 0.972, 20), "(to within one percent for images like these)"),
        (share(1.0, None, None, 20), "(on each of the 20 images)"),
    ],
)
def test_how_sure_it_is_stands_there_in_words(row: SurvivalRow, survival: Estimate, said: str) -> None:
    assert said in plain_sentence(replace(row, survival=survival), False, None)


@pytest.mark.parametrize(
    ("survival", "gained", "said"),
    [
        (share(0.97, 0.94, 0.98), 0.01, "quantization does not protect espnet-camvid."),
        (share(0.97, 0.94, 0.98), 0.07, "quantization does not protect espnet-camvid, and turns 7 % more by itself."),
        (share(0.6, 0.5, 0.7), 0.0, "quantization weakens the attack on espnet-camvid, but does not stop it."),
        (share(0.3, 0.2, 0.4), 0.0, "quantization removes most of the attack on espnet-camvid, but not all of it."),
        (share(0.1, 0.05, 0.2), 0.0, "quantization removes nearly all that this attack does to espnet-camvid."),
        (share(0.6, 0.3, 0.9), 0.0, "from 20 images it cannot be told how much quantization protects espnet-camvid."),
    ],
)
def test_what_it_means(row: SurvivalRow, survival: Estimate, gained: float, said: str) -> None:
    found = plain_sentence(replace(row, survival=survival, gained=share(gained)), False, None)
    assert found.rpartition(": ")[2] == said


def test_an_engine_that_fails_on_clean_images_does_not_protect(
    row: SurvivalRow, shared: tuple["World", SurvivalReport]
) -> None:
    clean = replace(shared[1].clean[-1], equal=0.6)
    assert "gives only 60 % of the labels" in plain_sentence(replace(row, survival=share(0.1)), False, clean)
    assert "rather damages" not in plain_sentence(row, False, replace(clean, equal=0.9))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("vehicle-to-road", ("vehicle pixels", "into road", "road")),
        ("car+truck-to-traffic-sign", ("car and truck pixels", "into traffic-sign", "traffic-sign")),
        ("any-to-road", ("pixels", "into road", "road")),
        ("vru-lost", ("road user pixels", "into something else", "something else")),
        ("untargeted", ("pixels", "into a wrong class", "wrong")),
        (None, ("attacked pixels", "into what it wanted", "so")),
    ],
)
def test_tasks_are_spoken(task: str | None, words: tuple[str, str, str]) -> None:
    assert spoken_task(task) == words


def test_the_engine_that_changes_most_leads(shared: tuple["World", SurvivalReport]) -> None:
    rows = ReportRows.of(shared[1])

    def lead(**success: float) -> str:
        """The engine that leads if each shows this much of the 0.8 of the desktop, and adds what is above."""
        told = tuple(
            replace(
                row,
                desktop_success=share(0.8),
                engine_success=share(success[row.precision]),
                gained=share(max(0.0, success[row.precision] - 0.8)),
            )
            for row in rows.survival
        )
        found = decisive(replace(rows, survival=told))
        assert found is not None
        return found.precision

    assert lead(fp32=0.8, fp16=0.8, int8=0.8) == "int8", "of equals the lowest precision"
    assert lead(fp32=0.8, fp16=0.3, int8=0.7) == "fp16"
    assert lead(fp32=0.8, fp16=0.95, int8=0.7) == "fp16", "what is added counts as what is removed"
    assert lead(fp32=0.8, fp16=0.75, int8=0.7) == "int8"


def test_what_was_removed_is_counted_in_pixels(row: SurvivalRow) -> None:
    assert removed(row) == pytest.approx(0.8 - 0.786 + 0.01)
    assert removed(replace(row, gained=None)) == pytest.approx(0.8 - 0.786)


def test_engines_that_show_what_the_desktop_shows_take_one_line(shared: tuple["World", SurvivalReport]) -> None:
    rows = ReportRows.of(shared[1])
    same = {"survival": share(0.999), "gained": share(0.001)}
    told = tuple(replace(row, **same) if row.precision != "int8" else row for row in rows.survival)  # type: ignore[arg-type]
    said = verdict(replace(rows, survival=told))
    assert "fp32 and fp16 show what the desktop shows." in said
    assert not any(sentence.startswith(("In fp32", "In fp16")) for sentence in said)
    assert not as_on_desktop(replace(told[0], missing=1)) and not as_on_desktop(replace(told[0], gained=share(0.02)))
