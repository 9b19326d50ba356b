"""Commands killed at every moment, and files with a bit or digit flipped: `make soak`.

Every command that writes for long gets signals at random moments of its run, is continued until it is through, and must
give what an undisturbed run gives. Single bits and digits of every kind of file are changed, and whoever reads the file
must refuse it or compute the same numbers. Exits with 1 if anything else happens, naming how to see it again. With
--write: the tables of docs/soak.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.soak.commands import COMMANDS
from tests.soak.kills import Finding, Round, Rounds, disturbed, needed, undisturbed
from tests.soak.processes import heed_signals
from tests.soak.serving import serving
from tests.soak.world import World, make_world


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Options."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.check", description=__doc__)
    parser.add_argument("--kills", type=int, default=304, help="signals in all; 0 for none")
    parser.add_argument("--flips", type=int, default=2000, help="changed files in all; 0 for none")
    parser.add_argument("--only", action="append", help="this command or kind of file alone; repeatable")
    parser.add_argument("--seed", type=int, help="this round or flip alone; goes with --only")
    parser.add_argument("--keep", type=Path, help="a new folder to work in, which stays")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/soak.md")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Soak, tell, write. Returns the exit code."""
    heed_signals()
    options = parsed(arguments)
    with tempfile.TemporaryDirectory(prefix="segeval-soak-") as temporary, serving() as base:
        root = (options.keep or Path(temporary)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        return soak(make_world(root, base), options)


def soak(world: World, options: argparse.Namespace) -> int:
    """See `main`."""
    names = [name for name in COMMANDS if not options.only or name in options.only]
    durations = {command.name: undisturbed(world, command) for command in needed(names)}
    print("undisturbed: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in durations.items()), flush=True)
    started = time.monotonic()
    rounds = killed(world, {name: durations[name] for name in names}, options)
    print(f"kills took {time.monotonic() - started:.0f} s")
    findings: list[Finding] = [finding for each in rounds for finding in each.findings]
    print(f"soak: {len(findings)} findings")
    return 1 if findings else 0


def killed(world: World, durations: dict[str, float], options: argparse.Namespace) -> list[Round]:
    """The rounds that were asked for."""
    if options.seed is not None:
        return [disturbed(world, name, options.seed, seconds) for name, seconds in durations.items()]
    return Rounds(world, durations, options.kills).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
