"""Run by the Python of one release's environment: the contract, then the backend driven through the doubles.

python -m tests.tensorrt_api.inside RESULT.json MODULE
Writes which names exist and which were used; exits with 1 if anything is not as it must be. Runs on Python 3.8 too.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
import unittest
from pathlib import Path

from segeval_runner.backends.tensorrt.library import use
from tests.tensorrt_api import contract
from tests.tensorrt_api.library import Library

WAYS = Path(__file__).parent / "ways"


def main(result: Path, name: str) -> int:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell's background job: the drive presses Ctrl-C
        signal.signal(signal.SIGINT, signal.default_int_handler)
    bindings = importlib.import_module(name + "_bindings")
    breaches = contract.breaches(bindings)
    declared = contract.declared() + (contract.declared(contract.RTX_STUB) if contract.is_rtx(bindings) else [])
    library = Library(bindings, declared)
    sys.modules[name] = library.module
    use(name)
    importlib.import_module("tests.tensorrt_api.drive").Drive.library = library
    ways = (importlib.import_module(f"tests.tensorrt_api.ways.{file.stem}") for file in sorted(WAYS.glob("*.py")))
    suite = unittest.TestSuite(map(unittest.defaultTestLoader.loadTestsFromModule, ways))
    ran = unittest.TextTestRunner(verbosity=1).run(suite)
    breaches += ["used, and not in the stub: " + name for name in sorted(library.module.used - set(declared))]
    for line in breaches:
        print(line, file=sys.stderr)
    record = {
        "version": bindings.__version__,
        "python": sys.version.split()[0],
        "has": [name for name in declared if contract.has(bindings, name)],
        "used": sorted(library.module.used),
        "tests": ran.testsRun,
        "skipped": len(ran.skipped),
    }
    result.write_text(json.dumps(record), encoding="utf-8")
    return 0 if ran.wasSuccessful() and not breaches else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
