"""The address of a device as typed: host, user@host, user@host:port, user@[::1]:port, or a name from ~/.ssh/config.

Every part begins with a letter or a digit, so that none can be read as an option of ssh or rsync.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segeval.errors import ConfigurationError

NAME = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
IPV6 = r"\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?\]"
DESTINATION = re.compile(rf"(?:(?P<user>{NAME})@)?(?P<host>{NAME}|{IPV6})(?::(?P<port>[0-9]{{1,5}}))?")
MOST_PORTS = 65535


@dataclass(frozen=True)
class Destination:
    """A device as ssh reaches it.

    Attributes:
        text: as it was typed.
        user: empty for ssh's own choice.
        host: IPv6 in brackets.
        port: 0 for ssh's own choice.
    """

    text: str
    user: str
    host: str
    port: int

    @property
    def for_ssh(self) -> str:
        """As ssh wants it."""
        return self._with_user(self.host.strip("[]"))

    @property
    def for_rsync(self) -> str:
        """As rsync wants it in front of a colon and a path."""
        return self._with_user(self.host)

    @property
    def folder(self) -> str:
        """A folder's name for it."""
        return re.sub(r"[^A-Za-z0-9_.@-]", "_", self.text)

    def _with_user(self, host: str) -> str:
        return f"{self.user}@{host}" if self.user else host


def parse_destination(text: str) -> Destination:
    """Raises ConfigurationError for anything else than a destination."""
    match = DESTINATION.fullmatch(text)
    if match is None or int(match["port"] or 0) > MOST_PORTS:
        raise ConfigurationError(
            f"--host {text!r} is not a host", "for example --host jetson@192.168.1.20, or user@host:2222"
        )
    return Destination(text, match["user"] or "", match["host"], int(match["port"] or 0))


def parse_destinations(texts: Sequence[str]) -> list[Destination]:
    """Parse several destinations. Raises ConfigurationError if one is invalid, or if results of two would mix."""
    found = [parse_destination(text) for text in texts]
    folders = [each.folder for each in found]
    twice = next((each.text for each in found if folders.count(each.folder) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"--host {twice} is given twice", "name each device once")
    return found
