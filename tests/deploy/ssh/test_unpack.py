"""Results that come from anywhere: what the runner packs comes out as it was, and nothing else comes out at all."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.deploy.runner_archive import runner_archive
from segeval.deploy.ssh.unpack import MOST_FILES, unpack
from segeval.errors import ConfigurationError, FormatError, IntegrityError, SegevalError, StorageError

MOST = 1 << 20
CONTENT = {"replay.json": b"{}", "single/labels.bin": bytes(1000), "single/results.jsonl": b"{}\n"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that looks like a replay."""
    for name, data in CONTENT.items():
        path = tmp_path / "replay" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "replay"


def pack(folder: Path, to: Path, code: int = 0) -> str:
    """Run the runner's own command. Returns what it says."""
    runner = folder.with_name("runner.pyz")
    runner.write_bytes(runner_archive())
    command = [sys.executable, str(runner), "pack", str(folder), "--to", str(to)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stdout + ended.stderr


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, data


def announced(files: dict[str, bytes], **others: Any) -> bytes:
    """A manifest of these files."""
    recorded = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    return json.dumps({"schema": "segeval.results/1", "files": {**recorded, **others}}).encode()


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def holding(path: Path, name: str, data: bytes = b"evil", **fields: Any) -> Path:
    """An archive with one file, which its manifest announces."""
    return archive(path, member("manifest.json", announced({name: data})), member(name, data, **fields))


def test_what_the_runner_packs_comes_out_as_it_was(folder: Path, tmp_path: Path) -> None:
    said = json.loads(pack(folder, tmp_path / "results.tar"))
    data = (tmp_path / "results.tar").read_bytes()
    assert said == {
        "file": str(tmp_path / "results.tar"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
    }
    out = tmp_path / "out"
    (out / "single").mkdir(parents=True)
    (out / "single" / "labels.bin").write_bytes(b"older")
    with pytest.raises(ConfigurationError, match="holds files that segeval did not make"):
        unpack(tmp_path / "results.tar", out, MOST)
    (out / "replay.json").write_bytes(b"older")
    unpack(tmp_path / "results.tar", out, MOST)
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == CONTENT
    (folder / "single" / "results.jsonl").touch()
    pack(folder, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == data, "the same results give the same bytes"


def test_links_and_unfinished_files_are_not_packed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (folder / "single" / "link").symlink_to(tmp_path / "secret")
    (folder / "replay.json.part").write_text("{")
    pack(folder, folder / "results.tar")
    with tarfile.open(folder / "results.tar") as tar:
        assert tar.getnames() == ["manifest.json", *sorted(CONTENT)]
    assert "is not a replay" in pack(folder / "single", tmp_path / "results.tar", code=2)
    assert "cannot write" in pack(folder, tmp_path / "none" / "results.tar", code=2)


@pytest.mark.parametrize(
    "name",
    [
        "../escaped",
        "/tmp/escaped-from-segeval",
        "a/../../escaped",
        "a\\..\\..\\escaped",
        ".",
        "a//b",
        "./a",
        "a/./b",
        "a\nb",
        "\x1b[2Jx",
        "/".join("abcdefghij"),
        "",
    ],
)
def test_names_that_lead_elsewhere_or_pretend_are_refused(name: str, tmp_path: Path) -> None:
    refused(holding(tmp_path / "results.tar", name), FormatError)
    assert not Path("/tmp/escaped-from-segeval").exists()


@pytest.mark.parametrize(
    "kind",
    [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE],
    ids=["symlink", "hardlink", "character device", "block device", "fifo", "folder"],
)
def test_what_is_no_plain_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    made = holding(tmp_path / "results.tar", "file", b"", type=kind, linkname="../../etc/passwd")
    refused(made, FormatError, "is not a plain file")
    first = archive(tmp_path / "first.tar", member("manifest.json", b"", type=kind, linkname="/etc/passwd"))
    refused(first, FormatError, "is not a plain file")


def test_sparse_files_and_absurd_sizes_are_refused_before_they_are_written(tmp_path: Path) -> None:
    huge = {"sha256": "0" * 64, "bytes": 1 << 50}
    manifest = member("manifest.json", announced({}, huge=huge))
    refused(archive(tmp_path / "a.tar", manifest), FormatError, "announces 1 files with 1125899906842624 bytes")
    negative = member("manifest.json", announced({}, small={"sha256": "0" * 64, "bytes": -1}))
    refused(archive(tmp_path / "b.tar", negative), FormatError, r"small|-1|>= 0")
    many = {str(number): {"sha256": "0" * 64, "bytes": 0} for number in range(MOST_FILES + 1)}
    refused(archive(tmp_path / "c.tar", member("manifest.json", announced({}, **many))), FormatError, "10001 files")
    refused(archive(tmp_path / "d.tar", member("manifest.json", bytes(5 << 20))), FormatError, "not a plain file")
    sparse = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 19)}
    spread = holding(tmp_path / "e.tar", "file", b"1\n0\n512\n" + bytes(1016), pax_headers=sparse)
    refused(spread, SegevalError)
    # A header that says more than the archive has.
    lying = holding(tmp_path / "f.tar", "file", bytes(2000))
    lying.write_bytes(lying.read_bytes()[:2048])
    refused(lying, SegevalError)


def test_what_is_not_what_was_announced_is_refused(tmp_path: Path) -> None:
    right, wrong = {"file": b"right"}, member("file", b"wrong")
    manifest = member("manifest.json", announced(right))
    refused(archive(tmp_path / "a.tar", manifest, wrong), IntegrityError, "not the file that was packed")
    refused(archive(tmp_path / "b.tar", manifest, member("file", b"rig")), IntegrityError, "not the file")
    refused(archive(tmp_path / "c.tar", manifest), IntegrityError, "is cut off: file is missing")
    more = archive(tmp_path / "d.tar", manifest, member("file", b"right"), member("other", b""))
    refused(more, FormatError, "which is not in its manifest")
    twice = archive(tmp_path / "e.tar", manifest, member("file", b"right"), member("file", b"right"))
    refused(twice, FormatError, "which is not in its manifest")
    refused(archive(tmp_path / "f.tar", member("file", b"right")), FormatError, "does not begin with manifest.json")
    refused(archive(tmp_path / "g.tar"), FormatError, "does not begin with")
    newer = member("manifest.json", announced({}).replace(b"results/1", b"results/2"))
    refused(archive(tmp_path / "h.tar", newer), FormatError, "segeval.results/2")
    for number, data in enumerate((b"", b"no archive", bytes(10240), b"\xff" * 1024)):
        (tmp_path / f"{number}.tar").write_bytes(data)
        refused(tmp_path / f"{number}.tar", FormatError)


def refused(path: Path, kind: type[SegevalError], message: str | None = None) -> None:
    """It is refused, nothing of it is left, and what was there before still is."""
    out = path.parent / "out"
    out.mkdir(exist_ok=True)
    (out / "replay.json").write_text("before")
    with pytest.raises(kind, match=message):
        unpack(path, out, MOST)
    assert [(found.name, found.read_text()) for found in out.rglob("*")] == [("replay.json", "before")]
    assert not (path.parent / "escaped").exists() and not (path.parent.parent / "escaped").exists()


def test_a_link_in_the_folder_of_results_is_not_followed(folder: Path, tmp_path: Path) -> None:
    pack(folder, tmp_path / "results.tar")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "remote.json").touch()
    (tmp_path / "out" / "single").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="is a symbolic link"):
        unpack(tmp_path / "results.tar", tmp_path / "out", MOST)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_full_disk_here_says_so(folder: Path, tmp_path: Path, mount_disk: Callable[[str], Path]) -> None:
    (folder / "single" / "labels.bin").write_bytes(bytes(200 << 10))
    pack(folder, tmp_path / "results.tar")
    disk = mount_disk("64k")
    with pytest.raises(StorageError, match="no space left"):
        unpack(tmp_path / "results.tar", disk / "out", MOST)
    assert not list((disk / "out").iterdir())
