"""Reading replays: what comes back from a device is not believed."""

import json
import os
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.errors import ConfigurationError, DataError, FormatError, IntegrityError, SegevalError
from segeval.files.replays import Replay
from segeval_runner.digests import sealed
from tests.sealing import reseal, write_sealed

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


@pytest.fixture
def out(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> Path:
    command = runner(make_bundle(), "replay", "--out", tmp_path / "out", "--warmup", "0")
    subprocess.run(command, capture_output=True, check=True)
    return tmp_path / "out"


def change(out: Path, **fields: Any) -> None:
    """Change fields of the first engine in replay.json."""
    record = json.loads((out / "replay.json").read_text())
    record["engines"][0].update(fields)
    write_sealed(out / "replay.json", record)


def store(out: Path, stream: bytes) -> None:
    """Put a stream into the place of the first label map, with the checksum that fits."""
    (out / "single" / "labels.bin").write_bytes(stream)
    lines = (out / "single" / "results.jsonl").read_text().splitlines(keepends=True)
    result = {**json.loads(lines[0]), "bytes": len(stream), "crc32": zlib.crc32(stream)}
    (out / "single" / "results.jsonl").write_text("".join([json.dumps(sealed(result)) + "\n", *lines[1:]]))


def refused(out: Path, kind: type[SegevalError], message: str) -> None:
    with pytest.raises(kind, match=message):
        Replay.open(out).labels("single", "clean/0")


def test_a_folder_that_is_no_replay_is_refused(out: Path, tmp_path: Path) -> None:
    refused(tmp_path, DataError, "is not a replay")
    (out / "replay.json").write_text("{}")
    refused(out, FormatError, r"replay\.json")


def test_what_is_not_there_is_named(out: Path) -> None:
    replay = Replay.open(out)
    with pytest.raises(ConfigurationError, match="no engine 'double'") as caught:
        replay.labels("double", "clean/0")
    assert "single, batched" in caught.value.hint
    with pytest.raises(DataError, match="no result of single for 'clean/99'"):
        replay.labels("single", "clean/99")


def test_damage_is_found(out: Path) -> None:
    labels = out / "single" / "labels.bin"
    whole = bytearray(labels.read_bytes())
    whole[10] ^= 1
    labels.write_bytes(whole)
    refused(out, IntegrityError, "was changed or cut off")
    labels.write_bytes(whole[:5])
    refused(out, IntegrityError, "was changed or cut off")
    labels.unlink()
    refused(out, DataError, "cannot be read")


def test_a_stream_of_another_size_or_kind_is_refused_without_unpacking_it_all(out: Path) -> None:
    store(out, zlib.compress(bytes(64 << 20)))
    tracemalloc.start()
    refused(out, FormatError, "is not 64x96")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    store(out, zlib.compress(bytes(64 * 96 - 1)))
    refused(out, FormatError, "is not 64x96")
    store(out, b"not zlib")
    refused(out, IntegrityError, "does not decompress")
    store(out, zlib.compress(bytes(64 * 96))[:-1])
    refused(out, FormatError, "is not 64x96")


def test_labels_outside_the_classes_are_refused(out: Path) -> None:
    store(out, zlib.compress(np.full((64, 96), 3, np.uint8).tobytes()))
    refused(out, FormatError, "holds label 3; single has 3 classes")


def test_a_complete_engine_must_have_every_result(out: Path) -> None:
    results = out / "single" / "results.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:-1]))
    refused(out, IntegrityError, "holds 6 of 7 results")
    results.write_text("".join([*lines[:-1], lines[-1][:-9]]))
    refused(out, FormatError, r"results\.jsonl:7")
    change(out, complete=False)
    replay = Replay.open(out)
    assert not replay.complete
    assert len(replay.results("single").keys) == 6


def test_paths_and_numbers_that_cannot_be_are_refused(out: Path) -> None:
    change(out, folder="../../etc")
    refused(out, FormatError, "leads out of the folder")
    change(out, folder="single", height=-1)
    refused(out, FormatError, r"\.height")
    change(out, height=64, classes=256)
    refused(out, FormatError, r"\.classes")
    change(out, classes=3)
    lines = (out / "single" / "results.jsonl").read_text()
    (out / "single" / "results.jsonl").write_text(lines.replace('"offset": 0', '"offset": -1'))
    reseal(out / "single" / "results.jsonl")
    refused(out, FormatError, r"\.offset")


def test_what_a_result_claims_is_not_allocated(out: Path) -> None:
    lines = (out / "single" / "results.jsonl").read_text()
    whole = json.loads(lines.splitlines()[0])
    for claim, message in (
        ({"bytes": 1 << 50}, "is not 64x96"),
        ({"bytes": 1 << 60}, r"\.bytes"),
        ({"offset": 1 << 50}, "cut off"),
        ({"latency_ms": -1.0}, r"\.latency_ms"),
    ):
        first = json.dumps(sealed({**whole, **claim}))
        (out / "single" / "results.jsonl").write_text("\n".join([first, *lines.splitlines()[1:]]) + "\n")
        with pytest.raises((FormatError, IntegrityError), match=message):
            Replay.open(out).labels("single", "clean/0")
    (out / "single" / "results.jsonl").write_text(lines + lines.splitlines()[0] + "\n")
    refused(out, FormatError, "results.jsonl:8: the key 'clean/0' occurs twice")


def test_two_engines_of_one_name_or_folder_and_huge_label_maps_are_refused(out: Path) -> None:
    change(out, name="Batched")
    refused(out, FormatError, "two engines have the same name")
    change(out, name="single", folder="batched")
    refused(out, FormatError, "two engines have the same folder")
    change(out, folder="single", height=1 << 16, width=1 << 16)
    refused(out, FormatError, "label maps of 65536x65536 are too large")


@pytest.mark.parametrize("name", ["replay.json", "single/labels.bin", "single/results.jsonl"])
@pytest.mark.parametrize("pipe", [False, True])
def test_links_and_pipes_are_neither_followed_nor_waited_for(out: Path, name: str, pipe: bool) -> None:
    (out / name).rename(out.parent / "elsewhere")
    if pipe:
        os.mkfifo(out / name)
    else:
        (out / name).symlink_to(out.parent / "elsewhere")
    refused(out, FormatError, "symbolic link|not a plain file")


@pytest.mark.parametrize(
    "place",
    [
        ("engines", 0, "name"),
        ("engines", 0, "backend_version"),
        ("engines", 0, "facts", "arithmetic"),
        ("engines", 0, "telemetry", "source"),
        ("environment", "cpu"),
        ("environment", "machine"),
        ("environment", "backends", "onnxruntime"),
    ],
)
@pytest.mark.parametrize("text", ["\x1b[2J", "a\nerror: b", "\u202egnp"])
def test_texts_that_a_terminal_would_obey_are_refused(out: Path, place: tuple[Any, ...], text: str) -> None:
    record = holder = json.loads((out / "replay.json").read_text())
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = text
    write_sealed(out / "replay.json", record)
    refused(out, FormatError, r"replay\.json: a text holds control characters: '")


def test_names_that_a_terminal_would_obey_are_refused(out: Path) -> None:
    """Of a fact, of an input, and of a stage of a call."""
    change(out, facts={"\x1b[2J": 1})
    refused(out, FormatError, "control characters")
    change(out, facts={})
    results = out / "single" / "results.jsonl"
    whole = results.read_bytes()
    for old, new in (
        (b'"clean/3"', b'"\\u001b[2J"'),
        (b'"latency_ms"', b'"stages": {"\\u001b[2J": 1.0}, "latency_ms"'),
    ):
        results.write_bytes(whole.replace(old, new))
        reseal(results)
        refused(out, FormatError, r"results\.jsonl:\d: a text holds control characters")
