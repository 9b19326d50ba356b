"""The tables of docs/soak.md that a soak writes."""

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from segeval.files.provenance import revision
from tests.soak.damage import Outcome
from tests.soak.kills import Round

PAGE = Path(__file__).parents[2] / "docs/soak.md"
BEGIN, END = "<!-- soak: written by `make soak` -->\n", "<!-- end of soak -->\n"
PACKAGES = ("torch", "onnxruntime", "numpy")


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Markdown, with a last row of sums."""
    sums = ["all together", *(str(sum(int(str(row[at])) for row in rows)) for at in range(1, len(headings)))]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows, sums]
    return ["| " + " | ".join(map(str, line)) + " |" for line in lines]


def table_of_rounds(rounds: Sequence[Round]) -> list[str]:
    """One row per command."""
    found = []
    for name in dict.fromkeys(each.command for each in rounds):
        of = [each for each in rounds if each.command == name]
        wrong = sum(len(each.findings) for each in of)
        sums = (sum(each.signals for each in of), sum(each.restarts for each in of), len(of))
        found.append((f"`{name}`", *sums, sum(each.equal for each in of), wrong))
    return table(("command", "signals", "restarts", "rounds", "equal in the end", "findings"), found)


def table_of_flips(outcomes: Sequence[Outcome]) -> list[str]:
    """One row per kind of file."""
    found = []
    for kind in dict.fromkeys(each.kind for each in outcomes):
        of = [each for each in outcomes if each.kind == kind]
        wrong = sum(bool(each.findings) for each in of)
        refused = sum(each.refused and not each.findings for each in of)
        found.append((kind, len(of), refused, len(of) - refused - wrong, wrong))
    return table(("file", "flips", "refused", "harmless", "findings"), found)


def write_page(rounds: Sequence[Round], outcomes: Sequence[Outcome], command: str) -> None:
    """Put the tables into the page, with date, machine, command and versions."""
    before, begun, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, ended, after = rest.partition(END)
    assert begun and ended, f"{PAGE} lacks its marks"
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    where = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}"
    said = f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, revision {revision()[:12]}; {where}."
    parts = [said, "", *table_of_rounds(rounds), "", *table_of_flips(outcomes)]
    PAGE.write_text(f"{before}{begun}\n" + "\n".join(parts) + f"\n\n{ended}{after}", encoding="utf-8")
