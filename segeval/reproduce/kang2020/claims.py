"""The paper's ordering, claim by claim, with differences that are paired over images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product
from typing import get_args

from segeval.evaluate.measure.bootstrap import derived
from segeval.files.sets import Scope
from segeval.reproduce.kang2020.kang2020_records import (
    METHODS,
    SCOPES,
    Claim,
    Compared,
    Expected,
    Kind,
    Mean,
    Method,
    Side,
    Verdict,
)
from segeval.reproduce.kang2020.paper import TABLE, column_of
from segeval.reproduce.kang2020.table1 import Counted, columns_of
from segeval.reproduce.kang2020.tallies import Tally, mean_of

MARGIN = 0.05
"""Success that a joint attack may lose against a single one, and that a transferred image may add to the clean one,
for ``nearly as well`` and ``hardly``. The paper gives no number."""
ORDERING: tuple[Compared, ...] = get_args(Compared)
"""The metrics that Table 1 itself compares the methods by."""
KINDS: dict[Kind, str] = {
    "accuracy": "tanh leaves a lower source accuracy than FGSM",
    "ratio": "tanh leaves a lower ratio than FGSM",
    "success": "tanh's success is above or below FGSM's as it is in the paper",
    "accuracy-matched": "tanh leaves a lower source accuracy than FGSM within its perturbation",
    "ratio-matched": "tanh leaves a lower ratio than FGSM within its perturbation",
    "success-matched": "tanh's success is on the paper's side of that of FGSM within its perturbation",
    "joint": f"a joint attack reaches a victim nearly as well as one on it alone: at most {MARGIN:g} less success",
    "transfer": "an image made for one model succeeds less on another than on its victim",
    "transfer-control": f"on that other model it adds at most {MARGIN:g} success to what the clean image has there",
}
"""What each kind of claim says."""


def decide(expected: Expected, threshold: float, difference: Mean) -> Verdict:
    """Whether a difference lies, with its whole interval, on the expected side of the threshold."""
    if not expected:
        return "not in the paper"
    if difference.low is None or difference.high is None:
        return "undecided"
    below, above = difference.high < threshold, difference.low > threshold
    if not below and not above:
        return "undecided"
    return "holds" if below == (expected == "below") else "does not hold"


def claims(counted: Counted, seed: int) -> tuple[Claim, ...]:
    """Every claim for which the set has both sides, by kind."""
    order = list(KINDS)
    found = (*orderings(counted, seed), *joint(counted, seed), *transfer(counted, seed))
    return tuple(sorted(found, key=lambda claim: order.index(claim.kind)))


@dataclass(frozen=True)
class Shown:
    """An attack shown to a model, or the clean image, of which label and method are empty, to the same model."""

    label: str
    method: Method | None
    scope: Scope
    victims: tuple[str, ...]
    model: str
    tally: Tally

    def values(self, metric: Compared) -> dict[str, float]:
        """Of every image that has one."""
        return self.tally.values(metric if self.method else "control")

    def side(self, metric: Compared, images: Sequence[str]) -> Side:
        """As the report has it, over these images."""
        values, sizes = self.values(metric), self.tally.values("mean_phi" if self.scope == "local" else "mean")
        column = column_of(self.scope, self.victims, self.model)
        return Side(
            attack=self.label,
            victims=self.victims,
            model=self.model,
            levels=_mean([sizes[image] for image in images]) if self.method else 0.0,
            value=_mean([values[image] for image in images]),
            paper=TABLE.get((metric, self.method, column)) if self.method and column else None,
        )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def shown(counted: Counted, method: Method, scope: Scope, victims: tuple[str, ...], model: str) -> Shown | None:
    """An attack as a model saw it; None if the set does not have it."""
    label, tally = counted.label(method, scope), counted.tally(method, scope, victims, model)
    return None if label is None or tally is None else Shown(label, method, scope, victims, model, tally)


def orderings(counted: Counted, seed: int) -> Iterator[Claim]:
    """tanh against FGSM, as in the paper and at equal perturbation, column by column."""
    others: tuple[Method, ...] = ("fgsm", "fgsm-as-tanh")
    for scope, (victims, model), other in product(SCOPES, columns_of(counted.models), others):
        left, right = (shown(counted, method, scope, victims, model) for method in ("tanh", other))
        if left and right:
            for metric in ORDERING:
                kind: Kind = metric if other == "fgsm" else f"{metric}-matched"  # type: ignore[assignment]
                yield compare(kind, metric, left, right, expectation(metric, scope, victims, model), 0.0, seed)


def expectation(metric: Compared, scope: Scope, victims: Sequence[str], model: str) -> Expected:
    """Where the paper's table has tanh against FGSM. In every column it has less accuracy and a lower ratio."""
    if metric != "success":
        return "below"
    column = column_of(scope, victims, model)
    if column is None:
        return ""
    return "above" if TABLE["success", "tanh", column] > TABLE["success", "fgsm", column] else "below"


def joint(counted: Counted, seed: int) -> Iterator[Claim]:
    """The joint attack on each victim against the attack on it alone; each over its own φ."""
    models = counted.models
    for scope, method, model in product(SCOPES, METHODS[:2], models if len(models) > 1 else ()):
        left, right = (shown(counted, method, scope, victims, model) for victims in (models, (model,)))
        if left and right:
            yield compare("joint", "success", left, right, "above", -MARGIN, seed)


def transfer(counted: Counted, seed: int) -> Iterator[Claim]:
    """An image made for one model on another: against its victim, and against the clean image."""
    for scope, method, (victim, model) in product(SCOPES, METHODS[:2], permutations(counted.models, 2)):
        left, right = (shown(counted, method, scope, (victim,), other) for other in (model, victim))
        if left and right:
            yield compare("transfer", "success", left, right, "below", 0.0, seed)
            clean = replace(left, label="", method=None)
            yield compare("transfer-control", "success", left, clean, "below", MARGIN, seed)


def compare(
    kind: Kind, metric: Compared, left: Shown, right: Shown, expected: Expected, threshold: float, seed: int
) -> Claim:
    """Compare two sides over the images for which both have the metric."""
    mine, others = left.values(metric), right.values(metric)
    images = [image for image in mine if image in others]
    about = (part for side in (left, right) for part in (side.method, side.victims, side.model))
    drawn = derived(seed, "claim", kind, metric, left.scope, *about)
    difference = mean_of([mine[image] - others[image] for image in images], drawn)
    return Claim(
        kind=kind,
        metric=metric,
        scope=left.scope,
        left=left.side(metric, images),
        right=right.side(metric, images),
        expected=expected,
        threshold=threshold,
        difference=difference,
        verdict=decide(expected, threshold, difference),
    )
