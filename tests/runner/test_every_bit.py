"""A bit or a digit that changes in what was recorded is found by both readers, or changes nothing that is read."""

import json
import random
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segeval.deploy.ssh.place import noted
from segeval.deploy.ssh.unpack import unpack
from segeval.errors import SegevalError
from segeval.files.benches import open_bench
from segeval.files.bundles import BundleFolder
from segeval.files.encoding import encode_sealed
from segeval.files.replays import Replay
from segeval_runner import replay as replaying
from segeval_runner.backends import Settings
from segeval_runner.backends.tensorrt.cache import Cache, sidecar_of
from segeval_runner.bench import record as bench_json
from segeval_runner.bench.benchmark import BenchOptions, benchmark
from segeval_runner.bench.rules import PRESETS
from segeval_runner.bundle import Bundle
from segeval_runner.detached import read_state
from segeval_runner.digests import DIGEST
from segeval_runner.errors import RunnerError
from segeval_runner.manifest import parse
from segeval_runner.pack import pack
from segeval_runner.parts import Part
from segeval_runner.progress import Progress
from segeval_runner.recording import Recording, write_json
from segeval_runner.strict import loads
from segeval_runner.telemetry import Machine
from tests.interrupting import held

MakeBundle = Callable[..., Path]
Read = Callable[[], object]
EACH = 250
"""Changes of a kind in a file."""
FEW = 50
"""The same where each is read by unpacking an archive."""
RULES = PRESETS["quick"]._replace(warmup_calls=1, warmup_s=0.0, seconds=0.01, calls=20, images=20, idle_s=0.0)


def changed(data: bytes, each: int) -> Iterator[bytes]:
    """Copies in which one bit is another one, or one digit another one, or one digit more."""
    chance = random.Random(each)
    for bit in chance.sample(range(8 * len(data)), min(each, 8 * len(data))):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)
    digits = [place for place, byte in enumerate(data) if chr(byte).isdigit()]
    for place in chance.sample(digits, min(each, len(digits))):
        other = chance.choice(sorted(set(b"0123456789") - {data[place]}))
        yield data[:place] + bytes([other]) + data[place + 1 :]
        yield data[:place] + bytes([other]) + data[place:]


def require_found(path: Path, *readers: Read, each: int = EACH) -> None:
    """Each reader refuses every changed file, or reads from it what it read before. each: changes of a kind."""
    data = path.read_bytes()
    before = [reader() for reader in readers]
    refused = [0] * len(readers)
    for copy in changed(data, each):
        path.write_bytes(copy)
        for number, reader in enumerate(readers):
            try:
                assert reader() == before[number], "a changed file was read as if it had been written so"
            except (SegevalError, RunnerError):
                refused[number] += 1
    path.write_bytes(data)
    assert min(refused) > each / 2, "most changes are of what is read"


@pytest.fixture
def bundle(make_bundle: MakeBundle) -> Path:
    """A bundle as `segeval deploy` writes it: with the digest of its manifest."""
    root = make_bundle()
    (root / "bundle.json").write_bytes(encode_sealed(BundleFolder(root).manifest(), indent=2) + b"\n")
    return root


@pytest.fixture
def out(bundle: Path, tmp_path: Path) -> Path:
    """A replay of it."""
    out = tmp_path / "out"
    replaying.replay(replaying.Options(bundle, out, "", (), 0, Settings(1, tmp_path)), Progress())
    return out


def known(record: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """The members that a writer made."""
    return {name: record.get(name) for name in names - {DIGEST}}


def test_results(bundle: Path, out: Path) -> None:
    path = out / "single" / "results.jsonl"
    whole = [loads(line) for line in path.read_bytes().splitlines()]
    keys = Bundle(bundle).keys()

    def on_the_desktop() -> object:
        results = Replay.open(out).results("single")
        return results.keys, results.latencies(), [results.labels(key).tobytes() for key in results.keys]

    def continued() -> object:
        """What the runner believes is a part of what it wrote, from the first on."""
        with Recording(out / "single", keys, 1) as recording:
            kept = [loads(line) for line in path.read_bytes().splitlines()[: recording.done]]
        for found, wrote in zip(kept, whole, strict=False):
            assert known(found, wrote.keys()) == known(wrote, wrote.keys())
        if len(kept) < len(whole):
            raise RunnerError("some are run again")
        return None

    require_found(path, on_the_desktop, continued)


def test_label_maps(out: Path) -> None:
    """Their checksums are in the results. A checksum of 32 bits misses no change of one bit or one byte."""
    results = Replay.open(out).results("single")
    require_found(out / "single" / "labels.bin", lambda: [results.labels(key).tobytes() for key in results.keys])


def test_a_replay(bundle: Path, out: Path) -> None:
    path = out / "replay.json"
    names, opened = set(loads(path.read_bytes())), Bundle(bundle)
    here = loads(path.read_bytes())["environment"]
    require_found(
        path,
        lambda: Replay.open(out).record,
        lambda: known(replaying.opened(out, opened, here, Part()), names - {"environment"}),
    )


def test_a_benchmark(bundle: Path, tmp_path: Path) -> None:
    out, opened = tmp_path / "bench", Bundle(bundle)
    options = BenchOptions(bundle, out, "", ["single"], ["latency"], "custom", RULES, Settings(1, out))
    benchmark(options, Progress(), Machine(tmp_path / "bare", ""))
    path = out / "bench.json"
    begun = loads(path.read_bytes())
    asked = ("custom", begun["rules"], begun["environment"])
    require_found(path, lambda: open_bench(out), lambda: bench_json.opened(out, opened, *asked))


def test_a_bundle(bundle: Path) -> None:
    path = bundle / "bundle.json"
    require_found(path, lambda: BundleFolder(bundle).manifest(), lambda: parse(path.read_bytes()))


def test_the_index_of_a_bundle(bundle: Path) -> None:
    path = bundle / "inputs" / "index.jsonl"
    require_found(path, lambda: BundleFolder(bundle).keys(), lambda: Bundle(bundle).keys())


def test_packed_results(out: Path, tmp_path: Path) -> None:
    """Of the archive everything counts but what tar writes of who made a file and when, and the padding."""
    path, unpacked = tmp_path / "results.tar", tmp_path / "unpacked"
    pack(out, path)

    def contents() -> object:
        unpack(path, unpacked, 1 << 20)
        return held(unpacked)

    require_found(path, contents, each=FEW)
    with tarfile.open(path) as tar:
        (manifest,) = [member for member in tar if member.name == "manifest.json"]
    data, start = path.read_bytes(), manifest.offset_data
    before = contents()
    for copy in changed(data[start : start + manifest.size], FEW):
        if len(copy) == manifest.size:
            path.write_bytes(data[:start] + copy + data[start + manifest.size :])
            try:
                assert contents() == before
            except SegevalError:
                continue


def test_the_note_of_a_device(tmp_path: Path) -> None:
    noted(tmp_path, "orin", "a" * 64)
    require_found(tmp_path / "remote.json", lambda: noted(tmp_path, "orin", "a" * 64))


def test_a_detached_run(tmp_path: Path) -> None:
    """Its number is that of a group of processes that `stop` ends."""
    write_json(tmp_path / "run.json", {"run": "0123456789abcdef", "words": ["replay", "--out", "é"], "group": 12345})
    require_found(tmp_path / "run.json", lambda: read_state(tmp_path))


def test_the_note_of_a_built_engine(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    path = cache.path("net", "engine", {"gpu": "Orin"})
    cache.store(path, {"gpu": "Orin"}, b"an engine", {"warnings": ["slow"], "seconds": 12.5})

    def kept() -> object:
        found = cache.load(path, {"gpu": "Orin"})
        if found is None:
            raise RunnerError("it is built again")
        return found

    require_found(sidecar_of(path), kept)


def test_records_of_earlier_versions_have_no_digest(bundle: Path, out: Path) -> None:
    """They are read, and continued, as they are."""
    for path in (bundle / "bundle.json", out / "replay.json"):
        record = loads(path.read_bytes())
        del record[DIGEST]
        # The bundle's identity is the hash of its manifest, which this changes.
        if path.name == "replay.json":
            record["bundle_sha256"] = Bundle(bundle).sha256
        path.write_bytes(encode_plain(record))
    path = out / "single" / "results.jsonl"
    lines = [loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        del line[DIGEST]
    path.write_bytes(b"".join(encode_plain(line) + b"\n" for line in lines))
    before = held(out / "single")
    assert len(Replay.open(out).results("single").keys) == 7
    replaying.replay(replaying.Options(bundle, out, "", (), 0, Settings(1, out.parent)), Progress())
    assert held(out / "single") == before


def encode_plain(record: dict[str, Any]) -> bytes:
    """JSON as an earlier version wrote it."""
    return json.dumps(record).encode()
