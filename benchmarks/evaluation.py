"""What evaluating costs: memory over the number of label maps, and the metrics beside one np.bincount pass.

    python benchmarks/evaluation.py memory --count 1000 --count 10000
    python benchmarks/evaluation.py memory --count 100000 --height 64
    python benchmarks/evaluation.py opening --samples 100000
    python benchmarks/evaluation.py speed

`memory` writes, for each count, a real set and a real replay with that many label maps of 512×1024, all different (the
PNG files of the set are those of a few scenes), and evaluates them by `segeval.evaluate.evaluate` in a process of its
own; it prints that process's peak of resident memory, its time and the sizes of what it read and wrote. `opening`
prints how long it takes to open a set, and to read all its records. `speed` prints how fast the metrics are relative
to one np.bincount pass over the same arrays. Linux only: peaks are read from /proc.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated, TypeVar

import numpy as np
import typer

from segeval.classes import CAMVID, TASKS
from segeval.evaluate import evaluate
from segeval.evaluate.measure.survival import LabelMaps, count_sample
from segeval.files.encoding import encode
from segeval.files.images import save_png
from segeval.files.npy import save_npy
from segeval.files.replays import Environment, ReplayedEngine, ReplayRecord
from segeval.files.set_folder import SetFolder
from segeval.files.sets import (
    AdversarialSample,
    AdversarialSet,
    AttackSpec,
    CraftConfig,
    ModelRecord,
    Norms,
    Step,
    TaskRecord,
)
from segeval.files.storage import sha256_file, write_atomic
from segeval.goals import source_mask
from segeval.metrics import ConfusionMatrix, Labels, count_attack
from segeval_runner.recording import Recording

SCENES = 8
STEPS = 50
MODEL, ENGINE = "network", "network.int8"
TASK = TaskRecord("vehicle-to-road", *TASKS["vehicle-to-road"].resolve(CAMVID))
TARGET = TASK.target or 0
ATTACK = AttackSpec("fgsm", "default", "full", STEPS, "best", None, 2.0, {})
ROUNDS = 15

Found = TypeVar("Found")

commands = typer.Typer(add_completion=False, help=__doc__)


def scene(rng: np.random.Generator, height: int) -> Labels:
    """A label map twice as wide as high: 8×16 blocks, as flat as a street scene, and some objects."""
    blocks = rng.integers(0, len(CAMVID), (8, 16), np.uint8)
    return scattered(rng, np.kron(blocks, np.ones((height // 8, height // 8), np.uint8)), 30)


def scattered(rng: np.random.Generator, labels: Labels, patches: int) -> Labels:
    """`labels` with rectangles of other classes, of up to a twelfth of their height."""
    changed = labels.copy()
    most = labels.shape[0] // 12
    for y, x, height, width, label in rng.integers(0, (*labels.shape, most, most, len(CAMVID)), (patches, 5)):
        changed[y : y + height, x : x + width] = label
    return changed


def sample_id(image: str) -> str:
    """The sample of an image."""
    return f"{image}/{TASK.name}/{ATTACK.label}/{MODEL}"


class Scene:
    """One scene of the set: its label maps, and the records that every sample of it shares."""

    def __init__(self, folder: SetFolder, number: int, height: int) -> None:
        rng = np.random.default_rng(number)
        truth = scene(rng, height)
        self.clean = scattered(rng, truth, 20)
        self.phi = source_mask(self.clean, TASK.sources)
        won = self.phi & (rng.random(self.phi.shape) < 0.8)
        self.adversarial = np.where(won, TARGET, self.clean).astype(np.uint8)
        self.counts = count_attack(self.adversarial, self.phi, TASK.goal, truth)
        self.clean_counts = count_attack(self.clean, self.phi, TASK.goal, truth)
        margins = np.where(won[self.phi], 1, -1) * rng.uniform(0.1, 5, int(self.phi.sum()))
        image = np.repeat(truth[..., None] * np.uint8(20), 3, axis=2)
        pixels = {
            "clean": image,
            "adversarial": image,
            "truth": truth,
            "phi": self.phi * np.uint8(255),
            f"prediction:{MODEL}": self.clean,
            f"adversarial_prediction:{MODEL}": self.adversarial,
        }
        self.files = {
            key: save_png(folder.root, f"{number}/{place}.png", array)
            for place, (key, array) in enumerate(pixels.items())
        }
        self.files[f"margin:{MODEL}"] = save_npy(folder.root, f"{number}/margin.npy", margins.astype(np.float16))

    def sample(self, image: str) -> AdversarialSample:
        """The record of an image that shows this scene."""
        counts = {MODEL: self.counts}
        return AdversarialSample(
            id=sample_id(image),
            image=image,
            task=TASK.name,
            attack=ATTACK.label,
            victims=(MODEL,),
            seed=0,
            best_step=STEPS - 1,
            norms=Norms(1.0, 1.0, 1000.0, 2),
            counts=counts,
            clean_counts={MODEL: self.clean_counts},
            files=self.files,
            curve=tuple(Step(0.02 * step, 0.02 * step, counts) for step in range(STEPS)),
        )


def write_set(root: Path, images: list[str], height: int) -> list[Scene]:
    """A set with one sample of each image. Gives its scenes; image i shows scene i modulo their number."""
    folder = SetFolder(root)
    scenes = [Scene(folder, number, height) for number in range(SCENES)]
    for start in range(0, len(images), 100):
        folder.append(
            scenes[place % SCENES].sample(images[place]) for place in range(start, min(start + 100, len(images)))
        )
    folder.write_manifest(
        AdversarialSet(
            config=CraftConfig("benchmark", (MODEL,)),
            table=CAMVID,
            height=height,
            width=2 * height,
            images=tuple(images),
            models=(ModelRecord(MODEL, CAMVID.name, CAMVID.names, "", "0" * 64),),
            attacks=(ATTACK,),
            tasks=(TASK,),
            versions={},
            revision="",
            complete=True,
            sample_count=len(images),
            samples_sha256=sha256_file(folder.samples_path),
        )
    )
    return scenes


def write_replay(root: Path, set_root: Path, images: list[str], scenes: list[Scene]) -> None:
    """A replay of every clean and adversarial image, each with a label map of its own."""
    rng = np.random.default_rng(0)
    shown = [(image, scenes[place % SCENES]) for place, image in enumerate(images)]
    inputs = [(f"clean/{image}", own.clean) for image, own in shown]
    inputs += [(f"adversarial/{sample_id(image)}", own.adversarial) for image, own in shown]
    with Recording(root / ENGINE, [key for key, _ in inputs], 1) as recording:
        for key, labels in inputs:
            recording.append(key, scattered(rng, labels, 40), 10.0)
    environment = Environment("", "", "", "", "", "a processor", 2, 1, {})
    engine = ReplayedEngine(
        name=ENGINE,
        model=MODEL,
        precision="int8",
        backend="onnxruntime",
        backend_version="",
        height=scenes[0].phi.shape[0],
        width=scenes[0].phi.shape[1],
        batch=1,
        classes=len(CAMVID),
        folder=ENGINE,
        inputs=len(inputs),
        complete=True,
        warmup=0,
        load_ms=0.0,
    )
    record = ReplayRecord("0" * 64, sha256_file(set_root / "set.json"), environment, (engine,))
    write_atomic(root / "replay.json", encode(record))


def prepare(root: Path, maps: int, height: int) -> None:
    """Write a set and a replay with `maps` label maps of this height below `root`."""
    images = [f"image-{number:06}" for number in range(maps // 2)]
    write_replay(root / "replay", root / "set", images, write_set(root / "set", images, height))


def peak_megabytes() -> float:
    """The most memory that this process has had resident so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(root: Path) -> tuple[float, float, float]:
    """Evaluate what `prepare` wrote; peak in MiB, seconds by the clock and of the processor.

    In a process of its own, or the peak is of others too.
    """
    started, used = time.perf_counter(), time.process_time()
    evaluate(root / "set", [root / "replay"], root / "report")
    return peak_megabytes(), time.perf_counter() - started, time.process_time() - used


def alone(work: Callable[..., Found], *arguments: object) -> Found:
    """What `work` gives in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


@commands.command()
def memory(
    count: Annotated[list[int], typer.Option(help="Label maps; repeatable.")] = [1000, 10_000],  # noqa: B006
    height: Annotated[int, typer.Option(help="Of a label map in pixels; it is twice as wide.")] = 512,
) -> None:
    """Peak memory of an evaluation over the number of its label maps."""
    for maps in count:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            alone(prepare, root, maps, height)
            written = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
            peak, seconds, cpu = alone(measure, root)
            sizes = ", ".join(f"{path.relative_to(root)} {path.stat().st_size / 2**20:.1f}" for path in large(root))
        size = f"{maps} label maps of {height}x{2 * height} ({written / 2**20:.0f} MiB on disk)"
        typer.echo(f"{size}: peak {peak:.0f} MiB, {seconds:.0f} s, {cpu:.0f} s of CPU time")
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
        parts = {
            "manifest": opened.manifest,
            "manifest and hash of samples.jsonl": opened.complete_manifest,
            "every record": lambda: sum(1 for _ in opened.samples()),
        }
        sizes = (opened.manifest_path.stat().st_size, opened.samples_path.stat().st_size)
        typer.echo(
            "{} samples: set.json {:.1f} MiB, samples.jsonl {:.1f} MiB".format(samples, *(s / 2**20 for s in sizes))
        )
        for name, work in parts.items():
            used = time.process_time()
            seconds = seconds_of(work)
            typer.echo(f"{name}: {seconds:.2f} s, {time.process_time() - used:.2f} s of CPU time")


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@commands.command()
def speed() -> None:
    """The metrics' speed relative to one np.bincount pass over the arrays that they look at."""
    rng = np.random.default_rng(0)
    truth = scene(rng, 512)
    clean, adversarial, engine_clean, engine_adversarial = (scattered(rng, truth, 40) for _ in range(4))
    maps = LabelMaps(source_mask(clean, TASK.sources), truth, clean, adversarial, engine_clean, engine_adversarial)
    with tempfile.TemporaryDirectory() as folder:
        sample = Scene(SetFolder(Path(folder)), 0, 512).sample("image")
    matrix = ConfusionMatrix(len(CAMVID))
    arrays = [maps.phi.view(np.uint8), truth, clean, adversarial, engine_clean, engine_adversarial]

    def confusion() -> None:
        matrix.update(truth, engine_clean)

    compare("ConfusionMatrix.update", confusion, "its 2 arrays", lambda: each_counted([truth, engine_clean]))
    compare("ConfusionMatrix.update", confusion, "truth * 11 + prediction", lambda: pairs_counted(truth, engine_clean))
    counting = partial(count_sample, sample, TASK, MODEL, ENGINE, maps)
    compare("count_sample", counting, "its 6 arrays", lambda: each_counted(arrays))


def each_counted(arrays: list[Labels]) -> None:
    """One pass of np.bincount over each array."""
    for array in arrays:
        np.bincount(array.ravel())


def pairs_counted(truth: Labels, prediction: Labels) -> None:
    """The shortest way to a confusion matrix, for labels that are all in the table."""
    np.bincount((truth.astype(np.intp) * len(CAMVID) + prediction).ravel())


def compare(name: str, work: Callable[[], object], what: str, floor: Callable[[], object]) -> None:
    """Print the medians of both, measured alternately, since other work on the machine would decide the ratio."""
    pairs = [(seconds_of(work), seconds_of(floor)) for _ in range(ROUNDS)]
    own, least = (1000 * median(pair[place] for pair in pairs) for place in (0, 1))
    typer.echo(f"{name} {own:.2f} ms, np.bincount of {what} {least:.2f} ms: {least / own:.2f} of its speed")


if __name__ == "__main__":
    commands()
