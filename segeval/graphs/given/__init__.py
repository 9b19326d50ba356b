"""A float ONNX file of the user's as a network of ours: attacked by its gradient, deployed as the graph that it is."""

from segeval.graphs.given.onnx_network import OnnxNetwork, open_onnx

__all__ = ["OnnxNetwork", "open_onnx"]
