"""Calibration images are read from their dataset once, as far as they may stay in memory."""

from collections.abc import Sequence

import numpy as np
import pytest

from segeval.classes import CITYSCAPES
from segeval.datasets import Example
from segeval.deploy import calibration_images
from segeval.deploy.calibration_images import from_dataset

SIZE = (4, 6)
IMAGE_BYTES = 4 * 6 * 3


class Written:
    """A dataset that reads every example into the same array, and counts how often it reads."""

    table = CITYSCAPES
    ids: Sequence[str] = tuple("abcdefgh")

    def __init__(self) -> None:
        self.image = np.zeros((*SIZE, 3), np.uint8)
        self.reads = 0

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Example:
        self.reads += 1
        self.image[:] = 10 * index
        return Example(self.ids[index], self.image, None)


@pytest.mark.parametrize(("kept", "reads"), [(5, 0), (2, 3), (0, 5)])
def test_images_that_fit_into_memory_are_read_once(monkeypatch: pytest.MonkeyPatch, kept: int, reads: int) -> None:
    monkeypatch.setattr(calibration_images, "KEPT_BYTES", kept * IMAGE_BYTES)
    dataset = Written()
    chosen = from_dataset(dataset, "", 5, 0)
    assert dataset.reads == 5
    for number in (1, 2):
        found = [int(image[0, 0, 0]) for image in chosen]
        assert found == [10 * dataset.ids.index(image.id) for image in chosen.images]
        assert dataset.reads == 5 + number * reads
