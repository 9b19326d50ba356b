"""Which images and sets a reproduction is made of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segeval.classes import CITYSCAPES, ClassTable
from segeval.datasets import Example
from segeval.errors import ConfigurationError, DataError
from segeval.files.experiments import LEVELS, PENALTIES, RADII, ExperimentConfig, ExperimentFolder, sets
from segeval.metrics import Labels
from segeval.reproduce import Options, resolve
from segeval.reproduce.kang2020.image_choice import choose

CAR, PERSON, ROAD = (CITYSCAPES.names.index(name) for name in ("car", "person", "road"))


class Pictures:
    """A data set of label maps."""

    table: ClassTable = CITYSCAPES

    def __init__(self, maps: Sequence[Labels | None]) -> None:
        self.maps = maps
        self.ids: Sequence[str] = [str(number) for number in range(len(maps))]

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, index: int) -> Example:
        return Example(str(index), np.zeros((2, 2, 3), np.uint8), self.maps[index])


def labels(*classes: int) -> Labels:
    return np.array([*classes, *[ROAD] * (4 - len(classes))], np.uint8).reshape(2, 2)


def test_chosen_images_have_a_source_pixel_of_every_task() -> None:
    kinds = [labels(CAR, PERSON), labels(CAR), labels(PERSON), labels()]
    pictures = Pictures([kinds[number % 4] for number in range(40)])
    both = list(choose(pictures, ("vehicle-to-road", "vru-to-vegetation"), 6, seed=0))
    assert len(set(both)) == 6
    assert all(int(name) % 4 == 0 for name in both)
    assert both == list(choose(pictures, ("vehicle-to-road", "vru-to-vegetation"), 6, seed=0))
    assert both != list(choose(pictures, ("vehicle-to-road", "vru-to-vegetation"), 6, seed=1))
    assert both[:3] == list(choose(pictures, ("vehicle-to-road", "vru-to-vegetation"), 3, seed=0))
    assert {int(name) % 4 for name in choose(pictures, ("vehicle-to-road",), 40, seed=0)} == {0, 1}


def test_images_without_ground_truth_are_taken_as_they_come() -> None:
    assert len(list(choose(Pictures([None] * 5), ("vehicle-to-road",), 3, seed=0))) == 3


def test_a_data_set_without_any_source_pixel_is_refused() -> None:
    with pytest.raises(DataError, match="no image has a source pixel of each of the tasks vehicle-to-road"):
        list(choose(Pictures([labels()] * 3), ("vehicle-to-road",), 3, seed=0))


def test_usual_choices_per_data_set() -> None:
    config = resolve(Options("synthetic", size=(64, 128), limit=2, budget_limit=1))
    assert config.models == ("espnet-synthetic", "fast-scnn-synthetic")
    assert config.tasks == ("vru-to-vegetation", "vehicle-to-road", "vehicle-to-building")
    assert len(config.images) == 2 and config.budget_images == config.images[:1]
    with pytest.raises(ConfigurationError, match="no model given for folder"):
        resolve(Options("folder"))


def config(**changes: object) -> ExperimentConfig:
    return ExperimentConfig("synthetic", "test", ("a", "b"), ("x", "y"), ("1", "2"), ("1",), **changes)  # type: ignore[arg-type]


def test_the_sets_of_a_reproduction() -> None:
    made = dict(sets(config()))
    assert list(made) == [
        "table1",
        "fgsm-within",
        *(f"radius-{r}" for r in RADII),
        *(f"penalty-{p}" for p in PENALTIES),
    ]
    table = made["table1"]
    assert (table.victims, table.transfer, table.match, table.presets) == (
        ("each", "joint"),
        True,
        ("fgsm=tanh",),
        ("paper",),
    )
    assert (table.ids, table.tasks) == (("1", "2"), ("x", "y"))
    assert made["fgsm-within"].within == LEVELS
    assert all(each.ids == ("1",) and each.tasks == ("x",) for name, each in made.items() if name != "table1")
    assert list(dict(sets(config(parts=("table1",))))) == ["table1"]
    assert not dict(sets(config(parts=("maps",))))


def test_a_directory_of_something_else_is_no_reproduction(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a reproduction"):
        ExperimentFolder(tmp_path).read()
    with pytest.raises(DataError, match=r"maps\.json is not there"):
        ExperimentFolder(tmp_path).read_maps()
