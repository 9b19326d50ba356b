"""Products of matrices."""

import torch
from torch import Tensor

from segeval.graphs.differentiable.node import Compute, Node


def gemm(node: Node) -> Compute:
    """alpha · A · B + beta · C, A and B transposed on demand."""
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    first, second = bool(node.attribute("transA", 0)), bool(node.attribute("transB", 0))

    def compute(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        y = (a.T if first else a) @ (b.T if second else b)
        y = y if alpha == 1 else y * alpha
        return y if c is None else y + (c if beta == 1 else c * beta)

    return compute


def einsum(node: Node) -> Compute:
    """A sum of products by its equation."""
    equation = node.attribute("equation")
    return lambda *values: torch.einsum(equation, *values)
