"""What a comparison of two runs found, and what limits it, in sentences."""

from collections.abc import Sequence

from ..measure.paired import can_be_significant
from ..measure.within_noise import floor_percent
from .compare_records import Change
from .compare_wording import change_sentence
from .runs import OpenRun


def finding(changes: Sequence[Change]) -> str:
    """What changed, in a sentence or two."""
    tested = tested_of(changes)
    if not tested:
        return "There is only one common image, too few for a test."
    if not any(change.paired.difference for change in tested):
        return f"All {len(tested)} quantities that were tested have the same mean in both runs."
    significant = sum(change.significant for change in tested)
    verb = "is" if significant == 1 else "are"
    told = f"{significant or 'None'} of {len(tested)} differences {verb} significant."
    return f"{told} {change_sentence(tested[0])}"


def tested_of(changes: Sequence[Change]) -> list[Change]:
    """Those that were tested, and not measured alone."""
    return [change for change in changes if change.paired.p is not None]


def notes(a: OpenRun, b: OpenRun, same_set: bool, changes: Sequence[Change]) -> tuple[str, ...]:
    """What limits the comparison."""
    told = []
    if not same_set:
        told.append(
            "The runs are of different adversarial sets: paired by image, but the perturbations differ, so a "
            "difference may come from the attack as well as from the engine."
        )
    for name, run in (("A", a), ("B", b)):
        unfinished = [engine.label for engine in run.report.engines if not engine.complete]
        if unfinished:
            told.append(f"Partial: in {name} the replay of {', '.join(unfinished)} is not finished.")
    common, either = len(a.images & b.images), len(a.images | b.images)
    if common < either:
        told.append(f"{common} of {either} images are in both runs; only they are compared.")
    tested = [change.paired for change in tested_of(changes)]
    blind = sum(not can_be_significant(paired.images, len(tested)) for paired in tested)
    if blind and any(paired.difference for paired in tested):
        told.append(
            f"{blind} of {len(tested)} differences rest on too few images, or are among too many tests, to be "
            "significant, however large they are."
        )
    quiet = [change.noise_floor for change in changes if change.within_noise and change.noise_floor is not None]
    if quiet:
        many = "1 difference is" if len(quiet) == 1 else f"{len(quiet)} differences are"
        told.append(
            f"{many} within the noise floor ({floor_percent(max(quiet))} %): the order of summation alone changes as "
            "many labels, so the difference may come from it."
        )
    return tuple(told)
