"""Pictures of a pattern for people: a change in full contrast, a patch large enough to be printed."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.files.images import png_bytes
from segeval.files.patterns import ZERO, Kind
from segeval.files.storage import write_atomic

PRINTED = 2400
"""Least pixels of a side of the picture for the printer."""
CM_PER_INCH = 2.54


def save_preview(folder: Path, kind: Kind, picture: NDArray[np.uint8], print_cm: float) -> None:
    """Save ``preview.png`` of a change, ``print.png`` of a patch.

    Args:
        folder: of the pattern.
        kind: of the pattern.
        picture: (H, W, 3), see `to_picture`.
        print_cm: side of a printed patch, which its file asks for.
    """
    if kind == "universal":
        change = picture.astype(np.int16) - ZERO
        gain = 127 / max(int(np.abs(change).max()), 1)
        write_atomic(folder / "preview.png", png_bytes((ZERO + change * gain).round().astype(np.uint8)))
        return
    times = -(-PRINTED // picture.shape[0])
    large = Image.fromarray(picture.repeat(times, 0).repeat(times, 1))
    buffer = io.BytesIO()
    dpi = large.width / (print_cm / CM_PER_INCH)
    large.save(buffer, "PNG", dpi=(dpi, dpi))
    write_atomic(folder / "print.png", buffer.getvalue())
