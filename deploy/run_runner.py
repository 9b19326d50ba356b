"""Runs the bundle's runner.pyz on this machine in a separate process, as on a device."""

import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from segeval.errors import EngineError, IntegrityError
from segeval.files.bundles import BundleFolder
from segeval.files.storage import inside, sha256, sha256_file
from segeval.progress import Progress

from .runner_archive import runner_archive

RUNNER = "runner.pyz"
INTERRUPTED = 130
REFUSED = 2
PATIENCE = 20.0
"""Seconds that a runner whose stdin was closed may take to end: it ends itself by force before."""


class Event(msgspec.Struct, frozen=True):
    """A line of the runner's JSON progress: a stage and how far it is, or the error that ended the run."""

    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""
    hint: str = ""


def run_engines(
    command: str,
    bundle: Path,
    out: Path,
    progress: Progress,
    backend: str,
    engines: Sequence[str],
    threads: int,
    prebuilt: bool,
    options: Sequence[str],
) -> None:
    """Run a command of the runner on a bundle's engines to its end. The runner never outlives this process.

    Args:
        command: "replay" or "bench".
        bundle: its folder.
        out: the folder to write to.
        progress: called with the stage, what is done of it and its total.
        backend: empty for the one that the bundle is made for.
        engines: names, empty for all.
        threads: 0 for one per core.
        prebuilt: run engines that the bundle carries, which are native code.
        options: that this command alone has.

    Raises:
        IntegrityError: for a changed runner.
        EngineError: for whatever the runner reports.
        KeyboardInterrupt: if it was interrupted.
    """
    words = ["--bundle", str(bundle), "--out", str(out), "--threads", str(threads)]
    words += ["--progress", "json", "--end-with-stdin", *["--prebuilt"] * prebuilt, *options]
    words += ["--backend", backend] if backend else []
    words += [word for name in engines for word in ("--engine", name)]
    # -E and -P: neither PYTHON* variables nor the current folder may put other code in the archive's place.
    ended, code, tail = watch(
        [sys.executable, "-E", "-P", str(trusted_runner(bundle, command)), command, *words], progress
    )
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code == REFUSED and ended is not None:
        raise EngineError(ended.error, ended.hint)
    if code != 0:
        said = ended.error if ended is not None else "\n".join(tail)
        hint = "correct the option" if code == REFUSED else "run the same command again to continue"
        raise EngineError(f"the runner ended with code {code}\n{said}".rstrip(), hint)


def trusted_runner(bundle: Path, command: str) -> Path:
    """The bundle's runner, checked before it is started: from then on it checks everything else itself.

    It must be the one that this segeval would put into a bundle. That a bundle's manifest records its own runner proves
    nothing of who wrote the two, and the runner's code runs here.

    Args:
        bundle: its folder.
        command: that a hint names.
    """
    recorded = BundleFolder(bundle).manifest().files.get(RUNNER)
    path = inside(bundle, RUNNER)
    if recorded is None or path.is_symlink() or not path.is_file() or sha256_file(path) != recorded.sha256:
        raise IntegrityError(
            f"{path} is not the runner that was deployed", "remove the bundle and deploy again, or copy it again"
        )
    installed = f"python -m segeval_runner {command} --bundle {bundle}"
    require_own(path, recorded.sha256, "here", f"deploy again, or take the runner that is installed: {installed}")
    return path


def require_own(path: Path, recorded: str, where: str, hint: str) -> None:
    """Raise IntegrityError unless a runner is this segeval's.

    Args:
        path: the runner.
        recorded: its hash.
        where: it is about to run.
        hint: what the user can do.
    """
    if recorded != sha256(runner_archive()):
        what = f"{path} is not the runner of this segeval: it came with the bundle, and its code would run {where}"
        raise IntegrityError(what, hint)


def watch(command: Sequence[str], progress: Progress) -> tuple[Event | None, int, deque[str]]:
    """Run the runner to its end. Returns the error it reported, its exit code, and its last other lines."""
    ended: Event | None = None
    interrupted = False
    tail: deque[str] = deque(maxlen=20)
    with running(command) as process:
        assert process.stdin is not None and process.stderr is not None
        while True:
            try:
                for line in process.stderr:
                    event = parsed(line)
                    if event is None:
                        tail.append(line.rstrip())
                    elif event.error:
                        ended = event
                    else:
                        progress(event.stage, event.done, event.total)
                code = process.wait()
                return ended, INTERRUPTED if interrupted else code, tail
            except KeyboardInterrupt:
                # A terminal sends Ctrl-C to both processes; the runner heeds only the first it gets.
                interrupted = True
                process.stdin.close()


@contextmanager
def running(command: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    """The runner in a process that has ended when the block has, whatever ended that.

    Its stdin is a pipe whose other end is held here alone: where this process is killed, the system closes it.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=subprocess.DEVNULL, stderr=pipe, text=True, errors="replace")
    try:
        yield process
    finally:
        end(process)


def end(process: "subprocess.Popen[str]") -> None:
    """Let a runner that still runs end as by Ctrl-C, and wait for it. One that takes too long is ended by force."""
    try:
        for stream in (process.stdin, process.stderr):
            with suppress(OSError):
                if stream is not None:
                    stream.close()
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        pass
    finally:
        process.kill()  # does nothing to one that has ended
        process.wait()


def parsed(line: str) -> Event | None:
    """The event in a line of the runner's stderr, None if it is something else (a library talking)."""
    try:
        return msgspec.json.decode(line, type=Event)
    except msgspec.DecodeError:
        return None
