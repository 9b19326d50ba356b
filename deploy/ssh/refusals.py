"""Errors of ssh, explained with a remedy."""

import re
from dataclasses import dataclass

from segeval.errors import RemoteError

from .destination import Destination


class ConnectionLostError(RemoteError):
    """A device that cannot be reached now, and may be again."""


@dataclass(frozen=True)
class Refusal:
    """A reason for which ssh fails.

    Attributes:
        pattern: in ssh's messages.
        what, hint: see SegevalError; {ssh} is what to type.
        passing: may end.
    """

    pattern: str
    what: str
    hint: str
    passing: bool = False


REFUSALS = (
    Refusal(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|differs from the key for the IP address",
        "its host key has changed",
        "somebody may be in between. If the device was reinstalled: remove the old key with ssh-keygen -R, connect "
        "by hand with `{ssh}` and compare the fingerprint with the device's",
    ),
    Refusal(
        r"Host key verification failed|No \S+ host key is known",
        "its host key is not known here",
        "connect once by hand with `{ssh}` and compare the fingerprint with the device's",
    ),
    Refusal(
        r"Permission denied|Too many authentication failures|no mutual signature",
        "authentication failed",
        "passwords are not asked for: give the device your key with ssh-copy-id, or start an agent; try `{ssh}`",
    ),
    Refusal(
        r"[Bb]ad configuration option|Can't open user config|terminating, \d+ bad",
        "the ssh configuration here is wrong",
        "try `{ssh}`",
    ),
    Refusal(r"Could not resolve hostname", "its name is not known", "check --host; an address works too", passing=True),
    Refusal(
        r"Connection refused",
        "no ssh server answers there",
        "is sshd running, and on that port? try `{ssh}`",
        passing=True,
    ),
    Refusal(
        r"timed out|No route to host|unreachable|not responding",
        "the host cannot be reached",
        "check that it is switched on and in this network; try `{ssh}`",
        passing=True,
    ),
)
LOST = Refusal("", "the connection was lost", "run the same command again: it continues", passing=True)


def refusal(destination: Destination, said: str) -> RemoteError:
    """The error for an ssh that failed.

    Args:
        destination: that ssh was to reach.
        said: its stderr.
    """
    found = next((each for each in REFUSALS if re.search(each.pattern, said)), LOST)
    port = f"-p {destination.port} " if destination.port else ""
    lines = [line.strip() for line in said.splitlines() if line.strip(" \r@")]
    detail = f" ({lines[-1]})" if lines else ""
    kind = ConnectionLostError if found.passing else RemoteError
    return kind(f"{destination.text}: {found.what}{detail}", found.hint.format(ssh=f"ssh {port}{destination.for_ssh}"))
