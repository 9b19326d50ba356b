"""A real set and a real replay with any number of label maps, all different, of a few made scenes."""

from pathlib import Path

import numpy as np

from segeval.classes import CAMVID, TASKS
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
from segeval.metrics import Labels, count_attack
from segeval_runner.recording import Recording

SCENES = 8
STEPS = 50
MODEL, ENGINE = "network", "network.int8"
TASK = TaskRecord("vehicle-to-road", *TASKS["vehicle-to-road"].resolve(CAMVID))
TARGET = TASK.target or 0
ATTACK = AttackSpec("fgsm", "default", "full", STEPS, "best", None, 2.0, {})


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
