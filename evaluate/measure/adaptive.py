"""Attacks that were made on deployed files, beside the same ones made on the float network: made on × judged on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from segeval.files.sets import AttackSpec

from .estimate_records import Estimate
from .paired_records import Paired
from .report_records import Comparison, EngineSummary, SetSummary, SurvivalRow
from .report_rows import ReportRows
from .row_key import RowKey


@dataclass(frozen=True)
class AdaptiveCell:
    """An attack as one engine sees it.

    Attributes:
        gap: success here minus that of the same attack made on the float network; None of that one itself, and where
            the set does not have it.
        p_holm: corrected for all comparisons of the report.
        seen: whether the attack was made on exactly the file that ran, and images are as they are.
    """

    row: SurvivalRow
    gap: Paired | None
    p_holm: float | None
    seen: bool


@dataclass(frozen=True)
class AdaptiveLine:
    """An attack made on one thing.

    Attributes:
        key: of all engines.
        spec: of the attack.
        desktop: its success on the float network.
        cells: one per engine, None where it has no row.
    """

    key: RowKey
    spec: AttackSpec
    desktop: Estimate
    cells: tuple[AdaptiveCell | None, ...]

    @property
    def made_on(self) -> str:
        """``fp32``, ``int8``, ``fp32+int8``, ``int8, not fp32``."""
        return self.spec.made_on.removeprefix("-on-").replace("-not-fp32", ", not fp32") or "fp32"

    @property
    def has_gap(self) -> bool:
        """Whether its gap is told. An evasive attack also has to spare the desktop, so it is another attack."""
        return self.spec.on_files and self.spec.on != "evasive"


@dataclass(frozen=True)
class AdaptiveTable:
    """One attack on one network.

    Attributes:
        attack: its label, made on the float network.
        engines: in columns, none of which a part alone is quantized.
        lines: by what it was made on, the float network first if the set has that and it was replayed.
        float_crafted: whether the set has the same attack made on the float network.
    """

    model: str
    victims: tuple[str, ...]
    attack: str
    engines: tuple[EngineSummary, ...]
    lines: tuple[AdaptiveLine, ...]
    float_crafted: bool

    @property
    def has_float(self) -> bool:
        """Whether the same attack was made on the float network and replayed, without which there is no gap."""
        return any(not line.spec.on_files for line in self.lines)


def adaptive_tables(
    rows: ReportRows, comparisons: Iterable[Comparison], about: SetSummary
) -> tuple[AdaptiveTable, ...]:
    """A table per network, victims and attack that was made on deployed files, if a whole engine was shown it.

    Args:
        rows: of the report.
        comparisons: of the report.
        about: the set.
    """
    specs = {spec.label: spec for spec in about.attacks}
    gaps = {pair.second: pair for pair in comparisons if pair.between == "adaptive"}
    groups: dict[RowKey, list[str]] = {}
    for key in dict.fromkeys(row.key.over_engines() for row in rows.own if row.attack in rows.on_files):
        plain = specs[key.attack].on_float.label
        groups.setdefault(replace(key, attack=plain), [plain] if plain in specs else []).append(key.attack)
    tables = []
    for base, attacks in groups.items():
        engines = tuple(e for e in rows.engines if e.model == base.model and not e.is_partial)
        keys = [replace(base, attack=attack) for attack in attacks]
        found = (_line(key, specs[key.attack], engines, rows, gaps, about) for key in keys)
        lines = tuple(line for line in found if line is not None)
        if any(line.spec.on_files for line in lines):
            float_crafted = base.attack in specs
            tables.append(AdaptiveTable(base.model, base.victims, base.attack, engines, lines, float_crafted))
    return tuple(tables)


def _line(
    key: RowKey,
    spec: AttackSpec,
    engines: Sequence[EngineSummary],
    rows: ReportRows,
    gaps: dict[RowKey, Comparison],
    about: SetSummary,
) -> AdaptiveLine | None:
    made_on = {file.sha256 for file in about.deployed if file.model == key.model and file.engine in spec.engines}
    cells: list[AdaptiveCell | None] = []
    for engine in engines:
        row, pair = rows.row(key.on(engine.label)), gaps.get(key.on(engine.label))
        seen = engine.file_sha256 in made_on and not engine.corruption
        gap, p = (pair.paired, pair.p_holm) if pair else (None, None)
        cells.append(None if row is None else AdaptiveCell(row, gap, p, seen))
    known = [cell.row for cell in cells if cell is not None]
    if not known:
        return None
    fullest = max(known, key=lambda row: row.images)
    return AdaptiveLine(key, spec, fullest.desktop_success, tuple(cells))
