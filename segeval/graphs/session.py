"""ONNX Runtime sessions of deployed files, configured as in the runner, for calibration and parity."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.export import IMAGE, LABELS
from segeval.metrics import Labels
from segeval_runner.backends.onnx_runtime import left_out, session_options

SHORT_WAIT = ("session.intra_op.spin_duration_us", "50")
"""Session option: a waiting thread spins for 50 µs, then sleeps.

By default it spins longer than most operators take: with one of two cores busy, two threads took twice as long as one.
Versions of ONNX Runtime that do not know the option wait as before.
"""

NOT_LOADED = "ONNX Runtime cannot load the file that was made: "


def open_session(
    model: ModelProto,
    optimised: bool = True,
    integers: str = "",
    keep: Path | None = None,
    threads: int = 0,
    simulated: bool = False,
) -> onnxruntime.InferenceSession:
    """A CPU session with denormals flushed.

    Raises EngineError.

    Args:
        model: to be run.
        optimised: let ONNX Runtime rewrite the graph.
        integers: type of the activations that it multiplies as integers where it has a kernel; empty for none.
        keep: file for the graph that it made of the model.
        threads: of the processor, 0 for all.
        simulated: multiply rounded values in fp32 everywhere.
    """
    options = session_options(threads, integers, simulated or has_half_scales(model))
    options.add_session_config_entry(*SHORT_WAIT)
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=left_out(integers),
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise EngineError(f"{NOT_LOADED}{error}") from error


def has_half_scales(model: ModelProto) -> bool:
    """Whether a file has pairs of Q and DQ with scales in fp16, as those of int8-fp16."""
    half = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT16}
    return any(node.op_type == "QuantizeLinear" and node.input[1] in half for node in model.graph.node)


def operators_run(model: ModelProto, integers: str = "") -> Counter[str]:
    """Number of each operator in the graph that ONNX Runtime makes of a file: ``QLinearConv`` adds up integers.

    Args:
        model: the file.
        integers: as of `open_session`.
    """
    with tempfile.TemporaryDirectory(prefix="segeval-graph-") as folder:
        file = Path(folder) / "graph.onnx"
        open_session(model, integers=integers, keep=file)
        return Counter(node.op_type for node in onnx.load(file).graph.node)


class DeployedModel:
    """A deployed file as a function from image to label map."""

    def __init__(
        self,
        model: ModelProto,
        optimised: bool = True,
        integers: str = "",
        threads: int = 0,
        simulated: bool = False,
    ) -> None:
        self._session = open_session(model, optimised, integers, threads=threads, simulated=simulated)
        self._batch: int = self._session.get_inputs()[0].shape[0]

    def predict(self, image: RgbImage) -> Labels:
        """(H, W) label map of a (H, W, 3) RGB image."""
        images = np.repeat(image[None], self._batch, axis=0)
        labels: NDArray[np.int32] = self._session.run([LABELS], {IMAGE: images})[0]
        label_map: Labels = labels[0].astype(np.uint8)
        return label_map
