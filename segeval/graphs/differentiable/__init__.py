"""A deployed ONNX file as a PyTorch module: computed as deployed, with a gradient to the image."""

from segeval.graphs.differentiable.graph import DifferentiableGraph
from segeval.graphs.differentiable.graph_segmenter import GraphSegmenter
from segeval.graphs.differentiable.in_the_loop import BackendLogits, EngineInTheLoop, OnnxRuntimeLogits

__all__ = ["BackendLogits", "DifferentiableGraph", "EngineInTheLoop", "GraphSegmenter", "OnnxRuntimeLogits"]
