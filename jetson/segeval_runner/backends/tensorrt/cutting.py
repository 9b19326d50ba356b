"""The network without its ArgMax, which TensorRT turns into a TopK that can take longer than the network itself."""

from __future__ import annotations

from typing import Optional

from segeval_runner.backends.tensorrt.library import trt

NETWORK_OUTPUT = "network_output"
"""The value that ends the network in every deployed file: float32 (N, C, H, W) logits."""


def cut(network: trt.INetworkDefinition) -> bool:
    """Make the logits the only output; what follows them is then computed by no engine. False if there are none."""
    logits = tensor_named(network, NETWORK_OUTPUT)
    if logits is None:
        return False
    while network.num_outputs:
        network.unmark_output(network.get_output(0))
    network.mark_output(logits)
    return True


def tensor_named(network: trt.INetworkDefinition, name: str) -> Optional[trt.ITensor]:
    """What a layer of the network gives under this name."""
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        for number in range(layer.num_outputs):
            tensor = layer.get_output(number)
            if tensor.name == name:
                return tensor
    return None
