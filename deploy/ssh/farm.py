"""Several devices in parallel, each with its own results folder. One that fails does not stop the others."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from segeval.errors import SegevalError
from segeval.files.folders import require_no_kind
from segeval.files.replays import Replay
from segeval.progress import Progress

from .connection import Connection
from .destination import Destination
from .preflight import Shipment, prepare
from .remote import Remote, RunOptions, replay_on, stop_on

Result = TypeVar("Result")

PHASES = ("push", "replay", "fetch")


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """The outcome for one device. out: folder of its results.   One of result and error is None."""

    destination: Destination
    out: Path
    result: Result | None = None
    error: SegevalError | None = None


def replay_on_hosts(
    bundle: Path,
    out: Path,
    destinations: Sequence[Destination],
    remote: Remote,
    options: RunOptions,
    progress: Progress,
) -> list[Outcome[Replay]]:
    """Run a bundle on every device. The results of one are in `out`, those of several in folders of their names there.

    Ctrl-C leaves the runs on the devices going. Raises IntegrityError and its kin for the bundle, ConfigurationError,
    KeyboardInterrupt; what happens to a device is in its outcome.
    """
    shipment = prepare(bundle)
    if len(destinations) > 1:
        require_no_kind(out)
    shared = Combined(shipment, len(destinations), progress)

    def one(number: int, connection: Connection, folder: Path) -> Replay:
        tick = progress if len(destinations) == 1 else partial(shared.update, number)
        try:
            return replay_on(connection, shipment, folder, remote.base, options, tick)
        finally:
            shared.leave(number)

    return on_each(destinations, out, remote, one)


def stop_on_hosts(bundle: Path, out: Path, destinations: Sequence[Destination], remote: Remote) -> list[Outcome[bool]]:
    """End the replays that belong to `out`; the result is False where none ran. Raises as `replay_on_hosts`."""
    shipment = prepare(bundle)

    def one(number: int, connection: Connection, folder: Path) -> bool:
        return stop_on(connection, shipment, folder, remote.base)

    return on_each(destinations, out, remote, one)


def on_each(
    destinations: Sequence[Destination], out: Path, remote: Remote, work: Callable[[int, Connection, Path], Result]
) -> list[Outcome[Result]]:
    """Do something with every device at the same time.

    Args:
        destinations: the devices.
        out: folder that gets one folder per device.
        remote: how to reach them.
        work: called with its number, connection and folder.
    """
    connections = [Connection(each, remote.python, remote.ssh_config) for each in destinations]
    folders = [out / each.folder if len(destinations) > 1 else out for each in destinations]

    def outcome(number: int) -> Outcome[Result]:
        where = destinations[number], folders[number]
        try:
            return Outcome(*where, work(number, connections[number], folders[number]))
        except SegevalError as error:
            return Outcome(*where, error=error)

    with ThreadPoolExecutor(len(destinations)) as pool:
        futures = [pool.submit(outcome, number) for number in range(len(destinations))]
        try:
            wait(futures)
        except BaseException:
            for connection in connections:
                connection.cancel()
            raise
        return [future.result() for future in futures]


class Combined:
    """One progress of several devices: that of the phase in which the slowest is, summed over all.

    A device that is past a phase has done its share of it.
    """

    def __init__(self, shipment: Shipment, hosts: int, progress: Progress) -> None:
        self._engines = {engine.name for engine in shipment.manifest.engines}
        self._runs = shipment.runs()
        self._phase = [0] * hosts
        self._counts = [[(0, 0) for _ in PHASES] for _ in range(hosts)]
        self._done: list[dict[str, int]] = [{} for _ in range(hosts)]
        self._gone: set[int] = set()
        self._lock = threading.Lock()
        self._progress = progress

    def update(self, host: int, stage: str, done: int, total: int) -> None:
        """Note how far a device is, and pass on how far all are."""
        with self._lock:
            if stage in self._engines:
                self._done[host][stage] = done
                self._enter(host, "replay", sum(self._done[host].values()), self._runs)
            elif stage in PHASES:
                self._enter(host, stage, done, total)
            self._tell()

    def leave(self, host: int) -> None:
        """Mark a device as done or failed, so that others do not wait for it."""
        with self._lock:
            self._gone.add(host)

    def _enter(self, host: int, phase: str, done: int, total: int) -> None:
        at = PHASES.index(phase)
        self._phase[host] = at
        self._counts[host][at] = (done, total)

    def _tell(self) -> None:
        waited_for = [phase for host, phase in enumerate(self._phase) if host not in self._gone]
        if not waited_for:
            return
        slowest = min(waited_for)
        done = total = 0
        for host, phase in enumerate(self._phase):
            part, whole = self._counts[host][slowest]
            total += whole
            done += whole if phase > slowest else part
        self._progress(f"{PHASES[slowest]} on {len(self._phase)} devices", done, total)
