"""The replay itself: verify, warm up, run every image through every engine, keep the label maps."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type

import numpy as np

from segeval_runner.backends import Backend, Job, Plan, Settings, load_backend
from segeval_runner.beside import Helper
from segeval_runner.bundle import Bundle, Inputs
from segeval_runner.choice import chosen
from segeval_runner.digests import CHANGED, is_intact
from segeval_runner.environment import environment, usable_cores
from segeval_runner.errors import BackendError, OutputError
from segeval_runner.exclusive import ELSEWHERE, only_writer
from segeval_runner.manifest import MOST_BYTES, Engine, RunDefaults
from segeval_runner.parts import Part
from segeval_runner.progress import Progress
from segeval_runner.recording import Recording, write_atomic, write_json
from segeval_runner.strict import loads, printable, read_regular
from segeval_runner.telemetry import Machine, Monitor

SCHEMA = "segeval.replay/1"
FILE = "replay.json"
BEGINNING = ("bundle.json",)
"""What a replay that was killed before its first replay.json may leave behind."""
MIXED = "int8-fp16"
"""The precision whose file an engine that takes precisions from flags cannot read."""
FALLBACK = "int8"
"""What its other file is to an engine that takes precisions from the file: the int8 file, and nothing of it in fp16."""
ONE_MACHINE = ("machine", "cpu", "threads")
"""What of the environment the latencies depend on: a replay has one of each."""
TELEMETRY_PERIOD_S = 0.5


class Options(NamedTuple):
    """What was asked for.

    Attributes:
        backend: empty for the bundle's.
        engines: names, empty for all.
        settings: `threads` are 0 for one per core.
        shard: the part of the inputs that is run.
    """

    bundle: Path
    out: Path
    backend: str
    engines: Sequence[str]
    warmup: int
    settings: Settings
    shard: Part = Part()


def replay(options: Options, progress: Progress) -> List[str]:
    """Run a bundle, or take up an interrupted replay where it stopped. Returns the names of the engines it ran."""
    bundle = Bundle(options.bundle)
    backend = load_backend(options.backend or bundle.manifest.run.backend)
    engines = chosen(bundle, options.engines, backend, options.settings.prebuilt)
    version = version_of(backend, options.backend)
    bundle.verify(lambda done, total: progress.update("verify", done, total))
    keys = bundle.keys()
    settings = options.settings._replace(threads=options.settings.threads or usable_cores())
    with only_writer(options.out, "replay", BEGINNING):
        record = opened(options.out, bundle, environment({backend.name: version}, settings.threads), options.shard)
        write_atomic(options.out / "bundle.json", bundle.data)
        for engine in engines:
            EngineRun(engine, bundle, keys, backend, options._replace(settings=settings), progress).run(record)
    return [engine.name for engine in engines]


def version_of(backend: Type[Backend], asked_for: str) -> str:
    """Version of a backend. Raises BackendError, which tells of another engine if nobody asked for this one."""
    try:
        return backend.version()
    except BackendError as error:
        if asked_for or backend.name == RunDefaults().backend:
            raise
        other = "the bundle is made for it; on a machine without it add --backend {}".format(RunDefaults().backend)
        raise BackendError(error.what, "{}\n  {}".format(error.hint, other)) from error


def job_of(bundle: Bundle, engine: Engine, backend: Type[Backend]) -> Job:
    """What a backend is asked to run for an engine of a bundle. Raises BackendError if it cannot read its files."""
    if bundle.manifest.contract < backend.contract:
        what = "{} cannot run on {}: its files transpose the uint8 image before they cast it, and TensorRT refuses that"
        hint = "it was made by an earlier segeval: deploy the set again; --backend onnxruntime runs it as it is"
        raise BackendError(what.format(bundle.root, backend.name), hint)
    shape = (engine.batch, engine.height, engine.width)
    plan = None if engine.plan is None else Plan(bundle.path(engine.plan.file), engine.plan.version)

    def of_file(file: str, precision: str, fallback: Optional[Job] = None) -> Job:
        built = plan if file == engine.file else None
        sha256 = bundle.manifest.files[file].sha256
        return Job(bundle.path(file), sha256, precision, shape, fallback, built, engine.integers, engine.own)

    if engine.own is not None:
        return of_file(engine.file, engine.own.like or engine.precision)
    if not ((engine.precision == MIXED or engine.flagged_file is not None) and backend.takes_flags()):
        # TensorRT 10.16 does not build fp16 scales on Orin (NVIDIA/TensorRT#4832). By its types the other is int8.
        other = engine.flagged_file if engine.precision == MIXED else None
        fallback = None if other in (None, engine.file) else of_file(str(other), FALLBACK)
        return of_file(engine.file, engine.precision, fallback)
    if engine.flagged_file is None:
        what = "{} has no file of {} that this {} can read".format(bundle.root, engine.name, backend.name)
        raise BackendError(what, "deploy with the --target of this device, or choose other engines with --engine")
    return of_file(engine.flagged_file, engine.precision)


def opened(out: Path, bundle: Bundle, here: Dict[str, Any], shard: Part) -> Dict[str, Any]:
    """The record in a replay folder, or a new one.

    Args:
        out: folder of the replay.
        bundle: that is replayed.
        here: the environment of this run.
        shard: the part of the inputs that is run.

    Raises:
        OutputError: for a replay of another bundle or shard, begun on another machine or with other threads, or
            changed since.
    """
    if not (out / FILE).exists():
        set_sha256 = bundle.manifest.set_sha256
        empty = {"schema": SCHEMA, "bundle_sha256": bundle.sha256, "set_sha256": set_sha256, "engines": []}
        part = {"shard": shard.name} if shard.name else {}
        return {**empty, **part, "environment": here}
    try:
        record: Dict[str, Any] = loads(read_regular(out / FILE, MOST_BYTES))
        intact = is_intact(record)
        schema, of_bundle, part = record["schema"], record["bundle_sha256"], record.get("shard", "")
        record["engines"] = [dict(entry) for entry in record["engines"]]
        before = dict(record["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        raise OutputError("{} is not the record of a replay".format(out / FILE), ELSEWHERE) from None
    if not intact:
        raise OutputError("{} {}".format(out / FILE, CHANGED), "restore the file, or " + ELSEWHERE)
    if (schema, of_bundle) != (SCHEMA, bundle.sha256):
        raise OutputError("{} is the replay of another bundle".format(out), ELSEWHERE)
    if part != shard.name:
        began, now = ("shard {}".format(name) if name else "all inputs" for name in (part, shard.name))
        raise OutputError("{} was begun with {}, this run is for {}".format(out, began, now), ELSEWHERE)
    require_same_machine(out, before, here)
    return {**record, "environment": here}


def require_same_machine(out: Path, before: Dict[str, Any], here: Dict[str, Any]) -> None:
    """Raise OutputError if a replay was begun in an environment whose latencies do not compare with this one's."""
    changed = [part for part in ONE_MACHINE if before.get(part) != here[part]]
    if changed:
        begun, now = (
            ", ".join("{} {!r}".format(part, found.get(part)) for part in changed) for found in (before, here)
        )
        hint = ELSEWHERE + ("; or give the same --threads" if changed == ["threads"] else "")
        raise OutputError("{} was begun with {}; this run has {}".format(out, begun, now), hint)


class EngineRun:
    """One engine on its inputs."""

    def __init__(
        self,
        engine: Engine,
        bundle: Bundle,
        keys: Sequence[str],
        backend: Type[Backend],
        options: Options,
        progress: Progress,
    ) -> None:
        self.engine = engine
        self.bundle = bundle
        self.keys = keys
        self.backend = backend
        self.options = options
        self.progress = progress
        self.indices = options.shard.of(engine.indices())

    def run(self, record: Dict[str, Any]) -> None:
        """Replay from where the recording ends, and say so in replay.json.

        Args:
            record: what replay.json holds.
        """
        name, total = self.engine.name, len(self.indices)
        job = self.job()  # refused before anything is written
        earlier: Dict[str, Any] = next((entry for entry in record["engines"] if entry.get("name") == name), {})
        entry = self.entry()
        for part in ("backend", "backend_version"):
            if earlier.get(part, entry[part]) != entry[part]:
                what = "{}: {} was begun with {} {!r}".format(self.options.out, name, part, earlier[part])
                raise OutputError(what, "{}; this machine has {!r}".format(ELSEWHERE, entry[part]))
        keys = [self.keys[index] for index in self.indices]
        with Recording(self.options.out / name, keys, self.engine.batch) as recording:
            self.progress.update(name, recording.done, total)
            if recording.done == total and earlier.get("complete"):
                recording.cut()
                return
            record["engines"] = [other for other in record["engines"] if other.get("name") != name] + [entry]
            self.write(record)  # before anything is dropped: what is not whole is never said to be complete
            recording.cut()
            started = time.perf_counter()
            with self.backend(job, self.options.settings, self.progress.update) as active:
                entry["load_ms"] = round((time.perf_counter() - started) * 1e3, 3)
                entry["facts"] = {"file": active.job.file.name, **active.facts()}
                with self.bundle.inputs() as inputs:
                    if recording.done < total:
                        self.warm_up(active, inputs)
                    with Monitor(Machine(), TELEMETRY_PERIOD_S) as monitor:
                        outside = self.run_images(active, inputs, recording)
                        entry["telemetry"] = monitor.summary()
                if outside is not None:
                    entry["outside_cpu_ms"] = round(outside, 4)
            recording.require_whole()
        entry["complete"] = True
        self.write(record)

    def job(self) -> Job:
        """See `job_of`."""
        return job_of(self.bundle, self.engine, self.backend)

    def write(self, record: Dict[str, Any]) -> None:
        """Keep replay.json up to date."""
        write_json(self.options.out / FILE, printable(record))

    def entry(self) -> Dict[str, Any]:
        """What replay.json says about this engine before it has run."""
        return {
            "name": self.engine.name,
            "model": self.engine.model,
            "precision": self.engine.precision,
            "backend": self.backend.name,
            "backend_version": self.backend.version(),
            "height": self.engine.height,
            "width": self.engine.width,
            "batch": self.engine.batch,
            "classes": self.engine.classes,
            "folder": self.engine.name,
            "inputs": len(self.indices),
            "complete": False,
            "warmup": self.options.warmup,
            "load_ms": 0.0,
            "facts": {},
        }

    def warm_up(self, active: Backend, inputs: Inputs) -> None:
        """Run the first images unmeasured: the first calls allocate memory and choose kernels."""
        batch = self.fill(self.empty(), inputs, self.indices[: self.engine.batch])
        for number in range(self.options.warmup):
            active.infer(batch)
            self.progress.update(self.engine.name + " warm-up", number + 1, self.options.warmup)

    def run_images(self, active: Backend, inputs: Inputs, recording: Recording) -> Optional[float]:
        """Run and keep every image that is still to do. A latency is that of the call for the whole batch.

        Returns:
            Milliseconds of CPU time per image outside the engine: reading, checking, compressing, writing. None if all
            were done.
        """
        first, total, beside = recording.done, len(self.indices), self.has_spare_core()
        if first == total:
            return None
        kept = np.empty((self.engine.batch, self.engine.height, self.engine.width), np.uint8)
        begun, in_engine = time.thread_time(), 0.0
        with Helper("reader", beside) as reader, Helper("writer", beside) as writer:
            for batch, part in self.batches(reader, inputs, first):
                called, started = time.thread_time(), time.perf_counter()
                labels = active.infer(batch)
                latency, stages = (time.perf_counter() - started) * 1e3, active.stages()
                in_engine += time.thread_time() - called
                self.require_labels(labels)
                writer.wait()
                self.progress.update(self.engine.name, recording.done, total)
                np.copyto(kept, labels, casting="unsafe")
                writer.begin(partial(self.keep, recording, part, kept, latency, stages))
            writer.wait()
        self.progress.update(self.engine.name, total, total)
        outside = time.thread_time() - begun - in_engine + reader.cpu_s + writer.cpu_s
        return 1e3 * outside / (total - first)

    def has_spare_core(self) -> bool:
        """Whether work beside the engine leaves it what it runs on, and its latencies what they are without."""
        return not self.backend.fills_cores or self.options.settings.threads < usable_cores()

    def batches(
        self, reader: Helper, inputs: Inputs, first: int
    ) -> Iterator[Tuple[np.ndarray[Any, Any], Sequence[int]]]:
        """The images from input number `first` on, each batch with its indices. The next is read meanwhile."""
        parts = range(first, len(self.indices), self.engine.batch)
        batch, coming = self.empty(), self.empty()
        reader.begin(partial(self.fill, coming, inputs, self.part(first)))
        for start in parts:
            reader.wait()
            batch, coming = coming, batch
            if start != parts[-1]:
                reader.begin(partial(self.fill, coming, inputs, self.part(start + self.engine.batch)))
            yield batch, self.part(start)

    def part(self, start: int) -> Sequence[int]:
        """Indices of the images of a batch."""
        return self.indices[start : start + self.engine.batch]

    def keep(
        self,
        recording: Recording,
        part: Sequence[int],
        labels: np.ndarray[Any, Any],
        latency: float,
        stages: Dict[str, float],
    ) -> None:
        """Record the label maps of a batch."""
        for index, label_map in zip(part, labels):
            recording.append(self.keys[index], label_map, latency, stages)

    def empty(self) -> np.ndarray[Any, Any]:
        """Memory for the images of a call, uint8 (batch, H, W, 3)."""
        return np.empty((self.engine.batch, self.engine.height, self.engine.width, 3), np.uint8)

    def fill(self, batch: np.ndarray[Any, Any], inputs: Inputs, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """Read these images into `batch`, which is returned; one that is not full repeats its last image."""
        for place, image in enumerate(batch):
            inputs.read(indices[min(place, len(indices) - 1)], image)
        return batch

    def filled(self, indices: Sequence[int]) -> np.ndarray[Any, Any]:
        """These images in memory of their own; a last batch that is not full repeats its last image."""
        padded = [*indices, *[indices[-1]] * (self.engine.batch - len(indices))]
        return np.stack([self.bundle.image(index) for index in padded])

    def require_labels(self, labels: np.ndarray[Any, Any]) -> None:
        """Raise BackendError unless these are label maps of this engine."""
        engine = self.engine
        shape = (engine.batch, engine.height, engine.width)
        if labels.dtype != np.int32 or labels.shape != shape:
            raise BackendError("{} gave {} {}, not int32 {}".format(engine.name, labels.dtype, labels.shape, shape))
        if int(labels.view(np.uint32).max()) >= engine.classes:  # where a negative label is a large number
            lowest, highest = int(labels.min()), int(labels.max())
            what = "{} gave labels from {} to {}; it has {} classes".format(
                engine.name, lowest, highest, engine.classes
            )
            raise BackendError(what, "the engine computes something else than the model; do not trust its results")
