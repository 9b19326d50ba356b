"""Reading the pixels of image files that other programs wrote, and resizing images and labels."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps

from segeval.datasets.dataset import Size
from segeval.errors import DataError
from segeval.files.images import RgbImage, opening
from segeval.files.sets import Resize
from segeval.metrics import Labels


def png_layout(path: Path) -> tuple[int, int] | None:
    """(bits per sample, colour type) of a PNG, None for any other file. Pillow converts without telling."""
    try:
        with path.open("rb") as file:
            header = file.read(26)
    except OSError:
        return None
    return (header[24], header[25]) if header.startswith(b"\x89PNG") and len(header) == 26 else None


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of a file's pixels: 1 for upright, up to 8."""
    return int(image.getexif().get(ExifTags.Base.Orientation, 1))


def stored_size(path: Path) -> Size:
    """(height, width) of an image file once it stands upright, from its header. Raises DataError."""
    with opening(path) as image:
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


def require_one_orientation(image: Path, labels: Path) -> None:
    """Raise DataError if an image file is turned and its label file is not, or otherwise.

    Nobody can tell whether such a mask was drawn on the picture as it is stored or as it is shown.
    """
    with opening(image) as picture, opening(labels) as mask:
        turned = orientation(picture), orientation(mask)
    if turned[0] != turned[1]:
        message = f"{image} has the EXIF orientation {turned[0]}, its label file {labels} has {turned[1]}"
        raise DataError(message, "store both upright, without EXIF orientation: mogrify -auto-orient turns an image")


def read_image(path: Path) -> RgbImage:
    """(H, W, 3) uint8 RGB of an 8-bit PNG or JPEG, upright as its EXIF orientation says; transparency is dropped.

    Raises DataError if the file is missing, truncated, 16-bit or in another colour space.
    """
    with opening(path) as image:
        layout = png_layout(path)
        if layout is not None and layout[0] == 16:
            raise DataError(
                f"{path}: a 16-bit image; only 8-bit images can be attacked", "save it with 8 bits per channel"
            )
        if image.mode not in ("RGB", "RGBA", "P", "L", "LA"):
            raise DataError(f"{path}: the colour mode {image.mode} is not supported", "save it as 8-bit RGB")
        upright = ImageOps.exif_transpose(image)
        # A palette with transparency goes through RGBA: Pillow warns about the direct way.
        return np.array(upright.convert("RGBA").convert("RGB") if upright.mode == "P" else upright.convert("RGB"))


def resize_image(image: RgbImage, size: Size, resize: Resize = "pillow") -> RgbImage:
    """The image at `size`, (height, width), resized as the authors of a network do.

    opencv: OpenCV's INTER_LINEAR, which looks at the two nearest pixels either way, in floats and rounded once; at 2:1
    the mean of 2×2 pixels.   pillow: Pillow's bilinear filter, which looks at as many as it takes to avoid aliasing.
    box: what sets of earlier versions were made with; the mean of blocks at whole ratios, `pillow` at others.
    """
    (height, width), (target_height, target_width) = image.shape[:2], size
    if (height, width) == size:
        return image
    if resize == "opencv":
        return linear(image, size)
    picture = Image.fromarray(image)
    if resize == "box" and height % target_height == 0 and width % target_width == 0:
        return np.array(picture.reduce((width // target_width, height // target_height)))
    return np.array(picture.resize((target_width, target_height), Image.Resampling.BILINEAR))


def linear(image: RgbImage, size: Size) -> RgbImage:
    """Linear interpolation between the two nearest pixels along each axis; pixel centres lie at halves."""
    found = image.astype(np.float32)
    for axis, new in enumerate(size):
        old = image.shape[axis]
        centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        first = np.minimum(centres.astype(np.int64), max(old - 2, 0))
        weight = (centres - first).astype(np.float32).reshape([-1 if other == axis else 1 for other in range(3)])
        second = np.minimum(first + 1, old - 1)
        found = found.take(first, axis) * (1 - weight) + found.take(second, axis) * weight
    rounded: RgbImage = np.floor(found + 0.5).astype(np.uint8)
    return rounded


def nearest(old: int, new: int) -> NDArray[np.int64]:
    """For each of `new` pixels the index of the nearest of `old` pixels; of two equally near ones the first.

    At 2:1 this is every even pixel, as OpenCV's INTER_NEAREST takes them.
    """
    centre = (2 * np.arange(new, dtype=np.int64) + 1) * old
    return -((2 * new - centre) // (2 * new))


def resize_labels(labels: Labels, size: Size) -> Labels:
    """The label map at `size`, (height, width), by nearest neighbour."""
    height, width = labels.shape
    return labels if (height, width) == size else labels[np.ix_(nearest(height, size[0]), nearest(width, size[1]))]
