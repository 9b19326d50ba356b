"""How an engine runs: graphs, calls ahead, layers, and what it refuses to take. Runs on Python 3.8 too."""

from __future__ import annotations

import numpy as np

from segeval_runner.errors import BackendError
from tests.tensorrt_api.drive import SHAPE, Drive, images


class Running(Drive):
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
