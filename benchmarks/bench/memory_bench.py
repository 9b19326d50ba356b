"""Peak memory at 8, 64 and 512 images, and whether it stays flat."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from segeval.evaluate import evaluate
from segeval.files.sets import CraftConfig
from segeval.progress import silent

from .alone import alone
from .made_runs import prepare
from .networks import ESPNET
from .record import Measured

SIZE = (64, 128)
COUNTS = (8, 64, 512)
TARGET = 1.05


def craft(root: Path, images: int) -> None:
    """One step of one attack on so many images."""
    from segeval.generate.crafting.craft import Crafter  # PyTorch, which an evaluation does without

    config = CraftConfig(
        "synthetic", (ESPNET,), ("fgsm",), ("full",), tasks=("untargeted",), limit=images, steps=1, size=SIZE
    )
    Crafter(config, root / "crafted").run(False, silent)


def evaluated(root: Path, images: int) -> None:
    """Evaluate a clean and an adversarial label map per image."""
    evaluate(root / "set", [root / "replay"], root / "report")


def measure(quick: bool) -> Iterator[Measured]:
    """Each stage at each number of images; the last over the one before it is the ratio that is held flat."""
    stages: dict[str, Callable[[Path, int], None]] = {"craft": craft, "evaluate": evaluated}
    for name, stage in stages.items():
        before: float | None = None
        for images in COUNTS[:2] if quick else COUNTS:
            with TemporaryDirectory(prefix="segeval-bench-") as folder:
                if name == "evaluate":
                    alone(prepare, Path(folder), 2 * images, 4 * SIZE[0])
                peak = alone(stage, Path(folder), images).peak
            last = images == COUNTS[-1] and before is not None
            case = f"{name}, {images} images" + (f", by the peak of {COUNTS[1]}" if last else "")
            floor, ratio = (before, peak / before) if last and before else (None, None)
            yield Measured("memory", case, peak, floor, ratio, "MiB", target=TARGET if last else None)
            before = peak
