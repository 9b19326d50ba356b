"""Mutated bundles, replays, result archives and sets: refused with an error of the tree, or read; never anything else.

`make fuzz` runs many thousand examples, the ordinary tests a few hundred, always the same ones.
"""

import hashlib
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segeval.deploy.ssh.unpack import unpack
from segeval.errors import SegevalError
from segeval.files.bundles import BundleFolder
from segeval.files.consistency import consistent_samples, require_consistent_set
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval_runner.cli import main
from tests.sealing import resealed

Files = dict[str, bytes]
Sandbox = Callable[[], Path]
Fence = Callable[..., AbstractContextManager[None]]

EXAMPLES = int(os.environ.get("SEGEVAL_FUZZ_EXAMPLES", "250"))
DRAWN = "SEGEVAL_FUZZ_EXAMPLES" in os.environ
"""Whether examples are drawn at random, so that nothing is certain about what they are."""
MOST_BYTES = 1 << 20


def fuzz(share: float) -> settings:
    """The same examples every time, unless more of them are asked for."""
    return settings(
        max_examples=max(1, round(EXAMPLES * share)),
        deadline=None,  # the fence has one that does not depend on what else the machine does
        derandomize=not DRAWN,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


class Raw(str):
    """JSON text as it is, which may be none."""


class Pairs(list[Any]):
    """An object as [key, value] lists, so that a key can occur twice."""


ODD: list[Any] = [
    *(None, True, False, "", [], Pairs(), 0, 1, -1, 2, 255, 256, 65536, 65537, 2**27, 2**31, 2**32, 2**53, 2**63 - 1),
    *(2**63, 2**64, 10**30, 0.5, -0.0, 1e300, [[0, 2**62]], [[0, 0]] * 50, [[3, 1]], ["x"] * 300),
    *(Raw("NaN"), Raw("Infinity"), Raw("1e999"), Raw("-1e999"), Raw("9" * 5000), Raw("[" * 5000)),
    *(Raw("[" * 70 + "]" * 70), Raw('"\\ud800"'), Raw('"\\u0000"'), Raw('"\xff"'), Raw("{"), Raw(""), Raw("tru")),
    *(Raw('{"a":1,"a":2}'), Raw("01"), "..", ".", "/", "../outside/precious", "/etc/passwd", "a\\b", "a\0b", "~/x"),
    *("models/../../outside/precious", "-o", "outside", "models", "inputs", "M.FP32", "Models/M.fp32.onnx"),
    *("models//m.fp32.onnx", "models/m.fp32.onnx/", "./run.sh", "bundle.json", "replay.json", "labels.bin"),
    *("\u202eexe", "ｍ", "é", "e\u0301", "\x1b[2J", "x" * 300, "x" * 5000, "0" * 64, "segeval.bundle/2"),
    *("segeval.replay/99", "segeval.bundle/1", "onnxruntime", "tensorrt", "fp16", "int8", "nosuch"),
]  # fmt: skip
HEADERS = [
    (b"'|u1'", b"'|O'"), (b"False", b"True"), (b"(4,", b"(5,"), (b"(4,", b"(400000000000,"), (b"6, 9", b"9, 6"),
    (b"6, 9", b"-6, -9"), (b", 3)", b", 3, 1)"), (b"NUMPY\x01", b"NUMPY\x02"), (b"{", b"("), (b"|u1", b"<u8"),
    (b"'shape'", b"'\xff'"), (b"<f2", b"<i2"), (b"{'descr'", b"((((((((("), (b"{'descr'", b"---------"),
]  # fmt: skip


def parsed(data: bytes) -> Any:
    return json.loads(data, object_pairs_hook=lambda pairs: Pairs(list(pair) for pair in pairs))


def text(value: Any) -> str:
    """JSON of a mutated value."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, Pairs):
        return "{" + ",".join(f"{json.dumps(key)}:{text(item)}" for key, item in value) + "}"
    return "[" + ",".join(map(text, value)) + "]" if isinstance(value, list) else json.dumps(value)


def slots(value: Any) -> list[tuple[list[Any], int]]:
    """Every place that holds a value: the list, and where in it; a key's value is at 1 of its pair."""
    found: list[tuple[list[Any], int]] = []
    for index, item in enumerate(value if isinstance(value, list) else []):
        where = (item, 1) if isinstance(value, Pairs) else (value, index)
        found += [where, *slots(where[0][where[1]])]
    return found


def mutate_json(draw: Any, data: bytes) -> bytes:
    """Change, drop, repeat or exchange one to three values."""
    whole = [parsed(data)]
    for _ in range(draw(st.integers(1, 3))):
        places = slots(whole)
        holder, index = places[draw(st.integers(0, len(places) - 1))]
        action = draw(st.sampled_from(["odd", "odd", "odd", "drop", "repeat", "exchange", "shift", "key"]))
        if action == "odd":
            holder[index] = deepcopy(draw(st.sampled_from(ODD)))
        elif action == "shift" and type(holder[index]) is int:
            holder[index] += draw(st.sampled_from([-(2**40), -1, 1, 2, 1000, 2**31]))
        elif action == "exchange":
            other, place = places[draw(st.integers(0, len(places) - 1))]
            holder[index], other[place] = deepcopy(other[place]), deepcopy(holder[index])
        elif isinstance(holder[index], list) and holder[index]:
            mutate_members(draw, holder[index], action)
    return text(whole[0]).encode("latin-1", "replace")


def mutate_members(draw: Any, members: list[Any], action: str) -> None:
    """Drop or repeat a member of a list or an object, or rename a key."""
    at = draw(st.integers(0, len(members) - 1))
    if action == "drop":
        del members[at]
    elif action == "repeat":
        members.extend([members[at]] * draw(st.sampled_from([1, 1, 2, 500])))
    elif isinstance(members, Pairs):
        members[at] = [draw(st.sampled_from([odd for odd in ODD if type(odd) is str])), members[at][1]]


def mutate_bytes(draw: Any, data: bytes) -> bytes:
    """Cut off, flip, repeat or remove."""
    at = draw(st.integers(0, max(0, len(data) - 1)))
    action = draw(st.sampled_from(["cut", "flip", "insert", "remove", "empty", "header"]))
    if action == "header":
        old, new = draw(st.sampled_from(HEADERS))
        return data.replace(old, new, 1)
    if action == "flip":
        return data[:at] + bytes([(data[at] if data else 0) ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
    if action == "insert":
        more: bytes = draw(st.binary(min_size=1, max_size=9))
        return data[:at] + more + data[at:]
    if action == "empty":
        return b""
    rest: int = draw(st.integers(1, 40)) if action == "remove" else len(data)
    return data[:at] + data[at + rest :]


def mutate_file(draw: Any, name: str, data: bytes) -> bytes:
    """By its structure, or its bytes."""
    if draw(st.booleans()) and name.endswith(".json"):
        return mutate_json(draw, data)
    if draw(st.booleans()) and name.endswith(".jsonl"):
        lines = data.splitlines(keepends=True)
        at = draw(st.integers(0, len(lines) - 1))
        lines[at] = mutate_json(draw, lines[at]) + b"\n"
        return b"".join(lines)
    return mutate_bytes(draw, data)


def write(root: Path, files: Files) -> None:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def replace_by_something_else(draw: Any, root: Path, name: str) -> None:
    """A link, a pipe, a folder, nothing, or a folder that is a link."""
    kind = draw(st.sampled_from(["link", "zero", "dangling", "pipe", "folder", "nothing", "linked folder"]))
    path, outside = root / name, root.parent / "outside"
    if kind == "linked folder" and path.parent != root:
        path.parent.rename(root.parent / "outside" / "moved")
        path.parent.symlink_to(outside / "moved")
        return
    path.unlink()
    targets = {"link": outside / "precious", "zero": Path("/dev/zero"), "dangling": outside / "new"}
    if kind in targets:
        path.symlink_to(targets[kind])
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()


def recorded_again(files: Files, names: set[str]) -> Files:
    """With the sizes and hashes of changed files in the manifest, as somebody would who means it."""
    manifest = json.loads(files["bundle.json"])
    for name in names & manifest["files"].keys():
        manifest["files"][name] = {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    return {**files, "bundle.json": resealed("bundle.json", json.dumps(manifest).encode())}


def hashed_again(files: Files, originals: Files) -> Files:
    """With the hashes of a set's changed files in its records, and that of the records in set.json."""
    records, manifest = files["samples.jsonl"], files["set.json"]
    for name in files.keys() - {"samples.jsonl", "set.json"}:
        records = records.replace(digest(originals[name]), digest(files[name]))
    manifest = manifest.replace(digest(originals["samples.jsonl"]), digest(records))
    return {**files, "samples.jsonl": records, "set.json": manifest}


def digest(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest().encode()


def mutated_folder(draw: Any, root: Path, originals: Files, first: str) -> None:
    """Write a folder with some of its files changed. first: the manifest, which half of the examples change alone.

    In half of them every record gets the digest that fits, as somebody would do who means it.
    """
    files = dict(originals)
    names, seal = {first}, draw(st.booleans())
    if draw(st.booleans()):
        # What is inside an ONNX file with the right hash is the engine's own affair: such a file is not fuzzed here.
        names = draw(st.sets(st.sampled_from(sorted(name for name in files if name != first)), min_size=1, max_size=2))
        files.update({name: mutate_file(draw, name, files[name]) for name in sorted(names)})
        if seal:
            files.update({name: resealed(name, files[name]) for name in names})
        if first == "bundle.json" and draw(st.booleans()):
            files = recorded_again(files, {name for name in names if not name.endswith(".onnx")})
        if first == "set.json" and draw(st.booleans()):
            files = hashed_again(files, originals)
    if first in names or draw(st.integers(0, 3)) == 0:
        files[first] = mutate_file(draw, first, files[first])
    if seal:
        files[first] = resealed(first, files[first])
    write(root, files)
    if draw(st.integers(0, 5)) == 0:
        replace_by_something_else(draw, root, draw(st.sampled_from(sorted(files))))


def runner(*words: object) -> str:
    """Run the runner's command line here; "accepted" or "refused"."""
    code = main([str(word) for word in words])
    return {0: "accepted", 2: "refused"}.get(code, f"ended with {code}")


def desktop(read: Callable[[], object]) -> str:
    """The same for a reader of the desktop; any other exception is raised."""
    try:
        read()
    except SegevalError:
        return "refused"
    return "accepted"


def read_bundle(root: Path) -> None:
    folder = BundleFolder(root)
    manifest = folder.verify()
    assert all(index < len(folder.keys()) for engine in manifest.engines for index in engine.indices())


def read_replay(root: Path) -> None:
    replay = Replay.open(root)
    for engine in replay.engines:
        for key in replay.results(engine.name).keys:
            assert replay.labels(engine.name, key).shape == (engine.height, engine.width)
        assert all(latency >= 0 for latency in replay.latencies(engine.name).values())
    if BundleFolder(root).manifest_path.exists():
        BundleFolder(root).manifest()


def read_set(root: Path) -> None:
    folder = SetFolder(root)
    manifest = folder.complete_manifest()
    require_consistent_set(manifest, str(root))
    for sample in consistent_samples(folder, manifest):
        for name, file in sample.files.items():
            read = folder.margins if name.startswith("margin:") else folder.labels
            (folder.image if name in ("clean", "adversarial") else read)(file)


@pytest.fixture
def judge(outcomes: Counter[str], capfd: pytest.CaptureFixture[str]) -> Callable[[str, str], None]:
    """Counts an outcome, which must be one of the two."""

    def count(reader: str, outcome: str) -> None:
        said = capfd.readouterr().err
        assert outcome in ("accepted", "refused"), said
        outcomes[f"{reader}, {outcome}"] += 1

    return count


@given(data=st.data())
@fuzz(0.6)
def test_bundles(data: st.DataObject, bundle_files: Files, sandbox: Sandbox, fenced: Fence, judge: Any) -> None:
    base = sandbox()
    mutated_folder(data.draw, base / "bundle", bundle_files, "bundle.json")
    with fenced(base, "out"):
        judge("bundle on the desktop", desktop(lambda: read_bundle(base / "bundle")))
        words = ["--bundle", base / "bundle", "--out", base / "out", "--warmup", 0, "--threads", 1]
        judge("bundle on the device", runner("replay", *words))


@given(data=st.data())
@fuzz(0.25)
def test_replays(
    data: st.DataObject, bundle_folder: Path, replay_files: Files, sandbox: Sandbox, fenced: Fence, judge: Any
) -> None:
    """Read on the desktop, and continued on the device."""
    base = sandbox()
    mutated_folder(data.draw, base / "replay", replay_files, "replay.json")
    with fenced(base):
        judge("replay on the desktop", desktop(lambda: read_replay(base / "replay")))
    with fenced(base, "replay"):
        words = ["--bundle", bundle_folder, "--out", base / "replay", "--warmup", 0, "--threads", 1]
        judge("replay on the device", runner("replay", *words))


@given(data=st.data())
@fuzz(0.4)
def test_sets(data: st.DataObject, set_files: Files, sandbox: Sandbox, fenced: Fence, judge: Any) -> None:
    base = sandbox()
    mutated_folder(data.draw, base / "set", set_files, "set.json")
    with fenced(base):
        judge("set", desktop(lambda: read_set(base / "set")))


def mutated_tar(draw: Any, original: bytes) -> bytes:
    """Change members, or bytes."""
    if draw(st.booleans()):
        return mutate_bytes(draw, original)
    target = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(original)) as tar, tarfile.open(fileobj=target, mode="w") as out:
        members = tar.getmembers()
        changed = draw(st.integers(0, len(members) - 1))
        for at, member in enumerate(members):
            content = tar.extractfile(member)
            assert content is not None
            inside = content.read()
            if at == changed:
                action = draw(st.sampled_from(["name", "kind", "content", "twice", "drop"]))
                if action == "name":
                    names = [
                        "../outside/precious",
                        "/etc/x",
                        "a/../../outside/new",
                        "replay.json/x",
                        "x" * 300,
                        "é\n",
                        ".",
                    ]
                    member.name = draw(st.sampled_from(names))
                elif action == "kind":
                    member.type = draw(st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"6", b"S", b"x", b"g", b"V"]))
                    member.linkname = draw(st.sampled_from(["../outside/precious", "/dev/zero", "manifest.json"]))
                elif action == "content":
                    inside = mutate_file(draw, member.name, inside)
                    if draw(st.booleans()):
                        inside = resealed(member.name, inside)
                    member.size = len(inside)
                elif action == "twice":
                    out.addfile(member, io.BytesIO(inside))
                else:
                    continue
            out.addfile(member, io.BytesIO(inside))
    return target.getvalue()


@given(data=st.data())
@fuzz(0.15)
def test_archives_of_results(
    data: st.DataObject, results_tar: bytes, sandbox: Sandbox, fenced: Fence, judge: Any
) -> None:
    base = sandbox()
    (base / "results.tar").write_bytes(mutated_tar(data.draw, results_tar))
    with fenced(base, "out"):
        judge("archive of results", desktop(lambda: unpack(base / "results.tar", base / "out", MOST_BYTES)))


def test_what_was_not_changed_is_accepted(
    bundle_folder: Path, replay_folder: Path, results_tar: bytes, set_files: Files, tmp_path: Path
) -> None:
    read_bundle(bundle_folder)
    read_replay(replay_folder)
    (tmp_path / "results.tar").write_bytes(results_tar)
    unpack(tmp_path / "results.tar", tmp_path / "out", MOST_BYTES)
    write(tmp_path / "set", set_files)
    read_set(tmp_path / "set")


def test_the_usual_examples_were_neither_all_refused_nor_all_accepted(outcomes: Counter[str]) -> None:
    """They are the same ones each time; of others, and above all of few, it may be otherwise."""
    if DRAWN:
        return
    readers = {name.rpartition(",")[0] for name in outcomes}
    for reader in readers:
        assert outcomes[f"{reader}, refused"] > outcomes[f"{reader}, accepted"] / 4 > 0, reader
