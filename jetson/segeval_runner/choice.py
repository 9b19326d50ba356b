"""Which engines of a bundle a command runs."""

from __future__ import annotations

from typing import List, Sequence, Type

from segeval_runner.backends import Backend
from segeval_runner.bundle import Bundle
from segeval_runner.errors import BackendError, BundleError
from segeval_runner.manifest import Engine


def chosen(bundle: Bundle, names: Sequence[str], backend: Type[Backend], prebuilt: bool) -> List[Engine]:
    """The engines with these names, or all that a backend can run, as far as the bundle tells. Nothing is loaded yet.

    Args:
        bundle: that holds them.
        names: empty for all.
        backend: that is to run them.
        prebuilt: whether native code of the bundle may run.

    Raises:
        BundleError: for an unknown name, or native code that may not run.
        BackendError: for an engine that was named and that the backend cannot run, or if it can run none.
    """
    engines = bundle.manifest.engines
    known = [engine.name for engine in engines]
    for name in names:
        if name not in known:
            raise BundleError("the bundle has no engine {!r}".format(name), "engines are: {}".format(", ".join(known)))
    wanted = [engine for engine in engines if not names or engine.name in names]
    native = [engine.name for engine in wanted if engine.built_elsewhere]
    if native and not backend.runs_engines:
        wanted = [engine for engine in wanted if not engine.built_elsewhere]
        if names or not wanted:
            what = "{} cannot run {}: TensorRT built it".format(backend.name, native[0])
            raise BackendError(what, "give --backend tensorrt on the device that it was built for")
    if backend.runs_engines and not names:
        wanted = [engine for engine in wanted if engine.own is None or not engine.own.refused]
    if native and backend.runs_engines and not prebuilt:
        what = "{} is a built engine, native code: its hash does not say who made it, so it was not loaded"
        hint = "if you trust who made the bundle, add --prebuilt; else name the others with --engine"
        raise BundleError(what.format(native[0]), hint)
    return wanted
