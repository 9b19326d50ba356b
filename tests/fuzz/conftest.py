"""What is mutated, and the fence around it."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from segeval.classes import CAMVID
from segeval.deploy.bundle import Input, hash_files, write_file, write_inputs
from segeval.deploy.runner_archive import RUN_SCRIPT
from segeval.files.bundles import BundleManifest, DeployOptions, SetReference
from segeval.files.encoding import encode_sealed
from segeval.files.engine_records import EngineRecord, Parity
from segeval.files.images import save_png
from segeval.files.npy import save_npy
from segeval.files.set_folder import SetFolder
from segeval.files.sets import (
    AdversarialSample,
    AdversarialSet,
    AttackSpec,
    CraftConfig,
    ModelRecord,
    Norms,
    Step,
    TaskRecord,
)
from segeval.files.storage import sha256_file, write_atomic
from segeval.goals import Goal
from segeval.metrics import count_attack
from segeval_runner.pack import pack

Files = dict[str, bytes]
Fence = Callable[[Path], object]

HEIGHT, WIDTH, CLASSES, IMAGES = 6, 9, 3, 4
MOST_MEMORY = 768 << 20
"""Bytes of address space that an example may take beyond what the process has."""
MOST_FILE = 64 << 20
MOST_SECONDS = 30.0
OUTCOMES = pytest.StashKey[Counter[str]]()


def picture(number: int) -> NDArray[np.uint8]:
    return np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def brightest_channel() -> bytes:
    """An ONNX file of the deployed form whose label is the index of the brightest channel."""
    shape = (1, HEIGHT, WIDTH)
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ArgMax", ["levels"], ["index"], axis=3, keepdims=0),
        helper.make_node("Cast", ["index"], ["labels"], to=TensorProto.INT32),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (*shape, 3))
    labels = helper.make_tensor_value_info("labels", TensorProto.INT32, shape)
    graph = helper.make_graph(nodes, "brightest", [image], [labels])
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data


def contents(folder: Path) -> Files:
    """Every file below a folder, by its path."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a few tiny pictures and two engines."""
    root = tmp_path_factory.mktemp("original") / "bundle"
    inputs = [Input(f"clean/{number}", partial(picture, number)) for number in range(IMAGES)]
    written = write_inputs(root, inputs, HEIGHT, WIDTH, lambda done, total: None)
    engines = []
    for name, shown in (("m.fp32", ((0, IMAGES),)), ("m.int8", ((0, 1), (2, IMAGES)))):
        write_file(root, f"models/{name}.onnx", brightest_channel())
        parity = Parity(1, 1.0, None, None, None)
        file = f"models/{name}.onnx"
        engines.append(EngineRecord(name, "m", "fp32", file, HEIGHT, WIDTH, 1, CLASSES, shown, None, parity))
    write_file(root, "runner.pyz", b"no reader opens it: its hash counts", executable=True)
    write_file(root, "run.sh", RUN_SCRIPT.encode(), executable=True)
    options = DeployOptions(("fp32",), "percentile", 1, 1)
    manifest = BundleManifest("0", SetReference("a" * 64), "cpu", options, tuple(engines), written, hash_files(root))
    write_file(root, "bundle.json", encode_sealed(manifest))
    return root


@pytest.fixture(scope="session")
def replay_folder(bundle_folder: Path) -> Path:
    """A replay of the bundle."""
    out = bundle_folder.parent / "replay"
    words = ["replay", "--bundle", str(bundle_folder), "--out", str(out), "--threads", "1"]
    subprocess.run([sys.executable, "-m", "segeval_runner", *words], check=True, capture_output=True)
    return out


def attacked(root: Path, number: int) -> AdversarialSample:
    """A sample of the set below, with every kind of file."""
    phi = np.indices((HEIGHT, WIDTH)).sum(axis=0) % 2 == 1
    labels = np.where(phi, 8, 3).astype(np.uint8)
    counts = {"m": count_attack(labels, phi, Goal((8,), 3))}
    maps = {"phi": np.where(phi, 255, 0).astype(np.uint8), "prediction:m": labels, "adversarial_prediction:m": labels}
    pictures = {"clean": picture(number), "adversarial": picture(number), "truth": labels, **maps}
    files = {name: save_png(root, f"{number}/{name.replace(':', '-')}.png", each) for name, each in pictures.items()}
    files["margin:m"] = save_npy(root, f"{number}/margin.npy", -np.ones(phi.sum(), np.float16))
    norms, curve = Norms(0.0, 0.0, 0.0, 0), (Step(0.0, 0.0, counts),)
    subject = (f"{number}/task/fgsm-full/m", str(number), "task", "fgsm-full", ("m",))
    return AdversarialSample(*subject, number, 0, norms, counts, counts, files, curve)


@pytest.fixture(scope="session")
def set_files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """A set of two tiny pictures, one network and one attack."""
    folder = SetFolder(tmp_path_factory.mktemp("set"))
    samples = [attacked(folder.root, number) for number in range(2)]
    write_atomic(folder.samples_path, b"".join(encode_sealed(sample) + b"\n" for sample in samples))
    manifest = AdversarialSet(
        config=CraftConfig("camvid", ("m",)),
        table=CAMVID,
        height=HEIGHT,
        width=WIDTH,
        images=("0", "1"),
        models=(ModelRecord("m", "camvid", CAMVID.names, "", "0" * 64),),
        attacks=(AttackSpec("fgsm", "default", "full", 1, "best", None, 2.0, {}),),
        tasks=(TaskRecord("task", (8,), 3),),
        versions={},
        revision="",
        complete=True,
        sample_count=len(samples),
        samples_sha256=sha256_file(folder.samples_path),
    )
    folder.write_manifest(manifest)
    return contents(folder.root)


@pytest.fixture(scope="session")
def bundle_files(bundle_folder: Path) -> Files:
    return contents(bundle_folder)


@pytest.fixture(scope="session")
def replay_files(replay_folder: Path) -> Files:
    return contents(replay_folder)


@pytest.fixture(scope="session")
def results_tar(replay_folder: Path) -> bytes:
    """The replay as one file."""
    pack(replay_folder, replay_folder.parent / "results.tar")
    return (replay_folder.parent / "results.tar").read_bytes()


@pytest.fixture
def sandbox(tmp_path: Path) -> Callable[[], Path]:
    """An empty folder with something precious outside the folders that an example may write."""

    def make() -> Path:
        base = tmp_path / "sandbox"
        shutil.rmtree(base, ignore_errors=True)
        (base / "outside").mkdir(parents=True)
        (base / "outside" / "precious").write_text("mine")
        return base

    return make


@contextmanager
def fence(base: Path, *mine: str) -> Iterator[None]:
    """Limits memory, time and file size of what runs inside, which may change nothing in `base` but `mine`."""

    def too_long(signum: int, frame: object) -> None:
        raise AssertionError(f"it took more than {MOST_SECONDS} s")

    memory, size = resource.getrlimit(resource.RLIMIT_AS), resource.getrlimit(resource.RLIMIT_FSIZE)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = inventory(base, mine)
    interrupt, alarm = signal.getsignal(signal.SIGINT), signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + MOST_MEMORY, memory[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_FILE, size[1]))
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, memory)
        resource.setrlimit(resource.RLIMIT_FSIZE, size)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, interrupt)
    assert inventory(base, mine) == before, "something outside the target folder was changed"


def inventory(base: Path, but_not: tuple[str, ...]) -> dict[str, object]:
    """Everything below a folder: names, kinds and what plain files hold. Links are not followed."""
    found: dict[str, object] = {}
    for path in base.rglob("*"):
        relative = path.relative_to(base)
        if relative.parts[0] in but_not:
            continue
        plain = path.is_file() and not path.is_symlink()
        found[relative.as_posix()] = path.read_bytes() if plain else path.lstat().st_mode
    return found


@pytest.fixture
def fenced() -> Callable[..., object]:
    return fence


@pytest.fixture(scope="session")
def outcomes(request: pytest.FixtureRequest) -> Counter[str]:
    """How often each reader refused and accepted."""
    return request.config.stash.setdefault(OUTCOMES, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With `make fuzz`: how many examples each reader refused and accepted."""
    if "SEGEVAL_FUZZ_EXAMPLES" in os.environ:
        for outcome, number in sorted(config.stash.get(OUTCOMES, Counter()).items()):
            terminalreporter.write_line(f"{outcome}: {number}")
