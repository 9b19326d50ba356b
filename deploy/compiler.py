"""NVIDIA's own parser and builder on the files that are deployed: TensorRT for RTX, which needs no GPU for it.

It shows that one TensorRT reads and builds a file, and in which types it would compute. It does not prove the same for
the versions on a device, which build their own engines.
"""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from segeval.errors import EngineError, MissingPrerequisiteError, install
from segeval.files.engine_records import Compilation, Plan
from segeval.files.storage import explaining

CAPABILITY = "8.6"
"""The nearest to Orin's 8.7 that TensorRT for RTX builds for."""
PACKAGES = ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12", "tensorrt-rtx")
INSTALL = install("rtx")
COMMAND = (sys.executable, "-m", "segeval_runner.backends.tensorrt.ahead_process")


def installed() -> bool:
    """Whether TensorRT for RTX is installed; it is not loaded."""
    for name in PACKAGES:
        try:
            return bool(version(name))
        except PackageNotFoundError:
            continue
    return False


class Compiler:
    """Builds files in a separate process. Raises MissingPrerequisiteError if TensorRT for RTX does not work here."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        # In a session of its own, Ctrl-C in the terminal reaches this process alone, which then ends the other.
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        try:
            ready = self._line()
        except BaseException:
            self._process.kill()
            raise
        if "ready" not in ready:
            self._end()
            why = ready.get("unusable", "it ends the process that loads it")
            raise MissingPrerequisiteError(f"TensorRT for RTX does not work here: {why}", f"{INSTALL}, or remove it")

    def compile(self, file: Path, plan: Path | None = None) -> Compilation:
        """Parse and build an ONNX file.

        Args:
            file: the ONNX file.
            plan: where to keep the engine, which is then for every GPU that the library builds for by itself.

        Raises:
            EngineError: with TensorRT's reason if it is refused.
            StorageError: if the file cannot be read.
        """
        capabilities = [] if plan is not None else [CAPABILITY]
        answer = self._ask({"file": str(file), "plan": str(plan or ""), "capabilities": capabilities})
        if "unwritten" in answer:
            with explaining(plan or file):
                raise OSError(answer["unwritten"], os.strerror(answer["unwritten"]))
        if "refused" in answer:
            raise EngineError(f"NVIDIA's compiler refuses the file: {answer['refused']}", answer["hint"])
        if not answer:
            self._end()
            self._start()  # for the files that come after it
            what = f"TensorRT for RTX crashed on {file.name}; no TensorRT has accepted the file"
            raise EngineError(what, "report which network it is; deploy without this precision")
        facts = answer["facts"]
        return Compilation(
            library=facts["library"],
            capability=CAPABILITY if plan is None else "",
            layers=facts["layers"],
            convolutions=facts["convolutions"],
            conversions=facts["conversions"],
            engine_bytes=facts["engine_bytes"],
            warnings=tuple(facts["warnings"]),
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request; empty if the process ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return {}
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline() or "{}")
        return answer

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()


def plan_of(file: str | None, found: Compilation | None) -> Plan | None:
    """The engine that was kept. file: where in the bundle, None if it was not to be."""
    return None if file is None or found is None else Plan(file, found.library.rpartition(" ")[2])
