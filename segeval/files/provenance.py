"""Provenance of a result: package versions and the revision of the code."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import segeval


def versions(*packages: str) -> dict[str, str]:
    """Versions of segeval, Python and the named packages; those that are missing are left out."""
    found = {"segeval": segeval.__version__, "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """Git revision of segeval's own source, with ``+changed`` if it was edited; empty outside a checkout."""
    folder = Path(segeval.__file__).parent
    try:
        git(folder, "ls-files", "--error-unmatch", "__init__.py")  # fails where another project's checkout is around us
        head = git(folder, "rev-parse", "HEAD")
        changed = git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return head + ("+changed" if changed else "")


def git(folder: Path, *arguments: str) -> str:
    """Output of a git command."""
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
