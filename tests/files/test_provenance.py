import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import segeval
from segeval.files.provenance import revision, versions


@pytest.fixture
def installed_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pretend that segeval lies in this folder."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    folder = tmp_path / "somewhere" / "segeval"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.setattr(segeval, "__file__", str(folder / "__init__.py"))
    return folder


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_versions_of_what_is_installed_are_listed() -> None:
    found = versions("numpy", "no-such-package")
    assert found == {
        "segeval": segeval.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
    }


def test_outside_a_checkout_there_is_no_revision(installed_at: Path) -> None:
    assert revision() == ""


def test_another_projects_checkout_is_not_ours(installed_at: Path) -> None:
    root = installed_at.parent
    git(root, "init", "--quiet")
    (root / "theirs").touch()
    git(root, "add", "theirs")
    git(root, "commit", "--quiet", "--message", "theirs")
    assert revision() == ""


def test_a_checkout_has_a_revision_and_says_when_it_was_changed(installed_at: Path) -> None:
    root = installed_at.parent
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message", "ours")
    head = git(root, "rev-parse", "HEAD")
    (root / "untracked").touch()
    assert revision() == head
    (installed_at / "__init__.py").write_text("changed = True\n")
    assert revision() == head + "+changed"


def test_without_git_there_is_no_revision(installed_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert revision() == ""
