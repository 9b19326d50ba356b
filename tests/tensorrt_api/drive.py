"""The backend's every way through one version of TensorRT. Runs on Python 3.8 too; `inside.py` sets it up."""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import sys
import tempfile
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np

from segeval_runner.backends import Job, Plan, Settings
from segeval_runner.backends.tensorrt import TensorRT, backend, board
from segeval_runner.backends.tensorrt.builder import SHOWN
from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt
from segeval_runner.backends.tensorrt.library import use
from segeval_runner.backends.tensorrt.log import the_log
from segeval_runner.backends.tensorrt.rtx import TensorRTRTX
from segeval_runner.described import Input, Output
from segeval_runner.errors import BackendError
from segeval_runner.own import Own
from segeval_runner.telemetry import Machine
from tests.tensorrt_api.contract import is_rtx, major
from tests.tensorrt_api.fake_cuda import FakeCuda
from tests.tensorrt_api.library import MAGIC, Library, World

SHAPE = World().shape
CHANNELS_FIRST = (1, 3, 4, 6)
PRECISIONS = ("fp32", "fp16", "int8")
EXACT = "OBEY_PRECISION_CONSTRAINTS"


def images(seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (*SHAPE, 3)).astype(np.uint8)


class Drive(unittest.TestCase):
    library: Library

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, str(self.folder))
        self.root = self.folder / "root"
        here = mock.patch.object(board, "MACHINE", Machine(self.root, str(self.folder / "bin")))
        here.start()
        self.addCleanup(here.stop)
        self.library.module.calls.clear()
        self.major = major(self.library.module)
        self.rtx = is_rtx(self.library.module.real)
        self.kind = TensorRTRTX if self.rtx else TensorRT
        self.said: list[tuple[str, int, int]] = []
        self.renew()

    def renew(self, **changes: Any) -> World:
        """A new process on the same device: only files remain."""
        the_log().forget()
        self.world = World(**changes)
        self.library.world = self.world
        return self.world

    def jetson(self, **files: str) -> None:
        """Let these files be there: "release", "mode", "memory"."""
        places = {"release": "etc/nv_tegra_release", "mode": "var/lib/nvpmodel/status", "memory": "proc/meminfo"}
        for name, text in files.items():
            path = self.root / places[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def job(self, precision: str = "fp32", shape: tuple[int, int, int] = SHAPE) -> Job:
        file = self.folder / f"net.{precision}.onnx"
        file.write_text(precision + " network", encoding="utf-8")
        return Job(file, hashlib.sha256(file.read_bytes()).hexdigest(), precision, shape)

    def settings(self, **changes: Any) -> Settings:
        return Settings(1, self.folder / "engines")._replace(**changes)

    def backend(self, job: Job | None = None, **changes: Any) -> TensorRT:
        return self.kind(job or self.job(), self.settings(**changes), lambda *each: self.said.append(each))

    def opened(self, kind: str, graphs: bool) -> FakeCuda:
        self.asked = (kind, graphs)
        return self.world.cuda

    @contextmanager
    def active(self, job: Job | None = None, **changes: Any) -> Iterator[TensorRT]:
        opened = mock.patch.object(backend, "open_cuda", self.opened)
        with opened, self.backend(job, **changes) as running:
            assert isinstance(running, TensorRT)
            yield running
        self.assertTrue(self.world.cuda.closed)

    def facts(self, job: Job | None = None, **changes: Any) -> dict[str, Any]:
        """Activate once and say how it went; the run computes what it must."""
        with self.active(job, **changes) as running:
            expected = images().argmax(axis=-1)
            self.assertTrue(np.array_equal(running.infer(images()), expected))
            facts: dict[str, Any] = json.loads(json.dumps(running.facts()))
        return facts

    def refused(self, *words: str, job: Job | None = None, **changes: Any) -> BackendError:
        """Activating fails, says these words and leaves nothing on the device."""
        with self.assertRaises(BackendError) as caught, self.active(job, **changes):
            pass
        for word in words:
            self.assertIn(word, caught.exception.what + "\n" + caught.exception.hint)
        self.assertTrue(self.world.cuda.closed)
        return caught.exception

    def engine_file(self) -> Path:
        (file,) = (self.folder / "engines").glob("*.engine")
        return file

    def config(self) -> dict[str, Any]:
        """The builder's configuration of the only build."""
        (values,) = self.world.built
        assert isinstance(values, dict)
        return values

    def timings(self) -> bytes | None:
        """What the only build began with; None where a build measures nothing."""
        timings = self.config()["timings"]
        return None if timings is None else bytes(timings.values["data"])

    def flag_names(self) -> set[str]:
        return {flag.name for flag in self.config()["flags"]}

    # what is built

    def test_the_version_is_that_of_the_bindings(self) -> None:
        self.assertEqual(self.kind.version(), self.library.module.real.__version__)

    def test_every_precision_is_built_as_the_version_asks_for(self) -> None:
        weak = {"fp32": set(), "fp16": {"FP16", EXACT}, "int8": {"INT8"}}
        flags = self.library.module.real.NetworkDefinitionCreationFlag.__members__
        asked = {8: "EXPLICIT_BATCH", 10: "STRONGLY_TYPED"}.get(self.major)
        for precision in PRECISIONS:
            with self.subTest(precision):
                self.renew()
                facts = self.facts(self.job(precision))
                self.assertEqual(self.flag_names(), weak[precision] if self.major == 8 else set())
                self.assertEqual(self.world.flags, 0 if asked is None else 1 << int(flags[asked]))
                self.assertEqual(facts["typing"], "weak" if self.major == 8 else "strong")
                self.assertEqual(facts["precisions"], {precision: 2})
                self.assertEqual((facts["layers"], facts["layer_types"]), (2, {"CaskConvolution": 2}))
                self.assertEqual((facts["engine"], facts["tf32"], facts["dla"]), ("built", False, -1))
                self.assertEqual((facts["gpu"], facts["compute_capability"], facts["memory"]), ("Orin", "8.7", "fake"))
                self.assertEqual(self.config()["profiling_verbosity"].name, "DETAILED")
                self.assertEqual(self.config()["pools"], {})
                self.assertEqual(facts["device_memory_bytes"], 5 << 20)

    def test_fp16_within_int8_needs_both_flags_where_there_are_flags(self) -> None:
        self.assertEqual(self.kind.takes_flags(), self.major == 8)
        with self.active(self.job("int8-fp16")):
            self.assertEqual(self.flag_names(), {"INT8", "FP16", EXACT} if self.major == 8 else set())

    def test_weak_typing_normalizes_in_fp32_where_half_is_allowed(self) -> None:
        for precision in (*PRECISIONS, "int8-fp16"):
            with self.subTest(precision):
                self.renew()
                facts = self.facts(self.job(precision))
                self.assertEqual(facts["normalization"], "fp32")
                names = [layer.values["output"] for layer in self.world.network if "precision" in layer.values]
                kept = self.major == 8 and "fp16" in precision
                self.assertEqual(names, ["centred", "network_input"] if kept else [])
                self.assertEqual(EXACT in self.flag_names(), kept)
                for layer in self.world.network[1:3] if kept else ():
                    self.assertEqual({layer.values[part].name for part in ("precision", "output_type")}, {"FLOAT"})

    def test_a_file_whose_normalization_is_not_named_says_so(self) -> None:
        self.renew(layers=(("ELEMENTWISE", "sum"),))
        facts = self.facts(self.job("fp16"))
        self.assertEqual(facts["normalization"], "unknown" if self.major == 8 else "fp32")
        self.assertEqual([layer.values.get("precision") for layer in self.world.network], [None])

    def test_what_the_builder_warned_of_is_recorded_also_when_the_engine_comes_from_the_cache(self) -> None:
        self.renew(messages=(("WARNING", "little memory"), ("WARNING", "little memory"), ("ERROR", "no matter")))
        noted = self.facts()["warnings"]
        self.assertEqual(len(noted), 1)
        self.assertRegex(noted[0], r"^little memory \(×[0-9]+\)$")
        self.renew()
        again = self.facts()
        self.assertEqual((again["engine"], again["warnings"]), ("cached", noted))

    def test_the_list_of_layers_is_kept_until_the_next_build(self) -> None:
        self.renew(messages=(("VERBOSE", "Layers:\nName: conv, LayerType: kgen\n"), ("VERBOSE", "Name: of no list")))
        self.facts()
        self.assertEqual(the_log().layers, ["Name: conv, LayerType: kgen"])
        the_log().forget()
        self.assertEqual(the_log().layers, [])

    def test_one_process_uses_one_tensorrt(self) -> None:
        other = SimpleNamespace(IExecutionContext=SimpleNamespace(execute_async_v3=None))
        with mock.patch.dict(sys.modules, {"tensorrt_rtx": other}):
            self.assertRaisesRegex(BackendError, "uses tensorrt already", use, "tensorrt_rtx")

    def test_an_engine_of_the_bundle_runs_only_if_asked_for_and_of_this_version(self) -> None:
        plan = self.folder / "net.rtx"
        self.facts()
        plan.write_bytes(self.engine_file().read_bytes())
        for version, prebuilt, origin in (
            (self.kind.version(), True, "carried"),
            (self.kind.version(), False, "built"),
            ("0.1", True, "built"),
        ):
            with self.subTest(version=version, prebuilt=prebuilt):
                self.renew()
                settings = {"prebuilt": prebuilt, "cache": self.folder / f"{version}-{prebuilt}"}
                facts = self.facts(self.job()._replace(plan=Plan(plan, version)), **settings)
                self.assertEqual(facts["engine"], origin)

    def own_job(self, **described: Any) -> Job:
        """An engine that was built elsewhere, whose scores are its images; its channels are blue, green, red."""
        answer = Output(**{"name": "y", "classes": (2, 1, 0), **described})
        file = self.folder / "mine.engine"
        plan = {"precision": "fp16", "output": "y"}
        file.write_bytes(MAGIC + json.dumps(plan).encode("utf-8"))
        own = Own("tensorrt", input=Input(colour="BGR", mean=(0.5,) * 3, std=(2.0,) * 3), output=answer, classes=3)
        return Job(file, "0" * 64, "own", SHAPE, own=own)

    def own_tensors(self, kind: str = "FLOAT", answer: tuple[int, ...] = CHANNELS_FIRST) -> Any:
        return (("x", kind, CHANNELS_FIRST), ("y", kind, answer))

    def test_an_engine_that_was_built_elsewhere_has_its_images_prepared_and_its_scores_labelled(self) -> None:
        for kind in ("FLOAT", "HALF"):
            for graph in (False, True):
                with self.subTest(kind=kind, graph=graph):
                    self.renew(own=self.own_tensors(kind))
                    with self.active(self.own_job(), cuda_graph=graph) as running:
                        for seed in range(2):
                            expected = 2 - images(seed)[..., ::-1].argmax(axis=-1)
                            found = running.infer(images(seed))
                            self.assertEqual(found.dtype, np.int32)
                            self.assertTrue(np.array_equal(found, expected))
                        with running.pipeline() as pipeline:
                            pipeline.begin(images(0))
                            pipeline.begin(images(1))
                            self.assertTrue(np.array_equal(pipeline.finish(), 2 - images(0)[..., ::-1].argmax(-1)))
                            self.assertTrue(np.array_equal(pipeline.finish(), expected))
                        facts = running.facts()
                    self.assertEqual(
                        (facts["engine"], facts["arithmetic"]), ("yours", "what the engine was built with")
                    )
                    self.assertEqual(self.world.built, [])

    def test_an_engine_that_is_not_as_described_is_refused(self) -> None:
        first = CHANNELS_FIRST
        for own, described, words in (
            (self.own_tensors(answer=(1, 4, 4, 6)), {}, ("4 channels", "3 classes")),
            (self.own_tensors(answer=(1, 3, 8, 6)), {}, ("8x6", "4x6")),
            (self.own_tensors(), {"kind": "labels"}, ("labels of NCHW",)),
            (self.own_tensors(), {"name": "scores"}, ("'y'", "'scores'")),
            ((("x", "FLOAT", (1, 4, 6, 3)), ("y", "FLOAT", first)), {}, ("(1, 4, 6, 3)", "(1, 3, 4, 6)")),
            ((("x", "FLOAT", (-1, 3, 4, 6)), ("y", "FLOAT", first)), {}, ("several sizes",)),
            ((*self.own_tensors(), ("z", "FLOAT", first)), {}, ("inputs x, z",)),
            (self.own_tensors("INT8"), {}, ("DataType.INT8", "plain inputs")),
        ):
            with self.subTest(words=words):
                self.renew(own=own)
                self.refused(*words, job=self.own_job(**described))
        self.renew(own=self.own_tensors(), linear=False)
        self.refused("in the order of its axes", job=self.own_job())

    def test_an_engine_that_was_built_elsewhere_is_not_built_or_changed_here(self) -> None:
        self.renew(own=self.own_tensors(), loads=False)
        self.refused("cannot load this engine", "on this device", job=self.own_job())
        self.renew(own=self.own_tensors(), starts=False)
        self.refused("TensorRT cannot start", job=self.own_job())
        for changes in ({"without_argmax": True}, {"dla": 0}):
            self.renew(own=self.own_tensors())
            self.refused("was built before", job=self.own_job(), **changes)

    def test_kernels_that_were_compiled_here_are_kept(self) -> None:
        if not self.rtx:
            return
        self.facts()
        self.assertEqual(self.world.kernels, [b""])
        self.renew()
        self.facts()
        self.assertEqual(self.world.kernels, [b"kernels of this device"])
        self.renew(cuda=FakeCuda("RTX 5090", (12, 0)))
        self.facts()
        self.assertEqual(self.world.kernels, [b""])

    def test_layers_are_listed_with_their_types(self) -> None:
        self.assertEqual(self.facts(self.job("fp16"))["listed"], [["conv", "CaskConvolution", "fp16"]] * 2)

    def test_a_precision_without_a_flag_is_refused_where_flags_decide(self) -> None:
        if self.major == 8:
            self.refused("fp8", "precisions are", job=self.job("fp8"))

    def test_the_workspace_is_limited(self) -> None:
        self.facts(workspace_mb=3)
        self.assertEqual(self.config()["pools"], {"WORKSPACE": 3 << 20})

    def test_on_a_jetson_building_may_take_a_quarter_of_the_free_memory(self) -> None:
        release = "# R36 (release), REVISION: 4.3, GCID: 1"
        self.jetson(memory="MemTotal: 8000000 kB\nMemAvailable: 4096000 kB\n")
        self.assertEqual(self.facts()["workspace_mb"], 0)
        self.assertEqual(self.config()["pools"], {})
        self.renew()
        self.jetson(release=release)
        self.assertEqual(self.facts()["workspace_mb"], 1000)
        self.assertEqual(self.config()["pools"], {"WORKSPACE": 1000 << 20})
        self.renew()
        self.jetson(memory="MemTotal: 8000000 kB\nMemAvailable: 6144000 kB\n")
        facts = self.facts()
        self.assertEqual((facts["engine"], facts["workspace_mb"]), ("cached", 1000), "the limit that it was built with")
        for asked, pools in ((2, {"WORKSPACE": 2 << 20}), (0, {})):
            self.renew()
            self.assertEqual(self.facts(workspace_mb=asked)["workspace_mb"], asked)
            self.assertEqual(self.config()["pools"], pools)

    # a file that cannot be built

    def with_fallback(self) -> Job:
        return self.job("int8-fp16")._replace(fallback=self.job("int8"))

    def test_what_cannot_be_built_has_the_other_file_in_its_place(self) -> None:
        says = (("ERROR", "Could not infer output types for operation: dequantize"),)
        self.renew(unbuildable=("int8-fp16",), messages=says)
        if self.major == 8:
            return
        facts = self.facts(self.with_fallback())
        self.assertEqual((facts["file"], facts["precisions"]), ("net.int8.onnx", {"int8": 2}))
        self.assertIn("computes as int8, since ", facts["fallback"])
        self.assertIn("Could not infer output types", facts["fallback"])
        self.assertIn(("net.int8-fp16.onnx cannot be built here, net.int8.onnx in its place", 1, 1), self.said)
        self.assertEqual(len(self.world.built), 2)
        self.renew(unbuildable=("int8-fp16",))
        again = self.facts(self.with_fallback())
        self.assertEqual((again.pop("engine"), facts.pop("engine")), ("cached", "built"))
        self.assertEqual((again, self.world.built), (facts, []), "minutes for the same refusal are not spent again")
        self.renew()
        self.assertEqual(self.facts(self.job("int8"))["engine"], "cached", "it is the engine of the int8 file")
        (noted,) = (self.folder / "engines").glob("*.refused")
        self.assertIn(str(noted), facts["fallback"])
        noted.unlink()
        self.renew()
        self.assertNotIn("fallback", self.facts(self.with_fallback()))

    def test_what_can_be_built_is(self) -> None:
        facts = self.facts(self.with_fallback())
        self.assertNotIn("fallback", facts)
        self.assertEqual(len(self.world.built), 1)

    def test_where_the_other_file_cannot_be_built_either_nothing_is_noted(self) -> None:
        self.renew(builds=False)
        self.refused("net.int8.onnx: TensorRT cannot build it", job=self.with_fallback())
        self.renew()
        self.assertNotIn("fallback", self.facts(self.with_fallback()))

    def test_a_file_that_cannot_be_read_is_no_reason_for_another(self) -> None:
        self.renew(complaints=("node 0 is odd",))
        self.refused("net.int8-fp16.onnx: TensorRT cannot read it", job=self.with_fallback())

    # what is kept

    def test_the_second_time_it_comes_from_the_cache(self) -> None:
        first = self.facts()
        self.renew()
        second = self.facts()
        self.assertEqual((first.pop("engine"), second.pop("engine")), ("built", "cached"))
        self.assertEqual(first, second)
        self.assertEqual(self.world.built, [])

    def test_another_key_is_another_engine(self) -> None:
        self.facts()
        other_file = self.job()
        other_file.file.write_text("fp32 other network", encoding="utf-8")
        changes: list[tuple[dict[str, Any], dict[str, Any]]] = [
            ({"job": other_file._replace(sha256="0" * 64)}, {}),
            ({"workspace_mb": 5}, {}),
            ({}, {"cuda": FakeCuda("Xavier")}),
            ({}, {"cuda": FakeCuda("Orin", (7, 2))}),
            ({}, {"cuda": FakeCuda(multiprocessors=4)}),
            ({}, {"cuda": FakeCuda(driver="13.2")}),
        ]
        for asked, world in changes:
            with self.subTest(asked=asked):
                self.renew(**world)
                self.assertEqual(self.facts(**asked)["engine"], "built")
        self.renew()
        self.assertEqual(self.facts()["engine"], "cached")
        self.renew()
        with mock.patch.object(self.library.module.real, "__version__", "8.9.9"):
            self.assertEqual(self.facts()["engine"], "built")
        self.renew()
        self.assertEqual(self.facts()["engine"], "cached")

    def test_an_engine_belongs_to_a_release_and_a_power_mode(self) -> None:
        self.facts()
        mode, other = "pmode:0000", "pmode:0002"
        release = "# R36 (release), REVISION: {}, GCID: 1"
        first, second = release.format("4.3"), release.format("5.0")
        for files in ({"mode": mode}, {"mode": other}, {"release": first}, {"release": second}):
            with self.subTest(files=files):
                self.jetson(**files)
                self.renew()
                facts = self.facts()
                self.assertEqual(facts["engine"], "built")
                self.assertIn(self.timings(), (b"", None), "times of another mode are no help")
                self.renew()
                self.assertEqual(self.facts()["engine"], "cached")
        self.assertEqual((facts["jetson_linux"], facts["power_mode"]), ("36.5.0", "mode 2"))
        self.jetson(release=first)
        self.renew()
        self.assertEqual(self.facts()["engine"], "cached")

    def test_what_is_not_whole_is_built_again(self) -> None:
        def flip(file: Path) -> None:
            data = bytearray(file.read_bytes())
            data[-1] ^= 1
            file.write_bytes(bytes(data))

        def forge(file: Path) -> None:
            """An engine that has its hash and its key, and is none."""
            file.write_bytes(b"no engine")
            sidecar = file.with_name(file.name + ".json")
            record = json.loads(sidecar.read_text(encoding="utf-8"))
            record["sha256"] = hashlib.sha256(b"no engine").hexdigest()
            sidecar.write_text(json.dumps(record), encoding="utf-8")

        def stale(file: Path) -> None:
            sidecar = file.with_name(file.name + ".json")
            text = sidecar.read_text(encoding="utf-8")
            sidecar.write_text(text.replace('"Orin"', '"Nano"'), encoding="utf-8")

        def bloat(file: Path) -> None:
            sidecar = file.with_name(file.name + ".json")
            sidecar.write_text(sidecar.read_text(encoding="utf-8") + " " * 100000, encoding="utf-8")

        for spoil in (flip, forge, stale, bloat, Path.unlink):
            with self.subTest(spoil.__name__):
                self.renew()
                self.facts()
                spoil(self.engine_file())
                self.renew()
                self.assertEqual(self.facts()["engine"], "built")
                self.renew()
                self.assertEqual(self.facts()["engine"], "cached")

    def test_an_engine_that_never_loads_is_an_error(self) -> None:
        self.renew(loads=False)
        self.refused("cannot load what it built")

    def test_times_measured_before_are_used_and_garbage_is_not(self) -> None:
        self.facts(self.job("fp32"))
        if self.rtx:
            self.assertEqual((self.timings(), list((self.folder / "engines").glob("*.timing"))), (None, []))
            return
        self.assertEqual(self.timings(), b"")
        self.renew()
        self.facts(self.job("fp16"))
        self.assertEqual(self.timings(), b"timings of this device")
        (file,) = (self.folder / "engines").glob("*.timing")
        sidecar = file.with_name(file.name + ".json")
        for number, data in enumerate((b"garbage", b"timings of another device")):
            record = json.loads(sidecar.read_text(encoding="utf-8"))
            file.write_bytes(data)
            sidecar.write_text(json.dumps({**record, "sha256": hashlib.sha256(data).hexdigest()}), encoding="utf-8")
            self.renew()
            self.assertEqual(self.facts(self.job("int8"), workspace_mb=number + 1)["engine"], "built")
            self.assertEqual(self.timings(), b"")

    # how it runs

    def test_a_graph_gives_the_same_labels(self) -> None:
        for graph, enqueued in ((False, 3), (True, 2)):
            with self.subTest(graph=graph):
                self.renew()
                self.library.module.calls.clear()
                with self.active(cuda_graph=graph) as running:
                    for seed in range(3):
                        labels = running.infer(images(seed))
                        self.assertTrue(np.array_equal(labels, images(seed).argmax(axis=-1)))
                        self.assertEqual((labels.dtype, labels.shape), (np.dtype(np.int32), SHAPE))
                    self.assertIs(running.facts()["cuda_graph"], graph)
                    self.assertEqual(self.asked, ("auto", graph))
                calls = [name for _, name, _ in self.library.module.calls]
                self.assertEqual(calls.count("execute_async_v3"), enqueued)
                self.assertEqual(self.world.cuda.launches, 3 if graph else 0)

    def test_a_graph_that_nothing_can_capture_is_refused_before_a_build(self) -> None:
        with self.assertRaises(BackendError), self.backend(memory="pycuda", cuda_graph=True):
            pass
        self.assertEqual(self.world.built, [])

    def test_labels_stay_when_the_next_images_come(self) -> None:
        with self.active() as running:
            first = running.infer(images(0))
            kept = first.copy()
            running.infer(images(1))
            self.assertTrue(np.array_equal(first, kept))

    def test_the_device_times_each_stage(self) -> None:
        with self.active() as running:
            running.infer(images())
            self.assertEqual(running.stages(), {"host_to_device": 1.0, "compute": 1.0, "device_to_host": 1.0})

    def test_a_call_is_queued_ahead_of_the_one_before_it(self) -> None:
        for graph in (False, True):
            with self.subTest(graph=graph):
                self.renew()
                with self.active(cuda_graph=graph) as running:
                    self.assertTrue(running.calls_ahead)
                    with running.pipeline() as pipeline:
                        pipeline.begin(images(0))
                        for seed in range(1, 5):
                            pipeline.begin(images(seed))
                            waiting = [stream for stream in self.world.cuda.streams.values() if stream.queue]
                            self.assertEqual(len(waiting), 2)
                            expected = images(seed - 1).argmax(axis=-1)
                            self.assertTrue(np.array_equal(pipeline.finish(), expected))
                        pipeline.begin(images(5))
                        self.assertRaisesRegex(BackendError, "2 were not finished", pipeline.begin, images(6))
                    self.assertFalse([stream for stream in self.world.cuda.streams.values() if stream.queue])
                    self.assertTrue(np.array_equal(running.infer(images(7)), images(7).argmax(axis=-1)))

    def test_a_call_ahead_needs_memory(self) -> None:
        with self.active() as running:
            self.world.has_context = False
            with self.assertRaises(BackendError), running.pipeline():
                pass
            self.assertTrue(np.array_equal(running.infer(images()), images().argmax(axis=-1)))

    def test_the_network_without_argmax_is_another_engine_that_ends_with_logits(self) -> None:
        whole = self.facts()
        for graph in (False, True):
            with self.subTest(graph=graph):
                self.renew()
                with self.active(without_argmax=True, cuda_graph=graph) as running:
                    running.infer(images())
                    size = int(np.prod(self.world.logits)) * 4
                    (logits,) = [memory for memory in self.world.cuda.memory.values() if len(memory) == size]
                    self.assertEqual(set(logits.view(np.float32)), {np.float32(images().sum())})
                    found = running.logits(images(1))
                    self.assertEqual((found.shape, found.dtype), (self.world.logits, np.float32))
                    self.assertEqual(set(found.ravel()), {np.float32(images(1).sum())})
                    facts = running.facts()
                    with running.pipeline() as pipeline:
                        pipeline.begin(images())
                        pipeline.finish()
                with self.active() as running, self.assertRaises(BackendError):
                    running.logits(images())
                self.assertEqual((facts["engine"], facts["output"]), ("cached" if graph else "built", "network_output"))
        self.assertNotIn("output", whole)
        self.renew()
        self.assertEqual(self.facts()["engine"], "cached")

    def test_a_file_that_cannot_be_cut_says_so(self) -> None:
        self.renew(layers=(("CONVOLUTION", "features"),))
        self.refused("no value network_output", "deploy the set again", without_argmax=True)

    def test_logits_of_another_size_are_refused(self) -> None:
        for shape in ((2, 19, 4, 6), (1, 19, 4, 7), (1, 4, 6)):
            self.renew(logits=shape)
            self.refused("without float logits", without_argmax=True)

    def test_each_layer_is_timed_by_its_median(self) -> None:
        description = '{"Layers": [{"Name": "conv", "LayerType": "CaskConvolution"}, {"Name": "other"}]}'
        for graph in (False, True):
            with self.subTest(graph=graph):
                self.renew(description=description)
                with self.active(cuda_graph=graph) as running:
                    self.assertTrue(running.tells_layers)
                    found = running.layers(images(seed) for seed in range(3))
                self.assertEqual([tuple(each) for each in found], [("conv", "CaskConvolution", 2.5), ("TopK", "", 4.0)])

    def test_a_tensorrt_that_tells_nothing_has_no_layers(self) -> None:
        self.renew(reports=False)
        with self.active() as running:
            self.assertEqual(running.layers([images()]), [])
            self.assertEqual(running.layers([]), [])

    def test_the_host_times_the_queueing(self) -> None:
        with self.active() as running:
            running.infer(images())
            queued = running.enqueue_ms()
            assert queued is not None
            self.assertTrue(0 < queued < 1000)

    def test_images_of_another_shape_or_type_are_refused(self) -> None:
        with self.active() as running:
            for wrong in (images()[:, 1:], images().astype(np.float32), images()[:, :, :, :1]):
                with self.assertRaises(BackendError):
                    running.infer(wrong)

    def test_a_call_that_tensorrt_refuses_is_an_error(self) -> None:
        with self.active() as running:
            self.world.executes = False
            with self.assertRaises(BackendError):
                running.infer(images())

    # the accelerator

    def test_the_accelerator_takes_what_it_can_and_leaves_the_rest_to_the_gpu(self) -> None:
        facts = self.facts(self.job("fp16"), dla=1)
        config = self.config()
        self.assertEqual((config["default_device_type"].name, config["DLA_core"]), ("DLA", 1))
        self.assertEqual(self.flag_names(), {"GPU_FALLBACK", "FP16", EXACT} if self.major < 11 else {"GPU_FALLBACK"})
        flags = self.library.module.real.NetworkDefinitionCreationFlag.__members__
        self.assertEqual(self.world.flags, 1 << int(flags["EXPLICIT_BATCH"]) if self.major < 11 else 0)
        self.assertEqual(facts["typing"], "weak" if self.major < 11 else "strong")
        self.assertEqual((facts["dla"], facts["precisions"]), (1, {"fp16": 2}))
        self.renew()
        self.assertEqual(self.facts(self.job("fp16"), dla=1)["engine"], "cached")
        self.renew()
        self.assertEqual(self.facts(self.job("fp16"), dla=0)["engine"], "built")

    def test_an_accelerator_that_is_not_there_or_cannot_is_refused(self) -> None:
        self.renew(dla_cores=0)
        self.refused("no deep learning accelerator", "give --dla gpu", job=self.job("fp16"), dla=0)
        self.renew(dla_cores=2)
        self.refused("2 deep learning accelerators, none of them 2", job=self.job("fp16"), dla=2)
        self.renew()
        self.refused("no fp32", job=self.job("fp32"), dla=0)
        self.renew()
        self.refused("Q/DQ", job=self.job("int8"), dla=0)

    # what goes wrong

    def test_tensorrt_that_cannot_start_says_why(self) -> None:
        self.renew(starts=False, messages=(("ERROR", "CUDA initialization failure"), ("INFO", "chatter")))
        error = self.refused("TensorRT cannot start", "CUDA initialization failure")
        self.assertNotIn("chatter", error.what)

    def test_a_builder_that_cannot_start_says_why(self) -> None:
        self.facts()
        self.engine_file().unlink()
        self.renew()
        starting = self.library.runtime

        def then_fail(logger: Any) -> Any:
            runtime = starting(logger)
            self.world.starts = False
            return runtime

        with mock.patch.dict(self.library.module.makers, {"Runtime": then_fail}):
            self.refused("TensorRT cannot start")

    def test_the_parsers_complaints_are_listed(self) -> None:
        self.renew(complaints=tuple(f"node {number} is odd" for number in range(SHOWN + 2)))
        error = self.refused("cannot read it", "node 0 is odd", "and 2 more")
        self.assertNotIn(f"node {SHOWN}", error.what)
        self.renew(complaints=("node 0 is odd",))
        self.assertNotIn("more", self.refused("node 0 is odd").what)

    def test_a_build_that_fails_says_what_tensorrt_said(self) -> None:
        self.renew(builds=False, messages=(("WARNING", "little memory"),))
        self.refused("cannot build it", "little memory", "--workspace-mb")
        self.renew(builds=False, messages=(("INTERNAL_ERROR", "no memory"), ("WARNING", "little memory")))
        error = self.refused("cannot build it", "no memory", "another --workspace-mb", workspace_mb=1)
        self.assertNotIn("little", error.what)

    def test_other_tensors_are_refused(self) -> None:
        self.renew(image_name="picture")
        self.refused("picture")
        self.renew()
        self.refused("labels", job=self.job(shape=(2, 4, 6)))

    def test_a_device_without_memory_is_an_error(self) -> None:
        self.renew(has_context=False)
        self.refused("no memory")
        self.renew(takes_addresses=False)
        self.refused("takes no memory for image")
        self.renew(executes=False)
        self.refused("TensorRT failed", cuda_graph=True)

    def test_an_engine_that_cannot_be_described_runs_all_the_same(self) -> None:
        for text in (None, "no JSON", "{}", '{"Layers": 3}'):
            self.renew(description=text)
            self.assertIsNone(self.facts()["layers"])
        tensors = '[{"Name": "x", "Format/Datatype": "N/A due to dynamic shapes"}]'
        self.renew(
            description='{"Layers": ["conv", {"LayerType": "Constant"}, {"Inputs": [], "Outputs": ' + tensors + "}]}"
        )
        facts = self.facts()
        self.assertEqual((facts["layers"], facts["precisions"]), (3, {"unknown": 3}))

    def test_tensorrt_that_is_missing_or_too_old_is_refused(self) -> None:
        with mock.patch.dict(sys.modules, {self.kind.module: None}), self.assertRaises(BackendError) as caught:
            self.kind.version()
        self.assertIn("tensorrt-rtx-cu13" if self.rtx else "nvidia-jetpack", caught.exception.hint)
        old = mock.Mock(__version__="8.4.1", IExecutionContext=object)
        with mock.patch.dict(sys.modules, {self.kind.module: old}), self.assertRaises(BackendError) as caught:
            self.kind.version()
        self.assertIn("too old", caught.exception.what)

    # while it is built

    def test_progress_grows_and_ends(self) -> None:
        phases = (("Building", None, 3), ("Timing", "Building", 4), ("Formats", "Timing", 2))
        self.renew(phases=phases)
        self.facts()
        name = "build net.fp32.onnx"
        self.assertEqual((self.said[0], self.said[-1]), ((name, 0, 1), (name, 1, 1)))
        within = [done for stage, done, total in self.said if stage == name + ": Building" and total == 100]
        self.assertEqual(len(self.said) - 2, len(within))
        self.assertEqual(within, sorted(within))
        self.assertEqual(within[-1:], [100] if self.major > 8 else [])
        self.assertEqual(len(set(within)) > 3, self.major > 8)

    def test_phases_that_never_began_say_nothing(self) -> None:
        def stray() -> None:
            monitor = self.world.built[-1].get("progress_monitor")
            if monitor is not None:
                self.assertTrue(monitor.step_complete("stray", 0))
                monitor.phase_finish("stray")

        self.renew(during_build=stray)
        self.facts()
        self.assertEqual([each for each in self.said if "stray" in each[0]], [])

    def test_ctrl_c_stops_a_build_or_waits_for_its_end(self) -> None:
        self.renew(during_build=lambda: signal.raise_signal(signal.SIGINT))
        before = signal.getsignal(signal.SIGINT)
        with self.assertRaises(KeyboardInterrupt), self.active():
            pass
        self.assertEqual(signal.getsignal(signal.SIGINT), before)
        self.assertTrue(self.world.cuda.closed)
        self.renew()
        # 8.x cannot be stopped: what it built is kept.
        self.assertEqual(self.facts()["engine"], "cached" if self.major == 8 else "built")

    def test_a_stopped_build_ends_the_run_even_if_the_program_survives_ctrl_c(self) -> None:
        noted: list[int] = []
        before = signal.signal(signal.SIGINT, lambda signum, frame: noted.append(signum))
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.renew(during_build=lambda: signal.raise_signal(signal.SIGINT))
        if self.major == 8:
            self.assertEqual(self.facts()["engine"], "built")
        else:
            with self.assertRaises(KeyboardInterrupt), self.active():
                pass
        self.assertEqual(noted, [signal.SIGINT])

    def test_ctrl_c_that_is_ignored_stays_ignored(self) -> None:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        self.renew(during_build=lambda: signal.raise_signal(signal.SIGINT))
        self.assertEqual(self.facts()["engine"], "built")

    def test_another_thread_builds_without_touching_signals(self) -> None:
        def work() -> None:
            with deferred_interrupt() as interrupt:
                seen.append(interrupt.pending)

        seen: list[bool] = []
        before = signal.getsignal(signal.SIGINT)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual((seen, signal.getsignal(signal.SIGINT)), ([False], before))

    def test_a_progress_report_that_fails_ends_the_build_with_its_error(self) -> None:
        def broken(stage: str, done: int, total: int) -> None:
            if total == 100:
                raise ValueError("nobody reads")

        if self.major == 8:
            return
        running = self.kind(self.job(), self.settings(), broken)
        with mock.patch.object(backend, "open_cuda", self.opened):
            self.assertRaisesRegex(ValueError, "nobody reads", running.activate)
        self.assertTrue(self.world.cuda.closed)

    def test_a_folder_that_cannot_be_made_or_written_is_an_error(self) -> None:
        (self.folder / "file").write_text("", encoding="utf-8")
        self.refused("--cache", cache=self.folder / "file" / "engines")
        self.renew()
        self.facts()
        sidecar = self.engine_file().with_name(self.engine_file().name + ".json")
        sidecar.unlink()
        sidecar.mkdir()
        self.renew()
        self.refused("--cache")
