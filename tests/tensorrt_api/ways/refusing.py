"""What goes wrong, and what is said then. Runs on Python 3.8 too."""

from __future__ import annotations

import sys
from typing import Any
from unittest import mock

from segeval_runner.backends.tensorrt.builder import SHOWN
from segeval_runner.errors import BackendError
from tests.tensorrt_api.drive import Drive


class Refusing(Drive):
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
