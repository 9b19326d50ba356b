"""What is built of a file: precisions, layers, memory, the accelerator, another file. Runs on Python 3.8 too."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from unittest import mock

from segeval_runner.backends import Job, Plan
from segeval_runner.backends.tensorrt.library import use
from segeval_runner.backends.tensorrt.log import the_log
from segeval_runner.errors import BackendError
from tests.tensorrt_api.drive import EXACT, PRECISIONS, Drive
from tests.tensorrt_api.fake_cuda import FakeCuda


class Building(Drive):
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
