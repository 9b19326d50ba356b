"""Claims on counts that were made to have a known answer."""

from collections.abc import Mapping

import pytest

from segeval.classes import CAMVID
from segeval.files.sets import (
    AdversarialSample,
    AdversarialSet,
    AttackSpec,
    CraftConfig,
    ModelRecord,
    Norms,
    Scope,
    TaskRecord,
)
from segeval.metrics import AttackCounts
from segeval.reproduce.kang2020.claims import MARGIN, claims, decide
from segeval.reproduce.kang2020.kang2020_findings import headline
from segeval.reproduce.kang2020.kang2020_records import Claim, Mean
from segeval.reproduce.kang2020.table1 import Counted, method_of

E, F = "espnet-camvid", "fast-scnn-camvid"
IMAGES = tuple("abcdefgh")
Shares = Mapping[tuple[str, tuple[str, ...], str], float]


def tallied(success: float, accuracy: float) -> AttackCounts:
    return AttackCounts(10_000, round(10_000 * success), 10_000, round(10_000 * accuracy), 10_000, 9_000)


def counted(success: Shares, accuracy: Shares, models: tuple[str, ...] = (E, F)) -> Counted:
    """A set of eight images. success, accuracy: by attack, victims and model; images differ from it by up to 0.01."""
    specs = [
        AttackSpec("fgsm", "paper", "local", 1, "last", None, 1.0, {}),
        AttackSpec("tanh", "paper", "local", 1, "last", None, None, {}),
        AttackSpec("fgsm", "default", "local", 1, "best", None, 4.0, {}, None, "tanh-local-paper"),
    ]
    networks = tuple(ModelRecord(model, "camvid", (), "", "") for model in models)
    tasks, config = (TaskRecord("t", (8,), 3),), CraftConfig("camvid", models)
    manifest = AdversarialSet(config, CAMVID, 1, 1, IMAGES, networks, tuple(specs), tasks, {}, "")
    kinds: dict[str, tuple[str, Scope]] = {each.label: (method_of(each) or "", each.scope) for each in specs}
    found = Counted(manifest, kinds)  # type: ignore[arg-type]
    # Odd images go one way and even ones the other, so that no mean changes; no two keys go equally far.
    wobbles = {key: 0.0005 * place for place, key in enumerate(success, start=1)}
    for attack, victims in {key[:2]: None for key in success}:
        for number, image in enumerate(IMAGES):
            shown = [model for a, v, model in success if (a, v) == (attack, victims)]

            found.see(
                AdversarialSample(
                    f"{image}/{attack}/{victims}", image, "t", attack, victims, 0, 0, Norms(0.5, 1.0, 10.0, 3),
                    {
                        model: tallied(*(share[key] + wobbles[key] * (-1) ** number for share in (success, accuracy)))
                        for model in shown
                        for key in [(attack, victims, model)]
                    },
                    {model: AttackCounts(10_000, 100, 10_000, 9_000, 10_000, 9_000) for model in shown}, {}, (),
                )
            )  # fmt: skip
    return found


def world(**changes: float) -> Counted:
    """tanh reaches everything and FGSM half of it; nothing transfers; joint attacks are as good as single ones."""
    success: dict[tuple[str, tuple[str, ...], str], float] = {}
    for attack, reach in (("fgsm-local-paper", 0.4), ("tanh-local-paper", 0.8), ("fgsm-local-as-tanh-paper", 0.8)):
        for victims in ((E,), (F,), (E, F)):
            for model in (E, F):
                success[attack, victims, model] = reach if model in victims else 0.01
    for attack in ("fgsm-local-paper", "tanh-local-paper"):
        success[attack, (E,), F] += changes.get("transfer", 0.0)
        success[attack, (E, F), E] -= changes.get("joint", 0.0)
    return counted(success, {key: 0.9 - 0.8 * value for key, value in success.items()})


def verdicts(found: tuple[Claim, ...], kind: str) -> dict[tuple[str, tuple[str, ...], str], str]:
    return {
        (claim.left.attack, claim.left.victims, claim.left.model): claim.verdict
        for claim in found
        if claim.kind == kind
    }


def test_the_ordering_is_found() -> None:
    found = claims(world(), 0)
    assert set(verdicts(found, "accuracy").values()) == set(verdicts(found, "ratio").values()) == {"holds"}
    # The paper has tanh's success below FGSM's for ESPNet locally, and above for Fast-SCNN.
    assert verdicts(found, "success") == {
        ("tanh-local-paper", (E,), E): "does not hold",
        ("tanh-local-paper", (F,), F): "holds",
        ("tanh-local-paper", (E, F), E): "does not hold",
        ("tanh-local-paper", (E, F), F): "holds",
    }
    assert headline(found) == (
        "The paper's ordering of FGSM and the tanh method holds in 10 of 12 comparisons of Table 1, does not hold in "
        "2, and is undecided in 0."
    )


def test_equal_attacks_are_undecided() -> None:
    found = claims(world(), 0)
    for kind in ("accuracy-matched", "ratio-matched", "success-matched"):
        assert set(verdicts(found, kind).values()) == {"undecided"}


def test_differences_are_paired_means() -> None:
    (claim,) = (c for c in claims(world(), 0) if c.kind == "success" and c.left.victims == (F,))
    assert claim.left.value is not None and claim.right.value is not None
    assert claim.difference.mean == pytest.approx(claim.left.value - claim.right.value)
    assert claim.difference.mean == pytest.approx(0.4, abs=0.01) and claim.difference.images == len(IMAGES)
    assert (claim.left.paper, claim.right.paper) == (0.696, 0.493)
    assert (claim.left.levels, claim.right.levels) == (1.0, 1.0)


@pytest.mark.parametrize(("loss", "verdict"), [(0.0, "holds"), (0.03, "holds"), (0.2, "does not hold")])
def test_joint_attacks_may_lose_a_little(loss: float, verdict: str) -> None:
    found = verdicts(claims(world(joint=loss), 0), "joint")
    assert found["tanh-local-paper", (E, F), E] == found["fgsm-local-paper", (E, F), E] == verdict
    assert found["tanh-local-paper", (E, F), F] == "holds"


@pytest.mark.parametrize(("gain", "control"), [(0.0, "holds"), (0.02, "holds"), (0.2, "does not hold")])
def test_transfer_is_held_against_the_clean_image(gain: float, control: str) -> None:
    found = claims(world(transfer=gain), 0)
    assert set(verdicts(found, "transfer").values()) == {"holds"}
    against = verdicts(found, "transfer-control")
    assert against["tanh-local-paper", (E,), F] == control and against["tanh-local-paper", (F,), E] == "holds"


def test_a_model_that_is_not_the_papers_has_no_success_claim() -> None:
    key: tuple[str, ...] = ("espnetv2-camvid",)
    success = {(attack, key, key[0]): 0.5 for attack in ("fgsm-local-paper", "tanh-local-paper")}
    found = claims(counted(success, success, key), 0)
    assert verdicts(found, "success") == {("tanh-local-paper", key, key[0]): "not in the paper"}
    assert {claim.kind for claim in found} == {"accuracy", "ratio", "success"}  # one model: no joint, no transfer


def test_decisions() -> None:
    def interval(low: float, high: float) -> Mean:
        return Mean((low + high) / 2, low, high, 9, "BCa")

    assert decide("above", 0.0, interval(0.1, 0.2)) == "holds"
    assert decide("above", 0.0, interval(-0.2, -0.1)) == "does not hold"
    assert decide("below", 0.0, interval(-0.2, -0.1)) == "holds"
    assert decide("below", 0.0, interval(-0.1, 0.1)) == "undecided"
    assert decide("below", 0.0, interval(0.0, 0.0)) == "undecided"
    assert decide("above", -MARGIN, interval(-0.04, 0.0)) == "holds"
    assert decide("above", 0.0, Mean(0.3, None, None, 1, "")) == "undecided"
    assert decide("", 0.0, interval(0.1, 0.2)) == "not in the paper"
