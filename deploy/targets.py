"""Deployment targets, and what each kind of device can and cannot do.

Figures of Jetson modules are from NVIDIA's data sheets; for a family, the smallest module counts.
"""

from dataclasses import dataclass

from segeval.precision import Precision

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
"""What a bundle holds if nothing else is asked for, for an engine on a processor."""

WORKING_SHARE = 4
"""A call's working memory and the workspace for building may each take one part in so many of a device's memory."""
BYTES_PER_PIXEL = 128 + 7
"""Of working memory: 16 feature channels at full resolution, twice, in fp32, with image and labels. An estimate."""
BYTES_PER_CLASS = 8
"""Of working memory per pixel: logits and their argmax's copy, in fp32."""


@dataclass(frozen=True)
class JetPack:
    """Releases of NVIDIA's software for Jetson with one TensorRT.

    Attributes:
        name: their versions.
    """

    name: str
    python: str
    cuda: str
    tensorrt: str


JETPACK_5_1 = JetPack("5.1 to 5.1.7", "3.8", "11.4", "8.5.2")
JETPACK_6_0 = JetPack("6.0", "3.10", "12.2", "8.6.2")
JETPACK_6_2 = JetPack("6.1 to 6.2.3", "3.10", "12.6", "10.3")
JETPACK_7_0 = JetPack("7.0, 7.1", "3.12", "13.0", "10.13")
JETPACK_7_2 = JetPack("7.2 to 7.2.2", "3.12", "13.2", "10.16")
JETPACK_7_2_2 = JetPack("7.2.2 with TensorRT 11.4.1", "3.12", "13.2", "11.4.1")

ORIN = (JETPACK_5_1, JETPACK_6_0, JETPACK_6_2, JETPACK_7_2)
JETPACKS = (JETPACK_5_1, JETPACK_6_0, JETPACK_6_2, JETPACK_7_0, JETPACK_7_2, JETPACK_7_2_2)

DLA_TO_6 = (JETPACK_5_1, JETPACK_6_0, JETPACK_6_2)
"""Releases whose TensorRT knows every module's accelerator; 10.7 was the last such TensorRT."""
DLA_AGX_ORIN = (*DLA_TO_6, JETPACK_7_2_2)
"""TensorRT 11.4.1 knows that of AGX Orin again, and no other."""


@dataclass(frozen=True)
class Target:
    """A kind of device.

    Attributes:
        precisions: those its engine runs.
        backend: the runner's engine there.
        jetpacks: releases that it runs, for a Jetson.
        tensorrt: oldest and newest version elsewhere.
        memory_gb: of the smallest module, 0 if unknown here.
        dla_cores: deep learning accelerators of the largest module. None if only the device can tell.
        dla_jetpacks: the releases whose TensorRT can use them.
        ahead: engines are built on the desktop and carried in the bundle.
    """

    name: str
    description: str
    backend: str
    precisions: tuple[Precision, ...] = (*PRECISIONS, "int8-fp16")
    jetpacks: tuple[JetPack, ...] = ()
    tensorrt: tuple[str, ...] = ()
    memory_gb: int = 0
    dla_cores: int | None = 0
    dla_jetpacks: tuple[JetPack, ...] = ()
    ahead: bool = False

    @property
    def default_precisions(self) -> tuple[Precision, ...]:
        """What a bundle holds if nothing else is asked for: int8-fp16 too where TensorRT runs it in half precision."""
        return self.precisions if self.tensorrt_versions else PRECISIONS

    @property
    def tensorrt_versions(self) -> tuple[str, ...]:
        """Versions of TensorRT that must be able to read the files; none where another engine runs them."""
        return tuple(jetpack.tensorrt for jetpack in self.jetpacks) or self.tensorrt

    @property
    def dla_releases(self) -> str:
        """On which releases an accelerator can be used, as text."""
        return "JetPack " + ", ".join(jetpack.name for jetpack in self.dla_jetpacks) if self.dla_jetpacks else ""

    @property
    def workspace_mb(self) -> int:
        """Most memory for building an engine; 0 leaves it to the engine."""
        return self.memory_gb * 1024 // WORKING_SHARE

    def refusal(self, precisions: tuple[str, ...], dla: int | None) -> tuple[str, str] | None:
        """Why the device cannot do what is asked, and what to do instead; None if it can."""
        unknown = [precision for precision in precisions if precision not in self.precisions]
        if unknown:
            return f"target {self.name} cannot run {', '.join(unknown)}", f"precisions are {', '.join(self.precisions)}"
        return None if dla is None else self.dla_refusal(precisions, dla)

    def dla_refusal(self, precisions: tuple[str, ...], dla: int) -> tuple[str, str] | None:
        """Why that accelerator cannot run these precisions."""
        if self.dla_cores == 0:
            return f"--dla {dla}: {self.description} has no deep learning accelerator", "leave out --dla"
        if self.dla_cores is not None and dla >= self.dla_cores:
            return f"--dla {dla}: {self.description} has {self.dla_cores} accelerators", "they are numbered from 0"
        if set(precisions) != {"fp16"}:
            what = f"--dla {dla}: nothing but fp16 is known to run on the accelerator (on {self.dla_releases})"
            return what, "give only --precision fp16"
        return None

    def most_images(self, height: int, width: int, classes: int) -> int | None:
        """How many images of this size fit into one call's share of the memory; None if the memory is unknown."""
        if not self.memory_gb:
            return None
        share = (self.memory_gb << 30) // WORKING_SHARE
        return share // (height * width * (BYTES_PER_PIXEL + BYTES_PER_CLASS * classes))


CPU = Target("cpu", "any processor", "onnxruntime")
CUDA = Target("cuda", "an NVIDIA GPU with ONNX Runtime", "onnxruntime-cuda")
OPENVINO = Target("openvino", "an Intel processor with OpenVINO", "openvino")
RTX = Target("rtx", "an NVIDIA RTX GPU with TensorRT for RTX", "tensorrt-rtx", tensorrt=("11",), ahead=True)
"""TensorRT for RTX has releases of its own; like TensorRT 11 it takes the types from the file alone."""
TENSORRT = Target("tensorrt", "an NVIDIA GPU with TensorRT", "tensorrt", tensorrt=("8.5", "11.4"))
JETSON = Target(
    "jetson",
    "any Jetson; what it can do is found out there",
    "tensorrt",
    jetpacks=JETPACKS,
    dla_cores=None,
    dla_jetpacks=DLA_AGX_ORIN,
)
XAVIER = Target(
    "jetson-xavier",
    "Jetson Xavier NX or AGX Xavier",
    "tensorrt",
    jetpacks=(JETPACK_5_1,),
    memory_gb=8,
    dla_cores=2,
    dla_jetpacks=(JETPACK_5_1,),
)
ORIN_NANO = Target("jetson-orin-nano", "Jetson Orin Nano", "tensorrt", jetpacks=ORIN, memory_gb=4)
ORIN_NX = Target(
    "jetson-orin-nx", "Jetson Orin NX", "tensorrt", jetpacks=ORIN, memory_gb=8, dla_cores=2, dla_jetpacks=DLA_TO_6
)
AGX_ORIN = Target(
    "jetson-agx-orin",
    "Jetson AGX Orin",
    "tensorrt",
    jetpacks=(*ORIN, JETPACK_7_2_2),
    memory_gb=32,
    dla_cores=2,
    dla_jetpacks=DLA_AGX_ORIN,
)
THOR = Target(
    "jetson-thor", "Jetson Thor", "tensorrt", jetpacks=(JETPACK_7_0, JETPACK_7_2, JETPACK_7_2_2), memory_gb=64
)
