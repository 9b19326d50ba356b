"""NVIDIA's own parser and builder on the files that are deployed: TensorRT for RTX, which needs no GPU for it.

It shows that one TensorRT reads and builds a file, and in which types it would compute. It is no proof for the versions
on a device; those build the engine there.
"""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segeval.bundles import Compilation
from segeval.errors import EngineError
from segeval.store import explaining
from segeval_runner.backends import Job, Settings
from segeval_runner.backends.tensorrt.ahead import build_ahead
from segeval_runner.errors import BackendError

CAPABILITY = "8.6"
"""The nearest to Orin's 8.7 that TensorRT for RTX builds for."""
PACKAGES = ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx")
INSTALL = "pip install 'segeval-embedded[rtx]'"


def installed() -> bool:
    """Whether TensorRT for RTX is installed; it is not loaded."""
    for name in PACKAGES:
        try:
            return bool(version(name))
        except PackageNotFoundError:
            continue
    return False


class Compiler:
    """Builds files in a process of its own, which TensorRT may crash and whose memory is given back at the end."""

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))

    def compile(self, file: Path, plan: Path | None = None) -> Compilation:
        """Parse and build an ONNX file. Raises EngineError with TensorRT's reason if it is refused.

        plan: where to keep the engine, which is then for every GPU that the library builds for by itself.
        """
        try:
            facts = self._pool.submit(compile_file, file, plan).result()
        except BrokenProcessPool as error:
            what = f"TensorRT for RTX crashed on {file.name}; no TensorRT has accepted the file"
            raise EngineError(what, "report which network it is; deploy without this precision") from error
        return Compilation(
            library=facts["library"],
            capability=CAPABILITY if plan is None else "",
            layers=facts["layers"],
            convolutions=facts["convolutions"],
            conversions=facts["conversions"],
            engine_bytes=facts["engine_bytes"],
            warnings=tuple(facts["warnings"]),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)


def compile_file(file: Path, plan: Path | None) -> dict[str, Any]:
    """What TensorRT for RTX makes of a file; see `Ahead`. Runs in the process of `Compiler`. Raises EngineError."""
    job = Job(file, "", "", (0, 0, 0))
    capabilities = (CAPABILITY,) if plan is None else ()
    try:
        made = build_ahead(job, Settings(1, file.parent), capabilities, lambda stage, done, total: None)
    except BackendError as error:
        raise EngineError(f"NVIDIA's compiler refuses the file: {error.what}", error.hint) from error
    if plan is not None:
        with explaining(plan):
            plan.write_bytes(made.engine)
    return made.facts
