"""``--host``: running on devices, for `segeval replay` and `segeval deploy`."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from segeval.commands.beside import say_how_to_evaluate
from segeval.commands.options import Option
from segeval.commands.text_tables import latency_rows, table
from segeval.console import progress, results, say, show_error
from segeval.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from segeval.deploy.ssh import Outcome, Remote, RunOptions
    from segeval.files.replays import Replay

Hosts = Annotated[
    list[str], Option("--host", metavar="[USER@]HOST[:PORT]", help="Run on this device over ssh; repeatable.")
]
RemoteDir = Annotated[str, Option("--remote-dir", help="Folder on the device.")]
RemotePython = Annotated[str, Option("--remote-python", help="Python on the device, with numpy and an engine.")]
SshConfig = Annotated[Path | None, Option("--ssh-config", help="File for ssh -F.", show_default="your own")]

REMOTE_DIR, REMOTE_PYTHON = "~/.cache/segeval", "python3"


def two_lines(bundle: Path, options: Sequence[str] = ()) -> str:
    """What to type on a device that ssh does not reach.

    Args:
        bundle: that goes there.
        options: of its runner.
    """
    more = "".join(f" {option}" for option in options)
    name, folder = shlex.quote(bundle.name), shlex.quote(bundle.name + "-replay")
    return (
        "To run it on a device over ssh, add --host USER@DEVICE to the next command. Without a network, copy "
        f"{bundle} to a USB stick and type on the device:\n"
        f"    cp -r /media/$USER/*/{name} ~/\n"
        f"    sh ~/{name}/run.sh ~/{folder}{more}\n"
        f"then copy ~/{folder} back."
    )


def checked(hosts: Sequence[str], base: str, python: str, ssh_config: Path | None) -> "Remote":
    """The checked settings for remote devices. Raises ConfigurationError for options that cannot work."""
    from segeval.deploy.ssh import Remote, parse_destinations

    if not hosts:
        raise ConfigurationError("--stop needs a device", "give the --host that started the replay")
    parse_destinations(hosts)
    return Remote(base, python, ssh_config).checked()


def replay_on_hosts(
    bundle: Path, out: Path, hosts: Sequence[str], remote: "Remote", options: "RunOptions", quiet: bool
) -> None:
    """Run a bundle on devices and show what came back. Raises RemoteError if one of them failed."""
    from segeval.deploy.ssh import parse_destinations
    from segeval.deploy.ssh import replay_on_hosts as run

    destinations = parse_destinations(hosts)
    try:
        with progress(quiet) as tick:
            outcomes = run(bundle, out, destinations, remote, options, tick)
    except KeyboardInterrupt:
        say("the device goes on working; the same command attaches to it again, with --stop it ends the run")
        raise
    show(outcomes)
    require_all(outcomes)
    say_how_to_evaluate(bundle, [outcome.out for outcome in outcomes], out)


def stop_on_hosts(bundle: Path, out: Path, hosts: Sequence[str], remote: "Remote") -> None:
    """End the runs that belong to `out`. Raises RemoteError if a device did not do it."""
    from segeval.deploy.ssh import parse_destinations
    from segeval.deploy.ssh import stop_on_hosts as stop

    outcomes = stop(bundle, out, parse_destinations(hosts), remote)
    for outcome in outcomes:
        if outcome.error is None:
            say(
                f"{outcome.destination.text}: {'stopped' if outcome.result else 'no replay for this folder is running'}"
            )
    require_all(outcomes)


def show(outcomes: Sequence["Outcome[Replay]"]) -> None:
    """One table of all devices."""
    rows = []
    for outcome in outcomes:
        if outcome.result is None:
            rows.append((outcome.destination.text, "failed", "", "", "", ""))
        else:
            rows += [(outcome.destination.text, *row) for row in latency_rows(outcome.result)]
    headings = ("device", "engine", "runs on", "computes in", "p50 ms", "p90 ms")
    results.print(table(headings, rows, "Latency of one call", words=4))


def require_all(outcomes: "Sequence[Outcome[Replay]] | Sequence[Outcome[bool]]") -> None:
    """Raise the error of the one device that there is, or one that counts those that failed."""
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if not failed:
        return
    if len(outcomes) == 1 and failed[0].error is not None:
        raise failed[0].error
    for outcome in failed:
        if outcome.error is not None:
            show_error(outcome.error)
    names = ", ".join(outcome.destination.text for outcome in failed)
    hint = "fix that and run the same command again; finished results are kept"
    raise RemoteError(f"{len(failed)} of {len(outcomes)} devices failed: {names}", hint)
