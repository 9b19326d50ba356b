"""A process that builds engines ahead of time: a request on stdin, an answer on stdout, one line of JSON each.

TensorRT may crash it, and its memory is given back when it ends. It ends when its stdin closes, and so with the process
that started it. The first line says whether TensorRT for RTX works here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict, TextIO

from segeval_runner.backends.backend import Job, Settings
from segeval_runner.backends.tensorrt.ahead import build_ahead
from segeval_runner.backends.tensorrt.rtx import TensorRTRTX
from segeval_runner.errors import BackendError


def answers() -> TextIO:
    """What was stdout. From then on whatever a library prints goes to stderr."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


def start() -> Dict[str, str]:
    """The version of the library as "ready", or why it cannot be used as "unusable"."""
    try:
        return {"ready": TensorRTRTX.version()}
    except Exception as error:  # whatever a broken library raises is the answer
        return {"unusable": "{}: {}".format(type(error).__name__, error)}


def answer(request: Dict[str, Any]) -> Dict[str, Any]:
    """Build one file: "facts" as `Ahead` has them, or "refused" and "hint". The engine goes to "plan", if any."""
    file = Path(request["file"])
    job, settings = Job(file, "", "", (0, 0, 0)), Settings(1, file.parent)
    try:
        made = build_ahead(job, settings, request["capabilities"], lambda stage, done, total: None)
        if request["plan"]:
            Path(request["plan"]).write_bytes(made.engine)
    except BackendError as error:
        return {"refused": error.what, "hint": error.hint}
    except OSError as error:
        return {"unwritten": error.errno}
    return {"facts": made.facts}


def main() -> None:
    """Answer until stdin ends."""
    out = answers()
    print(json.dumps(start()), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
