"""A user's float ONNX file as a network: attacked through its gradient, deployed as the graph it is."""

from segeval.graphs.given.onnx_network import OnnxNetwork, open_onnx

__all__ = ["OnnxNetwork", "open_onnx"]
