"""The runner's own builder, log, monitor, timing cache and Ctrl-C on the real library."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from onnx import ModelProto

from segeval_runner.backends import Job, Settings
from segeval_runner.backends.backend import Report
from segeval_runner.backends.tensorrt import library, versions
from segeval_runner.backends.tensorrt.ahead import CAPABILITIES, build_ahead
from segeval_runner.backends.tensorrt.rtx import TensorRTRTX
from segeval_runner.backends.tensorrt.versions import STRONG, typing_mode
from segeval_runner.errors import BackendError
from tests.graphs import broken
from tests.tensorrt_build.conftest import MakeJob

ONE = ("8.6",)


def silent(stage: str, done: int, total: int) -> None:
    """Hears nothing."""


@pytest.fixture(scope="module", autouse=True)
def used() -> None:
    library.use(TensorRTRTX.module)


@contextmanager
def ctrl_c_reaches_us() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def test_progress_comes_from_the_real_phases(int8: ModelProto, make_job: MakeJob, tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []
    build_ahead(make_job(int8), Settings(1, tmp_path), ONE, lambda *each: said.append(each))
    assert said[0] == ("build net.onnx", 0, 1) and said[-1] == ("build net.onnx", 1, 1)
    phases = {stage for stage, _, total in said if total == 100}
    assert phases and all(stage.startswith("build net.onnx: ") for stage in phases)
    for phase in phases:
        percents = [done for stage, done, _ in said if stage == phase]
        assert percents == sorted(percents) and percents[0] >= 0 and percents[-1] == 100


def test_ctrl_c_stops_a_build_and_the_next_one_works(int8: ModelProto, make_job: MakeJob, tmp_path: Path) -> None:
    pressed: list[str] = []

    def press(stage: str, done: int, total: int) -> None:
        if total == 100 and not pressed:
            pressed.append(stage)
            os.kill(os.getpid(), signal.SIGINT)

    job, settings = make_job(int8), Settings(1, tmp_path)
    with ctrl_c_reaches_us(), pytest.raises(KeyboardInterrupt):
        build_ahead(job, settings, ONE, press)
    assert pressed
    assert build_ahead(job, settings, ONE, silent).facts["layers"] > 50


def test_a_report_that_fails_ends_the_build_with_its_error(int8: ModelProto, make_job: MakeJob, tmp_path: Path) -> None:
    def broken_report(stage: str, done: int, total: int) -> None:
        if total == 100:
            raise ValueError("nobody reads")

    with pytest.raises(ValueError, match="nobody reads"):
        build_ahead(make_job(int8), Settings(1, tmp_path), ONE, broken_report)


@pytest.mark.filterwarnings("ignore:.*Timing cache operations are no-ops")
def test_a_timing_cache_is_taken_again_and_garbage_is_not(
    int8: ModelProto, make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real objects take the calls that TensorRT gets; what TensorRT for RTX does with them is nothing."""
    from segeval_runner.backends.tensorrt.builder import Builder
    from segeval_runner.backends.tensorrt.log import the_log

    def build(timing: bytes | None, report: Report = silent) -> bytes:
        the_log().forget()
        job, settings = make_job(int8), Settings(1, tmp_path, workspace_mb=512)
        built = Builder(job, settings, STRONG, the_log(), report, lambda: False).build(timing)
        assert built is not None and built.engine
        return built.timing

    assert build(None) == b""
    monkeypatch.setattr(versions, "has_timings", lambda module: True)
    timing = build(None)
    assert timing
    assert build(timing)
    assert build(b"garbage")
    assert "Failed to deserialize timing cache" in " ".join(the_log().warnings)


def test_what_the_library_says_is_in_the_error(int8: ModelProto, make_job: MakeJob, tmp_path: Path) -> None:
    model = ModelProto()
    model.CopyFrom(int8)
    broken.dynamic_batch(model)
    with pytest.raises(BackendError, match=r"cannot build it\n.*no optimization profile") as raised:
        build_ahead(make_job(model), Settings(1, tmp_path), ONE, silent)
    assert "--workspace-mb" in raised.value.hint


def test_warnings_and_types_are_told(int8: ModelProto, make_job: MakeJob, tmp_path: Path) -> None:
    model = ModelProto()
    model.CopyFrom(int8)
    broken.unsigned(model)
    facts = build_ahead(make_job(model), Settings(1, tmp_path), ONE, silent).facts
    assert any("UINT8 zero_point" in warning for warning in facts["warnings"])
    assert facts["library"].startswith("TensorRT-RTX 1.")
    assert facts["convolutions"] == {"fp32 to fp32": 3, "int8 to fp32": 52}


def test_the_library_is_one_of_types_by_file_and_knows_the_capabilities() -> None:
    module = library.load(TensorRTRTX.module)
    assert typing_mode(module, dla=False) == STRONG and not TensorRTRTX.takes_flags()
    names = {name for name in module.ComputeCapability.__members__ if name.startswith("SM")}
    assert names == {"SM" + capability.replace(".", "") for capability in CAPABILITIES}


def test_an_engine_is_built_kept_and_found_again_and_cannot_be_loaded_without_a_gpu(
    int8: ModelProto, make_job: MakeJob, tmp_path: Path
) -> None:
    """As far as the way through the cache goes where there is no driver."""
    from segeval_runner.backends.tensorrt.engine import BOUND_TO, Engines, engine_of
    from segeval_runner.backends.tensorrt.log import the_log

    job, settings = make_job(int8), Settings(1, tmp_path / "engines")
    device = dict.fromkeys(BOUND_TO, "a GPU that is not here")
    the_log().forget()
    with pytest.raises(BackendError, match="TensorRT cannot load what it built"):
        engine_of(job, settings, device, the_log(), silent)
    engines = Engines(job, settings, device, the_log(), silent)
    key = engines.key()
    path = engines.cache.path(job.file.stem, "engine", key)
    kept = engines.cache.load(path, key)
    assert kept is not None and len(kept.data) > 1_000_000
    assert kept.notes == {"normalization": "fp32", "warnings": [], "workspace_mb": 0}
    assert [file.name for file in (tmp_path / "engines").glob("*.timing")] == []


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    file.write_bytes(b"no ONNX")
    with pytest.raises(BackendError, match="cannot read it"):
        build_ahead(Job(file, "", "fp32", (1, 1, 1)), Settings(1, tmp_path), ONE, silent)
