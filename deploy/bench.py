"""Benchmark on this machine, with the bundle's runner.pyz in a separate process, as on a device."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from segeval.files.benches import BenchRecord, open_bench
from segeval.progress import Progress

from .run_runner import run_engines


def bench(
    bundle: Path,
    out: Path,
    progress: Progress,
    backend: str = "",
    engines: Sequence[str] = (),
    scenarios: Sequence[str] = (),
    preset: str = "quick",
    own_rules: Mapping[str, float] | None = None,
    threads: int = 0,
    layers: bool = False,
    without_argmax: bool = False,
    prebuilt: bool = False,
) -> BenchRecord:
    """Measure latency, throughput, power and energy of a bundle's engines here, or continue what was interrupted.

    Args:
        bundle: its folder.
        out: the folder to write to.
        progress: called with (stage, done, total).
        backend: empty for the one that the bundle is made for.
        engines: names, empty for all.
        scenarios: likewise.
        preset: of the rules, "quick" or "publishable".
        own_rules: what replaces a part of the preset, by the runner's option without dashes in front ("seconds",
            "warmup-seconds" …).
        threads: 0 for one per core.
        layers: time each layer as well.
        without_argmax: the network alone as well.
        prebuilt: run engines that the bundle carries, which are native code.

    Raises:
        IntegrityError: for a changed runner.
        EngineError: for whatever the runner reports.
        KeyboardInterrupt: if it was interrupted.
    """
    options = ["--preset", preset, *(word for name in scenarios for word in ("--scenario", name))]
    options += [word for name, value in (own_rules or {}).items() for word in (f"--{name}", str(value))]
    options += ["--layers"] * layers + ["--without-argmax"] * without_argmax
    run_engines("bench", bundle, out, progress, backend, engines, threads, prebuilt, options)
    return open_bench(out)
