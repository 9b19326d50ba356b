"""What many label maps and samples cost: memory, time, sizes of files.

    python -m benchmarks.scale memory --count 10000 --height 64
    python -m benchmarks.scale opening --samples 100000

`memory` writes, for each count, a real set and a real replay with that many label maps, all different (the PNG files of
the set are those of a few scenes), evaluates them in a process of its own, and prints that process's peak of resident
memory, its time and the sizes of what it read and wrote. `opening` prints how long it takes to open a set, and to read
all its records. Linux only: peaks are read from /proc.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.bench.alone import alone
from benchmarks.bench.made_runs import prepare, write_set
from segeval.evaluate import evaluate
from segeval.files.set_folder import SetFolder

commands = typer.Typer()


def evaluated(root: Path, workers: int) -> None:
    """Evaluate what `prepare` wrote."""
    evaluate(root / "set", [root / "replay"], root / "report", workers=workers)


@commands.command()
def memory(
    count: Annotated[list[int], typer.Option(help="Label maps; repeatable.")] = [1000, 10_000],  # noqa: B006
    height: Annotated[int, typer.Option(help="Of a label map in pixels; it is twice as wide.")] = 512,
    workers: Annotated[int, typer.Option(help="Processes; the peak and the CPU time are those of the first.")] = 1,
) -> None:
    """Peak memory of an evaluation over the number of its label maps."""
    for maps in count:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            alone(prepare, root, maps, height)
            written = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
            spent, peak = alone(evaluated, root, workers)
            sizes = ", ".join(f"{path.relative_to(root)} {path.stat().st_size / 2**20:.1f}" for path in large(root))
        size = f"{maps} label maps of {height}x{2 * height} ({written / 2**20:.0f} MiB on disk)"
        typer.echo(f"{size}: peak {peak:.0f} MiB, {spent.wall:.0f} s, {spent.cpu:.0f} s of CPU time")
        typer.echo(f"MiB: {sizes}")


def large(root: Path) -> list[Path]:
    """The files that grow with the number of label maps, the largest first."""
    files = [path for folder in ("set", "replay", "report") for path in (root / folder).rglob("*.*")]
    return sorted(
        (path for path in files if path.is_file() and path.suffix not in (".png", ".npy")),
        key=lambda path: -path.stat().st_size,
    )


@commands.command()
def opening(
    samples: Annotated[int, typer.Option(help="Samples of the set, of one image each.")] = 100_000,
    height: Annotated[int, typer.Option(help="Of a label map in pixels; it is twice as wide.")] = 64,
) -> None:
    """Seconds to open a set of many samples: its manifest, the proof that its records are whole, and all records."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_set(root, [f"image-{number:06}" for number in range(samples)], height)
        opened = SetFolder(root)
        parts: dict[str, Callable[[], object]] = {
            "manifest": opened.manifest,
            "manifest and hash of samples.jsonl": opened.complete_manifest,
            "every record": lambda: sum(1 for _ in opened.samples()),
        }
        manifest, records = (path.stat().st_size / 2**20 for path in (opened.manifest_path, opened.samples_path))
        typer.echo(f"{samples} samples: set.json {manifest:.1f} MiB, samples.jsonl {records:.1f} MiB")
        for name, work in parts.items():
            started, used = time.perf_counter(), time.process_time()
            work()
            wall, cpu = time.perf_counter() - started, time.process_time() - used
            typer.echo(f"{name}: {wall:.2f} s, {cpu:.2f} s of CPU time")


if __name__ == "__main__":
    commands()
