"""Augmentation of training images, seeded per step so that a resumed run sees what an uninterrupted one would."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from segeval.classes import IGNORE


@dataclass(frozen=True)
class Augmentation:
    """Random scale, crop, mirror and colour.

    crop: (height, width) of what the network sees.   scale: smallest and largest zoom.
    colour: largest relative change of brightness, contrast and saturation.
    """

    crop: tuple[int, int]
    scale: tuple[float, float] = (0.75, 1.5)
    colour: float = 0.3

    def __call__(self, images: Tensor, labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """uint8 images (N, 3, H, W) and labels (N, H, W) to float images in [0, 1] and int64 labels, cropped.

        One zoom serves the whole batch; crop, mirror and colour are drawn per image.
        """
        pairs = [self.crop_one(image, label, generator) for image, label in zip(images, labels, strict=True)]
        return torch.stack([image for image, _ in pairs]), torch.stack([label for _, label in pairs])

    def crop_one(self, image: Tensor, label: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """A random window of one image (3, H, W), resampled to the crop size."""
        low, high = self.scale
        zoom = low + (high - low) * draw(generator)
        height, width = round(self.crop[0] / zoom), round(self.crop[1] / zoom)
        top = int(draw(generator) * max(label.shape[0] - height + 1, 1))
        left = int(draw(generator) * max(label.shape[1] - width + 1, 1))
        window = image[:, top : top + height, left : left + width].float() / 255
        classes = label[top : top + height, left : left + width]
        window, classes = padded(window, classes, height, width)
        resized = F.interpolate(window[None], self.crop, mode="bilinear", align_corners=False, antialias=zoom < 1)[0]
        nearest = F.interpolate(classes[None, None].float(), self.crop, mode="nearest-exact")[0, 0].long()
        if draw(generator) < 0.5:
            resized, nearest = resized.flip(2), nearest.flip(1)
        return self.recolour(resized, generator), nearest

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


def padded(image: Tensor, labels: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Grow a window that the image was too small for: black pixels that do not count."""
    right, below = width - labels.shape[1], height - labels.shape[0]
    if right <= 0 and below <= 0:
        return image, labels
    margin = (0, max(right, 0), 0, max(below, 0))
    return F.pad(image, margin), F.pad(labels, margin, value=IGNORE)
