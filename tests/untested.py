"""What is not tested where a tool is missing, and the command that tests it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

PYTEST = ".venv/bin/python -m pytest"


@dataclass(frozen=True)
class Tool:
    """reason: how the reason of a skip begins.   what: is not tested then.   command: what would test it."""

    reason: str
    what: str
    command: str


TOOLS = (
    Tool(
        "there is no sshd here",
        "shipping to a device over SSH",
        f"apt-get install openssh-server rsync && {PYTEST} tests/deploy/ssh",
    ),
    Tool(
        "there is no browser here",
        "the report in a browser",
        f"apt-get install chromium chromium-driver && {PYTEST} tests/evaluate",
    ),
    Tool("pycuda was not compiled yet", "device memory through pycuda", "make check-device-memory"),
    Tool(
        "there is no gcc", "CUDA over a stand-in for its library", f"apt-get install gcc && {PYTEST} tests/runner/cuda"
    ),
    Tool(
        "there is no Python 3.8",
        "the runner under the Python of JetPack 5",
        f"pyenv install 3.8 && {PYTEST} tests/runner/test_python38.py",
    ),
    Tool(
        "SEGEVAL_DATA is not set",
        "real images and published weights",
        f"SEGEVAL_DATA=FOLDER {PYTEST}, the folder having camvid, cityscapes_frames, weights and golden",
    ),
    Tool("the libraries of the zoo are not installed", "networks of other libraries", "make check-zoo"),
    Tool("there is no mount command", "a full disk", f"apt-get install mount && {PYTEST}, as root"),
    Tool("a small disk cannot be mounted", "a full disk", f"{PYTEST}, as root"),
)


def untested(reasons: Iterable[str]) -> list[str]:
    """A line for every tool that is the reason of a skip. reasons: of every skipped test, as pytest gives them."""
    found = Counter(
        tool for reason in reasons for tool in TOOLS if reason.removeprefix("Skipped: ").startswith(tool.reason)
    )
    return [f"{tool.what} ({count} skipped): {tool.command}" for tool, count in found.items()]
