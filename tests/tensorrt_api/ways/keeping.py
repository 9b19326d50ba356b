"""What is kept between two processes: engines, and times that were measured. Runs on Python 3.8 too."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from unittest import mock

from tests.tensorrt_api.drive import Drive
from tests.tensorrt_api.fake_cuda import FakeCuda


class Keeping(Drive):
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
