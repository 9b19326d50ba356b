"""What gates can say about accuracy and mIoU under attack."""

from collections.abc import Collection, Mapping, Sequence

from segeval.files.sets import AttackSpec

from ..measure.comparable import comparable_attacks
from ..measure.report_records import SurvivalReport
from ..measure.row_key import RowKey
from ..measure.under_attack_records import AttackedRow

UNDER_ATTACK: Mapping[str, str] = {
    "attacked_accuracy": "pixel accuracy of the whole image under the attack",
    "attacked_miou": "mIoU under the attack",
}
WORST: Mapping[str, str] = {
    "worst_success": "success of the worst of several attacks for every image, of those with the same scope and budget",
    "worst_accuracy": "pixel accuracy of the whole image under the worst of several attacks",
    "worst_miou": "mIoU under the worst of several attacks",
}
NO_TRUTH = "without ground truth there is neither accuracy nor mIoU"


class UnderAttackNumbers:
    """The numbers of a report, by the key of a row of its survival table."""

    def __init__(self, report: SurvivalReport) -> None:
        single = [row for row in report.attacked if not row.is_worst]
        self._attacked = {row.key: row for row in single}
        worst = [row for row in report.attacked if row.is_worst]
        self._worst = {row.key.under(attack): row for row in worst for attack in row.attacks}

    def of(self, key: RowKey) -> dict[str, float | None]:
        """Every metric of `UNDER_ATTACK` and `WORST`; None where there is none. Scores are of ground truth alone."""
        attacked, worst = self._attacked.get(key), self._worst.get(key)
        return {
            "attacked_accuracy": _accuracy(attacked),
            "attacked_miou": _miou(attacked),
            "worst_success": None if worst is None else worst.success.mean,
            "worst_accuracy": _accuracy(worst),
            "worst_miou": _miou(worst),
        }

    def subject(self, key: RowKey, metrics: Collection[str]) -> RowKey:
        """The key that a finding tells, on all engines: the group's where every number in it is of a worst case."""
        if not set(metrics) <= WORST.keys():
            return key
        return next((row.key.over_engines() for each, row in self._worst.items() if each.over_engines() == key), key)


def _accuracy(row: AttackedRow | None) -> float | None:
    return row.attacked.pixel_accuracy if row is not None and row.against == "ground truth" else None


def _miou(row: AttackedRow | None) -> float | None:
    return row.attacked.miou if row is not None and row.against == "ground truth" else None


def grouped_attacks(attacks: Sequence[AttackSpec], once: bool) -> frozenset[str]:
    """Labels of the attacks that others are comparable with. once: of every group the first alone."""
    groups = comparable_attacks(attacks)
    return frozenset(attack for group in groups for attack in (group.attacks[:1] if once else group.attacks))
