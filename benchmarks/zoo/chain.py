"""A network through every command of segeval, as a user would type them, and what is expected of each."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.zoo.pictures import SIZE, batch
from benchmarks.zoo.random_weights import with_weights
from segeval.deploy.compiler import installed
from segeval.evaluate.report.report_reading import read_report
from segeval.files.bundles import BundleFolder
from segeval.files.engine_records import EngineRecord
from segeval.models.cards import read_card

STEPS = 5
LEAST_PARITY = 0.999
"""Share of the labels of clean images that the fp32 file must have in common with the network."""
LEAST_SURVIVAL = 0.99
"""Share of what an attack won that the fp32 file must keep."""
SLOWEST = 1800
"""Seconds for one command."""


@dataclass
class Outcome:
    """How far a network came.

    Attributes:
        name: of its card.
        faults: what failed, one line each.
        seconds: by command.
        engines: of its bundle, by precision.
        success, survival: of the attack on the desktop, and of what it won by precision.
    """

    name: str
    faults: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    engines: dict[str, EngineRecord] = field(default_factory=dict)
    success: float = 0.0
    survival: dict[str, float] = field(default_factory=dict)


class FailedError(Exception):
    """A command ended otherwise than it should."""


def run_chain(card: Path, data: Path, folder: Path) -> Outcome:
    """Take a card of the zoo through the chain, in a folder of its own.

    Args:
        card: in the repository.
        data: a `folder` dataset.
        folder: is made.
    """
    folder.mkdir()
    outcome = Outcome(card.stem)
    try:
        copy = prepared(card, folder, outcome)
        for name, arguments in commands(copy, data, folder).items():
            said = timed(name, ("-m", "segeval", *arguments), outcome)
            if name == "check":
                outcome.faults += [line for line in said.splitlines() if line.startswith("warning")]
        measured(folder, outcome)
        outcome.faults += faults(outcome)
    except FailedError as error:
        outcome.faults.append(str(error))
    return outcome


def prepared(card: Path, folder: Path, outcome: Outcome) -> Path:
    """The card in its folder, beside the file that it names: the ONNX file of a library's network, or weights."""
    source = read_card(card).source
    if source.kind != "onnx":
        return with_weights(card, folder, batch())
    copy = folder / card.name
    copy.write_text(card.read_text())
    timed("export", ("-m", "benchmarks.zoo.exported", source.named, str(folder / source.named)), outcome)
    return copy


def commands(card: Path, data: Path, folder: Path) -> Mapping[str, tuple[str, ...]]:
    """What is typed, in this order. TensorRT's parser and builder are asked by ``deploy``."""
    size = "{}x{}".format(*SIZE)
    crafting = ("--dataset", "folder", "--data-root", str(data), "--model", str(card), "--size", size)
    attack = ("--task", "untargeted", "--scope", "full", "--steps", str(STEPS), "--workers", "1", "--quiet")
    allowed = (word for code in read_card(card).source.codes for word in ("--allow", code))
    made = {name: str(folder / name) for name in ("set", "bundle", "replay", "report")}
    deploying = ("--target", "jetson", "--precision", "fp32,int8", *allowed, "--quiet")
    return {
        "check": ("model", "check", str(card), "--size", size),
        "craft": ("craft", "--out", made["set"], *crafting, *attack),
        "deploy": ("deploy", made["set"], "--out", made["bundle"], *deploying),
        "replay": ("replay", made["bundle"], "--out", made["replay"], "--backend", "onnxruntime", "--quiet"),
        "evaluate": ("evaluate", made["set"], made["replay"], "--out", made["report"], "--quiet"),
    }


def timed(name: str, arguments: tuple[str, ...], outcome: Outcome) -> str:
    """What a command prints. Raises FailedError, with the last lines of its errors, if it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=SLOWEST
    )
    outcome.seconds[name] = time.monotonic() - started
    if done.returncode:
        last = " / ".join(done.stderr.strip().splitlines()[-4:])
        raise FailedError(f"{name} ended with {done.returncode}: {last}")
    return done.stdout


def measured(folder: Path, outcome: Outcome) -> None:
    """Put what bundle and report say into an outcome."""
    outcome.engines = {each.precision: each for each in BundleFolder(folder / "bundle").manifest().engines}
    for row in read_report(folder / "report").survival:
        outcome.success = row.desktop_success.mean or 0.0
        outcome.survival[row.precision] = row.survival.mean or 0.0


def faults(outcome: Outcome) -> Iterator[str]:
    """What is wrong with a network that came through all commands, one line each."""
    fp32 = outcome.engines["fp32"]
    if fp32.parity is None or fp32.parity.equal < LEAST_PARITY:
        yield "the fp32 file gives other labels than the network"
    if not outcome.success:
        yield "the attack reached nothing"
    if outcome.survival.get("fp32", 0.0) < LEAST_SURVIVAL:
        yield "the attack does not survive in the fp32 file"
    for precision, engine in outcome.engines.items():
        if installed() and engine.compiled is None:
            yield f"TensorRT for RTX did not build the {precision} file"
    compiled = outcome.engines["int8"].compiled
    if compiled is not None and not any(types.startswith("int8 to ") for types in compiled.convolutions):
        yield "no convolution of the int8 file reads int8"
