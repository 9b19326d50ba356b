"""`segeval replay --host` and `segeval deploy --host`, as they are typed."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segeval.cli import run
from segeval.deploy.ssh import Remote
from segeval.files.replays import Replay

MakeBundle = Callable[..., Path]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """A command that is interrupted ignores further Ctrl-C; the tests do not."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str], remote: Remote) -> Call:
    """Exit code, stdout and stderr of a command line, with the options that lead to the server."""

    def called(*words: object) -> tuple[int, str, str]:
        capfd.readouterr()
        options = ["--remote-dir", remote.base, "--remote-python", remote.python, "--ssh-config", remote.ssh_config]
        code = run([*map(str, words), *map(str, options)])
        return (code, *capfd.readouterr())

    return called


@pytest.mark.long
def test_ctrl_c_leaves_the_run_going_until_it_is_stopped_and_the_same_command_finishes_it(
    make_bundle: MakeBundle, call: Call, tmp_path: Path, device: Path
) -> None:
    bundle, out = make_bundle(100, work=700), tmp_path / "out"
    command = ("replay", bundle, "--out", out, "--host", "alpha", "--warmup", 0, "--threads", 1)
    group: list[int] = []

    def interrupt() -> None:
        """Hold the run as soon as it has a result, then press Ctrl-C."""
        while not any(path.stat().st_size for path in device.glob("*/replays/*/single/results.jsonl")):
            time.sleep(0.02)
        group.append(json.loads((device / "run" / "run.json").read_text())["group"])
        os.killpg(group[0], signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=interrupt)
    pressing.start()
    code, _, said = call(*command)
    pressing.join()
    assert code == 130, said
    assert "goes on working; the same command attaches to it again, with --stop it ends the run" in said
    assert Path(f"/proc/{group[0]}").exists()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    code, shown, said = call(*command, "--stop")
    assert (code, shown) == (0, "") and "alpha: stopped" in said
    assert "alpha: no replay for this folder is running" in call(*command, "--stop")[2]
    code, shown, said = call(*command)
    assert code == 0 and "is not beside it; where it is: segeval evaluate SET " in said and "next: " not in said
    assert [line.split()[:2] for line in shown.splitlines() if "alpha" in line] == [
        ["alpha", "single"],
        ["alpha", "batched"],
    ]
    assert Replay.open(out).complete


def test_devices_that_fail_are_in_the_table_and_in_the_exit_code(
    make_bundle: MakeBundle, call: Call, tmp_path: Path
) -> None:
    hosts = ("--host", "gamma", "--host", "no-such-host.invalid")
    code, shown, said = call("replay", make_bundle(), "--out", tmp_path / "out", *hosts)
    assert code == 2
    failed = [line.split() for line in shown.splitlines() if "failed" in line]
    assert failed == [["gamma", "failed"], ["no-such-host.invalid", "failed"]]
    assert "error: gamma: no ssh server answers there" in said
    assert "error: 2 of 2 devices failed: gamma, no-such-host.invalid" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--host", "-oProxyCommand=touch x"), "is not a host"),
        (("--host", "gamma", "--host", "gamma"), "is given twice"),
        (("--host", "gamma", "--remote-dir", "a b"), "--remote-dir 'a b' cannot be used"),
        (("--host", "gamma", "--remote-python", "-c"), "--remote-python '-c' cannot be used"),
        (("--host", "gamma", "--ssh-config", "none"), "--ssh-config none is not a file"),
        (("--stop",), "--stop needs a device"),
    ],
)
def test_slips_are_explained_before_anything_is_done(
    words: tuple[str, ...], what: str, make_bundle: MakeBundle, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = run(["replay", str(make_bundle()), "--out", str(tmp_path / "out"), *words])
    assert code == 2
    assert what in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_deploy_with_a_host_goes_on_to_the_replay_there_and_says_what_to_type_without(
    make_set: Callable[..., Path], call: Call, tmp_path: Path, device: Path
) -> None:
    bundle = tmp_path / "a bundle"
    adversarial = make_set(range(2), networks=("fast-scnn-synthetic",))
    deploy: tuple[Any, ...] = ("deploy", adversarial, "--out", bundle)
    code, _, said = call(*deploy, "--precision", "fp32")
    assert code == 0 and "USB stick" not in said, "it runs on this processor"
    elsewhere = ("--out", tmp_path / "elsewhere/a bundle", "--target", "openvino", "--precision", "fp32")
    code, _, said = call("deploy", adversarial, *elsewhere)
    assert code == 0
    lines = [line.strip() for line in said.splitlines() if line.startswith("    ")]
    assert lines == ["cp -r /media/$USER/*/'a bundle' ~/", "sh ~/'a bundle'/run.sh ~/'a bundle-replay'"]
    assert not device.exists()
    code, _, said = call(*deploy, "--precision", "int8", "--host", "two words")
    assert code == 2 and "is not a host" in said, "what cannot work is known before the work"
    code, shown, said = call(*deploy, "--precision", "fp32", "--host", "alpha")
    assert code == 0, said
    assert "Parity" in shown and "fast-scnn-synthetic.fp32" in shown and "alpha" in shown
    assert Replay.open(tmp_path / "a bundle-replay").complete
