"""Engines that were built elsewhere and only run here. Runs on Python 3.8 too."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from segeval_runner.backends import Job
from segeval_runner.described import Input, Output
from segeval_runner.own import Own
from tests.tensorrt_api.drive import CHANNELS_FIRST, SHAPE, Drive, images
from tests.tensorrt_api.library import MAGIC


class Elsewhere(Drive):
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
