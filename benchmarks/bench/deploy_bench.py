"""Export, calibration with its memory, and a whole deployment with its checks, stage by stage."""

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from numpy.typing import NDArray

from segeval.datasets import open_dataset
from segeval.deploy import deploy
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.craft import Crafter
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.models import load_model
from segeval.progress import silent
from segeval_runner.backends.onnx_runtime import import_engine, session_options

from .alone import alone
from .networks import FAST_SCNN
from .record import Measured
from .timing import spent

SIZE = (512, 1024)
SMALL = (256, 512)
MOST_MEMORY = 700e6 / 2**20


def scene(number: int) -> NDArray:  # type: ignore[type-arg]
    """An image (H, W, 3) of the train split."""
    return open_dataset("synthetic", None, "train", SIZE)[number].image


def calibrate(path: Path, images: int) -> None:
    """Quantize a file."""
    to_int8(onnx.load(path), (scene(number) for number in range(images)), CalibrationSpec())


def run(path: Path, images: int) -> None:
    """The bare passes that a calibration makes: each image once, drawn as a calibration draws it."""
    session = import_engine().InferenceSession(str(path), session_options(1), providers=["CPUExecutionProvider"])
    for number in range(images):
        session.run(["labels"], {"image": scene(number)[None]})


def measure(quick: bool) -> Iterator[Measured]:
    """Fast-SCNN at 512×1024; the deployment of 2 images at 256×512."""
    images = 8 if quick else 32
    with TemporaryDirectory(prefix="segeval-bench-") as folder:
        path = Path(folder) / "fp32.onnx"
        network = load_model(FAST_SCNN)
        exported = spent(lambda: onnx.save(export_fp32(network, *SIZE), path))
        yield Measured("deploy", f"export of {FAST_SCNN} at 512×1024", exported.cpu)
        ours, floor = alone(calibrate, path, images), alone(run, path, images)
        case = f"calibration on {images} images of 512×1024"
        ratio, wall = ours.spent.cpu / floor.spent.cpu, ours.spent.wall / floor.spent.wall
        yield Measured("deploy", case, ours.spent.cpu, floor.spent.cpu, ratio, wall=wall)
        yield Measured("deploy", f"{case}, peak memory", ours.peak, unit="MiB", target=MOST_MEMORY)
        if not quick:
            yield from stages(Path(folder))


def stages(root: Path) -> Iterator[Measured]:
    """What `segeval deploy` says that it does, by the clock."""
    config = CraftConfig("synthetic", (FAST_SCNN,), ("fgsm",), ("full",), limit=2, steps=1, size=SMALL)
    Crafter(config, root / "set").run(False, silent)
    begun: dict[str, float] = {}

    def tick(stage: str, done: int, total: int) -> None:
        begun.setdefault(stage, time.perf_counter())

    deploy(root / "set", root / "bundle", progress=tick)
    ends = [*list(begun.values())[1:], time.perf_counter()]
    for (stage, start), end in zip(begun.items(), ends, strict=True):
        yield Measured("deploy", f"deploy: {stage}, by the clock", end - start)
