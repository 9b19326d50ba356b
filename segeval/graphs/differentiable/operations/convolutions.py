"""Convolutions over one to three axes, and their transposes."""

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from segeval.graphs.differentiable.node import Compute, Node
from segeval.graphs.differentiable.operations.windows import ByAxes, Window

FORWARD: ByAxes = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED: ByAxes = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


def kernel_of(node: Node) -> list[int]:
    """The size of a convolution's constant weights along the axes of the image. Raises EngineError."""
    kernel = list(node.constant(1, "a kernel").shape[2:])
    if len(kernel) not in FORWARD:
        raise node.refusal(f"a kernel over {len(kernel)} axes")
    if node.attribute("kernel_shape", kernel) != kernel:
        raise node.refusal(f"kernel_shape {node.attribute('kernel_shape')} for a kernel {kernel}")
    return kernel


def convolution(node: Node) -> Compute:
    """Conv with a constant kernel."""
    window = Window.of(node, kernel_of(node))
    group, stride, dilation = node.attribute("group", 1), window.strides, window.dilations
    function = FORWARD[len(window.kernel)]
    even = window.even_pads()

    def simple(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return function(x, weight, bias, stride, even, dilation, group)

    def padded(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return function(window.pad(x, 0.0), weight, bias, stride, 0, dilation, group)

    return padded if even is None else simple


def transposed_convolution(node: Node) -> Compute:
    """ConvTranspose with a constant kernel."""
    kernel = kernel_of(node)
    window = Window.of(node, kernel)
    group, extra = node.attribute("group", 1), node.attribute("output_padding", [0] * len(kernel))
    shape = node.attribute("output_shape")
    function = TRANSPOSED[len(kernel)]
    stride, dilation, even = window.strides, window.dilations, window.even_pads()

    def simple(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return function(x, weight, bias, stride, even, extra, group, dilation)

    def cropped(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        # output_padding is the part of a last stride that no window reaches: zeros, or cut off again.
        full = function(x, weight, None, stride, 0, 0, group, dilation)
        crops = window.crops(x.shape[2:], full.shape[2:], extra, shape)
        y = functional.pad(full, crops)
        return y if bias is None else y + bias.view(-1, *[1] * len(kernel))

    return simple if shape is None and even is not None and small(extra, window) else cropped


def small(extra: Sequence[int], window: Window) -> bool:
    """Whether PyTorch takes this output_padding."""
    return all(e < max(s, d) for e, s, d in zip(extra, window.strides, window.dilations, strict=True))
