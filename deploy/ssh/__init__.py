"""Sends a bundle to devices and fetches the results, with the system's ssh and rsync."""

from .destination import parse_destinations
from .farm import Outcome, replay_on_hosts, stop_on_hosts
from .remote import Remote, RunOptions

__all__ = ["Outcome", "Remote", "RunOptions", "parse_destinations", "replay_on_hosts", "stop_on_hosts"]
