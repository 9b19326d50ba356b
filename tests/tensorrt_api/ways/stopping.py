"""While an engine is built: progress, and Ctrl-C. Runs on Python 3.8 too."""

from __future__ import annotations

import signal
import threading
from unittest import mock

from segeval_runner.backends.tensorrt import backend
from segeval_runner.backends.tensorrt.interrupt import deferred_interrupt
from tests.tensorrt_api.drive import Drive


class Stopping(Drive):
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
