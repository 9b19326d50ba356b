"""The replay itself: verify, warm up, run every image through every engine, keep the label maps."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Type

import numpy as np

from segeval_runner.backends import Backend, load_backend
from segeval_runner.bundle import Bundle, Engine, InputImages
from segeval_runner.environment import environment, usable_cores
from segeval_runner.errors import BackendError, BundleError, OutputError, explaining
from segeval_runner.progress import Progress
from segeval_runner.recording import Recording, write_json

SCHEMA = "segeval.replay/1"


class Options(NamedTuple):
    """What was asked for. engines: names, empty for all.   threads: 0 for one per core."""

    bundle: Path
    out: Path
    backend: str
    engines: Sequence[str]
    warmup: int
    threads: int


def chosen(bundle: Bundle, names: Sequence[str]) -> List[Engine]:
    """The engines with these names, or all of them."""
    known = [engine.name for engine in bundle.engines]
    for name in names:
        if name not in known:
            raise BundleError("the bundle has no engine {!r}".format(name), "engines are: {}".format(", ".join(known)))
    return [engine for engine in bundle.engines if not names or engine.name in names]


def replay(options: Options, progress: Progress) -> Dict[str, Any]:
    """Run a bundle and return what replay.json holds. Takes up an interrupted replay where it stopped."""
    bundle = Bundle(options.bundle)
    engines = chosen(bundle, options.engines)
    backend = load_backend(options.backend)
    version = backend.version()
    bundle.verify(lambda done, total: progress.update("verify", done, total))
    keys = bundle.keys()
    threads = options.threads or usable_cores()
    record = opened(options.out, bundle)
    record["environment"] = environment({backend.name: version}, threads)
    for engine in engines:
        run_engine(engine, bundle, keys, backend, options, threads, record, progress)
    return record


def opened(out: Path, bundle: Bundle) -> Dict[str, Any]:
    """The record in a replay folder, or a new one. Raises OutputError if the folder holds something else."""
    path = out / "replay.json"
    with explaining(out):
        out.mkdir(parents=True, exist_ok=True)
        occupied = any(entry.name != "replay.json.part" for entry in out.iterdir())
    if not occupied:
        return {"schema": SCHEMA, "bundle_sha256": bundle.sha256, "set_sha256": bundle.set_sha256, "engines": []}
    try:
        record: Dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        same = (record["schema"], record["bundle_sha256"]) == (SCHEMA, bundle.sha256)
        engines = record["engines"]
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError("{} is not empty and not a replay".format(out), "choose another folder with --out") from None
    if not same or not isinstance(engines, list):
        raise OutputError("{} is the replay of another bundle".format(out), "choose another folder with --out")
    return record


def entry_of(engine: Engine, backend: Type[Backend], inputs: int, warmup: int) -> Dict[str, Any]:
    """What replay.json says about an engine before it has run."""
    return {
        "name": engine.name,
        "model": engine.model,
        "precision": engine.precision,
        "backend": backend.name,
        "backend_version": backend.version(),
        "height": engine.height,
        "width": engine.width,
        "batch": engine.batch,
        "classes": engine.classes,
        "folder": engine.name,
        "inputs": inputs,
        "complete": False,
        "warmup": warmup,
        "load_ms": 0.0,
    }


def run_engine(
    engine: Engine,
    bundle: Bundle,
    keys: List[str],
    backend: Type[Backend],
    options: Options,
    threads: int,
    record: Dict[str, Any],
    progress: Progress,
) -> None:
    """Replay one engine from where its recording ends, and note it in replay.json."""
    indices = engine.indices()
    entry = entry_of(engine, backend, len(indices), options.warmup)
    earlier: Optional[Dict[str, Any]] = next((e for e in record["engines"] if e.get("name") == engine.name), None)
    if earlier and (earlier.get("backend"), earlier.get("backend_version")) != (entry["backend"], entry["backend_version"]):
        what = "{} was begun for {} with {} {}".format(
            options.out, engine.name, earlier.get("backend"), earlier.get("backend_version")
        )
        raise OutputError(what, "choose another folder with --out")
    with Recording(options.out / engine.name, [keys[index] for index in indices], engine.batch) as recording:
        if recording.done == len(indices) and earlier and earlier.get("complete"):
            progress.update(engine.name, len(indices), len(indices))
            return
        others = [e for e in record["engines"] if e.get("name") != engine.name]
        record["engines"] = [*others, entry]
        write_json(options.out / "replay.json", record)
        started = time.perf_counter()
        with backend(bundle.path(engine.file), (engine.batch, engine.height, engine.width), threads) as active:
            entry["load_ms"] = round((time.perf_counter() - started) * 1e3, 3)
            run_images(active, engine, indices, keys, InputImages(bundle), recording, options.warmup, progress)
    entry["complete"] = True
    write_json(options.out / "replay.json", record)


def run_images(
    active: Backend,
    engine: Engine,
    indices: List[int],
    keys: List[str],
    images: InputImages,
    recording: Recording,
    warmup: int,
    progress: Progress,
) -> None:
    """Warm up, then run and keep every image that is still to do. Latencies are those of the call for the whole batch."""
    progress.update(engine.name, recording.done, len(indices))
    for number in range(warmup if recording.done < len(indices) else 0):
        active.infer(filled(images, indices[:1] * engine.batch, engine.batch))
        progress.update(engine.name + " warm-up", number + 1, warmup)
    while recording.done < len(indices):
        part = indices[recording.done : recording.done + engine.batch]
        batch = filled(images, part, engine.batch)
        started = time.perf_counter()
        labels = active.infer(batch)
        latency = (time.perf_counter() - started) * 1e3
        require_labels(labels, engine)
        for index, label_map in zip(part, labels):
            recording.append(keys[index], label_map.astype(np.uint8), latency)
        progress.update(engine.name, recording.done, len(indices))


def filled(images: InputImages, indices: Sequence[int], batch: int) -> np.ndarray:
    """A uint8 (batch, H, W, 3) array of these images; a last batch that is not full repeats its last image."""
    padded = [*indices, *[indices[-1]] * (batch - len(indices))]
    return np.stack([images[index] for index in padded])


def require_labels(labels: np.ndarray, engine: Engine) -> None:
    """Raise BackendError unless these are label maps of this engine."""
    shape = (engine.batch, engine.height, engine.width)
    if labels.dtype != np.int32 or labels.shape != shape:
        raise BackendError("{} gave {} {}, not int32 {}".format(engine.name, labels.dtype, labels.shape, shape))
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= engine.classes:
        what = "{} gave labels from {} to {}; it has {} classes".format(engine.name, lowest, highest, engine.classes)
        raise BackendError(what, "the engine computes something else than the model; do not trust its results")
