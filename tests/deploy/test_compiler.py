"""NVIDIA's compiler at deploy time: the real one, for real bundles."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto, helper

from segeval.commands.deploy import show_compilations
from segeval.deploy import compiler, deploy, replay
from segeval.deploy.compiler import CAPABILITY, Compiler
from segeval.errors import EngineError, FormatError, MissingPrerequisiteError
from segeval.files.bundles import BundleFolder, BundleManifest

MakeSet = Callable[..., Path]
ONE = ("espnet-synthetic",)

pytest.importorskip("tensorrt_rtx", reason="TensorRT for RTX is not installed: pip install '.[rtx]'")


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "PACKAGES", ("a package that nobody has",))


def deployed(root: Path, out: Path, target: str, *precisions: str) -> BundleManifest:
    return deploy(root, out, target, precisions=precisions)  # type: ignore[arg-type]


def test_every_file_for_tensorrt_is_built_and_the_bundle_says_so(
    make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = deployed(make_set(range(2), networks=ONE), tmp_path / "bundle", "jetson", "fp32", "int8", "int8-fp16")
    assert BundleFolder(tmp_path / "bundle").verify() == bundle
    for engine in bundle.engines:
        assert engine.compiled is not None and engine.plan is None
        assert engine.compiled.library.startswith("TensorRT-RTX 1.")
        assert engine.compiled.capability == CAPABILITY
        quantized = sum(count for types, count in engine.compiled.convolutions.items() if types.startswith("int8"))
        assert quantized == (0 if engine.precision == "fp32" else 52)
    show_compilations(bundle)
    shown = capsys.readouterr().out
    assert "for 8.6 as a check" in shown and "52 int8→fp32" in shown


def test_other_engines_need_no_compiler(make_set: MakeSet, tmp_path: Path) -> None:
    bundle = deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "cpu", "fp32")
    assert bundle.engines[0].compiled is None


def test_without_it_the_command_says_that_nothing_has_read_the_files(
    make_set: MakeSet, tmp_path: Path, without_compiler: None, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "jetson", "fp32")
    assert bundle.engines[0].compiled is None
    show_compilations(bundle)
    said = capsys.readouterr().err
    assert "these files were not checked by TensorRT" in said and "[rtx]" in said


def test_a_file_that_it_refuses_makes_no_bundle(
    make_set: MakeSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that the checker is made to accept: its last operator is none that TensorRT knows."""

    def spoilt(root: Path, file: str, model: ModelProto, *rules: object) -> ModelProto:
        model.graph.node.append(helper.make_node("Det", ["network_output"], ["added"], "added"))
        (root / "models").mkdir()
        onnx.save(model, root / file)
        return model

    monkeypatch.setattr("segeval.deploy.model_deployment.written_and_proved", spoilt)
    root = make_set(range(1), networks=ONE)
    with pytest.raises(EngineError, match=r"(?s)NVIDIA's compiler refuses the file: .*operator: Det"):
        deployed(root, tmp_path / "out" / "bundle", "jetson", "fp32")
    assert not list((tmp_path / "out").iterdir())


BROKEN = {
    "raises": ("raise RuntimeError('broken')", "RuntimeError: broken"),
    "empty": ("", "AttributeError"),
    "misses a library": ("raise ImportError('libfoo.so')", "libfoo.so"),
    "ends the process": ("import os; os._exit(9)", "it ends the process that loads it"),
}


@pytest.fixture(params=BROKEN)
def broken_library(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package in place of TensorRT for RTX that does not work. What is said of it."""
    source, said = BROKEN[request.param]
    (tmp_path / "fake" / "tensorrt_rtx").mkdir(parents=True)
    (tmp_path / "fake" / "tensorrt_rtx" / "__init__.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    return said


def test_a_library_that_does_not_work_is_no_fault_of_the_file(
    make_set: MakeSet, tmp_path: Path, broken_library: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_set(range(1), networks=ONE)
    bundle = deployed(root, tmp_path / "bundle", "jetson", "fp32")
    assert bundle.engines[0].compiled is None
    show_compilations(bundle)
    assert broken_library in " ".join(capsys.readouterr().err.split())
    with pytest.raises(MissingPrerequisiteError, match="does not work here"):
        deployed(root, tmp_path / "rtx", "rtx", "fp32")
    assert not (tmp_path / "rtx").exists()


CRASHING = """
import sys
print('{"ready": "0"}', flush=True)
if "crashes.onnx" in sys.stdin.readline():
    sys.exit(139)
print('{"refused": "an operator", "hint": ""}', flush=True)
"""


def test_a_compiler_that_crashes_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "COMMAND", (sys.executable, "-c", CRASHING))
    with Compiler() as made:
        with pytest.raises(EngineError, match=r"crashed on crashes\.onnx"):
            made.compile(tmp_path / "crashes.onnx")
        with pytest.raises(EngineError, match="refuses the file: an operator"):
            made.compile(tmp_path / "another.onnx")


def test_the_compiler_ends_with_whoever_started_it() -> None:
    """Also where that one was killed, and could clean up nothing."""
    code = "import os, time; from segeval.deploy.compiler import Compiler; c = Compiler(); "
    code += "print(c._process.pid, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.kill()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


def test_a_bundle_made_without_it_says_to_deploy_again(
    make_set: MakeSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "jetson", "fp32")
    engines = tuple(replace(engine, compiled=None) for engine in bundle.engines)
    show_compilations(replace(bundle, engines=engines))
    assert "remove it and deploy again" in " ".join(capsys.readouterr().err.split())


def test_engines_for_rtx_are_carried_in_the_bundle(make_set: MakeSet, tmp_path: Path) -> None:
    bundle = deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "rtx", "int8")
    (engine,) = bundle.engines
    assert engine.plan is not None and engine.compiled is not None
    assert bundle.files[engine.plan.file].bytes == engine.compiled.engine_bytes
    assert engine.compiled.library == f"TensorRT-RTX {engine.plan.version}"
    assert (bundle.run.backend, engine.compiled.capability) == ("tensorrt-rtx", "")
    BundleFolder(tmp_path / "bundle").verify()


def test_without_the_library_there_are_no_engines_for_rtx(
    make_set: MakeSet, tmp_path: Path, without_compiler: None
) -> None:
    with pytest.raises(MissingPrerequisiteError, match="target rtx") as raised:
        deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "rtx", "fp32")
    assert "[rtx]" in raised.value.hint
    assert not (tmp_path / "bundle").exists()


@pytest.mark.long
def test_fused_int8_fp16_runs_on_this_machine_too(make_set: MakeSet, tmp_path: Path) -> None:
    """ONNX Runtime must not put integer kernels into it, which take no scales in fp16."""
    root = make_set(range(2), networks=ONE)
    fused = ("minmax,placement=fused,images=2",)
    bundle = deploy(root, tmp_path / "bundle", "jetson", precisions=("int8-fp16",), calibrations=fused)
    (engine,) = bundle.engines
    assert engine.compiled is not None and engine.compiled.convolutions["int8 to fp32"] == 33
    done = replay(tmp_path / "bundle", tmp_path / "out", lambda stage, done, total: None, "onnxruntime")
    assert done.complete


def test_a_bundle_with_escapes_or_impossible_numbers_is_refused(make_set: MakeSet, tmp_path: Path) -> None:
    deployed(make_set(range(1), networks=ONE), tmp_path / "bundle", "jetson", "fp16")
    file = tmp_path / "bundle" / "bundle.json"
    text = file.read_text(encoding="utf-8")
    record = json.loads(text)
    record["engines"][0]["parity"]["half"]["layer"] = "\x1b[31mred"
    file.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(FormatError, match="control characters"):
        BundleFolder(tmp_path / "bundle").manifest()
    for changed in ({}, {"runs of 1": 10**9}):
        record = json.loads(text)
        record["engines"][0]["noise_floor"]["changed"] = changed
        file.write_text(json.dumps(record), encoding="utf-8")
        with pytest.raises(FormatError, match="noise floor"):
            BundleFolder(tmp_path / "bundle").manifest()
