"""Constants of a file as tensors."""

import numpy as np
import torch
from onnx import TensorProto, numpy_helper
from torch import Tensor

from segeval.errors import EngineError
from segeval.graphs.differentiable.node import ANY, Working, dtype_of


def held(tensor: TensorProto) -> Tensor:
    """A constant in the type in which its kind of values is computed. Raises EngineError."""
    if tensor.data_type not in ANY:
        kind = TensorProto.DataType.Name(tensor.data_type)
        raise EngineError(f"constant {tensor.name or 'of a node'} is of type {kind}", "export the network in fp32")
    dtype = dtype_of(tensor.data_type, Working())
    # Through numpy, whose types for 4 bits PyTorch does not know.
    values = numpy_helper.to_array(tensor).astype(str(dtype).removeprefix("torch."))
    return torch.from_numpy(np.array(values))
