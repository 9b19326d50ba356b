"""A small reproduction, written by the code that writes real ones, with random label maps and no network."""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from segeval.classes import CAMVID, IGNORE, TASKS
from segeval.evaluate.measure import statistics
from segeval.evaluate.measure.bootstrap import Interval, fraction
from segeval.files.encoding import encode
from segeval.files.experiments import (
    LEVELS,
    Experiment,
    ExperimentConfig,
    ExperimentFolder,
    GradientMap,
    Iterate,
    Maps,
    Part,
    Probe,
    Strip,
    sets,
)
from segeval.files.images import save_png
from segeval.files.set_folder import SetFolder
from segeval.files.sets import (
    AdversarialSample,
    AdversarialSet,
    AttackSpec,
    CraftConfig,
    FileRecord,
    ModelRecord,
    Norms,
    Scope,
    SkippedSample,
    Step,
    TaskRecord,
)
from segeval.files.storage import sha256, sha256_file, write_atomic
from segeval.goals import source_mask
from segeval.metrics import Labels, count_attack
from segeval.progress import silent
from segeval.reproduce.kang2020 import write_report
from tests.generate.conftest import several_classes, world

MODELS = ("espnet-camvid", "fast-scnn-camvid")
OUTPUTS = (*CAMVID.names, "background")
SCOPES: tuple[Scope, ...] = ("local", "full")


@dataclass(frozen=True)
class Plan:
    """What to build. empty: (image, model) whose model sees no source pixel, so that it is not attacked."""

    names: Sequence[str] = ("a", "b", "c")
    models: Sequence[str] = MODELS
    tasks: Sequence[str] = ("vehicle-to-road", "vehicle-to-building")
    parts: tuple[Part, ...] = ("table1", "maps", "budgets")
    outputs: tuple[str, ...] = OUTPUTS
    dataset: str = "camvid"
    size: tuple[int, int] = (32, 48)
    truth: bool = True
    empty: Sequence[tuple[str, str]] = ()
    steps: int = 3
    seed: int = 0


def spec(attack: str, scope: Scope, preset: str = "paper", **more: object) -> AttackSpec:
    """An attack as it stands in a manifest."""
    return replace(AttackSpec(attack, preset, scope, 3, "best", None, None, {}), **more)  # type: ignore[arg-type]


def specs(name: str) -> list[AttackSpec]:
    """The attacks of a set of a reproduction."""
    kind, _, number = name.partition("-")
    found = []
    for scope in SCOPES:
        if name == "table1":
            matched = spec("fgsm", scope, "default", match=f"tanh-{scope}-paper")
            found += [spec("fgsm", scope, budget=1.0), spec("tanh", scope), matched]
        elif name == "fgsm-within":
            found += [spec("fgsm", scope, "default", budget=8.0, within=within) for within in (None, *LEVELS)]
        elif kind == "radius":
            found += [spec(attack, scope, "default", budget=float(number)) for attack in ("fgsm", "tanh")]
        else:
            found.append(spec("tanh", scope, "default"))
    return found


@dataclass
class Picture:
    """An image with everything that is seen in it."""

    name: str
    clean: NDArray[np.uint8]
    truth: Labels
    predictions: dict[str, Labels] = field(default_factory=dict)


class Builder:
    """Writes a reproduction as `plan` says."""

    def __init__(self, root: Path, plan: Plan) -> None:
        self.plan, self.rng, self.folder = plan, np.random.default_rng(plan.seed), ExperimentFolder(root)
        self.saved: dict[Path, FileRecord] = {}
        self.tasks = [TaskRecord(name, *TASKS[name].resolve(CAMVID)) for name in plan.tasks]
        self.config = ExperimentConfig(
            dataset=plan.dataset,
            split="test",
            models=tuple(plan.models),
            tasks=tuple(plan.tasks),
            images=tuple(plan.names),
            budget_images=tuple(plan.names[:2]),
            parts=plan.parts,
            steps=plan.steps,
        )
        self.pictures = [self.picture(name) for name in plan.names]

    def build(self) -> ExperimentFolder:
        self.folder.write(Experiment(self.config, {"torch": "2.13.0"}, "abc", "a machine", {"table1": 12.0}))
        for name, craft in sets(self.config):
            self.set(name, craft)
        if "maps" in self.plan.parts:
            self.maps()
        return self.folder

    def picture(self, name: str) -> Picture:
        height, width = self.plan.size
        clean = self.rng.integers(0, 256, (height, width, 3), np.uint8)
        coarse = self.rng.integers(0, len(CAMVID), (height // 8, width // 8), np.uint8)
        truth = np.kron(coarse, np.ones((8, 8), np.uint8))
        truth[-8:, -8:] = CAMVID.names.index("Car")
        picture = Picture(name, clean, np.where(np.arange(height)[:, None] < 4, IGNORE, truth).astype(np.uint8))
        for model in self.plan.models:
            noise = self.rng.integers(0, len(self.plan.outputs), truth.shape)
            seen = np.where(self.rng.random(truth.shape) < 0.2, noise, truth).astype(np.uint8)
            if (name, model) in self.plan.empty:
                seen[seen == CAMVID.names.index("Car")] = CAMVID.names.index("Sky")
            picture.predictions[model] = seen
        return picture

    def set(self, name: str, craft: CraftConfig) -> None:
        folder, attacks = SetFolder(self.folder.set(name)), specs(name)
        groups = [(model,) for model in self.plan.models]
        if "joint" in craft.victims and len(self.plan.models) > 1:
            groups.append(tuple(sorted(self.plan.models)))  # type: ignore[arg-type]
        tasks = [task for task in self.tasks if task.name in craft.tasks]
        skipped: list[SkippedSample] = []
        samples: list[AdversarialSample] = []
        for victims in groups:
            for task in tasks:
                for picture in (each for each in self.pictures if each.name in craft.ids):
                    phi = source_mask(picture.predictions[victims[0]], task.sources)
                    if not phi.any():
                        skipped.append(SkippedSample(picture.name, task.name, victims))
                        continue
                    samples += [self.sample(folder, picture, victims, task, each, craft.transfer) for each in attacks]
        folder.samples_path.parent.mkdir(parents=True, exist_ok=True)
        folder.append(samples)
        folder.write_manifest(
            AdversarialSet(
                config=craft,
                table=CAMVID,
                height=self.plan.size[0],
                width=self.plan.size[1],
                images=craft.ids,
                models=tuple(ModelRecord(model, "camvid", self.plan.outputs, "", "0" * 64) for model in craft.models),
                attacks=tuple(attacks),
                tasks=tuple(tasks),
                versions={"torch": "2.13.0"},
                revision="abc",
                complete=True,
                sample_count=len(samples),
                samples_sha256=sha256_file(folder.samples_path),
                skipped=tuple(skipped),
            )
        )

    def save(self, root: Path, path: str, pixels: NDArray[np.uint8]) -> FileRecord:
        """A picture that several samples share is written once."""
        if root / path not in self.saved:
            self.saved[root / path] = save_png(root, path, pixels)
        return self.saved[root / path]

    def sample(
        self,
        folder: SetFolder,
        picture: Picture,
        victims: tuple[str, ...],
        task: TaskRecord,
        attack: AttackSpec,
        transfer: bool,
    ) -> AdversarialSample:
        root, truth = folder.root, picture.truth if self.plan.truth else None
        place = f"{'+'.join(victims)}-{attack.label}-{task.name}-{picture.name}"
        phi = source_mask(picture.predictions[victims[0]], task.sources)
        strength = int(self.rng.integers(1, 5))
        change = self.rng.integers(-strength, strength + 1, picture.clean.shape)
        change[~phi & (attack.scope == "local")] = 0
        adversarial = np.clip(picture.clean.astype(int) + change, 0, 255).astype(np.uint8)
        size = np.abs(adversarial.astype(int) - picture.clean)
        files = {
            "clean": self.save(root, f"clean-{picture.name}.png", picture.clean),
            "adversarial": save_png(root, f"adversarial-{place}.png", adversarial),
            "phi": self.save(
                root, f"phi-{victims[0]}-{task.name}-{picture.name}.png", np.where(phi, 255, 0).astype(np.uint8)
            ),
        }
        if truth is not None:
            files["truth"] = self.save(root, f"truth-{picture.name}.png", truth)
        counts, clean_counts = {}, {}
        for model in self.plan.models if transfer else victims:
            seen = picture.predictions[model]
            share = 0.8 if model in victims else 0.1
            attacked = np.where(phi & (self.rng.random(phi.shape) < share), task.target or 0, seen).astype(np.uint8)
            files[f"prediction:{model}"] = self.save(root, f"prediction-{model}-{picture.name}.png", seen)
            files[f"adversarial_prediction:{model}"] = save_png(root, f"seen-{model}-{place}.png", attacked)
            counts[model] = count_attack(attacked, phi, task.goal, truth)
            clean_counts[model] = count_attack(seen, phi, task.goal, truth)
        return AdversarialSample(
            id=f"{picture.name}/{task.name}/{attack.label}/{'+'.join(victims)}",
            image=picture.name,
            task=task.name,
            attack=attack.label,
            victims=victims,
            seed=0,
            best_step=self.plan.steps,
            norms=Norms(float(size.mean()), float(size[phi].mean()), float(np.sqrt((size**2).sum())), int(size.max())),
            counts=counts,
            clean_counts=clean_counts,
            files=files,
            curve=tuple(
                Step(
                    0.1 * step, 0.2 * step, {model: counts[model] if step else clean_counts[model] for model in victims}
                )
                for step in range(self.plan.steps + 1)
            ),
        )

    def maps(self) -> None:
        root, size = self.folder.maps, self.plan.size
        probe = np.zeros((*size, 3), np.uint8)
        probe[8:-8, 8:-8] = 255
        probes = tuple(
            Probe(model, save_png(root, f"probe/{model}.png", self.pictures[0].predictions[model]))
            for model in self.plan.models
        )
        maps = Maps(
            task=self.plan.tasks[0],
            probe_image=save_png(root, "probe/image.png", probe),
            probes=probes,
            gradients=tuple(self.gradients()),
            progress=tuple(self.progress(model, scope) for model in self.plan.models for scope in SCOPES),
        )
        write_atomic(root / "maps.json", encode(maps))

    def gradients(self) -> Iterator[GradientMap]:
        for model in self.plan.models:
            for number, picture in enumerate(self.pictures[:2]):
                gradient = None
                if number == 0:
                    buffer = io.BytesIO()
                    np.save(buffer, self.rng.normal(size=(3, *self.plan.size)).astype(np.float32))
                    path = f"gradient/{model}/{picture.name}.npy"
                    write_atomic(self.folder.maps / path, buffer.getvalue())
                    gradient = FileRecord(path, sha256(buffer.getvalue()))
                inside, phi = self.rng.random(2).tolist()
                yield GradientMap(model, picture.name, self.plan.steps, inside, phi, gradient)

    def progress(self, model: str, scope: Scope) -> Strip:
        clean = self.pictures[0].clean
        iterates = []
        for step in range(self.plan.steps):
            image = np.clip(clean.astype(int) + self.rng.integers(-step, step + 1, clean.shape), 0, 255)
            record = save_png(self.folder.maps, f"progress/{model}/{scope}/{step}.png", image.astype(np.uint8))
            iterates.append(Iterate(step, float(np.abs(image - clean).mean()), record))
        return Strip(model, self.pictures[0].name, scope, tuple(iterates))


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Estimates whose intervals are the extremes: these tests look at what is estimated, and make thousands of them."""

    def extremes(quantities: Sequence[NDArray[np.float64]], seed: int) -> list[Interval]:
        values = [fraction(parts) for parts in quantities]
        return [
            (None, None, "") if len(row) < 2 else (float(row.min()), float(row.max()), "percentile") for row in values
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "intervals", extremes)
        yield


@pytest.fixture(scope="session")
def build_at() -> Callable[..., ExperimentFolder]:
    """Build a reproduction in a folder: ``build_at(folder, truth=False)``; the keywords are the fields of `Plan`."""
    return lambda root, **changes: Builder(root, Plan(**changes)).build()


@pytest.fixture(scope="module")
def shared(quick: None, tmp_path_factory: pytest.TempPathFactory) -> ExperimentFolder:
    """The plain reproduction with its report, for tests that only read."""
    folder = Builder(tmp_path_factory.mktemp("kang2020"), Plan()).build()
    write_report(folder, silent)
    return folder


__all__ = ["several_classes", "world"]
