"""A replay keeps what the machine did meanwhile."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from segeval.errors import FormatError
from segeval.files.replays import Replay
from tests.sealing import write_sealed

MakeBundle = Callable[..., Path]
Runner = Callable[..., list[str]]


def test_each_engine_has_its_telemetry(make_bundle: MakeBundle, runner: Runner, tmp_path: Path) -> None:
    out = tmp_path / "out"
    subprocess.run(runner(make_bundle(), "replay", "--out", out), capture_output=True, check=True)
    for engine in Replay.open(out).engines:
        assert engine.telemetry is not None
        assert engine.telemetry.seconds > 0
        assert isinstance(engine.telemetry.power, str), "a replay of some milliseconds has no power"
        assert engine.telemetry.power.startswith("not available: ")
    record = json.loads((out / "replay.json").read_text())
    record["engines"][0]["telemetry"]["power"] = 0
    write_sealed(out / "replay.json", record)
    with pytest.raises(FormatError, match=r"telemetry\.power"):
        Replay.open(out)
    del record["engines"][0]["telemetry"]
    write_sealed(out / "replay.json", record)
    assert Replay.open(out).engines[0].telemetry is None, "replays of earlier runners have none"
