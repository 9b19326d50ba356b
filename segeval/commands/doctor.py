"""``segeval doctor``."""

import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import typer

from segeval.commands.options import AsJson
from segeval.commands.text_tables import table
from segeval.console import results
from segeval.errors import install
from segeval.files.encoding import encode
from segeval.places import cache_folder, data_folder


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes:
        found: what it said.
        remedy: the command that would add it, empty if it works.
    """

    name: str
    works: bool
    found: str
    remedy: str = ""


def tried(name: str, attempt: Callable[[], str], remedy: str) -> Finding:
    """Try something for real."""
    try:
        return Finding(name, True, attempt())
    except Exception as error:  # whatever a half-installed library raises is the finding
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        return Finding(name, False, reason, remedy)


def torch_cpu() -> str:
    """Compute something with PyTorch."""
    torch = importlib.import_module("torch")
    assert int(torch.ones(2, 2).sum()) == 4
    return f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"


def torch_cuda() -> str:
    """Name the GPU that PyTorch sees."""
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        raise RuntimeError("no CUDA device")
    return f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"


def onnxruntime_on(provider: str) -> str:
    """Run a model of one node on an execution provider of ONNX Runtime."""
    onnxruntime = importlib.import_module("onnxruntime")
    helper, proto = importlib.import_module("onnx.helper"), importlib.import_module("onnx").TensorProto
    numpy = importlib.import_module("numpy")
    if provider not in onnxruntime.get_available_providers():
        raise RuntimeError(f"this ONNX Runtime has no {provider}")
    ends = [helper.make_tensor_value_info(name, proto.FLOAT, [1]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "doctor", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[provider])
    assert session.run(None, {"x": numpy.ones(1, "float32")})[0][0] == -1
    if session.get_providers()[0] != provider:
        raise RuntimeError(f"{provider} is installed but does not start")
    return f"ONNX Runtime {onnxruntime.__version__}"


def openvino() -> str:
    """Compile a model of nothing with OpenVINO for the CPU."""
    library = importlib.import_module("openvino")
    opset, numpy = importlib.import_module("openvino.opset8"), importlib.import_module("numpy")
    x = opset.parameter([1], numpy.float32)
    compiled = library.Core().compile_model(library.Model([opset.negative(x)], [x]), "CPU")
    assert compiled([numpy.ones(1, "float32")])[0][0] == -1
    return f"OpenVINO {library.get_version().partition('-')[0]}"


def package(name: str) -> str:
    """Import a package that needs the device's own libraries."""
    importlib.import_module(name)
    return version(name)


def tensorrt_rtx() -> str:
    """Build a model of one node with TensorRT for RTX, which needs no GPU for it."""
    from segeval.deploy.compiler import CAPABILITY, Compiler

    helper, proto = importlib.import_module("onnx.helper"), importlib.import_module("onnx").TensorProto
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=proto.FLOAT),
        helper.make_node("ArgMax", ["levels"], ["brightest"], axis=3, keepdims=0),
        helper.make_node("Cast", ["brightest"], ["labels"], to=proto.INT32),
    ]
    ends = [("image", proto.UINT8, (1, 8, 8, 3)), ("labels", proto.INT32, (1, 8, 8))]
    values = [helper.make_tensor_value_info(*end) for end in ends]
    graph = helper.make_graph(nodes, "doctor", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with TemporaryDirectory(prefix="segeval-doctor-") as folder, Compiler() as compiler:
        file = Path(folder) / "model.onnx"
        file.write_bytes(model.SerializeToString())
        return f"{compiler.compile(file).library} parses and builds for {CAPABILITY}"


def browser() -> str:
    """Find the browser that the report's tests drive."""
    found = shutil.which("chromium")
    if found is None:
        raise RuntimeError("not found")
    return found


def examine() -> list[Finding]:
    """Everything segeval can use."""
    return [
        tried("torch on the CPU", torch_cpu, "pip install torch"),
        tried("torch on CUDA", torch_cuda, "on a machine with an NVIDIA GPU: pip install torch (a CUDA build)"),
        tried(
            "onnxruntime on the CPU",
            lambda: onnxruntime_on("CPUExecutionProvider"),
            install("cpu"),
        ),
        tried(
            "onnxruntime on CUDA",
            lambda: onnxruntime_on("CUDAExecutionProvider"),
            f"on a machine with an NVIDIA GPU, {install('gpu')}",
        ),
        tried("openvino", openvino, install("openvino")),
        tried(
            "tensorrt",
            lambda: package("tensorrt"),
            "on a Jetson it comes with JetPack; elsewhere: pip install tensorrt",
        ),
        tried("tensorrt-rtx (builds files for TensorRT)", tensorrt_rtx, install("rtx")),
        tried("pycuda", lambda: package("pycuda"), "with a CUDA toolkit at hand: pip install pycuda"),
        tried("chromium (tests of the report)", browser, "apt-get install chromium chromium-driver"),
    ]


def installed() -> dict[str, str]:
    """Versions of the packages segeval is built on."""
    found = {}
    for name in ("segeval-embedded", "torch", "onnx", "onnxconverter-common", "numpy", "pillow", "scipy", "msgspec"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def doctor(as_json: AsJson = False) -> None:
    """Show what works on this machine and how to add the rest.

    \b
    segeval doctor
    """
    findings, packages = examine(), installed()
    places = {"SEGEVAL_DATA": str(data_folder() or "not set"), "cache": str(cache_folder())}
    if as_json:
        typer.echo(encode({"engines": findings, "packages": packages, "places": places}, indent=2))
        return
    rows = [(each.name, "works" if each.works else "missing", each.found, each.remedy) for each in findings]
    results.print(table(("engine or device", "", "found", "to install"), rows, words=4))
    results.print(table(("package", "version"), list(packages.items()), words=2))
    results.print(table(("place", ""), list(places.items()), words=2))
