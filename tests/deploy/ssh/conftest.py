"""A real sshd on this machine's loopback, as the current user, with keys of its own: the user's are left alone."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from segeval.deploy.ssh import Remote
from segeval.deploy.ssh.connection import Connection
from segeval.deploy.ssh.destination import parse_destination

RUNNER_TESTS = Path(__file__).parents[2] / "runner" / "conftest.py"


def bundle_maker() -> Any:
    """The fixture `make_bundle` of the runner's tests."""
    spec = spec_from_file_location("runner_tests", RUNNER_TESTS)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_bundle


make_bundle = bundle_maker()


@dataclass(frozen=True)
class Server:
    """An sshd that answers to the hosts alpha and beta of its `config`; gamma has no server.

    folder: its keys.   process: the sshd.
    """

    folder: Path
    config: Path
    port: int
    process: "subprocess.Popen[bytes]"

    def break_connections(self) -> int:
        """Kill what serves the connections that are open; the sshd itself goes on. Returns how many there were."""
        children = [pid for pid, parent in processes() if parent == self.process.pid]
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        return len(children)


def processes() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                stat = (folder / "stat").read_text()
            except OSError:
                continue
            yield int(folder.name), int(stat.rpartition(")")[2].split()[1])


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def new_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def write_config(path: Path, port: int, key: Path, known: Path, gamma: int) -> Path:
    user = getpass.getuser()
    common = f"HostName 127.0.0.1\nUser {user}\nIdentityFile {key}\nIdentitiesOnly yes\nUserKnownHostsFile {known}\n"
    common += "GlobalKnownHostsFile none\n"
    path.write_text(f"Host alpha beta\nPort {port}\n{common}Host gamma\nPort {gamma}\n{common}")
    return path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    sshd = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if sshd is None or shutil.which("ssh") is None:
        pytest.skip("there is no sshd here: on Debian and Ubuntu, apt-get install openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd of root wants it, and only a service makes it
    folder = tmp_path_factory.mktemp("sshd")
    port = free_port()
    host_key, key = new_key(folder / "host"), new_key(folder / "key")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nPidFile none\nAuthorizedKeysFile {key}.pub\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nStrictModes no\nPermitRootLogin yes\n"
        "MaxStartups 100\nPrintMotd no\n"
        # A bash below another one reads no ~/.bashrc, which can take longer than everything else here.
        "SetEnv SHLVL=1\n"
    )
    public = (folder / "host.pub").read_text().split()[:2]
    (folder / "known").write_text(f"[127.0.0.1]:{port} {' '.join(public)}\n")
    config = write_config(folder / "config", port, key, folder / "known", free_port())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    try:
        for _ in range(100):
            ended = subprocess.run(["ssh", "-F", str(config), "alpha", "true"], capture_output=True, check=False)
            if ended.returncode == 0:
                break
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            process.kill()
        if ended.returncode != 0:
            pytest.skip(f"an sshd does not work here: {(folder / 'log').read_text()[-300:]}")
        yield Server(folder, config, port, process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """The folder that plays the part of a device's disk."""
    return tmp_path / "device"


@pytest.fixture
def remote(server: Server, device: Path) -> Remote:
    return Remote(str(device), sys.executable, server.config)


Connect = Callable[..., Connection]


@pytest.fixture
def connect(server: Server) -> Connect:
    """A connection to a host of the server's configuration."""

    def made(host: str = "alpha", config: Path | None = None, python: str = sys.executable) -> Connection:
        return Connection(parse_destination(host), python, config or server.config, patience=20)

    return made
