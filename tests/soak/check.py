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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.soak.commands import COMMANDS
from tests.soak.damage import Kind, Outcome, damaged, shared
from tests.soak.findings import Finding, slug
from tests.soak.kills import Round, Rounds, disturbed, needed, undisturbed
from tests.soak.originals import originals
from tests.soak.page import table_of_flips, table_of_rounds, write_page
from tests.soak.processes import heed_signals
from tests.soak.readers import KINDS
from tests.soak.serving import serving
from tests.soak.world import World, make_world

Each = TypeVar("Each")


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
    commands = chosen(COMMANDS, options.only, lambda name: name)
    kinds = chosen({kind.name: kind for kind in KINDS}, options.only, slug)
    if options.only and not commands and not kinds:
        known = ", ".join([*COMMANDS, *(slug(kind.name) for kind in KINDS)])
        print(f"--only {' '.join(options.only)}: there is {known}", file=sys.stderr)
        return 2
    kills, flips = options.kills > 0 and bool(commands), options.flips > 0 and bool(kinds)
    durations = {command.name: undisturbed(world, command) for command in needed(list(COMMANDS if flips else commands))}
    print("undisturbed: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in durations.items()), flush=True)
    rounds = (
        timed("kills", lambda: killed(world, {name: durations[name] for name in commands}, options)) if kills else []
    )
    outcomes = timed("flips", lambda: flipped(world, kinds, options)) if flips else []
    findings = [
        *(each for one in rounds for each in one.findings),
        *(each for one in outcomes for each in one.findings),
    ]
    tables = "\n".join(
        [*(table_of_rounds(rounds) if rounds else ()), "", *(table_of_flips(outcomes) if outcomes else ())]
    )
    print(tables)
    if options.write:
        write_page(rounds, outcomes, "make soak")
    print(f"soak: {sum(each.signals for each in rounds)} signals, {len(outcomes)} flips, {len(findings)} findings")
    return 1 if findings else 0


def chosen(known: Mapping[str, Each], only: Sequence[str] | None, spelled: Callable[[str], str]) -> dict[str, Each]:
    """What --only names, or all."""
    return {name: each for name, each in known.items() if not only or spelled(name) in only}


def timed(what: str, run: Callable[[], Each]) -> Each:
    """Do something, and say how long it took."""
    started = time.monotonic()
    found = run()
    print(f"{what} took {time.monotonic() - started:.0f} s", flush=True)
    return found


def killed(world: World, durations: dict[str, float], options: argparse.Namespace) -> list[Round]:
    """The rounds that were asked for."""
    if options.seed is None:
        return Rounds(world, durations, options.kills, tell).run()
    found = [disturbed(world, name, options.seed, seconds) for name, seconds in durations.items()]
    tell([finding for each in found for finding in each.findings])
    return found


def flipped(world: World, kinds: Mapping[str, Kind], options: argparse.Namespace) -> list[Outcome]:
    """The flips that were asked for."""
    root = originals(world, world.root / "originals")
    if options.seed is None:
        work = list(shared(list(kinds.values()), options.flips))
    else:
        work = [(kind, range(options.seed, options.seed + 1)) for kind in kinds.values()]
    return damaged(root, work, tell)


def tell(findings: Sequence[Finding]) -> None:
    """Say what went wrong as soon as it is known."""
    for finding in findings:
        print(finding, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
