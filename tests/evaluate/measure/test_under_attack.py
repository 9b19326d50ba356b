"""Accuracy and mIoU under attack against sklearn and plain loops, and which attacks a worst case is told of."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from segeval.classes import CAMVID, IGNORE
from segeval.evaluate.evaluate import summarise
from segeval.evaluate.measure.class_pixels import ClassPixels
from segeval.evaluate.measure.comparable import comparable_attacks
from segeval.evaluate.measure.counting import count_everything
from segeval.evaluate.measure.inputs import Sources
from segeval.evaluate.measure.report_records import DESKTOP, SurvivalReport
from segeval.evaluate.measure.under_attack_reading import leading
from segeval.evaluate.measure.under_attack_records import AttackedRow, Scores
from segeval.evaluate.report.under_attack_wording import row_name
from segeval.files.sets import AttackSpec
from segeval.metrics import Labels
from segeval.progress import silent

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

CLASSES = len(CAMVID)
ATTACKS = (("fgsm", "full"), ("pgd", "full"), ("pgd", "local"))
COMPARABLE = ("fgsm-full", "pgd-full")
Pair = tuple[Labels, Labels]
Several = tuple["World", SurvivalReport]


def numbers(world: "World") -> SurvivalReport:
    sources = Sources(world.set_root, [world.replay_root])
    return summarise(sources, count_everything(sources, silent), 0, silent)


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory, build_at: Callable[..., "World"]) -> Several:
    """Two comparable attacks and one that is not."""
    root = tmp_path_factory.mktemp("several")
    world = build_at(root, attacks=ATTACKS, precisions=("int8",), size=(32, 40))
    return world, numbers(world)


def labelled(pairs: Iterable[Pair]) -> tuple[Any, Any]:
    """Reference and prediction of every pixel that counts."""
    joined = [np.concatenate([one.ravel() for one in side]) for side in zip(*pairs, strict=True)]
    counts = joined[0] < CLASSES
    return joined[0][counts].astype(int), joined[1][counts].astype(int)


def expected_ious(pairs: Iterable[Pair]) -> list[float | None]:
    """IoU of every class by loops over sklearn's confusion matrix; None where the reference lacks the class."""
    truth, predicted = labelled(pairs)
    matrix = confusion_matrix(truth, predicted, labels=range(CLASSES + 1))
    ious: list[float | None] = []
    for label in range(CLASSES):
        hit = matrix[label, label]
        wrong = sum(matrix[other, label] for other in range(CLASSES) if other != label)
        lost = sum(matrix[label, other] for other in range(CLASSES + 1) if other != label)
        ious.append(hit / (hit + wrong + lost) if matrix[label].sum() else None)
    return ious


def mean(values: Iterable[float | None]) -> float:
    return float(np.mean([value for value in values if value is not None]))


def require_scores(scores: Scores, pairs: list[tuple[str, Pair]]) -> None:
    """pairs: the image, reference and prediction of every sample of a row."""
    together = [pair for _, pair in pairs]
    truth, predicted = labelled(together)
    ious = expected_ious(together)
    assert scores.class_iou == pytest.approx(ious)
    assert scores.miou == pytest.approx(mean(ious))
    assert scores.pixel_accuracy == pytest.approx(accuracy_score(truth, predicted))
    here = sorted(set(truth) | set(predicted[predicted < CLASSES]))
    assert scores.cmiou == pytest.approx(jaccard_score(truth, predicted, labels=here, average="macro", zero_division=0))
    images: dict[str, list[float]] = {}
    for image, pair in pairs:
        images.setdefault(image, []).append(mean(expected_ious([pair])))
    assert scores.nmiou.mean == pytest.approx(mean(map(mean, images.values())))
    assert scores.nmiou.images == len(images)


@pytest.mark.parametrize("seed", range(4))
def test_scores_of_random_maps_are_those_of_sklearn(seed: int) -> None:
    """With ignored pixels, predictions outside the table, and classes that one side lacks."""
    rng = np.random.default_rng(seed)
    truths = rng.choice([0, 1, 2, 5, IGNORE], (3, 9, 11)).astype(np.uint8)
    predictions = rng.integers(0, CLASSES + 1, truths.shape, np.uint8) // (1 + seed % 2)
    found = sum(
        (ClassPixels.of(*pair, CLASSES) for pair in zip(truths, predictions, strict=True)),
        ClassPixels(np.zeros((3, CLASSES), np.int64)),
    )
    pairs = list(zip(truths, predictions, strict=True))
    truth, predicted = labelled(pairs)
    assert found.miou == pytest.approx(mean(expected_ious(pairs)))
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted))
    here = sorted(set(truth) | set(predicted[predicted < CLASSES]))
    assert found.cmiou == pytest.approx(jaccard_score(truth, predicted, labels=here, average="macro", zero_division=0))
    assert found.cmiou is not None
    assert found.miou is not None
    assert found.cmiou < found.miou, "classes that are predicted alone cost something"


@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.3, 1.0])
def test_counts_from_those_of_a_similar_map_are_those_of_the_map(share: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice([0, 1, 2, 5, IGNORE], (30, 40)).astype(np.uint8)
    labels = rng.integers(0, CLASSES + 1, truth.shape, np.uint8)
    other = np.where(rng.random(truth.shape) < share, rng.integers(0, CLASSES + 1, truth.shape), labels).astype(
        np.uint8
    )
    found = ClassPixels.near(ClassPixels.of(truth, labels, CLASSES), labels, truth, other, CLASSES)
    np.testing.assert_array_equal(found.counts, ClassPixels.of(truth, other, CLASSES).counts)


def test_nothing_labelled_has_no_score() -> None:
    found = ClassPixels.of(np.full((4, 4), IGNORE, np.uint8), np.zeros((4, 4), np.uint8), CLASSES)
    assert (found.accuracy, found.miou, found.cmiou) == (None, None, None)


def chosen_samples(world: "World", row: AttackedRow) -> list[tuple[str, str, int, int]]:
    """Image and sample of a row, with hits and φ: of several attacks the first with the most hits of each image."""
    engine = f"{row.model}.int8" if row.engine == DESKTOP else row.engine
    best: dict[tuple[str, str], tuple[str, str, int, int]] = {}
    for attack in row.attacks:
        for sample in world.samples:
            if sample.attack != attack or row.task not in (None, sample.task):
                continue
            maps = world.maps[sample.id, engine]
            target = next(task.target for task in world.manifest.tasks if task.name == sample.task)
            shown = maps.desktop_adversarial if row.engine == DESKTOP else maps.engine_adversarial
            hits, phi = int((shown[maps.phi] == target).sum()), int(maps.phi.sum())
            place = (sample.image, sample.task)
            if place not in best or hits > best[place][2]:
                best[place] = (sample.image, sample.id, hits, phi)
    return list(best.values())


def test_every_row_is_what_loops_over_the_label_maps_give(several: Several) -> None:
    world, report = several
    assert len(report.attacked) == (1 + 3) * 2 * 3, "a worst case and three attacks, desktop and engine, tasks"
    for row in report.attacked:
        chosen = chosen_samples(world, row)
        engine = f"{row.model}.int8" if row.engine == DESKTOP else row.engine
        attacked, clean = [], []
        for image, sample, _, _ in chosen:
            maps = world.maps[sample, engine]
            assert maps.truth is not None
            desktop = row.engine == DESKTOP
            shown = (maps.desktop_adversarial, maps.desktop_clean)
            adversarial, before = shown if desktop else (maps.engine_adversarial, maps.engine_clean)
            attacked.append((image, (maps.truth, adversarial)))
            clean.append((image, (maps.truth, before)))
        require_scores(row.attacked, attacked)
        require_scores(row.clean, clean)
        images: dict[str, list[int]] = {}
        for image, _, hits, phi in chosen:
            sums = images.setdefault(image, [0, 0])
            sums[0], sums[1] = sums[0] + hits, sums[1] + phi
        assert row.success.mean == pytest.approx(mean(hits / phi for hits, phi in images.values()))
        of = [next(s.attack for s in world.samples if s.id == sample) for _, sample, _, _ in chosen]
        assert row.chosen == tuple(of.count(attack) for attack in row.attacks)
        assert (row.images, row.against, row.missing) == (3, "ground truth", 0)


def test_the_worst_case_is_no_weaker_than_any_of_its_attacks_and_leads(several: Several) -> None:
    _, report = several
    worst = {row.key: row for row in report.attacked if row.is_worst}
    assert {(row.attack, row.attacks) for row in worst.values()} == {("worst-full-2", COMPARABLE)}
    for row in report.attacked:
        if row.attack in COMPARABLE:
            above = worst[row.key.under("worst-full-2")]
            assert above.success.mean is not None
            assert row.success.mean is not None
            assert above.success.mean >= row.success.mean
            assert above.truth == row.truth
    assert any(min(row.chosen) > 0 for row in worst.values()), "no attack is the worst on every image"
    first = leading(report.attacked, ())
    assert first is not None
    assert (first.engine, first.task) == ("espnet-camvid.int8", None)
    assert row_name(first) == "worst of 2 attacks, full, 2 levels"
    assert report.verdict[0].startswith("The strongest attack on ")
    worst_first = "Under the worst of 2 attacks on the whole image within 2 levels"
    assert any(sentence.startswith(worst_first) for sentence in report.verdict)
    assert report.attacked[0].is_worst


def test_without_ground_truth_the_clean_prediction_of_the_desktop_stands_in(build: Callable[..., "World"]) -> None:
    world = build(truth=False, tasks=("vehicle-to-road",), attacks=(("fgsm", "full"),), size=(32, 40))
    report = numbers(world)
    for row in report.attacked:
        pairs = []
        for sample in world.samples:
            maps = world.maps[sample.id, f"{row.model}.fp32" if row.engine == DESKTOP else row.engine]
            shown = maps.desktop_adversarial if row.engine == DESKTOP else maps.engine_adversarial
            pairs.append((sample.image, (maps.desktop_clean, shown)))
        assert row.against == "clean prediction"
        require_scores(row.attacked, pairs)
        if row.engine == DESKTOP:
            assert (row.clean.pixel_accuracy, row.clean.miou, row.clean.nmiou.mean) == (1, 1, 1)
    assert not any(row.is_worst for row in report.attacked), "of a single attack"
    assert not any(sentence.startswith("Under the worst") for sentence in report.verdict)


def test_what_an_unfinished_replay_lacks_is_missing_from_the_worst_case(build: Callable[..., "World"]) -> None:
    world = build(done=5, tasks=("vehicle-to-road",), attacks=ATTACKS[:2], precisions=("fp32", "int8"), size=(32, 40))
    report = numbers(world)
    ran = {row.engine: row for row in report.attacked if row.is_worst}
    assert [ran[engine].images for engine in ran] == [3, 2, 2], "of the second image one attack alone"
    assert ran[DESKTOP].missing == 0
    for engine in ("espnet-camvid.fp32", "espnet-camvid.int8"):
        parts = [row for row in report.attacked if row.engine == engine and not row.is_worst]
        assert ran[engine].missing == sum(row.missing for row in parts) > 0
        assert ran[engine].images == max(row.images for row in parts)


PLAIN = AttackSpec("fgsm", "default", "full", 4, "best", None, 2.0, {})


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({}, "worst-full-2"),
        ({"preset": "paper", "steps": 9, "keep": "last"}, "worst-full-2"),
        ({"scope": "local"}, ""),
        ({"budget": 4.0}, ""),
        ({"budget": None}, ""),
        ({"within": 0.5}, ""),
        ({"match": "tanh-full"}, ""),
        ({"robust_to": ("jpeg-75",)}, ""),
        ({"on": "int8", "engines": ("int8",)}, ""),
    ],
)
def test_attacks_that_were_allowed_the_same_are_comparable(change: dict[str, Any], label: str) -> None:
    other = replace(PLAIN, attack="pgd", **change)
    found = comparable_attacks([PLAIN, other])
    assert [(group.label, group.attacks) for group in found] == ([(label, (PLAIN.label, other.label))] if label else [])


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"budget": None, "within": 0.5}, "worst-full-within-0.5"),
        ({"within": 0.5, "on": "int8", "engines": ("int8",)}, "worst-full-2-within-0.5-on-int8"),
        ({"budget": None, "match": "tanh-full"}, "worst-full-as-tanh-full"),
        ({"robust_to": ("jpeg-75",)}, "worst-full-2-robust-to-jpeg-75"),
    ],
)
def test_attacks_with_other_limits_have_groups_of_their_own(change: dict[str, Any], label: str) -> None:
    alike = [replace(PLAIN, attack=attack, **change) for attack in ("fgsm", "pgd")]
    unbounded = [replace(PLAIN, attack=attack, budget=None) for attack in ("tanh", "dag")]
    found = comparable_attacks([PLAIN, *alike, *unbounded])
    assert [(group.label, group.attacks) for group in found] == [(label, tuple(spec.label for spec in alike))]
