"""Command line of the runner.

Exit codes: 0 fine, 2 refused or missing prerequisite, 3 internal error, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Optional, Sequence

from segeval_runner import __version__, detached, doctor, interruption
from segeval_runner import build as building
from segeval_runner.backends import BACKENDS, Settings
from segeval_runner.bench import command as bench
from segeval_runner.bundle import Bundle
from segeval_runner.errors import EXIT_FINE, EXIT_INTERNAL, EXIT_INTERRUPTED, EXIT_REFUSED, RunnerError
from segeval_runner.pack import pack
from segeval_runner.parts import Part
from segeval_runner.parts import parse as parse_shard
from segeval_runner.progress import Progress
from segeval_runner.replay import Options, replay
from segeval_runner.telemetry import Machine


def here() -> Path:
    """The folder that holds the running archive."""
    return Path(sys.argv[0]).resolve().parent


def count(text: str) -> int:
    """A number of things, 0 or more."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("{} is negative".format(text))
    return value


def shard(text: str) -> Part:
    """A part of the inputs, such as 1/4."""
    try:
        return parse_shard(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def accelerator(text: str) -> int:
    """The number of an accelerator, -1 for ``gpu``."""
    return -1 if text == "gpu" else count(text)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser("runner.pyz", description="Replay the images of a segeval bundle on this machine.")
    top.add_argument("--version", action="version", version=__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("replay", help="run every image through every engine; continues an interrupted replay")
    check = commands.add_parser("verify", help="check every file of the bundle against its recorded hash")
    measure = bench.add_command(commands)
    builder = commands.add_parser("build", help="build the engines into the cache, without running an image")
    diagnosis = commands.add_parser("doctor", help="show what this machine has and lacks")
    diagnosis.add_argument("--json", action="store_true", help="as one JSON object")
    packing = commands.add_parser("pack", help="pack the results of a replay into one file; prints its hash as JSON")
    packing.add_argument("replay", type=Path, metavar="REPLAY", help="a folder given with --out")
    packing.add_argument("--to", type=Path, default=Path("results.tar"), help="the file (default: results.tar)")
    packing.add_argument("--progress", choices=("text", "json"), default="text", help="form of an error on stderr")
    detached.add_commands(commands)
    for command in (run, check, measure, builder):
        command.add_argument(
            "--bundle", type=Path, default=None, help="bundle folder (default: the folder of this archive)"
        )
        command.add_argument("--progress", choices=("text", "json"), default="text", help="form of the lines on stderr")
        command.add_argument("--end-with-stdin", action="store_true", help="end, as by Ctrl-C, when stdin is closed")
    run.add_argument("--out", type=Path, required=True, help="folder for the results")
    run.add_argument("--backend", choices=sorted(BACKENDS), default="", help="default: the one the bundle is made for")
    run.add_argument("--engine", action="append", default=[], metavar="NAME", help="only this engine (repeatable)")
    run.add_argument("--warmup", type=count, default=3, help="runs before the first measured one (default: 3)")
    run.add_argument("--shard", type=shard, default=Part(), metavar="I/N", help="run only part I of N of the inputs")
    add_settings(run)
    add_settings(measure)
    builder.add_argument("--backend", choices=sorted(BACKENDS), default="", help="default: the bundle's")
    builder.add_argument("--engine", action="append", default=[], metavar="NAME", help="only this engine (repeatable)")
    builder.add_argument("--json", action="store_true", help="print what was built as JSON")
    add_settings(builder)
    return top


def add_settings(command: argparse.ArgumentParser) -> None:
    """The options that say how engines are run."""
    command.add_argument("--threads", type=count, default=0, help="CPU threads (default: one per core)")
    command.add_argument("--cache", type=Path, default=None, help="folder for built engines (default: ~/.cache)")
    command.add_argument(
        "--memory", choices=("auto", "pycuda", "cudart"), default="auto", help="how to reach device memory"
    )
    command.add_argument(
        "--workspace-mb", type=count, default=None, help="memory limit for building an engine; 0: no limit"
    )
    command.add_argument("--cuda-graph", action="store_true", help="launch a call as one graph (not with pycuda)")
    command.add_argument(
        "--prebuilt", action="store_true", help="run the engines that the bundle carries; only if you trust who made it"
    )
    command.add_argument(
        "--dla", type=accelerator, default=None, metavar="CORE", help="deep learning accelerator to use, or gpu"
    )


def own_engines() -> Path:
    """Where built engines are kept. Not in the bundle: one that came with it would run as it is, whoever built it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "segeval" / "engines"  # noqa: PTH111


def settings(arguments: argparse.Namespace, bundle: Bundle) -> Settings:
    """Settings of engines: those of the command line, else those of the bundle."""
    run = bundle.manifest.run
    core = run.dla if arguments.dla is None else arguments.dla
    return Settings(
        threads=arguments.threads,
        cache=arguments.cache or own_engines(),
        memory=arguments.memory,
        workspace_mb=(run.workspace_mb or None) if arguments.workspace_mb is None else arguments.workspace_mb,
        cuda_graph=arguments.cuda_graph,
        prebuilt=arguments.prebuilt,
        dla=-1 if core is None else core,
    )


def perform(arguments: argparse.Namespace, progress: Progress) -> None:
    """Carry out a command. Results go to stdout."""
    if arguments.command == "doctor":
        facts = doctor.examine(Machine(), here())
        print(json.dumps(facts, indent=2) if arguments.json else "\n".join(doctor.told(facts)))
        return
    if arguments.command == "pack":
        print(json.dumps(pack(arguments.replay, arguments.to)))
        return
    if arguments.command in detached.COMMANDS:
        detached.perform(arguments)
        return
    root = arguments.bundle or here()
    if arguments.command == "verify":
        bundle = Bundle(root)
        bundle.verify(lambda done, total: progress.update("verify", done, total))
        print("{}: {} files are as they were written".format(root, len(bundle.manifest.files)))
        return
    run = settings(arguments, Bundle(root))
    if arguments.command == "build":
        built = building.build(root, arguments.backend, arguments.engine, run, progress)
        print(json.dumps(built, indent=2) if arguments.json else "\n".join(building.told(built)))
        return
    if arguments.command == "bench":
        bench.perform(arguments, root, run, progress)
        return
    options = Options(root, arguments.out, arguments.backend, arguments.engine, arguments.warmup, run, arguments.shard)
    names = replay(options, progress)
    print("{}: {}".format(arguments.out, ", ".join(names)))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return its exit code."""
    interruption.came.clear()
    interruption.heed()
    arguments = parser().parse_args(argv)
    progress = Progress(getattr(arguments, "progress", "text") == "json")
    try:
        if getattr(arguments, "end_with_stdin", False):
            interruption.end_with_stdin()  # which may come at once
        perform(arguments, progress)
    except KeyboardInterrupt:
        return interrupted(progress)
    except Exception as error:
        return interrupted(progress) if interruption.came else failed(error, progress)
    finally:
        interruption.forget_waiting()
    return EXIT_FINE


def interrupted(progress: Progress) -> int:
    """The exit after a signal, or after the end of the starting process."""
    progress.fail("interrupted", "run the same command again to continue; what is done is kept")
    # Python remembers a Ctrl-C that met an exec(), as of a named tuple that is being made, and would end by SIGINT.
    exec("")
    return EXIT_INTERRUPTED


def failed(error: Exception, progress: Progress) -> int:
    """Print why something was refused; anything else is a bug."""
    if isinstance(error, RunnerError):
        progress.fail(error.what, error.hint)
        return EXIT_REFUSED
    progress.fail("internal error in the runner\n" + traceback.format_exc(), "please report it")
    return EXIT_INTERNAL
