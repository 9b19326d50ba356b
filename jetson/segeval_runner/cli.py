"""Command line of the runner: replay, verify, doctor.

Exit codes: 0 fine, 2 refused or missing prerequisite, 3 internal error, 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Optional, Sequence

from segeval_runner import __version__
from segeval_runner.backends import BACKENDS, Settings
from segeval_runner.bundle import Bundle
from segeval_runner.doctor import doctor
from segeval_runner.errors import EXIT_FINE, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_REFUSED, RunnerError
from segeval_runner.progress import Progress
from segeval_runner.replay import Options, replay


def here() -> Path:
    """The folder that holds the running archive."""
    return Path(sys.argv[0]).resolve().parent


def count(text: str) -> int:
    """A number of things, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("{} is negative".format(text))
    return value


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser("runner.pyz", description="Replay the images of a segeval bundle on this machine.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("replay", help="run every image through every engine; continues an interrupted replay")
    check = commands.add_parser("verify", help="check every file of the bundle against its recorded hash")
    commands.add_parser("doctor", help="say what is installed on this machine")
    for command in (run, check):
        command.add_argument(
            "--bundle", type=Path, default=None, help="bundle folder (default: where this archive lies)"
        )
        command.add_argument("--progress", choices=("text", "json"), default="text", help="form of the lines on stderr")
    run.add_argument("--out", type=Path, required=True, help="folder for the results")
    run.add_argument("--backend", choices=sorted(BACKENDS), default="onnxruntime")
    run.add_argument("--engine", action="append", default=[], metavar="NAME", help="only this engine (repeatable)")
    run.add_argument("--warmup", type=count, default=3, help="runs before the first measured one (default: 3)")
    add_settings(run)
    return top


def add_settings(command: argparse.ArgumentParser) -> None:
    """The options that say how engines are run."""
    command.add_argument("--threads", type=count, default=0, help="CPU threads (default: one per core)")
    command.add_argument("--cache", type=Path, default=None, help="folder for built engines (default: in the bundle)")
    command.add_argument("--memory", choices=("auto", "pycuda", "cudart"), default="auto", help="way to device memory")
    command.add_argument("--workspace-mb", type=count, default=0, help="most memory for building an engine")
    command.add_argument("--cuda-graph", action="store_true", help="launch a call as one graph")
    command.add_argument("--dla", type=count, default=-1, metavar="CORE", help="use this deep learning accelerator")


def settings(arguments: argparse.Namespace, root: Path) -> Settings:
    """How engines are run."""
    cache = arguments.cache or root / "engines"
    graph, core = arguments.cuda_graph, arguments.dla
    return Settings(arguments.threads, cache, arguments.memory, arguments.workspace_mb, graph, core)


def interrupt_once(signum: int, frame: Optional[FrameType]) -> None:
    """Stop at the first Ctrl-C and let nothing disturb the clean-up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


def perform(arguments: argparse.Namespace, progress: Progress) -> None:
    """Carry out a command. Results go to stdout."""
    if arguments.command == "doctor":
        print("\n".join(doctor()))
        return
    root = arguments.bundle or here()
    if arguments.command == "verify":
        bundle = Bundle(root)
        bundle.verify(lambda done, total: progress.update("verify", done, total))
        print("{}: {} files are as they were written".format(root, len(bundle.manifest.files)))
        return
    options = Options(
        root, arguments.out, arguments.backend, arguments.engine, arguments.warmup, settings(arguments, root)
    )
    names = replay(options, progress)
    print("{}: {}".format(arguments.out, ", ".join(names)))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return its exit code."""
    signal.signal(signal.SIGINT, interrupt_once)
    arguments = parser().parse_args(argv)
    progress = Progress(getattr(arguments, "progress", "text") == "json")
    try:
        perform(arguments, progress)
    except RunnerError as error:
        progress.fail(error.what, error.hint)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        progress.fail("interrupted", "run the same command again to continue; what is done is kept")
        return EXIT_INTERRUPTED
    except Exception:
        progress.fail("internal error in the runner\n" + traceback.format_exc(), "please report it")
        return EXIT_INTERNAL
    return EXIT_FINE
