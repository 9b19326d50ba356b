"""Training examples decoded once into arrays on disk, so that every epoch after the first reads at disk speed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.datasets import Dataset
from segeval.errors import DataError
from segeval.models import ModelSpec
from segeval.progress import Progress

from .arrays import is_whole, mapped, writing


class CachedExamples:
    """Images (N, H, W, 3) and labels (N, H, W), uint8, on disk. All examples must have one size and labels.

    spec: of the network that they are for.
    """

    def __init__(self, dataset: Dataset, spec: ModelSpec, folder: Path, progress: Progress) -> None:
        images, labels = folder / "images.npy", folder / "labels.npy"
        if not (is_whole(images) and is_whole(labels)):
            decode(dataset, spec, images, labels, progress)
        self.images, self.labels = mapped(images), mapped(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """uint8 images (N, 3, H, W) and labels (N, H, W)."""
        images = torch.from_numpy(np.ascontiguousarray(self.images[indices])).permute(0, 3, 1, 2)
        return images, torch.from_numpy(np.ascontiguousarray(self.labels[indices]))

    def class_shares(self, classes: int) -> NDArray[np.float64]:
        """Share of the labelled pixels that belongs to each class, from at most 400 examples spread evenly."""
        step = max(len(self) // 400, 1)
        counts = sum(np.bincount(labels.ravel(), minlength=256)[:classes] for labels in self.labels[::step])
        return np.asarray(counts / max(np.sum(counts), 1), np.float64)


def decode(dataset: Dataset, spec: ModelSpec, images: Path, labels: Path, progress: Progress) -> None:
    """Read every example once, into two files. Raises DataError for one without labels or of another size."""
    first = dataset[0].image.shape
    pixels = (len(dataset), *first), (len(dataset), *first[:2])
    with writing(images, pixels[0], np.uint8) as add_image, writing(labels, pixels[1], np.uint8) as add_labels:
        for index in range(len(dataset)):
            example = dataset[index]
            if example.labels is None:
                raise DataError(f"{example.id} has no labels", "training needs ground truth for every image")
            if example.image.shape != first:
                what = f"{example.id} has another size than {dataset.ids[0]}"
                raise DataError(what, f"bring them to one size: {spec.size_option(*first[:2])}")
            add_image(example.image)
            add_labels(example.labels)
            progress("reading examples", index + 1, len(dataset))
