"""Training examples decoded once into memory-mapped arrays, so that every epoch after the first reads at disk speed."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segeval.datasets import Dataset
from segeval.errors import DataError
from segeval.held import make_folder
from segeval.progress import Progress
from segeval.store import explaining


class CachedExamples:
    """Images (N, H, W, 3) and labels (N, H, W), uint8, on disk. All examples must have one size and labels."""

    def __init__(self, dataset: Dataset, folder: Path, progress: Progress) -> None:
        self.images_path = folder / "images.npy"
        self.labels_path = folder / "labels.npy"
        if not self.labels_path.exists():
            self.decode(dataset, folder, progress)
        self.images = np.load(self.images_path, mmap_mode="r")
        self.labels = np.load(self.labels_path, mmap_mode="r")

    def decode(self, dataset: Dataset, folder: Path, progress: Progress) -> None:
        """Read every example once. The labels file gets its name last, as the sign that all is there."""
        make_folder(folder)
        first = dataset[0].image.shape
        part = self.labels_path.with_suffix(".part.npy")
        with explaining(folder):
            images = open_memmap(self.images_path, (len(dataset), *first))
            labels = open_memmap(part, (len(dataset), *first[:2]))
            for index in range(len(dataset)):
                example = dataset[index]
                if example.labels is None:
                    raise DataError(f"{example.id} has no labels", "training needs ground truth for every image")
                if example.image.shape != first:
                    raise DataError(f"{example.id} has another size than {dataset.ids[0]}", "give one with --size")
                images[index], labels[index] = example.image, example.labels
                progress("reading examples", index + 1, len(dataset))
            images.flush()
            labels.flush()
            part.replace(self.labels_path)

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


def open_memmap(path: Path, shape: tuple[int, ...]) -> "np.memmap[tuple[int, ...], np.dtype[np.uint8]]":
    """A new .npy file of uint8, written through the array."""
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
