"""A reproduction on disk: its configuration and its sets. Crafting writes it, evaluation reads it.

experiment.json     the resolved configuration; the directory can be made again from it alone
sets/NAME/          adversarial sets, one for each entry of `sets`
maps/               maps.json and what it names: probe image, gradients, images over the steps
report/             tables, figures with their data, and report.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from segeval.errors import DataError
from segeval.files.encoding import decode, encode_sealed
from segeval.files.sets import CraftConfig, FileRecord, Scope
from segeval.files.storage import write_atomic
from segeval_runner.ownership import lacking

Part = Literal["table1", "maps", "budgets"]
PARTS: tuple[Part, ...] = ("table1", "maps", "budgets")

LEVELS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Mean changes at which attacks are compared."""
RADII = (1, 2, 4)
"""L-infinity budgets at which attacks are compared: a saved image changes by whole levels, so none is below 1."""
PENALTIES = (10, 100, 1000, 10_000, 100_000)
"""Weights λ of the tanh method that lead to different mean changes."""


@dataclass(frozen=True)
class ExperimentConfig:
    """Everything that decides a reproduction.

    Attributes:
        models: NAME or NAME=WEIGHTS; the joint attack is on all of them.
        images: ids of the images of Table 1.
        budget_images: of these, the ones that the matched budgets and the maps are made from.
        parts: what is made.
    """

    dataset: str
    split: str
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    images: tuple[str, ...]
    budget_images: tuple[str, ...]
    data_root: str | None = None
    size: tuple[int, int] | None = None
    parts: tuple[Part, ...] = PARTS
    steps: int = 50
    batch_size: int = 1
    seed: int = 0
    device: str = "cpu"
    paper: Literal["kang2020"] = "kang2020"


@dataclass(frozen=True)
class Experiment:
    """experiment.json.

    Attributes:
        seconds: spent on each set and part, by name.
        machine: in words.
    """

    config: ExperimentConfig
    versions: Mapping[str, str]
    revision: str
    machine: str
    seconds: Mapping[str, float] = field(default_factory=dict)
    complete: bool = False
    schema: Literal["segeval.experiment/1"] = field(default="segeval.experiment/1")


@dataclass(frozen=True)
class Probe:
    """What a model sees in the probe image, black with a white square (Fig. 4). labels: PNG of its label map."""

    model: str
    labels: FileRecord


@dataclass(frozen=True)
class GradientMap:
    """Gradient of ξ at one step of the whole-image tanh attack on one image (Fig. 5).

    Attributes:
        gradient: .npy, float32 (3, H, W), kept for the first image of a model.
        energy_in_phi: share of its squares that lies in φ.
        phi_share: share of the image that φ is.
    """

    model: str
    image: str
    step: int
    energy_in_phi: float
    phi_share: float
    gradient: FileRecord | None


@dataclass(frozen=True)
class Iterate:
    """The adversarial image after so many steps, rounded to 8 bits. mean: change in levels."""

    step: int
    mean: float
    image: FileRecord


@dataclass(frozen=True)
class Strip:
    """One image over the steps of the tanh attack on one model."""

    model: str
    image: str
    scope: Scope
    iterates: tuple[Iterate, ...]


@dataclass(frozen=True)
class Maps:
    """maps.json.

    Attributes:
        task: that the maps were made for.
        probe_image: PNG.
    """

    task: str
    probe_image: FileRecord
    probes: tuple[Probe, ...]
    gradients: tuple[GradientMap, ...]
    progress: tuple[Strip, ...]
    schema: Literal["segeval.maps/1"] = field(default="segeval.maps/1")


def sets(config: ExperimentConfig) -> Iterator[tuple[str, CraftConfig]]:
    """The adversarial sets of a reproduction, by name, in the order in which they are made."""
    common = CraftConfig(
        dataset=config.dataset,
        models=config.models,
        split=config.split,
        data_root=config.data_root,
        size=config.size,
        steps=config.steps,
        batch_size=config.batch_size,
        seed=config.seed,
        device=config.device,
    )
    if "table1" in config.parts:
        yield (
            "table1",
            replace(
                common,
                attacks=("fgsm", "tanh"),
                presets=("paper",),
                tasks=config.tasks,
                victims=("each", "joint"),
                transfer=True,
                match=("fgsm=tanh",),
                ids=config.images,
            ),
        )
    if "budgets" in config.parts:
        one = replace(common, tasks=config.tasks[:1], ids=config.budget_images)
        yield "fgsm-within", replace(one, attacks=("fgsm",), settings=("budget=8", "step=0.15"), within=LEVELS)
        for radius in RADII:
            settings = (f"budget={radius}", "tanh.penalty=10")
            yield f"radius-{radius}", replace(one, attacks=("fgsm", "tanh"), settings=settings)
        for penalty in PENALTIES:
            yield f"penalty-{penalty}", replace(one, attacks=("tanh",), settings=(f"penalty={penalty}",))


class ExperimentFolder:
    """A reproduction's directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def path(self) -> Path:
        """The path of its record."""
        return self.root / "experiment.json"

    def set(self, name: str) -> Path:
        """Folder of a set."""
        return self.root / "sets" / name

    @property
    def maps(self) -> Path:
        """Folder of the maps."""
        return self.root / "maps"

    @property
    def report(self) -> Path:
        """Folder of the report."""
        return self.root / "report"

    def read(self) -> Experiment:
        """The record. Raises DataError if there is none, FormatError if it is malformed, IntegrityError if changed."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise DataError(
                f"{self.root} is not a reproduction: {lacking(self.root, 'experiment.json')}",
                "make one with segeval reproduce",
            ) from error
        return decode(data, Experiment, str(self.path))

    def write(self, experiment: Experiment) -> None:
        """Replace the record as a whole."""
        write_atomic(self.path, encode_sealed(experiment, indent=2) + b"\n")

    def read_maps(self) -> Maps:
        """maps.json. Raises DataError, FormatError, IntegrityError."""
        path = self.maps / "maps.json"
        try:
            return decode(path.read_bytes(), Maps, str(path))
        except OSError as error:
            raise DataError(f"{path} is not there", "finish the reproduction with --resume") from error
