"""The runner must work with the Python of JetPack 5, and with nothing installed but numpy and an engine."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

import segeval_runner
from segeval.deploy.bundle import Input, hash_files, write_file, write_inputs
from segeval.deploy.runner_archive import runner_archive
from segeval.files.benches import open_bench
from segeval.files.bundles import BundleManifest, DeployOptions, SetReference
from segeval.files.encoding import encode
from segeval.files.engine_records import EngineRecord, Parity
from segeval.files.replays import Replay
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.quantize import to_int8
from segeval.models import Segmenter
from segeval.models.loading import build_network, load_spec
from segeval.precision import Precision
from tests.rounding import settle

SOURCES = sorted(Path(segeval_runner.__file__).parent.rglob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "numpy", "segeval_runner"}
ENGINES = {"backends/onnx_runtime.py": {"onnxruntime"}, "backends/openvino.py": {"openvino"}}
# For mypy alone; when it runs, library.py imports the one that was asked for.
ENGINES |= {f"backends/tensorrt/{name}.py": {"tensorrt"} for name in ("backend", "library", "rtx")}
ENGINES |= {f"backends/tensorrt/{name}.py": {"tensorrt_rtx"} for name in ("ahead_builder", "contexts")}
CACHE = Path(__file__).parents[2] / ".venv-py38"
SIZE = (64, 128)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_source_is_python_38_and_imports_only_what_a_device_has(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    place = source.relative_to(Path(segeval_runner.__file__).parent).as_posix()
    assert {name.partition(".")[0] for name in imported} <= ALLOWED | ENGINES.get(place, set())
    assert "from __future__ import annotations" in source.read_text() or source.name in ("__main__.py", "__init__.py")


def find_python38() -> str | None:
    """A Python 3.8 that starts: on the path, or among pyenv's versions."""
    candidates = [shutil.which("python3.8")]
    root = os.environ.get("PYENV_ROOT") or str(Path.home() / ".pyenv")
    candidates += [str(path) for path in sorted(Path(root).glob("versions/3.8*/bin/python"))]
    for candidate in candidates:
        if candidate and subprocess.run([candidate, "--version"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


@pytest.fixture(scope="module")
def python38() -> Path:
    """The interpreter of a virtual environment with the numpy and the ONNX Runtime that fit Python 3.8."""
    python = CACHE / "bin" / "python"
    ready = CACHE / "ready"
    if ready.exists():
        return python
    base = find_python38()
    if base is None:
        pytest.skip("there is no Python 3.8 on this machine")
    subprocess.run([base, "-m", "venv", "--clear", str(CACHE)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
    ended = subprocess.run([*install, "numpy", "onnxruntime"], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        pytest.skip(f"no package registry gave numpy and onnxruntime for Python 3.8: {ended.stderr.strip()[-200:]}")
    ready.touch()
    return python


def picture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    blocks = np.kron(rng.integers(0, 246, (4, 8, 3)), np.ones((16, 16, 1)))
    return (blocks + rng.integers(0, 10, blocks.shape)).astype(np.uint8)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """An ESPNet with random weights at every precision, and four pictures."""
    torch.manual_seed(0)
    spec = load_spec("espnet-synthetic")
    fp32 = export_fp32(Segmenter(spec, build_network(spec, None)), *SIZE)
    files = {"fp32": fp32, "fp16": to_fp16(fp32), "int8": to_int8(fp32, map(picture, range(2)), CalibrationSpec())}
    root = tmp_path / "bundle"
    inputs = [Input(f"clean/{seed}", lambda seed=seed: picture(seed)) for seed in range(4)]  # type: ignore[misc]
    written = write_inputs(root, inputs, *SIZE, lambda done, total: None)
    engines = []
    for precision, model in files.items():
        write_file(root, f"models/{precision}.onnx", model.SerializeToString())
        parity = Parity(1, 1.0, None, None, None)
        file, classes = f"models/{precision}.onnx", len(spec.outputs)
        name = f"espnet.{precision}"
        record = EngineRecord(name, "espnet", precision, file, *SIZE, 1, classes, ((0, 4),), None, parity)  # type: ignore[arg-type]
        engines.append(record)
    write_file(root, "runner.pyz", runner_archive())
    options = DeployOptions(("fp32", "fp16", "int8"), "percentile", 2, 1)
    reference = SetReference("0" * 64)
    manifest = BundleManifest("0", reference, "cpu", options, tuple(engines), written, hash_files(root))
    write_file(root, "bundle.json", encode(manifest))
    return root


def test_the_same_archive_gives_the_same_labels_under_python_38(python38: Path, bundle: Path, tmp_path: Path) -> None:
    """But for rounding: two releases of ONNX Runtime order their sums differently."""
    for python, out in ((str(python38), "old"), (sys.executable, "new")):
        command = [python, str(bundle / "runner.pyz"), "replay", "--out", str(tmp_path / out), "--warmup", "0"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    old, new = Replay.open(tmp_path / "old"), Replay.open(tmp_path / "new")
    assert old.record.environment.python.startswith("3.8.")
    assert old.complete
    plain: dict[Precision, str] = {"fp32": "fp32", "fp16": "fp32", "int8": "int8"}
    for precision, file in plain.items():
        model = onnx.load(bundle / f"models/{file}.onnx")
        for seed in range(4):
            settled = settle(model, picture(seed), precision)
            for done in (old, new):
                settled.require(done.labels(f"espnet.{precision}", f"clean/{seed}"))


def test_the_archive_measures_under_python_38(python38: Path, bundle: Path, tmp_path: Path) -> None:
    rules = ["--warmup", "1", "--warmup-seconds", "0", "--seconds", "0.01", "--calls", "3", "--images", "3"]
    command = [
        str(python38),
        str(bundle / "runner.pyz"),
        "bench",
        "--out",
        str(tmp_path / "out"),
        "--idle-seconds",
        "0",
    ]
    ended = subprocess.run([*command, *rules], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    record = open_bench(tmp_path / "out")
    assert record.environment.python.startswith("3.8.")
    assert len(record.runs) == 6
