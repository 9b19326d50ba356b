"""``runner.pyz bench``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Tuple

from segeval_runner.backends import BACKENDS, Settings
from segeval_runner.bench.benchmark import BenchOptions, benchmark
from segeval_runner.bench.rules import PRESETS, SCENARIOS, Rules
from segeval_runner.bench.table import table
from segeval_runner.progress import Progress
from segeval_runner.telemetry import Machine

HELP = "measure latency, throughput, power and energy of every engine; continues an interrupted benchmark"
SCENARIO_HELP = (
    "only this one (repeatable): one call after the other (latency), the same counted in images (offline), with a call "
    "ahead (throughput; engines on a GPU)"
)
LAYERS_HELP = "also time each layer, in a pass of its own (tensorrt, onnxruntime)"
WITHOUT_ARGMAX_HELP = "also measure the latency of the network without its ArgMax (tensorrt)"
OWN = {
    "warmup_calls": ("--warmup", int, "N", "unmeasured calls"),
    "warmup_s": ("--warmup-seconds", float, "S", "seconds of unmeasured calls"),
    "seconds": ("--seconds", float, "S", "seconds of a run"),
    "calls": ("--calls", int, "N", "calls of a latency run"),
    "images": ("--images", int, "N", "images of an offline or throughput run"),
    "idle_s": ("--idle-seconds", float, "S", "seconds without work before a run"),
    "period_s": ("--period", float, "S", "seconds between samples of the telemetry"),
}
"""Options that replace a part of a preset."""


def add_command(commands: Any) -> argparse.ArgumentParser:
    """Add the subcommand; the caller adds what all commands on a bundle have."""
    command: argparse.ArgumentParser = commands.add_parser("bench", help=HELP)
    command.add_argument("--out", type=Path, required=True, help="folder for bench.json")
    command.add_argument(
        "--backend", choices=sorted(BACKENDS), default="", help="default: the one the bundle is made for"
    )
    command.add_argument("--engine", action="append", default=[], metavar="NAME", help="only this engine (repeatable)")
    command.add_argument("--scenario", action="append", choices=SCENARIOS, default=[], help=SCENARIO_HELP)
    command.add_argument("--preset", choices=sorted(PRESETS), default="quick", help="run rules (default: quick)")
    command.add_argument("--layers", action="store_true", help=LAYERS_HELP)
    command.add_argument("--without-argmax", action="store_true", help=WITHOUT_ARGMAX_HELP)
    group = command.add_argument_group("own rules", "minimum, instead of the preset's")
    for name, (option, kind, metavar, text) in OWN.items():
        group.add_argument(option, dest=name, type=at_least_zero(kind), default=None, metavar=metavar, help=text)
    return command


def at_least_zero(kind: type) -> Any:
    """The type of an option whose value may not be negative."""

    def convert(text: str) -> Any:
        value = kind(text)
        if not 0 <= value < float("inf"):
            raise argparse.ArgumentTypeError("{} is negative or no number".format(text))
        return value

    convert.__name__ = kind.__name__
    return convert


def rules(arguments: argparse.Namespace) -> Tuple[str, Rules]:
    """The preset's name, or "custom", and the rules. A run has one call and one sample in 10 ms at least."""
    own = {name: getattr(arguments, name) for name in OWN if getattr(arguments, name) is not None}
    found = PRESETS[arguments.preset]._replace(**own)
    least = {"seconds": 0.001, "calls": 1, "images": 1, "period_s": 0.01}
    found = found._replace(**{name: max(value, getattr(found, name)) for name, value in least.items()})
    return ("custom" if found != PRESETS[arguments.preset] else arguments.preset), found


def perform(arguments: argparse.Namespace, bundle: Path, settings: Settings, progress: Progress) -> None:
    """Measure, and print the table."""
    preset, wanted = rules(arguments)
    options = BenchOptions(
        bundle=bundle,
        out=arguments.out,
        backend=arguments.backend,
        engines=arguments.engine,
        scenarios=arguments.scenario,
        preset=preset,
        rules=wanted,
        settings=settings,
        layers=arguments.layers,
        without_argmax=arguments.without_argmax,
    )
    print(table(benchmark(options, progress, Machine())))
