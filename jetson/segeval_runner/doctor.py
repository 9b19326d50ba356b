"""What this machine has."""

from __future__ import annotations

from typing import List

from segeval_runner.backends import BACKENDS, load_backend
from segeval_runner.environment import environment, usable_cores
from segeval_runner.errors import BackendError


def doctor() -> List[str]:
    """Lines that say what is installed, which backends work, and what would add each missing one."""
    versions = {}
    missing = []
    for name in BACKENDS:
        try:
            versions[name] = load_backend(name).version()
        except BackendError as error:
            missing.append("backend {}: {}\n  {}".format(name, error.what, error.hint))
    facts = environment(versions, usable_cores())
    lines = ["{}: {}".format(key, facts[key]) for key in facts if key not in ("backends", "threads")]
    return lines + ["backend {}: {}".format(name, version) for name, version in versions.items()] + missing
