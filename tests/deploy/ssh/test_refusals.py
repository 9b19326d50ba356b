"""What a device or ssh refuses, in words that help; each by a real sshd."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.deploy.ssh import Remote, RunOptions, parse_destinations, replay_on_hosts
from segeval.deploy.ssh.connection import Connection
from segeval.deploy.ssh.push import push
from segeval.errors import IntegrityError, RemoteError, SegevalError
from segeval.files.storage import sha256_file

MakeBundle = Callable[..., Path]
Connect = Callable[..., Connection]


@pytest.fixture
def refused(make_bundle: MakeBundle, tmp_path: Path) -> Callable[..., SegevalError]:
    """The error of a replay on alpha."""
    bundle = make_bundle()

    def attempt(remote: Remote, host: str = "alpha", backend: str = "") -> SegevalError:
        options = RunOptions(backend, warmup=0, threads=1)
        (outcome,) = replay_on_hosts(
            bundle, tmp_path / "out", parse_destinations([host]), remote, options, lambda stage, done, total: None
        )
        assert outcome.error is not None
        return outcome.error

    return attempt


def config(server: Any, path: Path, **changes: str) -> Path:
    """The server's ssh configuration with other values."""
    lines = []
    for line in server.config.read_text().splitlines():
        key = line.split()[0]
        lines.append(f"{key} {changes[key]}" if key in changes else line)
    path.write_text("\n".join(lines) + "\n")
    return path


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_a_host_key_that_is_another_one_or_unknown(
    refused: Callable[..., SegevalError], server: Any, remote: Remote, device: Path, tmp_path: Path
) -> None:
    other = new_key(tmp_path / "other").with_suffix(".pub").read_text().split()[:2]
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {' '.join(other)}\n")
    changed = config(server, tmp_path / "config", UserKnownHostsFile=str(known))
    error = refused(Remote(remote.base, remote.python, changed))
    assert isinstance(error, RemoteError) and error.what.startswith("alpha: its host key has changed")
    assert "ssh-keygen -R" in error.hint and "fingerprint" in error.hint

    known.write_text("")
    error = refused(Remote(remote.base, remote.python, changed))
    assert error.what.startswith("alpha: its host key is not known here")
    assert "`ssh alpha`" in error.hint
    assert known.read_text() == "", "no key was accepted on the way"
    assert not device.exists()


def test_a_key_that_the_device_does_not_know(
    refused: Callable[..., SegevalError], server: Any, remote: Remote, tmp_path: Path
) -> None:
    stranger = config(server, tmp_path / "config", IdentityFile=str(new_key(tmp_path / "stranger")))
    error = refused(Remote(remote.base, remote.python, stranger))
    assert error.what.startswith("alpha: authentication failed (") and "Permission denied" in error.what
    assert "ssh-copy-id" in error.hint


def test_a_device_that_is_not_there(refused: Callable[..., SegevalError], remote: Remote) -> None:
    error = refused(remote, "gamma")
    assert error.what.startswith("gamma: no ssh server answers there (")


def test_a_name_that_nobody_knows(refused: Callable[..., SegevalError], remote: Remote) -> None:
    error = refused(remote, "no-such-host.invalid")
    assert error.what.startswith("no-such-host.invalid: its name is not known")


def test_a_configuration_that_ssh_does_not_understand(
    refused: Callable[..., SegevalError], remote: Remote, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("Hots alpha\n")
    error = refused(Remote(remote.base, remote.python, tmp_path / "config"))
    assert error.what.startswith("alpha: the ssh configuration here is wrong (")


def test_a_folder_that_cannot_be_written_to(
    refused: Callable[..., SegevalError], remote: Remote, mount_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    error = refused(Remote(f"{tmp_path}/file/device", remote.python, remote.ssh_config))
    assert f"cannot write to {tmp_path}/file/device: Not a directory" in error.what
    assert "--remote-dir" in error.hint
    disk = mount_disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    error = refused(Remote(f"{disk}/device", remote.python, remote.ssh_config))
    assert "Read-only file system" in error.what


def test_a_device_without_the_python_that_it_takes(
    refused: Callable[..., SegevalError], remote: Remote, tmp_path: Path, device: Path
) -> None:
    error = refused(Remote(remote.base, "python9", remote.ssh_config))
    assert error.what == "alpha: there is no python9"
    assert "--remote-python" in error.hint

    bare = script(tmp_path / "bare", f'exec {sys.executable} -S "$@"')
    error = refused(Remote(remote.base, str(bare), remote.ssh_config))
    assert error.what == f"alpha: {bare} has no numpy that works"
    assert "python3-numpy" in error.hint

    # No Python as old as that starts here: the program is told that 3.99 is the oldest that will do.
    old = script(tmp_path / "old", f"sed 's/(3, 8)/(3, 99)/' | exec {sys.executable} -")
    error = refused(Remote(remote.base, str(old), remote.ssh_config))
    version = "{}.{}".format(*sys.version_info)
    assert error.what == f"alpha: {old} is Python {version}; the runner needs 3.8 or newer"

    chatty = script(tmp_path / "chatty", "echo Welcome to your Jetson")
    error = refused(Remote(remote.base, str(chatty), remote.ssh_config))
    assert "answers with something else: b'Welcome to your Jetson" in error.what
    assert not list(device.rglob("runner.pyz")), "nothing was sent"


def test_an_engine_that_is_not_there_is_known_before_the_images_are_sent(
    refused: Callable[..., SegevalError], remote: Remote, tmp_path: Path, device: Path
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "onnxruntime.py").write_text("raise ImportError('no engine here')")
    python = script(tmp_path / "python", f'PYTHONPATH={hidden} exec {sys.executable} "$@"')
    error = refused(Remote(remote.base, str(python), remote.ssh_config), backend="onnxruntime")
    assert isinstance(error, RemoteError) and error.what.startswith("alpha: ONNX Runtime cannot be used")
    assert "pip install onnxruntime" in error.hint
    assert [path.name for path in device.rglob("*") if path.is_file()] == ["runner.pyz"]


def test_a_bundle_that_was_changed_here_is_not_sent(
    make_bundle: MakeBundle, remote: Remote, device: Path, tmp_path: Path
) -> None:
    bundle = make_bundle()
    network = bundle / "models" / "single.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"!")
    hosts = parse_destinations(["alpha"])
    with pytest.raises(IntegrityError, match=r"single\.onnx"):
        replay_on_hosts(bundle, tmp_path / "out", hosts, remote, RunOptions(), lambda stage, done, total: None)
    assert not device.exists()


def test_a_runner_that_is_not_this_segevals_is_not_sent(
    make_bundle: MakeBundle, remote: Remote, device: Path, tmp_path: Path
) -> None:
    bundle = make_bundle()
    runner = bundle / "runner.pyz"
    runner.write_bytes(runner.read_bytes() + b"\n")
    manifest = json.loads((bundle / "bundle.json").read_bytes())
    manifest["files"]["runner.pyz"] = {"sha256": sha256_file(runner), "bytes": runner.stat().st_size}
    (bundle / "bundle.json").write_text(json.dumps(manifest))
    hosts = parse_destinations(["alpha"])
    with pytest.raises(IntegrityError, match="its code would run there") as caught:
        replay_on_hosts(bundle, tmp_path / "out", hosts, remote, RunOptions(), lambda stage, done, total: None)
    assert "deploy again" in caught.value.hint
    assert not device.exists()


@pytest.mark.parametrize("rsync", [True, False], ids=["rsync", "tar"])
def test_files_arrive_as_they_are_with_rsync_and_without(
    rsync: bool, connect: Connect, device: Path, tmp_path: Path, mount_disk: Callable[[str], Path]
) -> None:
    names = {"plain.bin": 0, "folder/übel $(touch x) 'a'.bin": 511, "folder/deep/long" + "g" * 120 + ".bin": 1 << 20}
    for name, size in names.items():
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(range(256)) * (size // 256) + bytes(size % 256))
    (tmp_path / "here" / "plain.bin").chmod(0o755)
    device.mkdir()
    (device / "plain.bin").write_bytes(b"something else")
    told: list[int] = []
    push(connect(), tmp_path / "here", names, str(device), rsync, told.append)
    for name in names:
        assert (device / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    assert (device / "plain.bin").stat().st_mode & 0o777 == 0o755
    assert len([path for path in device.rglob("*") if path.is_file()]) == len(names)
    assert told == sorted(told) and told[-1] == sum(names.values())

    disk = mount_disk("512k")
    with pytest.raises(RemoteError, match="no space left on its disk"):
        push(connect(), tmp_path / "here", names, str(disk), rsync, told.append)
    for _ in range(100):  # what wrote there may still be ending, and a disk in use cannot be unmounted
        if not any(works_in(folder, disk) for folder in Path("/proc").iterdir() if folder.name.isdecimal()):
            break
        time.sleep(0.05)


def works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").resolve().is_relative_to(folder)
    except OSError:
        return False
