"""Which cases a gallery shows, and in which order. A case is a sample on one model."""

from collections import Counter
from collections.abc import Collection, Sequence
from statistics import median

from ..measure.row_key import RowKey
from ..measure.survival import SampleCounts

SMALLEST_PHI = 0.005
LEAST_SUCCESS = 0.2
"""Cases with a smaller share of φ, or on which less of it was reached, are chosen only if there are no others."""
BEST, LEAST, FARTHEST = "survived best", "survived least", "most success on the engine"


def extremes(rows: Sequence[SampleCounts]) -> list[tuple[SampleCounts, str]]:
    """The row that survived least and the one that survived best, and why each was chosen.

    Largest φ first among equals; of another image if there is one. Rows of which nothing was reached are no choice.
    """
    shown = visible([row for row in rows if row.desktop_hit])
    if not shown:
        return []
    best = min(shown, key=lambda row: (-row.survived / row.desktop_hit, -row.phi, row.sample))
    others = [row for row in shown if row is not best]
    if not others:
        return [(best, BEST)]
    least = min(others, key=lambda row: (row.image == best.image, row.survived / row.desktop_hit, -row.phi, row.sample))
    return [(least, LEAST), (best, BEST)]


def typical(rows: Sequence[SampleCounts]) -> SampleCounts | None:
    """The row whose survival is nearest to the median of all; of equals the one with the largest φ. None of none.

    Rows on which nothing, or next to nothing, was reached are chosen only if there are no others.
    """
    reached = [row for row in rows if row.desktop_hit]
    chosen = visible(reached) or list(rows)
    shares = {row.sample: row.survived / row.desktop_hit if row.desktop_hit else 0.0 for row in rows}
    middle = median(shares[row.sample] for row in reached or chosen) if chosen else 0.0
    return min(chosen, key=lambda row: (abs(shares[row.sample] - middle), -row.phi, row.sample), default=None)


def visible(reached: Sequence[SampleCounts]) -> list[SampleCounts]:
    """Rows of which a reader sees something in a small picture, or all if there are none. Of each a pixel was won."""
    large = [row for row in reached if row.phi >= SMALLEST_PHI * row.pixels] or list(reached)
    return [row for row in large if row.desktop_hit >= LEAST_SUCCESS * row.phi] or large


def farthest(rows: Sequence[SampleCounts]) -> list[tuple[SampleCounts, str]]:
    """The row of which the engine shows most as won; none if that is nothing. For attacks made on deployed files."""
    found = [row for row in rows if row.engine_hit]
    best = min(found, key=lambda row: (-row.engine_hit / row.phi, -row.phi, row.sample), default=None)
    return [] if best is None else [(best, FARTHEST)]


def mean_success(rows: Sequence[SampleCounts]) -> float:
    """Success on the desktop, each image counting once."""
    return sum(row.desktop_hit / row.phi for row in rows if row.phi) / len(rows)


def ordered_cases(rows: Sequence[SampleCounts], on_files: Collection[str] = ()) -> list[tuple[SampleCounts, str]]:
    """Every row once: the extremes of each attack, then the others by image, and why they come where they do.

    Args:
        rows: one per case, of its coarsest engine. First the extremes of every model, attack and task, the most
            successful attack's before others, and those of attacks on deployed files last; then always an image that
            was shown least often so far; at the end what no attack reached.
        on_files: labels of the attacks that were made on deployed files.
    """
    groups: dict[RowKey, list[SampleCounts]] = {}
    for row in rows:
        groups.setdefault(row.key.over_engines(), []).append(row)
    strongest = sorted(groups.values(), key=mean_success, reverse=True)
    on_network, others = ([g for g in strongest if (g[0].attack in on_files) == deployed] for deployed in (False, True))
    chosen = [pair for group in on_network for pair in extremes(group)]
    chosen += [pair for group in others for pair in farthest(group)]
    taken = {(row.sample, row.model) for row, _ in chosen}
    shown = Counter(row.image for row, _ in chosen)
    left = [row for row in rows if (row.sample, row.model) not in taken]
    # The n-th row of an image waits until every image was shown n times.
    turns: list[tuple[bool, int, int, SampleCounts]] = []
    for place, row in enumerate(left):
        turns.append((not row.desktop_hit, shown[row.image], place, row))
        shown[row.image] += 1
    turns.sort(key=lambda turn: turn[:3])
    return chosen + [(row, "") for *_, row in turns]
