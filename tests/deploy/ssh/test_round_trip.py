"""A bundle to a device and its results back, over a real sshd."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval.deploy.ssh import Outcome, Remote, RunOptions, parse_destinations, replay_on_hosts, stop_on_hosts
from segeval.deploy.ssh.preflight import Shipment
from segeval.errors import ConfigurationError, RemoteError
from segeval.files.exclusive import only_writer
from segeval.files.replays import Replay

MakeBundle = Callable[..., Path]
ENGINES = ("single", "batched")
OPTIONS = RunOptions(warmup=0, threads=1)
MANY, WORK = 100, 700
"""Images, and what each costs: a run that takes seconds, so that it can be met in its middle."""


class Watch:
    """Collects progress, and does something once when a stage has come so far."""

    def __init__(self, stage: str = "", at: int = 0, action: Callable[[], None] = lambda: None) -> None:
        self.heard: list[tuple[str, int, int]] = []
        self._waits_for = (stage, at)
        self._action: Callable[[], None] | None = action

    def __call__(self, stage: str, done: int, total: int) -> None:
        self.heard.append((stage, done, total))
        if self._action is not None and stage == self._waits_for[0] and done >= self._waits_for[1]:
            action, self._action = self._action, None
            action()

    @property
    def acted(self) -> bool:
        return self._action is None

    def pushed(self) -> int:
        """Bytes that were sent."""
        return max((done for stage, done, _ in self.heard if stage == "push"), default=0)


def locally(bundle: Path, out: Path) -> Path:
    command = [sys.executable, str(bundle / "runner.pyz"), "replay", "--out", str(out), "--warmup", "0"]
    subprocess.run([*command, "--threads", "1"], check=True, capture_output=True)
    return out


def labels(replay: Path) -> list[bytes]:
    return [(replay / engine / "labels.bin").read_bytes() for engine in ENGINES]


def on(bundle: Path, out: Path, remote: Remote, *hosts: str, watch: Watch | None = None) -> list[Outcome[Replay]]:
    return replay_on_hosts(bundle, out, parse_destinations(hosts or ("alpha",)), remote, OPTIONS, watch or Watch())


def one(outcomes: list[Outcome[Replay]]) -> Replay:
    (outcome,) = outcomes
    if outcome.error is not None:
        raise outcome.error
    assert outcome.result is not None
    return outcome.result


def assert_right(replay: Replay) -> None:
    """Every label is the index of the brightest channel, as the networks of these bundles have it."""
    assert replay.complete and [engine.name for engine in replay.engines] == list(ENGINES)
    for key in replay.results("single").keys:
        pixels = np.random.default_rng(int(key.removeprefix("clean/"))).integers(0, 256, (64, 96, 3), dtype=np.uint8)
        for engine in ENGINES:
            if key in replay.results(engine).keys:
                assert np.array_equal(replay.labels(engine, key), pixels.argmax(-1))


def the_run(device: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((device / "run" / "run.json").read_text())
    return state


def test_what_comes_back_is_what_a_replay_here_gives_and_only_what_changed_is_sent_again(
    make_bundle: MakeBundle, remote: Remote, tmp_path: Path, device: Path
) -> None:
    bundle = make_bundle()
    sizes = {path: path.stat().st_size for path in bundle.rglob("*") if path.is_file()}
    watch = Watch()
    replay = one(on(bundle, tmp_path / "out", remote, watch=watch))
    assert replay.complete
    assert labels(tmp_path / "out") == labels(locally(bundle, tmp_path / "here"))
    assert watch.pushed() == sum(sizes.values())
    assert {stage for stage, _, _ in watch.heard} >= {"push", "verify", *ENGINES, "fetch"}
    assert not list((tmp_path / "out").glob("*.part")) + list((tmp_path / "out").glob(".*"))

    # Another bundle with the same images, as after another calibration: only its networks and manifest are new.
    other = make_bundle(name="other", offset=0)
    network = other / "models" / "single.onnx"
    changed = network.read_bytes() + b"\x92\x03\x00"  # metadata_props: an empty field more
    network.write_bytes(changed)
    record_again(other, "models/single.onnx")
    shard = device.glob("*/bundle/inputs/shard-00000.npy")
    before = next(shard).stat().st_ino
    watch = Watch()
    one(on(other, tmp_path / "second", remote, watch=watch))
    assert watch.pushed() == len(changed) + (other / "bundle.json").stat().st_size
    assert {path.stat().st_ino for path in device.glob("*/bundle/inputs/shard-00000.npy")} == {before}
    assert len(list(device.glob("*/bundle"))) == 2


def record_again(bundle: Path, name: str) -> None:
    import hashlib

    manifest = json.loads((bundle / "bundle.json").read_text())
    data = (bundle / name).read_bytes()
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (bundle / "bundle.json").write_text(json.dumps(manifest))


def test_a_connection_that_breaks_stops_neither_the_run_nor_the_command(
    make_bundle: MakeBundle, remote: Remote, server: Any, tmp_path: Path, device: Path
) -> None:
    """The run is held while the connection is cut, so that there is something left to follow."""
    bundle, broken = make_bundle(MANY, work=WORK), []

    def cut() -> None:
        group = the_run(device)["group"]
        os.killpg(group, signal.SIGSTOP)
        broken.append((server.break_connections(), the_run(device)["run"]))
        threading.Timer(0.3, os.killpg, (group, signal.SIGCONT)).start()

    watch = Watch("single", 1, cut)
    replay = one(on(bundle, tmp_path / "out", remote, watch=watch))
    assert broken == [(1, the_run(device)["run"])], "it was cut once, and nothing was started anew"
    assert replay.complete
    assert_right(replay)
    done = [done for stage, done, _ in watch.heard if stage == "single"]
    assert done == sorted(done) and done[-1] == MANY, "what was told before the cut is not told again"


def test_a_runner_that_is_killed_is_reported_and_resumed(
    make_bundle: MakeBundle, remote: Remote, tmp_path: Path, device: Path
) -> None:
    bundle = make_bundle(MANY, work=WORK)

    def kill() -> None:
        (child,) = children(the_run(device)["group"])
        os.kill(child, signal.SIGKILL)

    with pytest.raises(RemoteError, match="alpha: the runner was killed by signal 9") as caught:
        one(on(bundle, tmp_path / "out", remote, watch=Watch("single", 1, kill)))
    assert "run the same command again" in caught.value.hint
    killed = the_run(device)["run"]
    (recorded,) = device.glob("*/replays/*/single/results.jsonl")
    kept = recorded.read_bytes().splitlines()
    assert 0 < len(kept) < MANY

    again = Watch()
    replay = one(on(bundle, tmp_path / "out", remote, watch=again))
    assert again.pushed() == 0
    assert the_run(device)["run"] != killed
    lines = (tmp_path / "out" / "single" / "results.jsonl").read_bytes().splitlines()
    assert lines[: len(kept) - 1] == kept[:-1], "what was done is not done again"
    assert_right(replay)


def children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(pid) for pid in found.split()]


@pytest.mark.long
def test_a_second_start_attaches_to_the_run_and_another_replay_is_refused(
    make_bundle: MakeBundle, remote: Remote, tmp_path: Path, device: Path
) -> None:
    """Ctrl-C leaves the run going."""
    bundle, out = make_bundle(MANY, work=WORK), tmp_path / "out"
    main_thread = threading.main_thread().ident
    assert main_thread is not None

    def interrupt() -> None:
        os.killpg(the_run(device)["group"], signal.SIGSTOP)
        signal.pthread_kill(main_thread, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        on(bundle, out, remote, watch=Watch("single", 1, interrupt))
    run = the_run(device)
    with pytest.raises(RemoteError, match="something else runs there: replay "):
        one(on(bundle, tmp_path / "other", remote))
    assert the_run(device) == run and children(run["group"])

    go_on = Watch("single", 0, lambda: os.killpg(run["group"], signal.SIGCONT))
    assert_right(one(on(bundle, out, remote, watch=go_on)))
    assert go_on.acted, "it showed the run that was going on"
    assert the_run(device) == run, "nothing was started anew"


@pytest.mark.long
def test_a_disk_that_fills_up_is_named_and_the_replay_goes_on_when_there_is_space(
    make_bundle: MakeBundle,
    remote: Remote,
    mount_disk: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundle, disk = make_bundle(60), mount_disk("3m")
    remote = Remote(str(disk / "device"), remote.python, remote.ssh_config)
    with pytest.raises(RemoteError, match=r"has \d MiB free; \d+ MiB are needed, 2 of them for the bundle") as caught:
        one(on(bundle, tmp_path / "out", remote))
    assert "--remote-dir" in caught.value.hint
    assert not list(disk.rglob("*.onnx")), "nothing was sent"

    monkeypatch.setattr(Shipment, "expected_results", lambda self: 0)  # as if the results had been underestimated
    ballast = disk / "ballast"

    def fill() -> None:
        with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    with pytest.raises(RemoteError, match="alpha: no space left on") as caught:
        one(on(bundle, tmp_path / "out", remote, watch=Watch("single", 0, fill)))
    assert "free some space" in caught.value.hint
    ballast.unlink()
    assert_right(one(on(bundle, tmp_path / "out", remote)))


def test_devices_of_a_farm_work_side_by_side_and_one_that_fails_stops_no_other(
    make_bundle: MakeBundle, remote: Remote, tmp_path: Path
) -> None:
    bundle, watch = make_bundle(), Watch()
    good, bad = on(bundle, tmp_path / "out", remote, "alpha", "gamma", watch=watch)
    assert good.result is not None and good.result.complete and good.out == tmp_path / "out" / "alpha"
    assert_right(good.result)
    assert bad.result is None and isinstance(bad.error, RemoteError)
    assert bad.error.what.startswith("gamma: no ssh server answers there")
    stages = [stage for stage, _, _ in watch.heard]
    phases = [f"{phase} on 2 devices" for phase in ("push", "replay", "fetch")]
    assert set(stages) <= set(phases) and stages == sorted(stages, key=phases.index)
    assert watch.heard[-1][1:] == (watch.heard[-1][2],) * 2


def test_a_folder_of_results_belongs_to_one_bundle_and_device(
    make_bundle: MakeBundle, remote: Remote, tmp_path: Path
) -> None:
    bundle, out = make_bundle(), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    with pytest.raises(ConfigurationError, match="holds files that segeval did not make"):
        one(on(bundle, out, remote))
    (out / "thesis.tex").unlink()
    with pytest.raises(RemoteError):
        one(on(bundle, out, remote, "gamma"))
    with pytest.raises(ConfigurationError, match="was begun on gamma"):
        one(on(bundle, out, remote))
    with pytest.raises(ConfigurationError, match="was begun with another bundle"):
        one(on(make_bundle(8, "other"), out, remote, "gamma"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "set.json").touch()
    for hosts in (["alpha"], ["alpha", "gamma"]):
        with pytest.raises(ConfigurationError, match=r"mine holds an adversarial set \(set\.json\)"):
            one(on(bundle, tmp_path / "mine", remote, *hosts))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["set.json"]
    with only_writer(out), pytest.raises(ConfigurationError, match="another process is writing into"):
        one(on(bundle, out, remote, "gamma"))
    with pytest.raises(ConfigurationError, match="does not belong to a replay on a device"):
        one_stopped = stop_on_hosts(bundle, tmp_path / "new", parse_destinations(["alpha"]), remote)
        assert one_stopped[0].error is not None
        raise one_stopped[0].error
