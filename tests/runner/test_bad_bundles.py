import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]
Change = Callable[[Path, dict[str, Any]], None]


def flip_a_byte(bundle: Path, manifest: dict[str, Any]) -> None:
    path = bundle / "inputs" / "shard-00000.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut_a_file(bundle: Path, manifest: dict[str, Any]) -> None:
    path = bundle / "models" / "single.onnx"
    path.write_bytes(path.read_bytes()[:-1])


def remove_a_file(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "models" / "single.onnx").unlink()


def link_a_file(bundle: Path, manifest: dict[str, Any]) -> None:
    path = bundle / "models" / "single.onnx"
    path.rename(bundle.parent / "elsewhere.onnx")
    path.symlink_to(bundle.parent / "elsewhere.onnx")


def link_a_folder(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "models").rename(bundle.parent / "elsewhere")
    (bundle / "models").symlink_to(bundle.parent / "elsewhere")


def climb_out(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["files"]["../secret"] = manifest["files"]["run.sh"]


def absolute_path(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["files"]["/etc/passwd"] = manifest["files"]["run.sh"]


def backslashes(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["files"]["..\\secret"] = manifest["files"]["run.sh"]


def escaping_engine(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["engines"][0]["name"] = "../escaped"


def two_engines_of_one_name(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["engines"][0]["name"] = "batched"


def unhashed_model(bundle: Path, manifest: dict[str, Any]) -> None:
    del manifest["files"]["models/single.onnx"]


def unhashed_index(bundle: Path, manifest: dict[str, Any]) -> None:
    del manifest["files"]["inputs/index.jsonl"]


def range_past_the_end(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["engines"][0]["inputs"] = [[0, 99]]


def range_backwards(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["engines"][0]["inputs"] = [[3, 5], [0, 2]]


def missing_shard(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["inputs"]["shards"] = []


def other_size(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["inputs"]["height"] = 32


def text_for_a_number(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["engines"][0]["batch"] = "1"


def no_engines(bundle: Path, manifest: dict[str, Any]) -> None:
    del manifest["engines"]


def next_version(bundle: Path, manifest: dict[str, Any]) -> None:
    manifest["schema"] = "segeval.bundle/3"


def pickled_images(bundle: Path, manifest: dict[str, Any]) -> None:
    """An array of Python objects, whose loading would run code; its hash is the recorded one."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (os.mkdir, (str(bundle.parent / "trapped"),))

    path = bundle / "inputs" / "shard-00000.npy"
    size = path.stat().st_size
    np.save(path, np.array([Trap()], object), allow_pickle=True)
    path.write_bytes(path.read_bytes().ljust(size, b"\0"))
    record_again(bundle, manifest, "inputs/shard-00000.npy")


def other_shape(bundle: Path, manifest: dict[str, Any]) -> None:
    np.save(bundle / "inputs" / "shard-00000.npy", np.zeros((7, 4, 4, 3), np.uint8))
    record_again(bundle, manifest, "inputs/shard-00000.npy")


def other_network(bundle: Path, manifest: dict[str, Any]) -> None:
    """The batched file in the place of the single one."""
    shutil.copy(bundle / "models" / "batched.onnx", bundle / "models" / "single.onnx")
    record_again(bundle, manifest, "models/single.onnx")


def no_network(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "models" / "single.onnx").write_bytes(b"not an ONNX file")
    record_again(bundle, manifest, "models/single.onnx")


def repeated_keys(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "inputs" / "index.jsonl").write_text('{"key":"clean/0"}\n' * 7)
    record_again(bundle, manifest, "inputs/index.jsonl")


def index_of_something_else(bundle: Path, manifest: dict[str, Any]) -> None:
    (bundle / "inputs" / "index.jsonl").write_text("[]\n" * 7)
    record_again(bundle, manifest, "inputs/index.jsonl")


def record_again(bundle: Path, manifest: dict[str, Any], name: str) -> None:
    data = (bundle / name).read_bytes()
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (flip_a_byte, "was changed"),
        (cut_a_file, "bytes, not"),
        (remove_a_file, "is missing"),
        (link_a_file, "symbolic link"),
        (link_a_folder, "symbolic link"),
        (climb_out, "leads out of the bundle"),
        (absolute_path, "leads out of the bundle"),
        (backslashes, "leads out of the bundle"),
        (escaping_engine, "does not fit the inputs"),
        (two_engines_of_one_name, "same name"),
        (unhashed_model, "its hash is not recorded"),
        (unhashed_index, "its hash is not recorded"),
        (range_past_the_end, "not ascending ranges"),
        (range_backwards, "not ascending ranges"),
        (missing_shard, "hold 0 of 7 inputs"),
        (other_size, "does not fit the inputs"),
        (text_for_a_number, "the field 'batch' is missing or of another type"),
        (no_engines, "the field 'engines' is missing"),
        (next_version, "made by a newer segeval: its schema is 'segeval.bundle/3', this runner reads"),
        (pickled_images, "holds no uint8 images"),
        (other_shape, "its images have 129024"),
        (other_network, "takes and gives"),
        (no_network, "ONNX Runtime cannot load it"),
        (repeated_keys, "does not hold 7 different keys"),
        (index_of_something_else, "the field 'key' is missing"),
    ],
)
def test_a_bundle_that_was_tampered_with_is_refused(
    change: Change, message: str, make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle = make_bundle()
    manifest = json.loads((bundle / "bundle.json").read_text())
    change(bundle, manifest)
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    command = runner(bundle, "replay", "--out", tmp_path / "out")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
    assert message in ended.stderr
    assert not (tmp_path / "trapped").exists()
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "\xff"])
def test_a_manifest_that_is_no_manifest_is_refused(
    text: str, make_bundle: MakeBundle, runner: Runner, tmp_path: Path
) -> None:
    bundle = make_bundle()
    (bundle / "bundle.json").write_bytes(text.encode("latin-1"))
    ended = subprocess.run(runner(bundle, "verify"), capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False), ended.stderr
    assert "the bundle is malformed" in ended.stderr


def test_a_folder_that_is_no_bundle_is_refused(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    command = runner(make_bundle(), "verify", "--bundle", tmp_path)
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "is not a bundle" in ended.stderr
