"""Build the engines of a bundle without running an image, so that later commands need not spend the minutes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict, List, Sequence

from segeval_runner.backends import Settings, load_backend
from segeval_runner.bundle import Bundle
from segeval_runner.choice import chosen
from segeval_runner.environment import usable_cores
from segeval_runner.progress import Progress
from segeval_runner.replay import job_of, version_of


def build(
    root: Path, asked_for: str, names: Sequence[str], settings: Settings, progress: Progress
) -> List[Dict[str, Any]]:
    """Load every engine once, so that what is built lies in the cache, and say how each runs here.

    Raises BundleError, BackendError.

    Args:
        root: of the bundle.
        asked_for: backend, empty for the one that the bundle is made for.
        names: of engines, empty for all of them.
        settings: as the command line gave them.
        progress: told of every engine.

    Returns:
        Per engine its name, backend, seconds to load it and the backend's facts.
    """
    bundle = Bundle(root)
    backend = load_backend(asked_for or bundle.manifest.run.backend)
    engines = chosen(bundle, names, backend, settings.prebuilt)
    version = version_of(backend, asked_for)
    bundle.verify(lambda done, total: progress.update("verify", done, total))
    settings = settings._replace(threads=settings.threads or usable_cores())
    built = []
    for number, engine in enumerate(engines):
        progress.update("build", number, len(engines))
        started = time.perf_counter()
        with backend(job_of(bundle, engine, backend), settings, progress.update) as active:
            seconds = round(time.perf_counter() - started, 3)
            built.append({"engine": engine.name, "seconds": seconds, "facts": active.facts()})
    progress.update("build", len(engines), len(engines))
    return [{**one, "backend": backend.name, "backend_version": version} for one in built]


def told(built: Sequence[Dict[str, Any]]) -> List[str]:
    """One line per engine and one per fact, without the list of layers, which is for programs."""
    form = "{engine}: loaded in {seconds} s by {backend} {backend_version}"
    lines = []
    for one in built:
        lines.append(form.format(**one))
        lines += ["  {}: {}".format(name, value) for name, value in one["facts"].items() if name != "listed"]
    return lines
