"""What the tests of several folders need."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side; torch heeds it when it is imported
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it; tables would be as narrow as its terminal

import shutil
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from tests.untested import untested

Mount = Callable[[str], Path]
FIRST = ("runner/test_python38.py", "cli/", "generate/")
"""What makes an environment that other tests use, and what takes long: a slow file at the end would run alone."""


def pytest_configure() -> None:
    """Heed Ctrl-C and SIGHUP, which tests send: shells let background jobs ignore the one, nohup the other."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of FIRST before the others, which keep their order."""

    def place(item: pytest.Item) -> int:
        path = item.path.relative_to(Path(__file__).parent).as_posix()
        return next((place for place, start in enumerate(FIRST) if path.startswith(start)), len(FIRST))

    items.sort(key=place)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say last what was not tested for want of a tool, and the command that would."""
    yield
    lines = untested(str(report.longrepr[-1]) for report in terminalreporter.stats.get("skipped", []))
    if lines:
        terminalreporter.section("not tested here")
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data and published weights."""
    folder = os.environ.get("SEGEVAL_DATA")
    if not folder:
        pytest.skip("SEGEVAL_DATA is not set: no real datasets, published weights and reference outputs here")
    return Path(folder)


@pytest.fixture
def mount_disk(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system of a size in the words of mount, such as 64k; it can be filled up."""
    mounted: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount = shutil.which("mount")
        if mount is None:
            pytest.skip("there is no mount command here to make a small disk with")
        command = [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode != 0:
            pytest.skip(f"a small disk cannot be mounted here: {ended.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)
