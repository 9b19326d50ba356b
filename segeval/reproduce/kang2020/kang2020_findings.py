"""What was found and what limits it, in sentences."""

from collections.abc import Sequence
from itertools import groupby

from segeval.errors import counted
from segeval.evaluate.measure.bootstrap import FEWEST_FOR_INTERVAL
from segeval.evaluate.report.headline import FEW_IMAGES
from segeval.evaluate.report.wording import percent
from segeval.files.experiments import ExperimentConfig
from segeval.reproduce.kang2020.claims import KINDS, ORDERING
from segeval.reproduce.kang2020.kang2020_records import VERDICTS, Cell, Claim, Kind, Verdict
from segeval.reproduce.kang2020.paper import network_of

NEARLY_ALL = 0.9
"""Share of the tanh method's perturbation below which FGSM's is not called matched without a word."""


def tally(claims: Sequence[Claim]) -> dict[Verdict, int]:
    """How many claims hold, do not hold, are undecided or not the paper's."""
    return {verdict: sum(claim.verdict == verdict for claim in claims) for verdict in VERDICTS}


def headline(claims: Sequence[Claim]) -> str:
    """Whether the paper's ordering of FGSM and the tanh method was found again."""
    ours = [claim for claim in claims if claim.kind in ORDERING and claim.expected]
    if not ours:
        return "Table 1 was not part of this reproduction, so nothing is said about the paper's ordering."
    counts = tally(ours)
    if counts["holds"] == len(ours):
        return f"The paper's ordering of FGSM and the tanh method holds in all {len(ours)} comparisons of Table 1."
    return (
        f"The paper's ordering of FGSM and the tanh method holds in {counts['holds']} of {len(ours)} comparisons of "
        f"Table 1, does not hold in {counts['does not hold']}, and is undecided in {counts['undecided']}."
    )


def by_kind(claims: Sequence[Claim]) -> list[tuple[Kind, str, str, tuple[Claim, ...]]]:
    """Kind, what it says, how it came out, and its comparisons."""
    found = []
    for kind, group in groupby(claims, key=lambda claim: claim.kind):
        ours = tuple(group)
        counts = [f"{verdict} in {count}" for verdict, count in tally(ours).items() if count]
        found.append((kind, KINDS[kind], f"{', '.join(counts)} of {len(ours)}", ours))
    return found


def matched(cells: Sequence[Cell]) -> list[float]:
    """By column, FGSM's perturbation as a share of the tanh method's that it was to match."""
    limits = {(c.scope, c.victims, c.model): c.perturbation.mean for c in cells if c.method == "tanh"}
    ours = [cell for cell in cells if cell.own and cell.method == "fgsm-as-tanh"]
    sizes = ((cell.perturbation.mean, limits.get((cell.scope, cell.victims, cell.model))) for cell in ours)
    return [size / limit for size, limit in sizes if size is not None and limit]


def notes(config: ExperimentConfig, models: Sequence[str], cells: Sequence[Cell]) -> tuple[str, ...]:
    """What a reader has to know before believing the numbers."""
    found = []
    together = [cell for cell in cells if cell.task is None]
    fewest = min((cell.images for cell in together), default=FEW_IMAGES)
    if fewest < FEWEST_FOR_INTERVAL:
        found.append(
            f"Numbers of fewer than {FEWEST_FOR_INTERVAL} images have no interval, so their comparisons are undecided."
        )
    elif fewest < FEW_IMAGES:
        found.append(f"Some numbers rest on only {fewest} images: intervals are rough and tend to be too narrow.")
    skipped = max((cell.skipped for cell in together), default=0)
    if skipped:
        found.append(f"Without a source pixel, and so not attacked: up to {counted(skipped, 'image')} per column.")
    if cells and all(cell.accuracy.mean is None for cell in together):
        found.append("There is no ground truth, so source accuracy and its ratio are unknown.")
    reached = matched(together)
    if min(reached, default=1.0) < NEARLY_ALL:
        found.append(
            f"FGSM within the tanh method's perturbation makes {percent(min(reached))} to {percent(max(reached))} % of "
            "it, by column. Where it makes less, that comparison favours the tanh method."
        )
    if config.dataset != "cityscapes":
        found.append(
            f"The paper's figures are for Cityscapes; these are for {config.dataset}. Compare orders, not numbers."
        )
    strangers = [model for model in models if network_of(model) is None]
    if strangers:
        found.append(f"Not networks of the paper, and so without its figures: {', '.join(strangers)}.")
    if any(cell.paper and not cell.paper.same_victims for cell in together):
        found.append("The paper's joint attack is on ESPNet and Fast-SCNN; the joint attack here is on other models.")
    if config.steps != 50:
        found.append(f"The paper takes 50 steps; these attacks took {config.steps}.")
    missing = [part for part in ("table1", "maps", "budgets") if part not in config.parts]
    if missing:
        found.append(f"Not part of this reproduction: {', '.join(missing)}.")
    return tuple(found)
