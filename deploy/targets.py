"""Where a bundle can be deployed to."""

from dataclasses import dataclass

from segeval.bundles import Precision


@dataclass(frozen=True)
class Target:
    """A kind of device. precisions: those its engine runs.   backend: the runner's engine there."""

    name: str
    precisions: tuple[Precision, ...]
    backend: str


CPU = Target("cpu", ("fp32", "fp16", "int8"), "onnxruntime")
