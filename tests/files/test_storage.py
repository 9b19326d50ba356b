import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from segeval.errors import DataError, FormatError, IntegrityError, StorageError
from segeval.files.images import load_png, png_bytes, read_png, save_png
from segeval.files.npy import save_npy
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSample, AdversarialSet, FileRecord
from segeval.files.storage import MOST_BYTES, inside, sha256_file, write_atomic

Example = Callable[[Any], Any]
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PIXELS = st.one_of(
    SHAPES.flatmap(lambda shape: hnp.arrays(np.uint8, (*shape, 3))), SHAPES.flatmap(lambda s: hnp.arrays(np.uint8, s))
)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the operating system refuse to write files of more than `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
def small_disk(mount_disk: Callable[[str], Path]) -> Path:
    """A file system of 64 KiB."""
    return mount_disk("64k")


def test_a_file_is_written_with_its_folder_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    for data in (b"first, and longer", b"second"):
        write_atomic(path, data)
        assert path.read_bytes() == data
    assert names(path.parent) == ["file"]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"before")
    with largest_file(1000), pytest.raises(StorageError, match=r"cannot write .*file: File too large"):
        write_atomic(path, bytes(5000))
    assert names(tmp_path) == ["file"]
    assert path.read_bytes() == b"before"


def test_a_full_disk_leaves_what_was_there_and_says_so(small_disk: Path) -> None:
    path = small_disk / "file"
    write_atomic(path, b"before")
    with pytest.raises(StorageError, match=r"no space left on the disk of .*file") as caught:
        write_atomic(path, bytes(100_000))
    assert "free some space" in caught.value.hint
    assert names(small_disk) == ["file"]
    assert path.read_bytes() == b"before"


def test_samples_onto_a_full_disk_say_so(small_disk: Path, example: Example) -> None:
    with pytest.raises(StorageError, match=r"no space left on the disk of .*samples\.jsonl"):
        SetFolder(small_disk).append([example(AdversarialSample)] * 1000)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*inner") as caught:
        write_atomic(tmp_path / "file" / "inner", b"")
    assert "--out" in caught.value.hint


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "../x", "a/../../x", "a/..", "", ".", "a\\..\\x", "//x", "\\x"])
def test_paths_that_lead_out_of_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(FormatError, match="leads out of the folder"):
        inside(tmp_path, path)


def test_paths_below_the_folder_are_kept(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/..b/c.png") == tmp_path / "a" / "..b" / "c.png"


@given(pixels=PIXELS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_images_and_label_maps_come_back_bit_for_bit(tmp_path: Path, pixels: NDArray[np.uint8]) -> None:
    record = save_png(tmp_path, "folder/image.png", pixels)
    assert record == FileRecord("folder/image.png", sha256_file(tmp_path / "folder" / "image.png"))
    back = load_png(tmp_path, record, "RGB" if pixels.ndim == 3 else "L")
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, pixels)


def test_masks_come_back(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).random((6, 8)) < 0.5
    record = save_png(tmp_path, "mask.png", mask.astype(np.uint8) * 255)
    np.testing.assert_array_equal(SetFolder(tmp_path).mask(record), mask)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, FileRecord]:
    """An image on disk and its record."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return tmp_path / "image.png", save_png(tmp_path, "image.png", pixels)


@pytest.mark.parametrize("kept", [0, 20, 60, 0.5, 0.99])
def test_truncated_images_are_named(saved: tuple[Path, FileRecord], kept: float) -> None:
    path, record = saved
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(DataError, match=r"image\.png cannot be read") as caught:
        load_png(path.parent, record, "RGB")
    assert "truncated" in caught.value.hint


def test_an_image_that_was_changed_is_not_used(saved: tuple[Path, FileRecord], tmp_path: Path) -> None:
    path, record = saved
    write_atomic(path, png_bytes(np.zeros((32, 48, 3), np.uint8)))
    with pytest.raises(IntegrityError, match=r"image\.png is not the file that was recorded"):
        load_png(tmp_path, record, "RGB")


def test_a_link_to_another_image_is_not_used(saved: tuple[Path, FileRecord], tmp_path: Path) -> None:
    path, record = saved
    other = tmp_path / "other.png"
    write_atomic(other, png_bytes(np.zeros((32, 48, 3), np.uint8)))
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(FormatError, match=r"image\.png is a symbolic link, a pipe or a device"):
        load_png(tmp_path, record, "RGB")


def test_a_folder_that_is_a_link_and_a_pipe_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe.png")
    for path in ("folder/image.png", "pipe.png"):
        with pytest.raises(FormatError, match="symbolic link, a pipe or a device"):
            inside(tmp_path, path)
    with pytest.raises(FormatError, match="symbolic link"):
        save_png(tmp_path, "folder/image.png", np.zeros((4, 4, 3), np.uint8))
    assert names(tmp_path / "elsewhere") == []


def test_what_was_left_half_written_is_not_written_through(tmp_path: Path) -> None:
    """A link under the temporary name, as somebody else's folder may hold it."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "file.part").symlink_to(tmp_path / "precious")
    write_atomic(tmp_path / "file", b"data")
    assert (tmp_path / "file").read_bytes() == b"data"
    assert (tmp_path / "precious").read_text() == "mine"
    assert sorted(names(tmp_path)) == ["file", "precious"]


def test_an_image_that_is_missing_is_named(saved: tuple[Path, FileRecord], tmp_path: Path) -> None:
    path, record = saved
    path.unlink()
    with pytest.raises(DataError, match=r"image\.png is missing"):
        load_png(tmp_path, record, "RGB")


@pytest.mark.parametrize("path", ["../image.png", "a\0b.png", "x" * 300 + ".png"])
def test_recorded_paths_are_not_trusted(saved: tuple[Path, FileRecord], tmp_path: Path, path: str) -> None:
    _, record = saved
    with pytest.raises((FormatError, DataError), match=r"leads out of|is not valid:"):
        load_png(tmp_path, replace(record, path=path), "RGB")


def test_a_colour_image_is_no_label_map(saved: tuple[Path, FileRecord]) -> None:
    with pytest.raises(DataError, match="must be 8-bit grey or palette PNG, this one is RGB"):
        read_png(saved[0], "L")


@pytest.fixture
def finished(tmp_path: Path, example: Example) -> SetFolder:
    """A set of three samples."""
    folder = SetFolder(tmp_path)
    sample: AdversarialSample = example(AdversarialSample)
    folder.append([replace(sample, id="0"), replace(sample, id="1")])
    folder.append([replace(sample, id="2")])
    digest = sha256_file(folder.samples_path)
    folder.write_manifest(replace(example(AdversarialSet), complete=True, sample_count=3, samples_sha256=digest))
    return folder


def test_a_set_comes_back_in_order(finished: SetFolder, example: Example) -> None:
    samples = list(finished.samples())
    assert [sample.id for sample in samples] == ["0", "1", "2"]
    assert replace(samples[0], id="x") == replace(example(AdversarialSample), id="x")
    assert finished.complete_manifest() == finished.manifest()


def test_samples_that_were_changed_are_not_used(finished: SetFolder) -> None:
    finished.samples_path.write_bytes(finished.samples_path.read_bytes().replace(b'"id":"1"', b'"id":"9"'))
    with pytest.raises(IntegrityError, match=r"samples\.jsonl was changed"):
        finished.complete_manifest()


def test_samples_that_are_gone_are_missed(finished: SetFolder) -> None:
    finished.samples_path.unlink()
    with pytest.raises(IntegrityError, match=r"samples\.jsonl was changed"):
        finished.complete_manifest()


def test_a_malformed_sample_is_named_by_its_line(finished: SetFolder) -> None:
    lines = finished.samples_path.read_bytes().splitlines(keepends=True)
    finished.samples_path.write_bytes(lines[0] + b'{"id": 1}\n' + lines[2])
    with pytest.raises(FormatError, match=r"samples\.jsonl:2: .*\$\.id"):
        list(finished.samples())


def test_a_set_that_is_unfinished_or_none_is_refused(finished: SetFolder) -> None:
    finished.write_manifest(replace(finished.manifest(), complete=False))
    with pytest.raises(DataError, match="is an unfinished adversarial set with 3 adversarial image") as caught:
        finished.complete_manifest()
    assert "--resume" in caught.value.hint
    finished.manifest_path.unlink()
    with pytest.raises(DataError, match="is not an adversarial set"):
        finished.manifest()


@pytest.fixture
def margins(tmp_path: Path) -> tuple[SetFolder, FileRecord]:
    """A set's folder with the margins of one sample."""
    record = save_npy(tmp_path, "margin/image.npy", np.array([1.5, -0.25, 0.0], np.float16))
    return SetFolder(tmp_path), record


def test_margins_come_back(margins: tuple[SetFolder, FileRecord]) -> None:
    folder, record = margins
    found = folder.margins(record)
    assert found.dtype == np.float16 and found.tolist() == [1.5, -0.25, 0.0]
    empty = save_npy(folder.root, "empty.npy", np.zeros(0, np.float16))
    assert folder.margins(empty).shape == (0,)


def test_margins_that_are_gone_changed_or_linked_are_not_used(margins: tuple[SetFolder, FileRecord]) -> None:
    folder, record = margins
    path = folder.root / record.path
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"xx")
    with pytest.raises(IntegrityError, match=r"image\.npy is not the file that was recorded"):
        folder.margins(record)
    path.rename(folder.root / "elsewhere.npy")
    with pytest.raises(DataError, match=r"image\.npy is missing"):
        folder.margins(record)
    path.symlink_to(folder.root / "elsewhere.npy")
    with pytest.raises(FormatError, match="symbolic link"):
        folder.margins(record)
    with pytest.raises(FormatError, match="leads out of the folder"):
        folder.margins(replace(record, path="../image.npy"))


def with_header(data: bytes, header: bytes) -> bytes:
    """A .npy file that says something else of the same numbers."""
    return data[:8] + len(header).to_bytes(2, "little") + header + data[128:]


HEADER = b"{'descr': '<f2', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda data: b"", "its 0 bytes are not a float16 vector"),
        (lambda data: b"PK\x03\x04" + bytes(40), "not a float16 vector"),
        (lambda data: data[:6] + b"\x03" + data[7:], "not a float16 vector"),
        (lambda data: data[:-1], "its 133 bytes are not a float16 vector"),
        (lambda data: data + b"\0\0", "its 136 bytes are not a float16 vector"),
        (lambda data: data[:-2] + np.float16(np.nan).tobytes(), "not finite"),
        (lambda data: data[:-2] + np.float16(np.inf).tobytes(), "not finite"),
        (lambda data: data.replace(b"<f2", b"<i2"), "not a float16 vector"),
        (lambda data: data.replace(b"False", b" True"), "not a float16 vector"),
        (lambda data: data.replace(b"(3,), ", b"(3, 1)"), "not a float16 vector"),
        (lambda data: with_header(data, HEADER % b"(1<<40,)"), "not a float16 vector"),
        (lambda data: with_header(data, HEADER % b"(999999999999,)"), "not a float16 vector"),
        (lambda data: with_header(data, b"(" * 9000), "not a float16 vector"),
        (lambda data: with_header(data, b"-" * 9000 + b"1"), "not a float16 vector"),
        (lambda data: with_header(data, b"{[]:1}"), "not a float16 vector"),
    ],
)
def test_margins_that_are_no_vector_of_numbers_are_refused(
    margins: tuple[SetFolder, FileRecord], change: Callable[[bytes], bytes], complaint: str
) -> None:
    """Though their hash is the recorded one: a whole set may come from elsewhere."""
    folder, record = margins
    path = folder.root / record.path
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(FormatError, match=complaint) as caught:
        folder.margins(replace(record, sha256=sha256_file(path)))
    assert "image.npy" in caught.value.what and caught.value.hint


def test_margins_without_end_are_not_read(margins: tuple[SetFolder, FileRecord]) -> None:
    folder, record = margins
    with (folder.root / record.path).open("ab") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(FormatError, match="more than"):
        folder.margins(record)
