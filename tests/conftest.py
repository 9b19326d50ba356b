"""What the tests of several folders need."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Mount = Callable[[str], Path]


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
