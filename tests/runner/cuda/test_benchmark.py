"""benchmarks/device_memory.py, which checks both ways where there is a GPU, on a device made of host memory."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from segeval_runner.cuda import library
from tests.runner.cuda.conftest import HostDevice

BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "device_memory.py"
QUICK = ["--megabytes", "1", "--repeat", "3"]


def run_apart(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARK), *QUICK]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def run_here(monkeypatch: pytest.MonkeyPatch, device: HostDevice) -> int | str | None:
    """Run it in this process, whose pycuda and libcudart are those of the host device."""
    monkeypatch.setattr(library, "names", lambda: iter([str(device.file)]))
    monkeypatch.setattr(sys, "argv", [str(BENCHMARK), *QUICK])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(BENCHMARK), run_name="__main__")
    return ended.value.code


def test_without_a_gpu_it_says_so() -> None:
    ended = run_apart(CUDA_VISIBLE_DEVICES="")
    assert ended.returncode == 2, ended.stdout
    assert ended.stderr == "no GPU was reached: nothing was checked\n"
    assert "pycuda: not here: " in ended.stdout and "cudart: not here: " in ended.stdout


def test_one_way_alone_is_checked(device: HostDevice) -> None:
    ended = run_apart(LD_LIBRARY_PATH=str(device.file.parent))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("cudart: Host, in place of a device, compute capability 8.7\n") == 2
    for line in ("round trips of 1, 4095, ", "ordinary memory to the host: ", "small copies: "):
        assert ended.stdout.count(line) == 2


def test_both_ways_agree(
    pycuda_device: HostDevice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_here(monkeypatch, pycuda_device) == 0
    printed = capsys.readouterr().out
    assert printed.count("graphs: none (pycuda cannot capture CUDA graphs)") == 2
    assert printed.endswith("both: the same device, and each reads what the other wrote\n")


def test_a_device_that_fails_is_no_success(
    device: HostDevice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    device.fail_on("cudaMemcpyAsync", 719, nth=5)
    assert run_here(monkeypatch, device) == 1
    assert capsys.readouterr().err == "WRONG: cudaMemcpyAsync: unrecognized error code (CUDA error 719)\n"


def test_bytes_that_do_not_come_back_are_no_success(
    device: HostDevice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    device.functions.lose_copies(1)
    try:
        assert run_here(monkeypatch, device) == 1
    finally:
        device.functions.lose_copies(0)
    assert capsys.readouterr().err == "WRONG: 1 bytes did not come back as they went\n"
