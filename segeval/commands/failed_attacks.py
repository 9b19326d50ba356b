"""What `segeval craft` says of attacks that failed, before anything is deployed."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from segeval.files.sets import AdversarialSample, AttackSpec
from segeval.stronger import FAILED, ways

MOST_TOLD = 4


def failures(samples: Iterable[AdversarialSample], attacks: Sequence[AttackSpec]) -> list[str]:
    """Sentences on the attacks that reached next to nothing on every network and task, and what to try.

    Of those made on deployed files nothing is said: their success is judged on the engine.
    """
    best = best_success(samples)
    failed = [spec for spec in attacks if not spec.on_files and best.get(spec.label, 1.0) < FAILED]
    told = list(sentences(failed, best))
    rest = len(told) - MOST_TOLD
    return [*told[:MOST_TOLD], *([f"{rest} more attacks failed"] if rest > 0 else [])]


def sentences(failed: Sequence[AttackSpec], best: dict[str, float]) -> Iterator[str]:
    """One for all attacks that the same may help, such as those of both scopes."""
    alike: dict[str, list[str]] = {}
    for spec in failed:
        alike.setdefault(ways(spec), []).append(f"{spec.label} ({100 * best[spec.label]:.1f} % of φ)")
    for remedy, named in alike.items():
        hint = f"; try {remedy}" if remedy else ""
        yield f"the attack failed: {', '.join(named)}. A report will say little{hint}"


def best_success(samples: Iterable[AdversarialSample]) -> dict[str, float]:
    """Per attack its mean success on the network and task where that is largest, of the networks it was made for."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for sample in samples:
        for model in sample.victims:
            success = sample.counts[model].success
            if success is not None:
                found.setdefault((sample.attack, model, sample.task), []).append(success)
    best: dict[str, float] = {}
    for (attack, *_), values in found.items():
        best[attack] = max(best.get(attack, 0.0), fmean(values))
    return best
