from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from PIL import Image

from segeval.classes import CITYSCAPES
from segeval.datasets import open_dataset
from segeval.files.encoding import encode
from segeval.files.images import RgbImage, save_png
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, AttackSpec, CraftConfig, Norms, TaskRecord
from segeval.files.storage import sha256_file, write_atomic
from segeval.graphs.export import export_fp32
from segeval.metrics import AttackCounts
from segeval.models import Segmenter, load_model
from tests.random_networks import batch_of, random_network, save_weights

HEIGHT, WIDTH = 64, 128
NETWORKS = ("espnet-synthetic", "fast-scnn-synthetic")

Victims = dict[str, Segmenter]
MakeSet = Callable[..., Path]


def picture(seed: int) -> RgbImage:
    """Blocks of random colours with some noise, so that a random network sees edges and gives several labels."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 246, (HEIGHT // 16, WIDTH // 16, 3)), np.ones((16, 16, 1)))
    return (blocks + rng.integers(0, 10, blocks.shape)).astype(np.uint8)


@pytest.fixture(scope="session")
def pictures() -> list[RgbImage]:
    return [picture(seed) for seed in range(6)]


@pytest.fixture(scope="session")
def victims(tmp_path_factory: pytest.TempPathFactory, pictures: list[RgbImage]) -> Victims:
    """Each architecture with random weights that were saved to a file."""
    folder = tmp_path_factory.mktemp("weights")
    batch = batch_of(pictures)
    files = {name: folder / f"{name}.safetensors" for name in NETWORKS}
    return {
        name: load_model(f"{name}={save_weights(random_network(name, batch).network, file)}")
        for name, file in files.items()
    }


@pytest.fixture(scope="session")
def exported(victims: Victims) -> dict[str, ModelProto]:
    """The fp32 file of each architecture. Not to be changed."""
    return {name: export_fp32(victim, HEIGHT, WIDTH) for name, victim in victims.items()}


@dataclass(frozen=True)
class Trained:
    """The fp32 files of the bundled networks, by name, scenes for them, and others to calibrate on. Not to be changed.

    Their labels lead by more than those of random weights, most of which rounding to fp16 decides.
    """

    files: dict[str, ModelProto]
    scenes: list[RgbImage]
    calibration: list[RgbImage]


@pytest.fixture(scope="session")
def trained() -> Trained:
    size = (128, 256)
    test, train = (open_dataset("synthetic", None, split, size) for split in ("test", "train"))
    files = {name: export_fp32(load_model(name), *size) for name in NETWORKS}
    return Trained(files, [test[n].image for n in range(2)], [train[n].image for n in range(3)])


@pytest.fixture
def make_set(tmp_path: Path, victims: Victims) -> MakeSet:
    """Write a finished adversarial set of the pictures at these seeds, one sample per picture and network.

    The data set it claims to come from is `folder` at `root`; without one there is none to be calibrated on.
    """

    def make(seeds: range = range(3), root: Path | None = None, networks: tuple[str, ...] = NETWORKS) -> Path:
        folder = SetFolder(tmp_path / "set")
        samples = []
        for seed in seeds:
            image = picture(seed)
            noise = np.random.default_rng(seed).integers(-3, 4, image.shape)
            crafted = np.clip(image.astype(int) + noise, 0, 255).astype(np.uint8)
            files = {
                "clean": save_png(folder.root, f"clean/{seed}.png", image),
                "adversarial": save_png(folder.root, f"adversarial/{seed}.png", crafted),
                "truth": save_png(folder.root, f"truth/{seed}.png", image[..., 0] % 19),
                "phi": save_png(folder.root, f"phi/{seed}.png", np.full(image.shape[:2], 255, np.uint8)),
            }
            for name in networks:
                counts = {name: AttackCounts(1, 0)}
                id = f"{seed}/task/fgsm-full/{name}"
                norms = Norms(1.0, 1.0, 1.0, 3)
                samples.append(
                    AdversarialSample(
                        id, str(seed), "task", "fgsm-full", (name,), 0, 0, norms, counts, counts, files, ()
                    )
                )
        write_atomic(folder.samples_path, b"".join(encode(sample) + b"\n" for sample in samples))
        config = CraftConfig("folder", networks, data_root=str(root) if root else None)
        manifest = AdversarialSet(
            config=config,
            table=CITYSCAPES,
            height=HEIGHT,
            width=WIDTH,
            images=tuple(str(seed) for seed in seeds),
            models=tuple(victims[name].record for name in networks),
            attacks=(AttackSpec("fgsm", "default", "full", 1, "best", None, 2.0, {}),),
            tasks=(TaskRecord("task", (13,), 0),),
            versions={},
            revision="",
            complete=True,
            sample_count=len(samples),
            samples_sha256=sha256_file(folder.samples_path),
        )
        folder.write_manifest(manifest)
        return folder.root

    return make


@pytest.fixture
def dataset_root(tmp_path: Path) -> Path:
    """A `folder` data set whose train split holds pictures 0 to 9 under names of their own."""
    root = tmp_path / "dataset"
    for split, seeds in (("train", range(10)), ("test", range(3))):
        (root / split / "images").mkdir(parents=True)
        for seed in seeds:
            Image.fromarray(picture(seed)).save(root / split / "images" / f"{split}-{seed}.png")
    (root / "classes.txt").write_text("cityscapes\n")
    return root
