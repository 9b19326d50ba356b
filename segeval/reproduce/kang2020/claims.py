"""The paper's ordering, claim by claim, with differences that are paired over images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Literal

from segeval.evaluate.measure.bootstrap import derived
from segeval.files.sets import Scope
from segeval.reproduce.kang2020.kang2020_records import METHODS, SCOPES, Claim, Kind, Mean, Method, Side, Verdict
from segeval.reproduce.kang2020.paper import TABLE, column_of
from segeval.reproduce.kang2020.table1 import Counted, columns_of
from segeval.reproduce.kang2020.tallies import Tally, mean_of

MARGIN = 0.05
"""Success that a joint attack may lose against a single one, and that a transferred image may add to the clean one,
for ``nearly as well`` and ``hardly``. The paper gives no number."""
Compared = Literal["accuracy", "ratio", "success"]
Expected = Literal["below", "above", ""]
METRICS: tuple[Compared, ...] = ("accuracy", "ratio", "success")
KINDS: dict[Kind, str] = {
    "accuracy": "tanh leaves less segmentation accuracy than FGSM",
    "ratio": "tanh leaves a lower ratio of accuracy than FGSM",
    "success": "tanh's success is above or below FGSM's as it is in the paper",
    "accuracy-matched": "tanh leaves less segmentation accuracy than FGSM within its perturbation",
    "ratio-matched": "tanh leaves a lower ratio of accuracy than FGSM within its perturbation",
    "success-matched": "tanh's success is on the paper's side of that of FGSM within its perturbation",
    "joint": f"a joint attack reaches a victim nearly as well as one on it alone: at most {MARGIN:g} less success",
    "transfer": "an image made for one model succeeds less on another than on its victim",
    "transfer-control": f"on that other model it adds at most {MARGIN:g} success to what the clean image has there",
}
"""What each kind of claim says."""
ORDERING: tuple[Kind, ...] = ("accuracy", "ratio", "success")
"""The claims that Table 1 itself makes."""


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
    found = [
        *orderings(counted, seed),
        *(claim for scope, method in product(SCOPES, METHODS[:2]) for claim in joint(counted, scope, method, seed)),
        *(claim for scope, method in product(SCOPES, METHODS[:2]) for claim in transfer(counted, scope, method, seed)),
    ]
    order = list(KINDS)
    return tuple(sorted(found, key=lambda claim: order.index(claim.kind)))


def orderings(counted: Counted, seed: int) -> Iterator[Claim]:
    """tanh against FGSM, as in the paper and at equal perturbation, column by column."""
    matched: tuple[tuple[Method, bool], ...] = (("fgsm", False), ("fgsm-as-tanh", True))
    for scope, (victims, model), (other, equal) in product(SCOPES, columns_of(counted.models), matched):
        left = counted.tally("tanh", scope, victims, model)
        right = counted.tally(other, scope, victims, model)
        if left is None or right is None:
            continue
        for metric in METRICS:
            kind: Kind = f"{metric}-matched" if equal else metric  # type: ignore[assignment]
            sides = (
                _Side(counted, "tanh", scope, victims, model, left),
                _Side(counted, other, scope, victims, model, right),
            )
            yield compare(kind, metric, scope, sides, expectation(metric, scope, victims, model), 0.0, seed)


def expectation(metric: Compared, scope: Scope, victims: Sequence[str], model: str) -> Expected:
    """Where the paper's table has tanh against FGSM. In every column it has less accuracy and a lower ratio."""
    if metric != "success":
        return "below"
    column = column_of(scope, victims, model)
    if column is None:
        return ""
    return "above" if TABLE["success", "tanh", column] > TABLE["success", "fgsm", column] else "below"


def joint(counted: Counted, scope: Scope, method: Method, seed: int) -> Iterator[Claim]:
    """The joint attack on each victim against the attack on it alone; each over its own φ."""
    models = counted.models
    for model in models if len(models) > 1 else ():
        left, right = (counted.tally(method, scope, victims, model) for victims in (models, (model,)))
        if left is not None and right is not None:
            sides = (
                _Side(counted, method, scope, models, model, left),
                _Side(counted, method, scope, (model,), model, right),
            )
            yield compare("joint", "success", scope, sides, "above", -MARGIN, seed)


def transfer(counted: Counted, scope: Scope, method: Method, seed: int) -> Iterator[Claim]:
    """An image made for one model on another: against its victim, and against the clean image."""
    for victim, model in permutations(counted.models, 2):
        other, own = (counted.tally(method, scope, (victim,), shown) for shown in (model, victim))
        if other is None or own is None:
            continue
        left = _Side(counted, method, scope, (victim,), model, other)
        right = _Side(counted, method, scope, (victim,), victim, own)
        clean = _Side(counted, None, scope, (victim,), model, other)
        yield compare("transfer", "success", scope, (left, right), "below", 0.0, seed)
        yield compare("transfer-control", "success", scope, (left, clean), "below", MARGIN, seed)


@dataclass(frozen=True)
class _Side:
    """One side before it is compared. method: None for the clean image."""

    counted: Counted
    method: Method | None
    scope: Scope
    victims: tuple[str, ...]
    model: str
    tally: Tally

    def values(self, metric: Compared) -> dict[str, float]:
        return self.tally.values(metric if self.method else "control")

    def record(self, metric: Compared, images: Sequence[str]) -> Side:
        values = self.values(metric)
        sizes = self.tally.values("mean_phi" if self.scope == "local" else "mean")
        column = column_of(self.scope, self.victims, self.model)
        paper = TABLE.get((metric, self.method, column)) if self.method and column else None
        return Side(
            attack=(self.method and self.counted.label(self.method, self.scope)) or "",
            victims=self.victims,
            model=self.model,
            levels=_mean([sizes[image] for image in images]) if self.method else 0.0,
            value=_mean([values[image] for image in images]),
            paper=paper,
        )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def compare(
    kind: Kind,
    metric: Compared,
    scope: Scope,
    sides: tuple[_Side, _Side],
    expected: Expected,
    threshold: float,
    seed: int,
) -> Claim:
    """Compare two sides over the images for which both have the metric."""
    left, right = (side.values(metric) for side in sides)
    images = [image for image in left if image in right]
    about = (kind, metric, scope, *(part for side in sides for part in (side.method, side.victims, side.model)))
    difference = mean_of([left[image] - right[image] for image in images], derived(seed, "claim", *about))
    return Claim(
        kind=kind,
        metric=metric,
        scope=scope,
        left=sides[0].record(metric, images),
        right=sides[1].record(metric, images),
        expected=expected,
        threshold=threshold,
        difference=difference,
        verdict=decide(expected, threshold, difference),
    )
