"""NVIDIA's own parser and builder on every file that segeval deploys to TensorRT: `make check-tensorrt-build`.

TensorRT for RTX, without a GPU. Without --all: every network at every precision for one capability, and one network
for all of them. With --all: every calibration, both batch sizes and every capability, too. With --write: the table of
docs/tensorrt.md. Exits with 1 if a file is refused, loses a type, computes a quantized convolution in something else
than int8, or if the page is out of date.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from onnx import ModelProto

from segeval.errors import SegevalError
from segeval.registry import MODELS
from segeval_runner.backends import Job, Settings
from segeval_runner.backends.tensorrt.ahead import CAPABILITIES, build_ahead
from segeval_runner.errors import BackendError
from tests.tensorrt_build.files import CALIBRATIONS, Case, Files, cases, quantized_convolutions
from tests.tensorrt_build.page import page_is_current, write_page

CAPABILITY = "8.6"
"""Where every network is built: the generation of Orin's GPU, as near as TensorRT for RTX comes to 8.7."""
EVERYWHERE = "espnet-synthetic"
"""The network that is built for every capability also without --all."""
TURING = "7.5"
"""TensorRT for RTX computes quantized convolutions in float there, without a word."""
TURING_REFUSES = "FP32 GEMM is not supported"
"""What it says there of a matrix product in fp32."""


@dataclass(frozen=True)
class Result:
    """A file built for a capability. facts: see `Ahead`, empty if it was refused.   faults: what is wrong with it."""

    case: Case
    capability: str
    facts: dict[str, Any]
    faults: tuple[str, ...]


def plan(everything: bool) -> dict[str, list[tuple[Case, Sequence[str]]]]:
    """What to build, by network: files, each with its capabilities."""
    found: dict[str, list[tuple[Case, Sequence[str]]]] = {}
    for name in MODELS:
        calibrations, batches = (CALIBRATIONS, (1, 2)) if everything else (CALIBRATIONS[:1], (1,))
        capabilities = CAPABILITIES if everything or name == EVERYWHERE else (CAPABILITY,)
        found[name] = [(case, capabilities) for case in cases(name, calibrations, batches)]
    return found


def build_network_files(name: str, work: Sequence[tuple[Case, Sequence[str]]]) -> list[Result]:
    """Every file of a network for each of its capabilities. Runs in a process of its own."""
    found = []
    with TemporaryDirectory(prefix="segeval-check-") as folder:
        files = Files(name, Path(folder))
        for case, capabilities in work:
            try:
                file, model = files.write(case)
            except SegevalError as error:
                found.append(Result(case, "", {}, (error.what,)))
                continue
            found += [built(case, file, model, capability) for capability in capabilities]
            file.unlink()
    return found


def built(case: Case, file: Path, model: ModelProto, capability: str) -> Result:
    """A file built for one capability, and held against what is expected of it."""
    job = Job(file, "", case.precision, (case.batch, 0, 0))
    refusal = refused_there(case, model, capability)
    if refusal:
        # A build that fails leaves its traces: the next one in the same process computed int8 in fp32.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            facts, error = fresh.submit(tried, job, capability).result()
    else:
        facts, error = tried(job, capability)
    if error:
        return Result(case, capability, {}, () if refusal and refusal in error else (error,))
    return Result(case, capability, facts, tuple(faults(case, model, capability, facts, refusal)))


def tried(job: Job, capability: str) -> tuple[dict[str, Any], str]:
    """What comes of a build: facts, or the error."""
    try:
        return build_ahead(job, Settings(1, job.file.parent), (capability,), lambda stage, done, total: None).facts, ""
    except BackendError as error:
        return {}, error.what


def faults(case: Case, model: ModelProto, capability: str, facts: dict[str, Any], refusal: str) -> Iterator[str]:
    """What is wrong with an engine, one line each."""
    if refusal:
        yield f"it was built, and should be refused: {refusal}"
    reading = sum(count for types, count in facts["convolutions"].items() if types.startswith("int8 to "))
    expected = 0 if capability == TURING else quantized_convolutions(model)
    if reading != expected:
        yield f"{reading} convolutions read int8, {expected} should"


def refused_there(case: Case, model: ModelProto, capability: str) -> str:
    """What TensorRT for RTX says of a file that it cannot build for this capability; empty for all that it can."""
    in_fp32 = case.precision in ("fp32", "int8") and any(node.op_type == "MatMul" for node in model.graph.node)
    return TURING_REFUSES if capability == TURING and in_fp32 else ""


def results(everything: bool) -> list[Result]:
    """Build all, two networks at a time."""
    work = plan(everything)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(build_network_files, name, cases) for name, cases in work.items()]
        return [result for part in parts for result in part.result()]


def main(arguments: Sequence[str]) -> int:
    """Build, tell, write or compare the page. Returns the exit code."""
    started = time.monotonic()
    found = results("--all" in arguments)
    wrong = [f"{each.case} for {each.capability}: {fault}" for each in found for fault in each.faults]
    warnings = Counter(warning for each in found for warning in each.facts.get("warnings", ()))
    for warning, count in warnings.most_common():
        print(f"warning of {count} builds: {warning}")
    table = [each for each in found if each.capability == CAPABILITY and each.case.batch == 1]
    table = [each for each in table if each.case.calibration == CALIBRATIONS[0] and each.facts]
    if "--write" in arguments:
        write_page(table)
    elif not page_is_current(table):
        wrong.append("docs/tensorrt.md is out of date: .venv/bin/python -m tests.tensorrt_build.check --write")
    for line in wrong:
        print(line, file=sys.stderr)
    files = len({each.case for each in found})
    said = f"{len(wrong)} faults" if wrong else "every file was parsed and built"
    print(f"check-tensorrt-build: {said}; {files} files, {len(found)} builds, {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
