"""A small world to evaluate: an adversarial set and a replay of it, written by the code that writes real ones.

The label maps are random blocks, so that every count is different and nothing in them is accidentally equal.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from segeval.classes import CAMVID, IGNORE, TASKS
from segeval.evaluate import SurvivalReport, evaluate
from segeval.evaluate.measure.survival import LabelMaps
from segeval.files.encoding import encode
from segeval.files.images import save_png
from segeval.files.npy import save_npy
from segeval.files.replays import Environment, Replay, ReplayedEngine, ReplayRecord
from segeval.files.set_folder import SetFolder
from segeval.files.sets import (
    AdversarialSample,
    AdversarialSet,
    AttackSpec,
    CraftConfig,
    FileRecord,
    MadeOn,
    ModelRecord,
    Norms,
    SkippedSample,
    Step,
    TaskRecord,
)
from segeval.files.storage import sha256_file, write_atomic
from segeval.goals import source_mask
from segeval.metrics import Labels, Mask, count_attack
from segeval_runner.recording import Recording

MODEL = "espnet-camvid"
CLASSES = len(CAMVID) + 1
FLIPS = {"fp32": 0.0, "fp16": 0.02, "int8": 0.4, "int8-fp16": 0.5}
ENVIRONMENT = Environment("0.1.0", "3.11.2", "2.4.6", "Linux", "x86_64", "a processor", 2, 2, {"onnxruntime": "1.27.0"})

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--proxy-server=127.0.0.1:9",  # nothing listens there: a request that is made fails, and is an error in the log
)


def blocks(rng: np.random.Generator, size: tuple[int, int], classes: int) -> Labels:
    """A label map of random 8×8 blocks."""
    coarse = rng.integers(0, classes, ((size[0] + 7) // 8, (size[1] + 7) // 8), np.uint8)
    return np.kron(coarse, np.ones((8, 8), np.uint8))[: size[0], : size[1]]


def squares(rng: np.random.Generator, shape: tuple[int, ...], share: float, grain: int) -> Mask:
    """A random mask of squares of `grain` pixels that covers this share of the image."""
    height, width = shape
    drawn = rng.random((-(-height // grain), -(-width // grain))) < share
    mask: Mask = np.kron(drawn, np.ones((grain, grain), np.bool_))[:height, :width]
    return mask


def flipped(rng: np.random.Generator, labels: Labels, share: float, grain: int = 1) -> Labels:
    """`labels` with a share of the squares of `grain` pixels given random classes."""
    other = rng.integers(0, CLASSES, labels.shape, np.uint8)[::grain, ::grain].repeat(grain, 0).repeat(grain, 1)
    changed: Labels = np.where(
        squares(rng, labels.shape, share, grain), other[: len(labels), : labels.shape[1]], labels
    )
    return changed


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.uint8]:
    """An image with the falling spectrum of photographs and a camera's noise; costs more bytes than one of CamVid."""
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    spectrum = np.fft.fft2(rng.standard_normal((3, *size))) / np.maximum(frequency, 1 / max(size)) ** 1.45
    waves = np.fft.ifft2(spectrum).real
    waves[1:] = 0.8 * waves[0] + 0.2 * waves[1:]  # colours go together
    waves = 128 + 55 * waves / waves.std() + rng.normal(0, 2, waves.shape)
    pixels: NDArray[np.uint8] = np.clip(waves, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return pixels


def margins_of(won: Mask, seed: int) -> NDArray[np.float16]:
    """Random margins of pixels, positive where they are won."""
    sizes = np.random.default_rng(seed).exponential(1.5, won.shape) + 2**-10
    return np.where(won, sizes, -sizes).astype(np.float16)


@dataclass
class World:
    """Where the set and its replay are, and the label maps behind every sample and engine."""

    set_root: Path
    replay_root: Path
    manifest: AdversarialSet
    samples: list[AdversarialSample] = field(default_factory=list)
    maps: dict[tuple[str, str], LabelMaps] = field(default_factory=dict)

    def rewrite_replay(self, **changes: object) -> None:
        """Change what replay.json says."""
        record = replace(Replay.open(self.replay_root).record, **changes)  # type: ignore[arg-type]
        write_atomic(self.replay_root / "replay.json", encode(record))


@dataclass(frozen=True)
class Plan:
    """What to build. names: image ids.   unreached: images without success.   done: inputs replayed, None for all.

    photographs: images that compress as photographs do, not noise.   grain: pixels of a random change to a label map.
    on: what every attack is made on; the file is int8.
    """

    names: Sequence[str] = ("a", "b", "c")
    tasks: Sequence[str] = ("vehicle-to-road", "vehicle-to-building")
    attacks: Sequence[tuple[str, str]] = (("fgsm", "full"), ("tanh", "local"))
    on: Sequence[MadeOn] = ("fp32",)
    precisions: Sequence[str] = ("fp32", "fp16", "int8")
    models: Sequence[str] = (MODEL,)
    outputs: tuple[str, ...] = (*CAMVID.names, "background")
    size: tuple[int, int] = (48, 64)
    truth: bool = True
    margins: bool = True
    photographs: bool = False
    grain: int = 1
    unreached: Sequence[str] = ()
    done: int | None = None
    steps: int = 4
    seed: int = 0


@dataclass(frozen=True)
class Picture:
    """An image, its ground truth and their files."""

    number: int
    name: str
    clean: NDArray[np.uint8]
    truth: Labels | None
    files: dict[str, FileRecord]


class Builder:
    """Writes a world as `plan` says."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.plan, self.rng = plan, np.random.default_rng(plan.seed)
        self.folder = SetFolder(root / "set")
        self.tasks = [TaskRecord(name, *TASKS[name].resolve(CAMVID)) for name in plan.tasks]
        self.specs = [self._spec(*attack, on) for attack in plan.attacks for on in plan.on]
        engines = [(model, precision) for model in plan.models for precision in plan.precisions]
        self.inputs: dict[tuple[str, str], dict[str, Labels]] = {engine: {} for engine in engines}
        self.world = World(root / "set", root / "replay", self._manifest())

    def _spec(self, attack: str, scope: str, on: MadeOn) -> AttackSpec:
        whole_levels, engines = set(self.plan.on) != {"fp32"}, () if on == "fp32" else ("int8",)
        plain = AttackSpec(attack, "default", scope, self.plan.steps, "best", None, 2.0, {})  # type: ignore[arg-type]
        return replace(plain, on=on, engines=engines, whole_levels=whole_levels)

    def _manifest(self) -> AdversarialSet:
        plan = self.plan
        return AdversarialSet(
            config=CraftConfig("camvid", tuple(plan.models)),
            table=CAMVID,
            height=plan.size[0],
            width=plan.size[1],
            images=(*plan.names, "empty"),
            models=tuple(ModelRecord(model, "camvid", plan.outputs, "", "0" * 64) for model in plan.models),
            attacks=tuple(self.specs),
            tasks=tuple(self.tasks),
            versions={"torch": "2.13.0"},
            revision="abc",
        )

    def build(self) -> World:
        for number, image in enumerate(self.plan.names):
            self._image(number, image)
        samples = self.world.samples
        self.folder.samples_path.parent.mkdir(parents=True, exist_ok=True)
        self.folder.append(samples)
        skipped = (SkippedSample("empty", self.plan.tasks[0], (MODEL,)),)
        self.world.manifest = replace(
            self.world.manifest,
            complete=True,
            sample_count=len(samples),
            samples_sha256=sha256_file(self.folder.samples_path),
            skipped=skipped,
        )
        self.folder.write_manifest(self.world.manifest)
        self._replay()
        return self.world

    def _image(self, number: int, name: str) -> None:
        size = self.plan.size
        noise = self.rng.integers(0, 256, (*size, 3), np.uint8)
        clean = photograph(self.rng, size) if self.plan.photographs else noise
        truth = blocks(self.rng, size, len(CAMVID))
        truth[: size[0] // 8] = IGNORE
        files = {"clean": save_png(self.folder.root, f"{number}/clean.png", clean)}
        if self.plan.truth:
            files["truth"] = save_png(self.folder.root, f"{number}/truth.png", truth)
        picture = Picture(number, name, clean, truth if self.plan.truth else None, files)
        for model in self.plan.models:
            prediction = flipped(self.rng, np.where(truth == IGNORE, 0, truth).astype(np.uint8), 0.2, self.plan.grain)
            prediction[-8:, -8:] = CAMVID.names.index("Car")
            for precision in self.plan.precisions:
                engine_clean = flipped(self.rng, prediction, FLIPS[precision] / 4, self.plan.grain)
                self.inputs[model, precision][f"clean/{name}"] = engine_clean
            for task in self.tasks:
                for spec in self.specs:
                    self._sample(picture, model, prediction, task, spec)

    def _sample(self, picture: Picture, model: str, prediction: Labels, task: TaskRecord, spec: AttackSpec) -> None:
        place = f"{picture.number}/{model}/{task.name}/{spec.label}"
        phi = source_mask(prediction, task.sources)
        reached = phi & squares(self.rng, phi.shape, 0.8, self.plan.grain) & (picture.name not in self.plan.unreached)
        adversarial = np.where(reached, task.target or 0, prediction).astype(np.uint8)
        noise = self.rng.integers(-2, 3, picture.clean.shape)
        attacked = np.clip(picture.clean + noise, 0, 255).astype(np.uint8)
        change = np.abs(attacked.astype(int) - picture.clean)
        counts = count_attack(adversarial, phi, task.goal, picture.truth)
        steps = spec.steps - picture.number % 2  # every other image stops a step early
        root = self.folder.root
        seen = {f"{model}.int8" if spec.on == "int8" else model: counts}
        margins = margins_of(adversarial[phi] == task.target, picture.number) if self.plan.margins else None
        sample = AdversarialSample(
            id=f"{picture.name}/{task.name}/{spec.label}/{model}",
            image=picture.name,
            task=task.name,
            attack=spec.label,
            victims=(model,),
            seed=picture.number,
            best_step=steps - 1,
            norms=Norms(
                float(change.mean()), float(change[phi].mean()), float(np.sqrt((change**2).sum())), int(change.max())
            ),
            counts={model: counts},
            clean_counts={model: count_attack(prediction, phi, task.goal, picture.truth)},
            files={
                **picture.files,
                "phi": save_png(root, f"{place}/phi.png", np.where(phi, 255, 0).astype(np.uint8)),
                "adversarial": save_png(root, f"{place}/adversarial.png", attacked),
                f"prediction:{model}": save_png(root, f"{place}/prediction.png", prediction),
                f"adversarial_prediction:{model}": save_png(root, f"{place}/adversarial_prediction.png", adversarial),
                **({} if margins is None else {f"margin:{model}": save_npy(root, f"{place}/margin.npy", margins)}),
            },
            curve=tuple(Step(0.1 * (step + 1), 0.2 * (step + 1), seen) for step in range(steps)),
        )
        self.world.samples.append(sample)
        for precision in self.plan.precisions:
            maps = self.inputs[model, precision]
            deployed = flipped(self.rng, adversarial, FLIPS[precision], self.plan.grain)
            maps[f"adversarial/{sample.id}"] = deployed
            engine_clean = maps[f"clean/{picture.name}"]
            self.world.maps[sample.id, f"{model}.{precision}"] = LabelMaps(
                phi, picture.truth, prediction, adversarial, engine_clean, deployed, margins
            )

    def _replay(self) -> None:
        engines = []
        for (model, precision), maps in self.inputs.items():
            name = f"{model}.{precision}"
            keys = list(maps)
            with Recording(self.world.replay_root / name, keys, 1) as recording:
                for index, key in enumerate(keys[: self.plan.done]):
                    recording.append(key, maps[key], 10.0 + index)
            engines.append(
                ReplayedEngine(
                    name=name,
                    model=model,
                    precision=precision,  # type: ignore[arg-type]
                    backend="onnxruntime",
                    backend_version="1.27.0",
                    height=self.plan.size[0],
                    width=self.plan.size[1],
                    batch=1,
                    classes=len(self.plan.outputs),
                    folder=name,
                    inputs=len(keys),
                    complete=self.plan.done is None,
                    warmup=3,
                    load_ms=12.5,
                )
            )
        record = ReplayRecord("b" * 64, sha256_file(self.folder.manifest_path), ENVIRONMENT, tuple(engines))
        write_atomic(self.world.replay_root / "replay.json", encode(record))


@pytest.fixture(scope="session")
def build_at() -> Callable[..., World]:
    """Build a world in a folder: ``build_at(folder, truth=False)``; the keywords are the fields of `Plan`."""
    return lambda root, **changes: Builder(root, Plan(**changes)).build()


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., World]:
    """Build a world in the test's own folder."""
    return lambda **changes: Builder(tmp_path, Plan(**changes)).build()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, SurvivalReport]:
    """The plain world and its report, beside it in ``out``, for tests that only read."""
    root = tmp_path_factory.mktemp("shared")
    world = Builder(root, Plan()).build()
    return world, evaluate(world.set_root, [world.replay_root], root / "out")


def program(*names: str) -> str:
    found = next((path for path in map(shutil.which, names) if path), None)
    if found is None:
        pytest.skip(f"there is no browser here, no {' or '.join(names)}: apt-get install chromium chromium-driver")
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    driver = Chrome(options=options, service=Service(executable_path=program("chromedriver")))
    yield driver
    driver.quit()
