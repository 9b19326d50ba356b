"""The metrics over one pass of np.bincount, and a whole evaluation."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from segeval.classes import CAMVID
from segeval.evaluate import evaluate
from segeval.evaluate.measure.survival import LabelMaps, count_sample
from segeval.files.set_folder import SetFolder
from segeval.goals import source_mask
from segeval.metrics import ConfusionMatrix, Labels

from .made_runs import ENGINE, MODEL, TASK, Scene, prepare, scattered, scene
from .record import Measured
from .timing import interleaved, spent

TARGET = 1 / 0.6
HEIGHT = 512


def each_counted(arrays: list[Labels]) -> None:
    """One pass of np.bincount over each array."""
    for array in arrays:
        np.bincount(array.ravel())


def pairs_counted(truth: Labels, prediction: Labels) -> None:
    """The shortest way to a confusion matrix, for labels that are all in the table."""
    np.bincount((truth.astype(np.intp) * len(CAMVID) + prediction).ravel())


def metrics() -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """Each metric on label maps of 512×1024, and its floor."""
    rng = np.random.default_rng(0)
    truth = scene(rng, HEIGHT)
    clean, adversarial, engine_clean, engine_adversarial = (scattered(rng, truth, 40) for _ in range(4))
    maps = LabelMaps(source_mask(clean, TASK.sources), truth, clean, adversarial, engine_clean, engine_adversarial)
    with TemporaryDirectory() as folder:
        sample = Scene(SetFolder(Path(folder)), 0, HEIGHT).sample("image")
    matrix = ConfusionMatrix(len(CAMVID))

    def confusion() -> None:
        matrix.update(truth, engine_clean)

    both = [truth, engine_clean]
    yield "ConfusionMatrix.update, by np.bincount of both arrays", confusion, lambda: each_counted(both)
    yield "ConfusionMatrix.update, by np.bincount of pairs", confusion, lambda: pairs_counted(truth, engine_clean)
    arrays = [maps.phi.view(np.uint8), truth, clean, adversarial, engine_clean, engine_adversarial]
    counting: Callable[[], object] = partial(count_sample, sample, TASK, MODEL, ENGINE, maps)
    yield "count_sample, by np.bincount of its 6 arrays", lambda: (counting(), None)[1], lambda: each_counted(arrays)


def measure(quick: bool) -> Iterator[Measured]:
    """Metrics, and `segeval evaluate` of label maps of 256×512."""
    for case, ours, floor in metrics():
        found = interleaved(ours, floor, 7 if quick else 15)
        yield Measured("evaluate", case, found.ours, found.floor, found.ratio, wall=found.wall, target=TARGET)
    maps = 40 if quick else 200
    with TemporaryDirectory(prefix="segeval-bench-") as folder:
        root = Path(folder)
        prepare(root, maps, HEIGHT // 2)
        took = spent(lambda: evaluate(root / "set", [root / "replay"], root / "report"))
    yield Measured("evaluate", f"segeval evaluate of {maps} label maps of 256×512, with the report", took.cpu)
