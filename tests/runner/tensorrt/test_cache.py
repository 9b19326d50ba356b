"""What was built is used again only if it is certain to be the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval_runner.backends.tensorrt.cache import LONGEST_SIDECAR, Cache, Kept, sidecar_of
from segeval_runner.errors import BackendError

KEY = {"file": "a" * 64, "gpu": "Orin", "flags": {"typing": "strong", "dla": -1}}


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Cache, Path]:
    cache = Cache(tmp_path / "made" / "engines")
    path = cache.path("net.fp16", "engine", KEY)
    cache.store(path, KEY, b"an engine", {"warnings": ["slow"]})
    return cache, path


def test_what_was_stored_comes_back(stored: tuple[Cache, Path]) -> None:
    cache, path = stored
    assert cache.load(path, KEY) == Kept(b"an engine", {"warnings": ["slow"]})
    assert path.name.startswith("net.fp16-") and path.suffix == ".engine"
    assert sorted(each.name for each in cache.folder.iterdir()) == [path.name, path.name + ".json"]


def test_another_key_lies_elsewhere_and_does_not_answer(stored: tuple[Cache, Path]) -> None:
    cache, path = stored
    for other in ({**KEY, "gpu": "Xavier"}, {**KEY, "flags": {"typing": "strong", "dla": 0}}, {}):
        assert cache.path("net.fp16", "engine", other) != path
        assert cache.load(path, other) is None
    assert cache.path("net.fp16", "timing", KEY) != path


def change(text: str) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        sidecar_of(path).write_text(text, encoding="utf-8")

    return spoil


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def pad(path: Path) -> None:
    sidecar = sidecar_of(path)
    sidecar.write_text(sidecar.read_text(encoding="utf-8") + " " * LONGEST_SIDECAR, encoding="utf-8")


def add(path: Path) -> None:
    record = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
    sidecar_of(path).write_text(json.dumps({**record, "more": 1}), encoding="utf-8")


def drop_notes(path: Path) -> None:
    record = json.loads(sidecar_of(path).read_text(encoding="utf-8"))
    del record["notes"]
    sidecar_of(path).write_text(json.dumps(record), encoding="utf-8")


SPOILT = {
    "no notes, as before version 2": drop_notes,
    "bytes are missing": cut,
    "no engine": Path.unlink,
    "no sidecar": lambda path: sidecar_of(path).unlink(),
    "an empty sidecar": change(""),
    "a list": change("[]"),
    "deep": change("[" * 60000),
    "no text": lambda path: sidecar_of(path).write_bytes(b"\xff\xfe"),
    "a sidecar without end": pad,
    "more than a sidecar says": add,
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_anything_else_counts_as_not_there(stored: tuple[Cache, Path], spoil: Callable[[Path], None]) -> None:
    cache, path = stored
    spoil(path)
    assert cache.load(path, KEY) is None
    cache.store(path, KEY, b"a new engine")
    assert cache.load(path, KEY) == Kept(b"a new engine", {})


def test_a_folder_that_cannot_be_made_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError) as caught:
        Cache(tmp_path / "file" / "engines")
    assert "--cache" in caught.value.hint


def test_a_full_disk_names_the_option(mount_disk: Callable[[str], Path]) -> None:
    cache = Cache(mount_disk("64k"))
    path = cache.path("net", "engine", KEY)
    with pytest.raises(BackendError, match="no space left") as caught:
        cache.store(path, KEY, bytes(100_000))
    assert "--cache" in caught.value.hint
    assert cache.load(path, KEY) is None
