import io
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segeval.classes import CAMVID
from segeval.datasets.files import FileDataset, LabelFile, Pair, list_files
from segeval.datasets.label_files import read_labels
from segeval.datasets.meaning import label_values
from segeval.datasets.pixels import read_image
from segeval.errors import DataError

VALUES = label_values(CAMVID, 11)


def one(image: Path, labels: Path | None = None, name: str = "one") -> FileDataset:
    pair = Pair(name, image, LabelFile(labels, VALUES) if labels else None)
    return FileDataset(image.parent, CAMVID, [pair], None)


@pytest.mark.parametrize("kept", [0, 4, 20, 40, 100, 0.5, 0.95])
def test_truncated_images_are_named(tmp_path: Path, save: Any, kept: float) -> None:
    path = save(tmp_path / "frame.png", np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(DataError, match=r"frame\.png cannot be read") as caught:
        one(path)[0]
    assert "truncated" in caught.value.hint


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_damaged_images_give_pixels_or_a_data_error(tmp_path: Path, form: str) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(
        buffer, form, exif=exif
    )
    good, path, dice = buffer.getvalue(), tmp_path / "frame", random.Random(0)
    refused = 0
    for _ in range(400):
        data = bytearray(good)
        for _ in range(3):
            data[dice.randrange(min(len(data), 200))] = dice.randrange(256)
        path.write_bytes(data)
        try:
            assert read_image(path).ndim == 3
        except DataError:
            refused += 1
    assert refused > 20


def test_a_disguised_eps_file_is_not_handed_to_ghostscript(tmp_path: Path) -> None:
    path = tmp_path / "frame.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 6\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"cannot identify image file"):
        one(path)[0]


def test_missing_files_are_named(tmp_path: Path, save: Any) -> None:
    image = save(tmp_path / "frame.png")
    with pytest.raises(DataError, match=r"gone\.png is missing"):
        one(image, tmp_path / "gone.png")[0]
    with pytest.raises(DataError, match=r"gone\.png is missing"):
        one(tmp_path / "gone.png")[0]


def png(width: int, height: int, bits: int) -> bytes:
    """A black RGB PNG, also of kinds that Pillow reads but cannot write. Its data are right for 8×6 pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    rows = zlib.compress(bytes(6 * (1 + 8 * 3 * bits // 8)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize(
    "data",
    [png(60000, 60000, 8), png(8, 6, 8).replace(b"\x0dIHDR", b"\x0cIHDR"), png(0, 6, 8)],
    ids=["bomb", "short header", "no width"],
)
def test_malformed_images_are_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "frame.png").write_bytes(data)
    with pytest.raises(DataError, match=r"frame\.png cannot be read"):
        one(tmp_path / "frame.png")[0]


def test_16_bit_images_are_refused(tmp_path: Path, save: Any) -> None:
    grey = save(tmp_path / "grey.png", np.full((6, 8), 300, np.uint16))
    colour = tmp_path / "colour.png"
    colour.write_bytes(png(8, 6, 16))
    for path in (grey, colour):
        with pytest.raises(DataError, match=f"{path.name}: a 16-bit image"):
            one(path)[0]
    frame = save(tmp_path / "frame.png")
    with pytest.raises(DataError, match=r"grey\.png: label value 300 is not in the class table"):
        one(frame, grey)[0]
    with pytest.raises(DataError, match=r"colour\.png: 16 bits of colour, of which half would be lost"):
        one(frame, colour)[0]


def test_cmyk_images_and_coloured_label_files_are_refused(tmp_path: Path, save: Any) -> None:
    frame = save(tmp_path / "frame.png")
    Image.new("CMYK", (8, 6)).save(tmp_path / "print.jpg")
    with pytest.raises(DataError, match=r"print\.jpg: the colour mode CMYK"):
        one(tmp_path / "print.jpg")[0]
    with pytest.raises(DataError, match=r"frame\.png: a label file must be grey or palette PNG, this one is RGB"):
        one(frame, frame)[0]


def test_label_values_outside_the_table_are_named(tmp_path: Path, save: Any) -> None:
    stored = np.zeros((6, 8), np.uint8)
    stored[2, 3], stored[4, 5] = 12, 200
    path = save(tmp_path / "labels.png", stored)
    with pytest.raises(
        DataError, match=r"labels\.png: label value 12, 200 is not in the class table 'camvid'"
    ) as caught:
        one(save(tmp_path / "frame.png"), path)[0]
    assert caught.value.hint == "its files may hold 0–11"
    with pytest.raises(DataError) as caught:
        read_labels(path, label_values(CAMVID), CAMVID)
    assert caught.value.hint == "its files may hold 0–10, 255"


def test_palette_and_grey_label_files_mean_the_same(tmp_path: Path, save: Any) -> None:
    stored = (np.arange(48, dtype=np.uint8) % 12).reshape(6, 8)
    grey = save(tmp_path / "grey.png", stored)
    palette = Image.fromarray(stored, "L")
    palette.putpalette([255 - value // 3 for value in range(768)])
    palette.save(tmp_path / "palette.png")
    Image.open(tmp_path / "palette.png").close()
    np.testing.assert_array_equal(
        read_labels(grey, VALUES, CAMVID), read_labels(tmp_path / "palette.png", VALUES, CAMVID)
    )


def test_label_files_with_few_grey_bits_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.png"
    Image.fromarray(np.eye(6, 8, dtype=bool)).save(path)
    with pytest.raises(DataError, match=r"labels\.png: a 1-bit grey label file is ambiguous"):
        read_labels(path, VALUES, CAMVID)


def test_an_image_and_its_labels_have_one_size(tmp_path: Path, save: Any) -> None:
    labels = save(tmp_path / "labels.png", np.zeros((6, 9), np.uint8))
    with pytest.raises(DataError, match=r"labels\.png is 9×6, its image .*frame\.png 8×6"):
        one(save(tmp_path / "frame.png"), labels)[0]


def test_grey_palette_and_transparent_images_become_rgb(tmp_path: Path, save: Any) -> None:
    grey = save(tmp_path / "grey.png", np.full((6, 8), 7, np.uint8))
    clear = save(tmp_path / "clear.png", np.full((6, 8, 4), 7, np.uint8))
    palette = tmp_path / "palette.png"
    image = Image.fromarray(np.zeros((6, 8), np.uint8), "P")
    image.putpalette([7] * 768)
    image.save(palette, transparency=b"\x05")
    for path in (grey, clear, palette):
        np.testing.assert_array_equal(read_image(path), np.full((6, 8, 3), 7))


def test_a_photograph_stands_upright(tmp_path: Path) -> None:
    picture = Image.new("RGB", (16, 8))
    picture.paste((255, 255, 255), (8, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "photo.jpg", exif=exif)
    upright = read_image(tmp_path / "photo.jpg")
    assert upright.shape == (16, 8, 3)
    assert upright[:7].max() < 10
    assert upright[9:].min() > 245


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "a\\b", ".hidden", "-rf", "a:b", "tab\t", "end.", " start", "x" * 151, "\udcff"]
)
def test_unsafe_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="not a safe name"):
        one(tmp_path / "frame.png", name=name)


@pytest.mark.parametrize("name", ["0001TP_008550", "IMG 12 (1)", "café", "a.b-c_d+e"])
def test_ordinary_names_are_kept(tmp_path: Path, name: str) -> None:
    assert list(one(tmp_path / "frame.png", name=name).ids) == [name]


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    pairs = [Pair("frame", tmp_path / "frame.png", None), Pair("frame", tmp_path / "frame.jpg", None)]
    with pytest.raises(DataError, match=r"frame\.png and .*frame\.jpg have the same name"):
        FileDataset(tmp_path, CAMVID, pairs, None)


def test_files_are_listed_in_natural_order_whatever_the_folder_says(tmp_path: Path, save: Any) -> None:
    names = ["b1.png", "a10.png", "a9.png", "a09.png", "10.png", "9.PNG", "A1.jpeg"]
    for name in names:
        save(tmp_path / name)
    (tmp_path / "._a9.png").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "notes.txt").touch()
    expected = ["9.PNG", "10.png", "A1.jpeg", "a09.png", "a9.png", "a10.png", "b1.png"]
    assert [path.name for path in list_files(tmp_path)] == expected
    with pytest.raises(DataError, match="cannot list"):
        list_files(tmp_path / "nowhere")
