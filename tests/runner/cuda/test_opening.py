"""Which way to the device is taken."""

import sys

import pytest

from segeval_runner.cuda import library, open_cuda
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice


@pytest.fixture(autouse=True)
def no_pycuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(BackendError, match="'cupy'") as refused:
        open_cuda("cupy")
    assert refused.value.hint == "backends are: auto, pycuda, cudart"


def test_pycuda_that_is_missing_says_what_it_takes_and_what_else_there_is() -> None:
    with pytest.raises(BackendError, match="pycuda cannot be used") as refused:
        open_cuda("pycuda")
    assert "pip install pycuda" in refused.value.hint and "--memory cudart" in refused.value.hint


def test_auto_takes_the_runtime_library_where_pycuda_is_missing(
    device: HostDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "names", lambda: iter([str(device.file)]))
    assert open_cuda("auto").name == "cudart"


def test_auto_that_finds_nothing_gives_both_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "names", lambda: iter([]))
    with pytest.raises(BackendError) as refused:
        open_cuda("auto")
    assert refused.value.what.startswith("pycuda cannot be used: ")
    assert refused.value.what.endswith("; no CUDA runtime library (libcudart) that can be loaded")
    assert "nvidia-cuda-runtime" in refused.value.hint
