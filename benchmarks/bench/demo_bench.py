"""The demo, stage by stage, as `segeval demo` runs it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from segeval.commands.demo import CALIBRATION, DEMO
from segeval.deploy import deploy, replay
from segeval.evaluate import evaluate
from segeval.generate.crafting.craft import Crafter
from segeval.progress import silent
from segeval_runner.environment import usable_cores

from .record import Measured

TARGET = 60.0


def measure(quick: bool) -> Iterator[Measured]:
    """One run, by the clock: it uses all cores. Not part of the quick ones."""
    if quick:
        return
    with TemporaryDirectory(prefix="segeval-bench-") as folder:
        root, total = Path(folder), 0.0
        stages: dict[str, Callable[[], object]] = {
            "craft": lambda: Crafter(DEMO, root / "set").run(False, silent, usable_cores()),
            "deploy": lambda: deploy(root / "set", root / "bundle", calibration_images=CALIBRATION),
            "replay": lambda: replay(root / "bundle", root / "replay", silent),
            "evaluate": lambda: evaluate(root / "set", [root / "replay"], root / "report"),
        }
        for name, stage in stages.items():
            started = time.perf_counter()
            stage()
            total += time.perf_counter() - started
            yield Measured("demo", f"{name}, by the clock", time.perf_counter() - started)
        yield Measured("demo", "all, by the clock", total, target=TARGET)
