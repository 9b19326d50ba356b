"""A small world to craft in: pictures with ground truth on disk, and a victim with random weights in a file."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from segeval.classes import CITYSCAPES
from segeval.files.encoding import encode
from segeval.files.set_folder import SetFolder
from segeval.files.sets import CraftConfig, Scope
from segeval.generate.attacks.problem import Problem
from segeval.generate.crafting.craft import Crafter
from segeval.goals import Goal
from segeval.models import Segmenter
from segeval.models.loading import load_spec
from segeval.models.soundness import predict
from segeval.progress import silent
from tests.random_networks import batch_of, never_says, random_network, save_weights

HEIGHT, WIDTH = 64, 96
MODEL = "espnet-synthetic"


def picture(seed: int) -> NDArray[np.uint8]:
    """Blocks of random colours with some noise, so that a random network sees edges and gives several labels."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 246, (HEIGHT // 16, WIDTH // 16, 3)), np.ones((16, 16, 1)))
    return (blocks + rng.integers(0, 10, blocks.shape)).astype(np.uint8)


def random_victim(pictures: list[NDArray[np.uint8]]) -> Segmenter:
    """The network with random weights. It never predicts the last class."""
    segmenter = random_network(MODEL, batch_of(pictures))
    never_says(segmenter.network.state_dict()["classifier.weight"], len(CITYSCAPES) - 1)
    return segmenter


@dataclass(frozen=True)
class World:
    """config: crafts a few pictures quickly.   absent: a class that is never predicted."""

    config: CraftConfig
    victim: Segmenter
    absent: str

    def craft(self, out: Path, resume: bool = False, progress: Any = silent, **changes: Any) -> SetFolder:
        Crafter(replace(self.config, **changes), out).run(resume, progress)
        return SetFolder(out)


def write_dataset(root: Path, count: int) -> list[NDArray[np.uint8]]:
    """A `folder` data set of so many pictures with random ground truth; returns the pictures."""
    pictures = [picture(seed) for seed in range(count)]
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number, image in enumerate(pictures):
        labels = np.random.default_rng(number).choice([*range(len(CITYSCAPES)), 255], (HEIGHT, WIDTH))
        Image.fromarray(image).save(root / f"images/{number}.png")
        Image.fromarray(labels.astype(np.uint8)).save(root / f"masks/{number}.png")
    (root / "classes.txt").write_text("cityscapes\n")
    return pictures


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    pictures = write_dataset(root, 3)
    victim = random_victim(pictures)
    weights = save_weights(victim.network, root / "weights.safetensors")
    predicted = np.stack([predict(victim, image) for image in pictures])
    counts = np.bincount(predicted.ravel(), minlength=len(CITYSCAPES))
    # A random network predicts what it likes: the second to fourth most common classes are to become the first.
    target, *sources = (CITYSCAPES.names[index] for index in np.argsort(-counts)[:4])
    config = CraftConfig(
        dataset="folder",
        models=(f"{MODEL}={weights}",),
        attacks=("fgsm", "tanh"),
        scopes=("local", "full"),
        tasks=(f"{','.join(sources)}:{target}",),
        data_root=str(root),
        steps=3,
        batch_size=2,
    )
    return World(config, victim, CITYSCAPES.names[-1])


@pytest.fixture(scope="session")
def several_classes() -> Callable[..., Problem]:
    """Three random images under a small network of 19 classes, the four most common of which are sources."""

    def make(scope: Scope, dtype: torch.dtype = torch.float32) -> Problem:
        generator = torch.Generator().manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 19, 3, padding=1))
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        segmenter = Segmenter(load_spec(MODEL), network).to(dtype)
        clean = torch.rand(3, 3, 16, 24, generator=generator).to(dtype)
        predicted = segmenter(clean).argmax(1)
        target, *sources = torch.bincount(predicted.flatten()).argsort(descending=True)[:5].tolist()
        phi = torch.isin(predicted, torch.tensor(sources))
        return Problem(clean, predicted, phi, Goal(tuple(sources), target), scope, (segmenter,), (1, 2, 3), 9)

    return make


@pytest.fixture(scope="session")
def make_dataset() -> Callable[[Path, int], object]:
    return write_dataset


@pytest.fixture(scope="session")
def tree() -> Callable[..., dict[str, bytes]]:
    """Every file below a folder. The manifest's git revision is left out: somebody may commit between two runs."""

    def read(folder: SetFolder, manifest: bool = True) -> dict[str, bytes]:
        root = folder.root
        found = {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        found["set.json"] = encode(replace(folder.manifest(), revision="")) if manifest else b""
        return found

    return read
