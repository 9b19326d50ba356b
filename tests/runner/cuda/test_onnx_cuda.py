"""The ONNX Runtime CUDA backend: refused where there is no CUDA, and its whole way run on ordinary memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from segeval_runner.backends import Job, Settings, load_backend, onnx_cuda
from segeval_runner.backends.onnx_cuda import OnnxCuda
from segeval_runner.backends.onnx_runtime import OnnxRuntime, session_options
from segeval_runner.cuda.call import STAGES
from segeval_runner.cuda.with_cudart import Cudart
from segeval_runner.errors import BackendError
from tests.runner.cuda.conftest import HostDevice

SHAPE = (2, 8, 12)
PROVIDER = "CUDAExecutionProvider"
without_cuda = pytest.mark.skipif(
    PROVIDER in onnxruntime.get_available_providers(), reason="this ONNX Runtime was built with CUDA"
)


class OnOrdinaryMemory(OnnxCuda):
    """The backend with ONNX Runtime's CPU provider, which can read the memory of the host device."""

    provider = "CPUExecutionProvider"
    memory = "cpu"

    def session_options(self) -> Any:
        return session_options(self.settings.threads)  # refusing the CPU would leave nothing

    def provider_options(self) -> dict[str, str]:
        return {}

    def compute(self) -> None:
        self._call.stream.synchronize()  # the CPU provider does not wait for what is queued
        super().compute()


class BuiltWithCuda(OnnxCuda):
    """The backend where ONNX Runtime has the provider but cannot load it."""

    @classmethod
    def version(cls) -> str:
        return str(onnxruntime.__version__)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A model whose labels are a third of the second channel."""
    nodes = [
        helper.make_node("Slice", ["image", "one", "two", "axis"], ["channel"]),
        helper.make_node("Cast", ["channel"], ["levels"], to=TensorProto.INT32),
        helper.make_node("Squeeze", ["levels", "axis"], ["flat"]),
        helper.make_node("Div", ["flat", "three"], ["labels"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.INT64, (1,), [n]) for name, n in (("one", 1), ("two", 2), ("axis", 3))
    ]
    constants.append(helper.make_tensor("three", TensorProto.INT32, (), [3]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, (*SHAPE, 3))
    labels = helper.make_tensor_value_info("labels", TensorProto.INT32, SHAPE)
    graph = helper.make_graph(nodes, "third", [image], [labels], constants)
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    file = tmp_path / "model.onnx"
    file.write_bytes(model.SerializeToString())
    return Job(file, "0" * 64, "fp32", SHAPE)


@pytest.fixture
def settings(open_cudart: Callable[[], Cudart], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings under which device memory is that of the host device."""
    asked = []

    def opened(kind: str) -> Cudart:
        asked.append(kind)
        return open_cudart()

    monkeypatch.setattr(onnx_cuda, "open_cuda", opened)
    yield Settings(1, tmp_path / "cache", memory="cudart")
    assert set(asked) <= {"cudart"}, "the backend reaches the device the way it was told"


def pictures(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)


def report(stage: str, done: int, total: int) -> None:
    raise AssertionError("ONNX Runtime builds nothing that takes time")


def test_it_can_be_named() -> None:
    assert load_backend("onnxruntime-cuda") is OnnxCuda


@without_cuda
def test_an_onnx_runtime_without_cuda_is_refused(job: Job, settings: Settings) -> None:
    with pytest.raises(BackendError, match="was built without CUDA") as refused:
        OnnxCuda.version()
    assert "onnxruntime-gpu" in refused.value.hint and "Jetson" in refused.value.hint
    with pytest.raises(BackendError, match="was built without CUDA"), OnnxCuda(job, settings, report):
        pass


@without_cuda
def test_falling_back_to_the_cpu_is_refused(job: Job, settings: Settings, device: HostDevice) -> None:
    with (
        pytest.warns(UserWarning, match=PROVIDER),
        pytest.raises(BackendError, match="fallback to CPU EP has been explicitly disabled") as refused,
        BuiltWithCuda(job, settings, report),
    ):
        pass
    assert "cuDNN" in refused.value.hint and "--backend onnxruntime " in refused.value.hint
    assert device.held() == {}


def test_a_session_that_lacks_the_provider_is_refused(job: Job, settings: Settings) -> None:
    class Lenient(BuiltWithCuda):
        def session_options(self) -> Any:
            return session_options(self.settings.threads)

    if PROVIDER in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime was built with CUDA")
    with (
        pytest.warns(UserWarning, match=PROVIDER),
        pytest.raises(BackendError, match="fell back to CPUExecutionProvider"),
        Lenient(job, settings, report),
    ):
        pass


def test_it_is_asked_for_true_fp32_in_the_stream_of_the_call(job: Job, settings: Settings, device: HostDevice) -> None:
    backend = OnOrdinaryMemory(job, settings, report)
    with backend:
        stream = backend._call.stream.handle
        options = OnnxCuda.provider_options(backend)
    assert options == {"device_id": "0", "use_tf32": "0", "user_compute_stream": str(stream)}


def test_labels_are_those_of_the_cpu_and_stages_are_told(job: Job, settings: Settings, device: HostDevice) -> None:
    with OnnxRuntime(job, settings, report) as reference, OnOrdinaryMemory(job, settings, report) as active:
        assert device.held() == {"device memory": 2, "page-locked memory": 2, "streams": 1, "events": 4}
        for seed in range(3):
            images = pictures(seed)
            labels = active.infer(images)
            assert labels.dtype == np.int32 and np.array_equal(labels, images[..., 1] // 3)
            assert np.array_equal(labels, reference.infer(images))
            assert tuple(active.stages()) == STAGES
        facts = active.facts()
    assert facts["memory"] == "cudart" and facts["provider"] == "CPUExecutionProvider"
    assert facts["tf32"] is True, "what a session does not say to be off is taken to be on"
    assert device.held() == {}


def test_a_file_of_another_contract_is_refused_and_nothing_is_held(
    job: Job, settings: Settings, device: HostDevice
) -> None:
    other = job._replace(shape=(1, 8, 12))
    with pytest.raises(BackendError, match="takes and gives"), OnOrdinaryMemory(other, settings, report):
        pass
    job.file.write_bytes(b"not a model")
    with pytest.raises(BackendError, match="cannot load it"), OnOrdinaryMemory(job, settings, report):
        pass
    assert device.held() == {}


def test_what_onnx_runtime_prints_is_no_result(capsys: pytest.CaptureFixture[str]) -> None:
    class Engine:
        @staticmethod
        def preload_dlls() -> None:
            print("Failed to load libcublas")

    onnx_cuda.preload(Engine)
    onnx_cuda.preload(object())  # before 1.21
    printed = capsys.readouterr()
    assert printed.out == "" and "libcublas" in printed.err
