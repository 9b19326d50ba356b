"""What a bundle or an unfinished replay from elsewhere may hold, and what the readers make of it."""

import hashlib
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.errors import FormatError, IntegrityError
from segeval.files.bundles import BundleFolder
from segeval_runner import manifest as rules
from segeval_runner.bundle import Bundle
from segeval_runner.cli import main
from segeval_runner.errors import BundleError, OutputError
from segeval_runner.manifest import parse
from segeval_runner.recording import Recording, write_json
from segeval_runner.strict import lines, loads, open_regular, printable

MakeBundle = Callable[..., Path]
Manifest = dict[str, Any]
Change = Callable[[Manifest], None]

SHARD = "inputs/shard-00000.npy"
PIXELS = 7 * 64 * 96 * 3


def rename(old: str, new: str) -> Change:
    """Call a recorded file otherwise."""

    def change(manifest: Manifest) -> None:
        manifest["files"][new] = manifest["files"].pop(old)

    return change


def put(*path: Any) -> Change:
    """Put the last of these at the place that the others name."""

    def change(manifest: Manifest) -> None:
        place: Any = manifest
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


def claim_a_billion_images(manifest: Manifest) -> None:
    manifest["inputs"]["count"] = manifest["inputs"]["shards"][0]["count"] = 10**9
    manifest["files"][SHARD]["bytes"] = 128 + 10**9 * 64 * 96 * 3
    manifest["engines"][0]["inputs"] = [[0, 10**9]]


def claim_a_huge_image(manifest: Manifest) -> None:
    for place in (manifest["inputs"], *manifest["engines"]):
        place["height"] = place["width"] = 1 << 16
    manifest["files"][SHARD]["bytes"] = 128 + 7 * (3 << 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename("run.sh", "../run.sh"), "leads out of the bundle"),
        (rename("run.sh", "models/../../run.sh"), "leads out of the bundle"),
        (rename("run.sh", "/run.sh"), "leads out of the bundle"),
        (rename("run.sh", "models\\run.sh"), "leads out of the bundle"),
        (rename("run.sh", ""), "not a name that segeval gives"),
        (rename("run.sh", "./run.sh"), "not a name that segeval gives"),
        (rename("run.sh", "models//run.sh"), "not a name that segeval gives"),
        (rename("run.sh", "models/"), "not a name that segeval gives"),
        (rename("run.sh", ".ssh/config"), "not a name that segeval gives"),
        (rename("run.sh", "run\0.sh"), "not a name that segeval gives"),
        (rename("run.sh", "run.sh\n"), "not a name that segeval gives"),
        (rename("run.sh", "r\u200bun.sh"), "not a name that segeval gives"),
        (rename("run.sh", "\u202ehs.nur"), "not a name that segeval gives"),
        (rename("run.sh", "ｒｕｎ.sh"), "not a name that segeval gives"),
        (rename("run.sh", "a" * 201), "not a name that segeval gives"),
        (rename("run.sh", "RUNNER.PYZ"), "where capital letters do not count"),
        (rename("run.sh", "Bundle.json"), "where capital letters do not count"),
        (rename("run.sh", "models/single.onnx/x"), "both a file and a folder"),
        (put("files", "run.sh", "sha256", "A" * 64), "not a SHA-256"),
        (put("files", "run.sh", "sha256", "0" * 63), "not a SHA-256"),
        (put("files", "run.sh", "bytes", -1), "is -1, not 0 to"),
        (put("files", SHARD, "bytes", PIXELS), "its images have"),
        (put("files", SHARD, "bytes", PIXELS + 5000), "its images have"),
        (put("set", "manifest_sha256", "x"), "not a SHA-256"),
        (put("inputs", "count", rules.MOST_INPUTS + 1), "'count' is 1000001"),
        (put("inputs", "height", 1 << 17), "'height' is 131072"),
        (put("inputs", "shards", 0, "count", 0), "is empty"),
        (claim_a_billion_images, "'count' is 1000000000"),
        (claim_a_huge_image, "takes 4294967296 pixels at once"),
        (put("engines", 0, "batch", 1 << 20), "pixels at once"),
        (put("engines", 0, "batch", 0), "does not fit the inputs"),
        (put("engines", 0, "batch", True), "of another type"),
        (put("engines", 0, "classes", 256), "does not fit the inputs"),
        (put("engines", 0, "inputs", [[0, 0]] * 1000), "not ascending ranges"),
        (put("engines", 0, "inputs", [[0, 7, 8]]), "are not ranges"),
        (put("engines", 0, "inputs", [[False, True]]), "are not ranges"),
        (put("engines", 0, "name", "Batched"), "is taken"),
        (put("engines", 0, "name", "replay.json"), "is taken"),
        (put("engines", 0, "name", "a" * 201), "does not fit the inputs"),
        (put("engines", 0, "model", "\x1b[2J"), "control characters"),
        (put("engines", 0, "model", "\u202ekcatta"), "control characters"),
        (put("engines", 0, "model", "x" * 1001), "too long"),
        (put("schema", "segeval.bundle/3"), "made by a newer segeval"),
        (put("schema", "segeval.bundle/0"), "is 'segeval.bundle/0', this runner reads"),
        (put("schema", "segeval.bundle/²"), "this runner reads"),
    ],
)
def test_a_manifest_that_asks_for_what_cannot_be_is_refused(
    make_bundle: MakeBundle, change: Change, message: str
) -> None:
    """By the runner and, with an error of its own kind, on the desktop."""
    bundle = make_bundle()
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    parse(json.dumps(manifest).encode())
    change(manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError) as caught:
        Bundle(bundle)
    assert message in caught.value.what
    with pytest.raises(FormatError):
        BundleFolder(bundle).manifest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema": "segeval.bundle/1", "schema": "segeval.bundle/1"}', "the key 'schema' occurs twice"),
        ('{"files": {"a": {"x": 1, "x": 2}}}', "the key 'x' occurs twice"),
        ('{"schema": NaN}', "NaN is not a number"),
        ('{"schema": -Infinity}', "-Infinity is not a number"),
        ('{"schema": 1e999}', "too large"),
        ('{"schema": 18446744073709551616}', "too large"),
        ('{"schema": ' + "9" * 1_000_000 + "}", "too large"),
        ('{"schema": ' + "[" * 65 + "]" * 65 + "}", "nested too deeply"),
        ("[" * 1_000_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"schema": "\\ud800"}', "surrogates not allowed"),
        ('{"\\udfff": 1}', "surrogates not allowed"),
        ('{"schema": "segeval.bundle/1"', "bundle.json is not JSON"),
        ('\ufeff{"schema": "segeval.bundle/1"}', "bundle.json is not JSON"),
    ],
)
def test_json_that_readers_understand_differently_is_refused(text: str, message: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse(text.encode())
    assert message in caught.value.what


def test_json_that_is_none_of_that_is_read() -> None:
    value = {"a": [1, -(1 << 63), (1 << 63) - 1, 0.5, None, True, "é😀\u2028"], "b": {"a": []}}
    for ascii_only in (True, False):
        assert loads(json.dumps(value, ensure_ascii=ascii_only).encode()) == value
    assert loads(b"[" * 60 + b"]" * 60) is not None


def header(text: str, version: bytes = b"\x01\x00") -> bytes:
    """The beginning of a .npy file."""
    data = (text + "\n").encode()
    return b"\x93NUMPY" + version + len(data).to_bytes(2 if version == b"\x01\x00" else 4, "little") + data


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (header("{'descr': '|u1', 'fortran_order': True, 'shape': (7, 64, 96, 3), }"), "no uint8 images in C order"),
        (header("{'descr': '|O', 'fortran_order': False, 'shape': (7, 64, 96, 3), }"), "no uint8 images in C order"),
        (header("{'descr': '|i1', 'fortran_order': False, 'shape': (7, 64, 96, 3), }"), "no uint8 images in C order"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (7, 64, 96, 3), 'x': 1}"), "no uint8 images"),
        (header("(" * 100), "no uint8 images"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (9, 64, 96, 3), }"), "not uint8 (7, 64, 96, 3)"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (7, 32, 192, 3), }"), "not uint8 (7, 64, 96, 3)"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (7, 64, 96, 3), }"), "does not end with its last"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "9" * 70 + ", 64, 96, 3), }"), "not uint8 (7"),
        (header("{}", b"\x02\x00"), "not an .npy file of version 1.0"),
        (b"PK\x03\x04", "not an .npy file"),
    ],
)
def test_a_header_that_lies_about_its_images_is_refused(make_bundle: MakeBundle, start: bytes, message: str) -> None:
    """Although size and hash are the recorded ones, and nothing of the file is unpickled or evaluated."""
    bundle = make_bundle()
    size = (bundle / SHARD).stat().st_size
    data = start + bytes(size - len(start))
    (bundle / SHARD).write_bytes(data)
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    manifest["files"][SHARD] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": size}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    opened = Bundle(bundle)
    opened.verify(lambda done, total: None)
    with pytest.raises(BundleError) as caught:
        opened.image(0)
    assert message in caught.value.what


def test_the_first_changed_file_is_named(make_bundle: MakeBundle) -> None:
    """Although all are hashed at once, and no thread is left behind."""
    bundle, before = make_bundle(), threading.active_count()
    for name in (SHARD, "run.sh", "inputs/index.jsonl"):
        with (bundle / name).open("r+b") as file:
            file.write(b"#")
    done: list[int] = []
    with pytest.raises(BundleError, match=r"index\.jsonl was changed"):
        Bundle(bundle).verify(lambda size, total: done.append(size))
    assert done == [] and threading.active_count() == before


def test_every_header_that_numpy_writes_is_read(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    whole = np.load(bundle / SHARD)
    np.save(bundle / SHARD, whole)
    opened = Bundle(bundle)
    image = np.empty_like(whole[0])
    with opened.inputs() as inputs:
        for index in (*range(7), 2):
            inputs.read(index, image)
            assert np.array_equal(image, whole[index])


@pytest.mark.parametrize("name", ["bundle.json", "run.sh", SHARD, "inputs/index.jsonl"])
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_plain_file_is_not_waited_for_nor_followed(make_bundle: MakeBundle, name: str, kind: str) -> None:
    bundle = make_bundle()
    path = bundle / name
    path.rename(bundle.parent / "elsewhere")
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(bundle.parent / "elsewhere")
    else:
        path.mkdir()
    with pytest.raises(BundleError):
        Bundle(bundle).verify(lambda done, total: None)
    with pytest.raises((FormatError, IntegrityError)):
        BundleFolder(bundle).verify()


def write_index(bundle: Path, data: bytes) -> None:
    (bundle / "inputs/index.jsonl").write_bytes(data)
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    manifest["files"]["inputs/index.jsonl"] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (bundle / "bundle.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"key": "a"}\n' * 7, "does not hold 7 different keys"),
        (b"".join(b'{"key": "%d"}\n' % number for number in range(8)), "more than 7 lines"),
        (b'{"key": "a", "key": "b"}\n', "occurs twice"),
        (b'{"key": "\\u001b[2J"}\n', "control characters"),
        (b'{"key": "\xff"}\n', "cannot be read"),
        (b"[" * 8000 + b"\n", "nested too deeply"),
        (b'{"key": "' + b"x" * (32 << 20), "a line has more than 8192 bytes"),
    ],
)
def test_an_index_that_makes_no_sense_is_refused_without_reading_it_all(
    make_bundle: MakeBundle, data: bytes, message: str
) -> None:
    bundle = make_bundle()
    write_index(bundle, data)
    tracemalloc.start()
    opened = Bundle(bundle)
    with pytest.raises(BundleError) as caught:
        opened.keys()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert message in caught.value.what
    assert peak < 8 << 20
    with pytest.raises(FormatError):
        BundleFolder(bundle).keys()


def test_a_manifest_that_is_too_large_is_not_read(make_bundle: MakeBundle) -> None:
    bundle = make_bundle()
    with (bundle / "bundle.json").open("r+b") as file:
        file.truncate(1 << 40)  # takes no space
    with pytest.raises(BundleError, match="more than 16777216 bytes"):
        Bundle(bundle)
    with pytest.raises(FormatError, match="more than 16777216 bytes"):
        BundleFolder(bundle).manifest()


def test_links_in_an_unfinished_replay_do_not_lead_the_results_elsewhere(tmp_path: Path) -> None:
    """A replay folder can come with the bundle: nothing outside it is cut off, extended or overwritten."""
    precious = tmp_path / "precious"
    precious.write_text("mine")
    out = tmp_path / "out"
    (out / "linked-file").mkdir(parents=True)
    (out / "linked-file" / "labels.bin").symlink_to(precious)
    (tmp_path / "elsewhere").mkdir()
    (out / "linked-folder").symlink_to(tmp_path / "elsewhere")
    (out / "pipe").mkdir()
    os.mkfifo(out / "pipe" / "labels.bin")
    for name in ("linked-file", "linked-folder", "pipe"):
        with pytest.raises(OutputError, match="is a symbolic link, a pipe or a device"):
            Recording(out / name, ["a"], 1)
    (out / "replay.json.part").symlink_to(precious)
    write_json(out / "replay.json", {})
    assert precious.read_text() == "mine"
    assert not any((tmp_path / "elsewhere").iterdir())
    assert not (out / "replay.json.part").is_symlink()


@pytest.mark.parametrize(
    "line", [b'{"key": "a", "offset": 0, "bytes": -1, "crc32": 0}', b'{"key": "a", "bytes": 1e18}', b"[" * 10_000]
)
def test_a_result_that_cannot_be_counts_as_not_done(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "results.jsonl").write_bytes(line + b"\n")
    with Recording(tmp_path / "e", ["a"], 1) as recording:
        assert recording.done == 0
        recording.cut()
    assert (tmp_path / "e" / "results.jsonl").read_bytes() == b""


def test_a_replay_that_is_nested_without_end_is_refused(
    make_bundle: MakeBundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "replay.json").write_text("[" * 100_000)
    assert main(["replay", "--bundle", str(make_bundle()), "--out", str(tmp_path / "out")]) == 2
    assert "replay.json is not the record of a replay" in capfd.readouterr().err


def test_lines_are_bounded_and_pipes_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"ab\n\nabcd")
    with open_regular(path) as file:
        assert list(lines(file, 4)) == [b"ab\n", b"\n", b"abcd"]
    with open_regular(path) as file, pytest.raises(ValueError, match="more than 3 bytes"):
        list(lines(file, 3))
    with pytest.raises(ValueError, match="not a plain file"):
        open_regular(tmp_path)


def test_what_a_library_says_is_escaped_in_a_record() -> None:
    """So that the readers, which refuse control characters, read what this runner writes."""
    said = {"fallback": ["a\nb", ("\x1b[2J", 1.5)], "\u202ename": None, "plain é": True}
    assert printable(said) == {"fallback": ["a\\nb", ["\\x1b[2J", 1.5]], "\\u202ename": None, "plain é": True}
