"""Networks that this project did not write, through the whole chain: `make check-zoo`.

Every card of benchmarks/zoo/cards, or those that are named, with random weights: exported where it is one of an ONNX
file, checked, attacked, deployed as fp32 and int8, built by TensorRT for RTX, replayed in ONNX Runtime, evaluated. With
--write: the table of docs/zoo.md. Exits with 1 if a network does not pass.

    python -m benchmarks.zoo.check [--write] [--keep FOLDER] [CARD ...]
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.zoo.chain import Outcome, run_chain
from benchmarks.zoo.page import row, table, write_page
from benchmarks.zoo.pictures import write_folder

CARDS = Path(__file__).parent / "cards"


def cards(names: Sequence[str]) -> list[Path]:
    """The cards of these names, all without any."""
    every = {card.stem: card for card in sorted(CARDS.glob("*.toml"))}
    unknown = [name for name in names if name not in every]
    if unknown:
        raise SystemExit(f"there is no card {unknown[0]} in {CARDS}; there are {', '.join(every)}")
    return [every[name] for name in names or every]


def check(names: Sequence[str], root: Path) -> list[Outcome]:
    """Run the chain of every card below a folder, saying how it went."""
    chosen = cards(names)
    write_folder(root / "data")
    found = []
    for card in chosen:
        outcome = run_chain(card, root / "data", root / card.stem)
        steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
        print(f"{card.stem}: {'; '.join(outcome.faults) or 'passed'} ({steps})", file=sys.stderr, flush=True)
        found.append(outcome)
    return found


def main() -> int:
    """Check, print the table. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cards", nargs="*", metavar="CARD", help="names of cards, without .toml; all if none is given")
    parser.add_argument("--write", action="store_true", help="write the table into docs/zoo.md")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep sets, bundles and reports here")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="segeval-zoo-") as folder:
        outcomes = check(given.cards, given.keep or Path(folder))
    print(table({outcome.name: row(outcome) for outcome in outcomes}))
    if given.write:
        write_page(outcomes)
    return 1 if any(outcome.faults for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
