"""8-bit PNG files that read back unchanged, and size limits for reading."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segeval.errors import DataError, IntegrityError
from segeval.files.held import require_held
from segeval.files.sets import FileRecord
from segeval.files.storage import inside, sha256, sha256_file, write_atomic

RgbImage = NDArray[np.uint8]


@contextmanager
def opening(path: Path) -> Iterator[Image.Image]:
    """A PNG or JPEG file, pixels not decoded yet. Raises DataError if it is missing, truncated or of another format."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Named formats only: Pillow would hand a disguised EPS file to Ghostscript.
            opened = Image.open(path, formats=("PNG", "JPEG"))
        with opened as image:
            yield image
    except FileNotFoundError as error:
        require_held(path)
        raise DataError(f"{path} is missing") from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        limit = f"images of up to {Image.MAX_IMAGE_PIXELS} pixels are read"
        raise DataError(f"{path} cannot be read: it has more pixels than allowed ({error})", limit) from error
    except PermissionError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}", "check its permissions") from error
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read: {error}", "the file is truncated, or not a PNG or JPEG image"
        ) from error


def read_png(path: Path, mode: str) -> NDArray[np.uint8]:
    """An 8-bit image.

    Args:
        path: the file.
        mode: "RGB" gives (H, W, 3), "L" the stored grey or palette values as (H, W).

    Raises:
        DataError: if the file is missing, truncated or of another kind.
    """
    with opening(path) as image:
        if mode == "L" and image.mode not in ("L", "P", "1"):
            raise DataError(f"{path}: a label file must be 8-bit grey or palette PNG, this one is {image.mode}")
        if mode == "RGB" and image.mode not in ("RGB", "RGBA", "P", "L"):
            raise DataError(f"{path}: an image must be 8-bit, this one is {image.mode}")
        return np.array(image if mode == "L" and image.mode in ("L", "P") else image.convert(mode), np.uint8)


def png_bytes(pixels: NDArray[np.uint8]) -> bytes:
    """PNG of an (H, W, 3) or (H, W) uint8 array."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def save_png(root: Path, path: str, pixels: NDArray[np.uint8]) -> FileRecord:
    """Save a PNG below `root` and prove that it reads back bit-equal. Raises StorageError, IntegrityError."""
    data = png_bytes(pixels)
    target = inside(root, path)
    write_atomic(target, data)
    if not np.array_equal(read_png(target, "RGB" if pixels.ndim == 3 else "L"), pixels):
        raise IntegrityError(f"{target} does not read back as it was written")
    return FileRecord(path, sha256(data))


def load_png(root: Path, record: FileRecord, mode: str) -> NDArray[np.uint8]:
    """A recorded PNG. Raises IntegrityError if its bytes are not the recorded ones, DataError if unreadable."""
    path = inside(root, record.path)
    pixels = read_png(path, mode)
    if sha256_file(path) != record.sha256:
        raise IntegrityError(f"{path} is not the file that was recorded", "craft the set again, or restore the file")
    return pixels
