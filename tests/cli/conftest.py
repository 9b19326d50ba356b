"""The command line on a tiny world: three images with labels, and a network with random weights.

Messages are tested in this process, which has torch in memory already; what depends on a process of its own (exit,
signals, streams, a full disk, the whole chain) is tested with one.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from segeval.classes import CITYSCAPES
from segeval.cli import run
from segeval.files.set_folder import SetFolder
from segeval.models import load_model
from segeval.models.soundness import predict
from tests.random_networks import batch_of, never_says, random_network, save_weights
from tests.rounding import settle

HEIGHT, WIDTH = 64, 128
COMMAND = [sys.executable, "-m", "segeval"]


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class World:
    """data: a `folder` dataset.   weights: for `espnet-synthetic`.   task: one that finds source pixels in it."""

    data: Path
    weights: Path
    task: str

    @property
    def model(self) -> str:
        return f"espnet-synthetic={self.weights}"

    @property
    def crafting(self) -> tuple[str, ...]:
        """Options of a craft that is over soon."""
        dataset = ("--dataset", "folder", "--data-root", str(self.data), "--limit", "2")
        return (*dataset, "--model", self.model, "--task", self.task, "--steps", "2")


Call = Callable[..., Ended]


def picture(seed: int) -> NDArray[np.uint8]:
    """Blocks of random colours with some noise, so that a random network gives several labels."""
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 246, (HEIGHT // 16, WIDTH // 16, 3)), np.ones((16, 16, 1)))
    return (blocks + rng.integers(0, 10, blocks.shape)).astype(np.uint8)


def save(root: Path, split: str, images: Mapping[str, NDArray[np.uint8]]) -> None:
    for name, image in images.items():
        for kind, pixels in (("images", image), ("masks", image[..., 0] % len(CITYSCAPES))):
            path = root / split / kind / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)


def random_weights(path: Path) -> None:
    """Random weights that never give the class `train`."""
    network = random_network("espnet-synthetic", batch_of([picture(seed) for seed in range(4)])).network
    never_says(network.state_dict()["classifier.weight"], CITYSCAPES.names.index("train"))
    save_weights(network, path)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("world")
    data, weights = root / "data", root / "weights.safetensors"
    save(data, "test", {f"test-{seed}": picture(seed) for seed in range(3)})
    save(data, "train", {f"train-{seed}": picture(seed) for seed in range(10, 18)})
    (data / "classes.txt").write_text("cityscapes\n")
    random_weights(weights)
    network = load_model(f"espnet-synthetic={weights}")
    most = CITYSCAPES.names[np.bincount(predict(network, picture(0)).ravel()).argmax()]
    return World(data, weights, f"{most}:{'sky' if most == 'road' else 'road'}")


ONE_ATTACK = {"SEGEVAL_CRAFT_ATTACK": "tanh"}
"""Instead of the default suite, where a test names no attack."""


def clean_environment() -> dict[str, str]:
    """The variables of this process without those that segeval or Rich would heed."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SEGEVAL_")}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        ours.pop(name, None)
    return {**ours, "OMP_NUM_THREADS": "1", **ONE_ATTACK}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(name)
    for name, value in ONE_ATTACK.items():
        monkeypatch.setenv(name, value)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # for images as small as these more threads are slower, the more so on a busy machine
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command line in this process."""

    def called(*arguments: object) -> Ended:
        capfd.readouterr()
        at_interrupt = signal.getsignal(signal.SIGINT)
        try:
            code = run([str(argument) for argument in arguments])
        finally:
            signal.signal(signal.SIGINT, at_interrupt)
        return Ended(code, *capfd.readouterr())

    return called


LeastSurvival = Callable[..., float]


@pytest.fixture(scope="session")
def least_survival() -> LeastSurvival:
    """Mean over images of the share of what an attack won that no rounding in fp32 takes back on any engine."""

    def found(root: Path, file: Path, model: str, victims: tuple[str, ...]) -> float:
        folder, network = SetFolder(root), onnx.load(file)
        (task,) = folder.manifest().tasks
        shares = []
        for sample in folder.samples():
            predicted = folder.labels(sample.files[f"adversarial_prediction:{model}"])
            won = folder.mask(sample.files["phi"]) & (predicted == task.target)
            if sample.victims == victims and won.any():
                shares.append(settle(network, folder.image(sample.files["adversarial"]), "fp32").where[won].mean())
        return float(np.mean(shares))

    return found


@pytest.fixture(scope="session")
def spawn() -> Call:
    """Run a command line in a process of its own."""

    def spawned(*arguments: object, cwd: Path | None = None) -> Ended:
        command = [*COMMAND, *map(str, arguments)]
        done = subprocess.run(
            command, cwd=cwd, env=clean_environment(), capture_output=True, text=True, check=False, timeout=300
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return spawned
