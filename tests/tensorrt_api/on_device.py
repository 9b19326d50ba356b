"""The doubles as a device's module `tensorrt`, over the bindings of TensorRT for RTX: what a runner there imports.

Of every network the label is the brightest channel of the image. An engine that was built elsewhere is a text (see
`engine_file`) whose scores are its prepared image.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import tensorrt_rtx_bindings  # type: ignore[import-untyped]

from segeval_runner.backends.tensorrt import backend
from tests.tensorrt_api import contract, library

Tensors = Sequence[tuple[str, str, tuple[int, ...]]]


class OnnxParser(library.OnnxParser):
    """Takes the size of the labels from a file, and its precision from its name."""

    def do_parse_from_file(self, model: str) -> bool:
        shape = onnx.load(model).graph.input[0].type.tensor_type.shape.dim
        batch, height, width = (axis.dim_value for axis in shape[:3])
        self.library.world.shape, self.library.world.own = (batch, height, width), ()
        self.values["network"].values["precision"] = Path(model).name.split(".")[-2]
        return True


class Runtime(library.Runtime):
    """Takes the tensors of an engine that was built elsewhere from its file."""

    def do_deserialize_cuda_engine(self, data: bytes) -> Any:
        engine = super().do_deserialize_cuda_engine(data)
        if engine is not None:
            own = engine.values["plan"].get("own", [])
            self.library.world.own = tuple((name, kind, tuple(shape)) for name, kind, shape in own)
            engine.values["num_io_tensors"] = 2
        return engine


def engine_file(tensors: Tensors) -> bytes:
    """An engine in fp16 with these tensors, the image first, each with its type and shape."""
    plan = {"precision": "fp16", "output": tensors[1][0], "own": tensors}
    return library.MAGIC + json.dumps(plan).encode()


def install() -> None:
    """Be what `import tensorrt` gives in this process, on a device whose memory is the host's."""
    found = library.Library(tensorrt_rtx_bindings, contract.declared() + contract.declared(contract.RTX_STUB))
    library.OnnxParser, library.Runtime = OnnxParser, Runtime  # type: ignore[misc]
    backend.open_cuda = lambda kind, graphs=False: found.world.cuda  # type: ignore[attr-defined]
    sys.modules["tensorrt"] = found.module
