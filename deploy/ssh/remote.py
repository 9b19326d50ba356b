"""One device: preflight, push, run detached, follow, fetch. Each step continues an earlier attempt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.exclusive import only_writer
from segeval.files.replays import Replay
from segeval.progress import Progress

from ..run_runner import RUNNER
from .connection import Connection
from .detached import run_detached, stop
from .place import Place, noted, require_plain
from .preflight import Answer, Shipment, ask, preflight, require_engine
from .pull import fetch
from .push import push

PUSH = "push"


@dataclass(frozen=True)
class Remote:
    """How devices are used.

    Attributes:
        base: folder there.
        python: its interpreter.
        ssh_config: None for the user's own.
    """

    base: str = "~/.cache/segeval"
    python: str = "python3"
    ssh_config: Path | None = None

    def checked(self) -> "Remote":
        """Raises ConfigurationError for paths that cannot be."""
        require_plain(self.base, "--remote-dir")
        python = require_plain(self.python, "--remote-python")
        if self.ssh_config is not None and not self.ssh_config.is_file():
            raise ConfigurationError(f"--ssh-config {self.ssh_config} is not a file")
        # A command begins in the home folder; in quotes no shell would expand the ~.
        return Remote(self.base, "./" + python[2:] if python.startswith("~/") else python, self.ssh_config)


@dataclass(frozen=True)
class RunOptions:
    """Of the runner.

    Attributes:
        backend: empty for the one that the bundle is made for.
        threads: 0 for one per core.
        prebuilt: run engines that the bundle carries, which are native code.
        shard: the part of the inputs that is run, as in 1/4; empty for all.
    """

    backend: str = ""
    engines: Sequence[str] = ()
    warmup: int = 3
    threads: int = 0
    prebuilt: bool = False
    shard: str = ""

    def words(self, place: Place) -> list[str]:
        """The command of the runner."""
        words = ["replay", "--bundle", place.bundle, "--out", place.replay, "--progress", "json"]
        words += ["--warmup", str(self.warmup), "--threads", str(self.threads)]
        words += ["--backend", self.backend] if self.backend else []
        words += ["--shard", self.shard] if self.shard else []
        words += ["--prebuilt"] * self.prebuilt
        return words + [word for name in self.engines for word in ("--engine", name)]


def replay_on(
    connection: Connection, shipment: Shipment, out: Path, base: str, options: RunOptions, progress: Progress
) -> Replay:
    """Run a bundle on a device, or go on with that; the results are in `out` then.

    Args:
        connection: to the device.
        shipment: the bundle that is sent.
        out: the folder to write to.
        base: folder there.
        options: of the run.
        progress: called with (stage, done, total).

    Raises:
        RemoteError: and what the steps raise.
    """
    with only_writer(out, "remote", "replay"):
        replay_id = noted(out, connection.destination.text, shipment.sha256)
        found = preflight(connection, shipment, base)
        place = Place(found.base, shipment.sha256, replay_id)
        deliver(connection, shipment, place, found, options.backend, progress)
        run_detached(connection, place, options.words(place), progress)
        return fetch(connection, place, shipment, out, progress)


def deliver(
    connection: Connection, shipment: Shipment, place: Place, found: Answer, backend: str, progress: Progress
) -> None:
    """Send what is missing.

    The runner comes first: it is the one to ask for the engine, and once it is proved, it proves all other files before
    each replay.

    Raises RemoteError.

    Args:
        connection: to the device.
        shipment: the bundle that is sent.
        place: where it lies on the device.
        found: by preflight.
        backend: name of the engine's kind.
        progress: called with the stage, what is done of it and its total.
    """
    missing = shipment.missing(found.here)
    total = sum(missing.values())
    first = {RUNNER: missing.pop(RUNNER)} if RUNNER in missing else {}
    sent = sum(first.values())
    push(connection, shipment.root, first, place.bundle, found.rsync, lambda done: progress(PUSH, done, total))
    require_engine(connection, shipment, place, backend)
    push(connection, shipment.root, missing, place.bundle, found.rsync, lambda done: progress(PUSH, sent + done, total))


def stop_on(connection: Connection, shipment: Shipment, out: Path, base: str) -> bool:
    """End the replay that belongs to `out`. False if it does not run. Raises RemoteError, ConfigurationError."""
    if not (out / "remote.json").is_file():
        raise ConfigurationError(f"{out} does not belong to a replay on a device", "give the --out it was started with")
    replay_id = noted(out, connection.destination.text, shipment.sha256)
    found = ask(connection, shipment, base)
    place = Place(require_plain(found.base, "--remote-dir"), shipment.sha256, replay_id)
    return RUNNER in found.here and stop(connection, place)
