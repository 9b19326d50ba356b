"""Weak typing, and what it must not touch: the normalization of the image.

Where TensorRT chooses the types (8.x, and an accelerator on 10), the flag FP16 lets it compute
``(levels - mean) / std`` in half, although the file has it in fp32. Half keeps 11 bits, which is coarse for the one or
two levels that an attack changes.
"""

from __future__ import annotations

from typing import List

from segeval_runner.backends.tensorrt.library import trt

NETWORK_INPUT = "network_input"
"""The value that ends the normalization in every deployed file."""


def keep_exact(network: trt.INetworkDefinition, config: trt.IBuilderConfig) -> bool:
    """Demand fp32 of every sum and product up to the network's input. False if the file has no such value.

    A builder that cannot keep to it fails.
    """
    arithmetic: List[trt.ILayer] = []
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type == trt.LayerType.ELEMENTWISE:
            arithmetic.append(layer)
        if NETWORK_INPUT in [layer.get_output(number).name for number in range(layer.num_outputs)]:
            config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)
            for each in arithmetic:
                each.precision = trt.DataType.FLOAT
                each.set_output_type(0, trt.DataType.FLOAT)
            return True
    return False
