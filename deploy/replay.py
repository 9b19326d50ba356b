"""Replay on this machine, with the bundle's runner.pyz in a separate process, as on a device."""

from collections.abc import Sequence
from pathlib import Path

from segeval.files.replays import Replay
from segeval.progress import Progress

from .run_runner import run_engines


def replay(
    bundle: Path,
    out: Path,
    progress: Progress,
    backend: str = "",
    engines: Sequence[str] = (),
    warmup: int = 3,
    threads: int = 0,
    prebuilt: bool = False,
    shard: str = "",
) -> Replay:
    """Run a bundle here, or continue a run that was interrupted.

    Args:
        bundle: its folder.
        out: the folder to write to.
        progress: called with (stage, done, total).
        backend: empty for the one that the bundle is made for.
        engines: names, empty for all.
        warmup: calls before the first that is timed.
        threads: 0 for one per core.
        prebuilt: run engines that the bundle carries, which are native code.
        shard: the part of the inputs that is run, as in 1/4; empty for all.

    Raises:
        IntegrityError: for a changed runner.
        EngineError: for whatever the runner reports.
        KeyboardInterrupt: if it was interrupted.
    """
    options = ["--warmup", str(warmup), *(["--shard", shard] if shard else [])]
    run_engines("replay", bundle, out, progress, backend, engines, threads, prebuilt, options)
    return Replay.open(out)
