"""Reading label files of other programs: class ids, or pictures in the classes' colours."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from segeval.classes import IGNORE, ClassTable
from segeval.datasets.meaning import UNKNOWN, Form, Meaning, closest, hexadecimal, spans
from segeval.datasets.pixels import png_layout
from segeval.errors import DataError
from segeval.files.images import RgbImage, opening
from segeval.metrics import Labels

GREY = 0
"""Colour type of a grey PNG in its header."""

COLOURED = ("RGB", "RGBA")
GREY_16 = ("I;16", "I")
"""Pillow's modes of a grey PNG of 16 bits."""
KINDS = "a label file must be grey or palette PNG"
WHICH = 'write values = "ids" or values = "colours" into classes.toml'


def read_labels(path: Path, meaning: Meaning, table: ClassTable) -> Labels:
    """(H, W) uint8 labels of an 8-bit PNG, or a grey one of 16 bits, upright, translated into `table`.

    Args:
        path: the file.
        meaning: of its values or colours.
        table: the classes.

    Raises:
        DataError: if the file cannot be read, is no lossless 8-bit picture, is ambiguous, or holds a value or a colour
            without meaning.
    """
    of_one_bit = require_bits(path, table)
    if form_of(path, meaning) == "colours":
        picture = read_colours(path)
        labels = meaning.of_colours(picture)
        if labels.min() < 0:
            raise unknown_colour(path, picture, labels, meaning)
        return labels.astype(np.uint8)
    stored = read_values(path, meaning.values)
    if of_one_bit and 1 in meaning.values:
        stored = stored // 255  # a decoder stretches a bit to 0 and 255
    labels = meaning.of_values(stored)
    if labels.min() < 0:
        unknown = np.unique(stored[labels < 0]).tolist()
        listed = ", ".join(map(str, unknown[:8]))
        message = f"{path}: label value {listed} is not in the class table {table.name!r} ({len(table)} classes)"
        ignored = np.unique(stored[labels == IGNORE]).tolist()
        raise DataError(message, f"its files may hold {spans(meaning.values)}{way_to_ignore(unknown, ignored)}")
    return labels.astype(np.uint8)


def way_to_ignore(unknown: Sequence[int], ignored: Sequence[int]) -> str:
    """What to do if the only value without meaning stands for pixels that never count; empty if there are several.

    Args:
        unknown: values of a file without meaning.
        ignored: its values that never count already; a list replaces them.
    """
    if len(unknown) > 1:
        return ""
    both = sorted({*unknown, *ignored})
    options = " ".join(f"--ignore {value}" for value in both)
    written = f"write ignore = {both} into its classes.toml, or give {options}"
    return f". If {unknown[0]} means unlabelled in a folder of your own, {written}"


def require_bits(path: Path, table: ClassTable) -> bool:
    """Whether a file is grey of one bit. Raises DataError for few grey bits, but one for two classes, or 16 of colour.

    A decoder must stretch few bits to 0–255, so class 1 of a 1-bit file would read as 255.
    """
    bits, kind = png_layout(path) or (8, GREY)
    if bits == 16 and kind != GREY:
        raise DataError(f"{path}: 16 bits of colour, of which half would be lost", "save it with 8 bits per channel")
    if kind == GREY and bits < 8 and not (bits == 1 and len(table) == 2):
        raise DataError(f"{path}: a {bits}-bit grey label file is ambiguous", "save it as 8-bit grey or palette PNG")
    return kind == GREY and bits == 1


def form_of(path: Path, meaning: Meaning) -> Form:
    """What a label file holds.

    Raises DataError for JPEG, whose values and colours are smeared, for a colour mode that holds neither ids nor
    known colours, and for a palette that says two things.
    """
    with opening(path) as image:
        if image.format != "PNG":
            raise DataError(
                f"{path}: a label file saved as {image.format}, which blurs values and colours at edges",
                "make the label files again as PNG; JPEG has already lost the exact values",
            )
        if image.mode in COLOURED and meaning.form is None and not meaning.colours:
            raise DataError(
                f"{path}: {KINDS}, this one is {image.mode}",
                "for colours, give every class its colour in the class list; for ids in equal channels, "
                'write values = "ids" into classes.toml',
            )
        if image.mode not in ("L", "P", "1", *GREY_16, *COLOURED):
            raise DataError(
                f"{path}: {KINDS}, this one is {image.mode}", "save it with 8 bits and without transparency"
            )
        if meaning.form is not None:
            return meaning.form
        if image.mode == "P" and meaning.colours:
            require_one_reading(path, image, meaning)
        return "colours" if image.mode in COLOURED else "ids"


def require_one_reading(path: Path, image: Image.Image, meaning: Meaning) -> None:
    """Raise DataError for a palette that shows the classes' colours at the numbers of other classes."""
    indices, picture = np.array(image), np.array(image.convert("RGB"))
    by_colour = replace(meaning, others=UNKNOWN).of_colours(picture)
    if by_colour.min() >= 0 and not np.array_equal(by_colour, meaning.of_values(indices)):
        raise DataError(f"{path}: its palette has the colours of the classes, but at other numbers than theirs", WHICH)


def read_colours(path: Path) -> RgbImage:
    """(H, W, 3) colours of a label file, upright. Raises DataError for transparent pixels."""
    with opening(path) as image:
        upright = ImageOps.exif_transpose(image)
        picture = np.array(upright.convert("RGBA"))
    if (clear := picture[..., 3] < 255).any():
        y, x = np.argwhere(clear)[0]
        raise DataError(
            f"{path}: the pixel at x {x}, y {y} is transparent, so its colour is undefined",
            "save it without transparency",
        )
    return picture[..., :3]


def unknown_colour(path: Path, picture: RgbImage, labels: NDArray[np.int16], meaning: Meaning) -> DataError:
    """That a colour has no meaning: which, where, how many pixels, and the nearest colour that has one."""
    strange = labels < 0
    y, x = np.argwhere(strange)[0]
    colour = picture[y, x].tolist()
    near = hexadecimal(closest(colour, meaning.colours))
    return DataError(
        f"{path}: the colour {hexadecimal(colour)} at x {x}, y {y} belongs to no class; "
        f"{int(strange.sum())} of {strange.size} pixels have unknown colours",
        f"the nearest known is {near}. Give the colour to a class, or to ignore, in the class list; a file that was "
        "scaled with smoothing, or was a JPEG once, has to be made again",
    )


def read_values(path: Path, meant: Collection[int]) -> NDArray[np.uint8 | np.uint16]:
    """(H, W) values of a label file, upright: the grey levels of a grey picture, the indices of a coloured palette.

    Args:
        path: the file.
        meant: the values that have a meaning. A PNG optimiser stores a grey picture with a palette of its grey levels,
            one entry for each level there is; so where the palette is grey the levels count. If the indices make sense
            as well, and no optimiser left this palette, it is anybody's guess: some entries are used by no pixel, or
            there is nothing but black and white, which fits into one bit without a palette.

    Raises:
        DataError: if the file cannot be read, or says two things.
    """
    with opening(path) as image:
        stored = ImageOps.exif_transpose(image)
        if stored.mode in COLOURED:
            return equal_channels(path, read_colours(path))
        if stored.mode in GREY_16:
            return np.array(stored).astype(np.uint16)
        pixels = np.array(stored.convert("L") if stored.mode == "1" else stored, np.uint8)
        palette = stored.getpalette("RGB") if stored.mode == "P" else None
    if palette is None:
        return pixels
    colours = np.zeros((256, 3), np.uint8)
    entries = len(palette) // 3
    colours[:entries] = np.array(palette, np.uint8).reshape(-1, 3)
    used = np.unique(pixels)
    levels = colours[used, 0]
    grey = int(used[-1]) < entries and bool((colours[used] == levels[:, None]).all())
    if not grey or np.array_equal(levels, used) or not set(levels.tolist()) <= set(meant):
        return pixels
    optimised = len(used) == entries and not set(levels.tolist()) <= {0, 255}
    if set(used.tolist()) <= set(meant) and not optimised:
        raise DataError(
            f"{path}: its palette is grey, and both its indices and its grey levels could be labels",
            "save it as 8-bit grey PNG that holds the labels",
        )
    found: NDArray[np.uint8] = colours[pixels, 0]
    return found


def equal_channels(path: Path, picture: RgbImage) -> NDArray[np.uint8]:
    """(H, W) ids of an RGB picture that holds them three times. Raises DataError if its channels differ."""
    differ = (picture != picture[..., :1]).any(-1)
    if differ.any():
        y, x = np.argwhere(differ)[0]
        raise DataError(
            f"{path}: it should hold ids, but the pixel at x {x}, y {y} is the colour {hexadecimal(picture[y, x])}",
            'write values = "colours" into classes.toml, or save the ids as grey PNG',
        )
    return picture[..., 0]
