"""A replay by the runner over a bare loop of the same engine on the same arrays, both with one thread.

The replay reads and hashes the bundle, checks, compresses and writes every label map; both open the engine.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from segeval.deploy import deploy
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.craft import Crafter
from segeval.progress import silent
from segeval_runner.backends import Settings, load_backend
from segeval_runner.backends.onnx_runtime import open_session, session_options
from segeval_runner.bundle import Bundle
from segeval_runner.progress import Progress
from segeval_runner.replay import Options, job_of, replay

from .crafting_bench import SIZE
from .networks import ESPNET, FAST_SCNN
from .record import Measured
from .timing import interleaved

TARGET = 1 / 0.97


class Silent(Progress):
    """No progress."""

    def update(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""


def write_bundle(root: Path, model: str, images: int) -> Path:
    """An fp32 bundle of that many clean and adversarial images."""
    config = CraftConfig("synthetic", (model,), ("fgsm",), ("full",), limit=images, steps=1, size=SIZE)
    Crafter(config, root / "set").run(False, silent)
    deploy(root / "set", root / "bundle", precisions=["fp32"])
    return root / "bundle"


def measure(quick: bool) -> Iterator[Measured]:
    """Fast-SCNN, and ESPNet besides."""
    for model in [FAST_SCNN] if quick else [FAST_SCNN, ESPNET]:
        with TemporaryDirectory(prefix="segeval-bench-") as folder:
            yield from measured(Path(folder), model, 8 if quick else 48, 3 if quick else 7)


def measured(root: Path, model: str, images: int, rounds: int) -> Iterator[Measured]:
    """Both on one bundle."""
    bundle = Bundle(write_bundle(root, model, images))
    (engine,) = bundle.manifest.engines
    arrays = [bundle.image(index)[None] for index in engine.indices()]
    job = job_of(bundle, engine, load_backend("onnxruntime"))
    options = Options(bundle.root, root / "replay", "onnxruntime", (), 0, Settings(1, root / "cache"))

    def ours() -> None:
        shutil.rmtree(options.out, ignore_errors=True)
        replay(options, Silent())

    def floor() -> None:
        session = open_session(job, session_options(1), ["CPUExecutionProvider"])
        for array in arrays:
            session.run(["labels"], {"image": array})

    found = interleaved(ours, floor, rounds)
    case = f"{model}, fp32, {len(arrays)} images of {SIZE[0]}×{SIZE[1]}"
    yield Measured("replay", case, found.ours, found.floor, found.ratio, wall=found.wall, target=TARGET)
    outside = 1000 * (found.ours - found.floor) / len(arrays)
    yield Measured("replay", f"{case}: CPU time outside the engine, per image", outside, unit="ms")
