"""What belongs to a bundle and lies beside it, so that the next command names it: its set, and a replay of it."""

from collections.abc import Sequence
from pathlib import Path

from segeval.commands.options import command
from segeval.console import say
from segeval.errors import DataError, SegevalError
from segeval.places import named, neighbour


def say_how_to_evaluate(bundle: Path, replays: Sequence[Path], out: Path, *options: object) -> None:
    """Print the command that evaluates replays of a bundle; where the bundle's set lies elsewhere, that it is needed.

    Args:
        bundle: that was replayed.
        replays: of it.
        out: what the report is named after.
        options: further ones of `segeval evaluate`.
    """
    adversarial, report = set_beside(bundle), neighbour(out, "report")
    words = (*replays, *options, "--out", report)
    if adversarial is None:
        say(f"the set that {bundle} was made of is not beside it; where it is: {command('evaluate', 'SET', *words)}")
        return
    say(f"next: {command('evaluate', adversarial, *words)}")


def set_beside(bundle: Path) -> Path | None:
    """The set that a bundle was made of, proved by the hash of its set.json; None where no folder beside has it."""
    from segeval.files.bundles import BundleFolder
    from segeval.files.storage import sha256_file

    wanted = BundleFolder(bundle).manifest().set.manifest_sha256
    for found in sorted(named(bundle).parent.glob("*/set.json")):
        try:
            if sha256_file(found) == wanted:
                return found.parent
        except DataError:  # a folder of somebody else's, which need not be read
            continue
    return None


def replay_beside(bundle: Path) -> Path | None:
    """The latest finished replay of a whole bundle; None where no folder beside has one."""
    from segeval.files.bundles import BundleFolder
    from segeval.files.replays import Replay

    wanted, found = BundleFolder(bundle).sha256(), list[Path]()
    for path in named(bundle).parent.glob("*/replay.json"):
        try:
            replay = Replay.open(path.parent)
        except SegevalError:  # a folder of somebody else's, which need not be read
            continue
        if replay.complete and not replay.record.shard and replay.record.bundle_sha256 == wanted:
            found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent if found else None
