"""Calibrations as defences: what an attacker who has the files reaches, as in docs/adaptive/calibrations.csv.

    python -m benchmarks.calibrations REPORT

REPORT is a folder of `segeval evaluate` of a set with attacks made on fp32, int8 and evasive. Prints a row per engine.
"""

import argparse
import csv
from collections.abc import Mapping
from pathlib import Path

Line = Mapping[str, str]


def lines(report: Path, name: str) -> list[Line]:
    """A CSV file of the report."""
    with (report / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shown(line: Line, name: str, middle: str = "mean", factor: float = 1, digits: int = 3) -> str:
    """``0.182 [0.133, 0.284]``, as far as it is known; empty if it is not."""
    values = [line[f"{name}_{part}"] for part in (middle, "low", "high")]
    cells = [f"{factor * float(value):.{digits}f}".replace("-", "−") for value in values if value]
    return f"{cells[0]} [{cells[1]}, {cells[2]}]" if len(cells) == 3 else "".join(cells[:1])


def rows(report: Path) -> list[str]:
    """Of every engine that ran images without corruption."""
    attacks: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines(report, "adaptive.csv"):
        kind = "plain" if line["made_on"] == "fp32" else "evasive" if line["made_on"].endswith("not fp32") else "files"
        if line["made_on"].startswith("fp32+"):
            continue
        attacks.setdefault((line["attack"], line["engine"]), {})[kind] = line
    accuracy = {line["engine"]: float(line["miou"]) for line in lines(report, "clean.csv") if line["miou"]}
    found = []
    for (attack, engine), made in attacks.items():
        if "+jpeg" in engine or engine.endswith(".fp32"):
            continue
        name, star = engine.partition(".")[2], "*" if made["files"]["made_on_this_file"] == "1" else ""
        cells = [
            attack,
            name + star,
            f"{accuracy[engine]:.3f}",
            shown(made["plain"], "survival", factor=100, digits=1),
            shown(made["plain"], "engine_success"),
            shown(made["files"], "engine_success"),
            shown(made["files"], "gap", "difference", 100, 1),
            shown(made["evasive"], "evaded"),
        ]
        found.append(f"| {' | '.join(cells)} |")
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    given = parser.parse_args()
    print("| attack | int8 file | mIoU | survived % | success | made on the files | adaptive gap | evaded |")
    print("|---|---|---:|---|---|---|---|---|")
    print("\n".join(rows(given.report)))


if __name__ == "__main__":
    main()
