"""Augmentation of training images, seeded per step so that a resumed run sees what an uninterrupted one would."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from segeval.classes import IGNORE


@dataclass(frozen=True)
class Window:
    """A rectangle of an image, which may reach over its right and lower edge, and whether it is seen in a mirror."""

    top: int
    left: int
    height: int
    width: int
    mirrored: bool


class Augmented(NamedTuple):
    """A batch as the network sees it: images in [0, 1], int64 labels, and class probabilities where they were given."""

    images: Tensor
    labels: Tensor
    soft: Tensor | None


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop, mirror and colour.

    Attributes:
        crop: (height, width) of what the network sees.
        scale: smallest and largest zoom.
        colour: largest relative change of brightness, contrast and saturation.
    """

    crop: tuple[int, int]
    scale: tuple[float, float] = (0.75, 1.5)
    colour: float = 0.3

    def __call__(self, images: Tensor, labels: Tensor, generator: Generator, soft: Tensor | None = None) -> Augmented:
        """uint8 images (N, 3, H, W) and labels (N, H, W) to float images in [0, 1] and int64 labels, cropped.

        soft: class probabilities (N, C, h, w) over the same images at a lower resolution, or None; they come back
        cropped alike, at `h / H` of the crop's resolution, 0 beyond the image. Everything is drawn per image.
        """
        height, width = labels.shape[1:]
        cropped, classes, probabilities = [], [], []
        for index in range(len(images)):
            window = self.window(height, width, generator)
            cropped.append(self.recolour(self.image_in(window, images[index]), generator))
            classes.append(self.labels_in(window, labels[index]))
            if soft is not None:
                probabilities.append(self.soft_in(window, soft[index], (height, width)))
        return Augmented(
            torch.stack(cropped), torch.stack(classes), torch.stack(probabilities) if soft is not None else None
        )

    def window(self, height: int, width: int, generator: Generator) -> Window:
        """A random window of an image of this size, that will be resampled to the crop."""
        low, high = self.scale
        zoom = low + (high - low) * draw(generator)
        tall, wide = round(self.crop[0] / zoom), round(self.crop[1] / zoom)
        top = int(draw(generator) * max(height - tall + 1, 1))
        left = int(draw(generator) * max(width - wide + 1, 1))
        return Window(top, left, tall, wide, draw(generator) < 0.5)

    def image_in(self, window: Window, image: Tensor) -> Tensor:
        """The window of one image (3, H, W), in [0, 1] and at the size of the crop."""
        pixels = padded(cut(image, window).float() / 255, window, 0.0)
        small = window.height > self.crop[0]
        resized = F.interpolate(pixels[None], self.crop, mode="bilinear", align_corners=False, antialias=small)[0]
        return resized.flip(2) if window.mirrored else resized

    def labels_in(self, window: Window, labels: Tensor) -> Tensor:
        """The window of one label map (H, W), at the size of the crop; pixels beyond the image do not count."""
        classes = padded(cut(labels, window).float(), window, float(IGNORE))
        nearest = F.interpolate(classes[None, None], self.crop, mode="nearest-exact")[0, 0].long()
        return nearest.flip(1) if window.mirrored else nearest

    def soft_in(self, window: Window, soft: Tensor, size: tuple[int, int]) -> Tensor:
        """The window of probabilities (C, h, w) over an image of `size`, at `h / H` of the crop's resolution."""
        height, width = size
        across, down = window.width / width, window.height / height
        right, below = 2 * window.left / width + across - 1, 2 * window.top / height + down - 1
        rows = [[-across if window.mirrored else across, 0, right], [0, down, below]]
        tall, wide = self.crop[0] * soft.shape[1] // height, self.crop[1] * soft.shape[2] // width
        grid = F.affine_grid(torch.tensor([rows]), [1, 1, tall, wide], align_corners=False)
        return F.grid_sample(soft[None].float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]

    def recolour(self, image: Tensor, generator: Generator) -> Tensor:
        """Change brightness, contrast and saturation of one image in [0, 1]."""
        brightness, contrast, saturation = (1 + self.colour * (2 * draw(generator) - 1) for _ in range(3))
        grey = image.mean(0, keepdim=True)
        image = grey + (image - grey) * saturation
        mean = image.mean()
        return ((image - mean) * contrast + mean * brightness).clamp(0, 1)


def draw(generator: Generator) -> float:
    """One number in [0, 1)."""
    return float(torch.rand((), generator=generator))


def cut(plane: Tensor, window: Window) -> Tensor:
    """The part of (…, H, W) that lies in the window."""
    return plane[..., window.top : window.top + window.height, window.left : window.left + window.width]


def padded(plane: Tensor, window: Window, value: float) -> Tensor:
    """Grow a plane that the image was too small for to the size of its window."""
    right, below = window.width - plane.shape[-1], window.height - plane.shape[-2]
    return F.pad(plane, (0, right, 0, below), value=value) if right or below else plane
