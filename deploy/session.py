"""Deployed files on this machine's ONNX Runtime, set up as the runner does, for calibration and parity."""

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from segeval.deploy.export import IMAGE, LABELS
from segeval.errors import EngineError
from segeval.metrics import Labels
from segeval.store import RgbImage
from segeval_runner.backends.onnx_runtime import left_out, session_options


def open_session(model: ModelProto, optimised: bool = True, integers: str = "") -> onnxruntime.InferenceSession:
    """A CPU session with denormals flushed. optimised: let ONNX Runtime rewrite the graph. Raises EngineError.

    integers: type of the activations that it multiplies as integers where it has a kernel; empty for none.
    """
    options = session_options(0, integers)
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
            disabled_optimizers=left_out(integers),
        )
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise EngineError(f"ONNX Runtime cannot load the file that was made: {error}") from error


class DeployedModel:
    """A deployed file as a function from image to label map."""

    def __init__(self, model: ModelProto, optimised: bool = True, integers: str = "") -> None:
        self._session = open_session(model, optimised, integers)
        self._batch: int = self._session.get_inputs()[0].shape[0]

    def predict(self, image: RgbImage) -> Labels:
        """(H, W) label map of a (H, W, 3) RGB image."""
        images = np.repeat(image[None], self._batch, axis=0)
        labels: NDArray[np.int32] = self._session.run([LABELS], {IMAGE: images})[0]
        label_map: Labels = labels[0].astype(np.uint8)
        return label_map
