"""Every supported operator: its builder, the opset definitions it covers, and the types it takes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from segeval.graphs.differentiable.node import ANY, FLOATS, NUMBERS, Compute, Node
from segeval.graphs.differentiable.operations import (
    activations,
    arithmetic,
    casting,
    convolutions,
    layout,
    matrices,
    normalizations,
    pooling,
    quantization,
    reductions,
    resizing,
    selection,
    shapes,
)
from segeval.graphs.differentiable.operations.activations import plain, rounded, softmax
from segeval.graphs.differentiable.operations.arithmetic import binary, variadic
from segeval.graphs.differentiable.operations.reductions import arg_extreme, reduction


@dataclass(frozen=True)
class Operator:
    """An operator.

    Attributes:
        build: From a node to its computation. Raises EngineError for what is not computed here.
        versions: The definitions that it follows, each by the opset that introduced it.
        takes: The element types of its values; with ANY its results are values that it was given.
        parameters: The positions of inputs with other types: indices, shapes, conditions.
        outputs: How many outputs it gives at most.
    """

    build: Callable[[Node], Compute]
    versions: tuple[int, ...]
    takes: frozenset[int] = FLOATS
    parameters: tuple[int, ...] = ()
    outputs: int = 1


FORMS = (13, 21, 23, 24, 25)
"""Opsets that only added types to the operators that change a form."""
MANY = 1 << 16

OPERATORS: dict[str, Operator] = {
    # Convolutions and pooling
    "Conv": Operator(convolutions.convolution, (11, 22)),
    "ConvTranspose": Operator(convolutions.transposed_convolution, (11, 22)),
    "AveragePool": Operator(pooling.average_pool, (11, 19, 22)),
    "MaxPool": Operator(pooling.max_pool, (11, 12, 22), ANY),
    "GlobalAveragePool": Operator(pooling.global_average, (1, 22)),
    "GlobalMaxPool": Operator(pooling.global_maximum, (1, 22)),
    # Normalizations
    "BatchNormalization": Operator(normalizations.batch_normalization, (9, 14, 15)),
    "InstanceNormalization": Operator(normalizations.instance_normalization, (6, 22)),
    "GroupNormalization": Operator(normalizations.group_normalization, (21,)),
    "LayerNormalization": Operator(normalizations.layer_normalization, (17,), outputs=3),
    # Activations
    "Relu": Operator(plain(torch.relu), (6, 13, 14), NUMBERS),
    "LeakyRelu": Operator(activations.leaky_relu, (6, 16)),
    "PRelu": Operator(activations.prelu, (9, 16)),
    "Elu": Operator(activations.elu, (6, 22)),
    "Celu": Operator(activations.celu, (12, 28)),
    "Selu": Operator(activations.selu, (6, 22)),
    "Sigmoid": Operator(plain(torch.sigmoid), (6, 13)),
    "HardSigmoid": Operator(activations.hard_sigmoid, (6, 22)),
    "HardSwish": Operator(activations.hard_swish, (14, 22)),
    "Swish": Operator(activations.swish, (24,)),
    "Mish": Operator(plain(torch.nn.functional.mish), (18, 22)),
    "Softplus": Operator(plain(activations.softplus), (1, 22)),
    "Softsign": Operator(plain(torch.nn.functional.softsign), (1, 22)),
    "Tanh": Operator(plain(torch.tanh), (6, 13)),
    "Erf": Operator(plain(torch.erf), (9, 13)),
    "Gelu": Operator(activations.gelu, (20,)),
    "Clip": Operator(activations.clip, (11, 12, 13), ANY),
    "Softmax": Operator(softmax(torch.softmax), (11, 13)),
    "LogSoftmax": Operator(softmax(torch.log_softmax), (11, 13)),
    "Dropout": Operator(activations.dropout, (10, 12, 13, 22), ANY, (1, 2)),
    # Functions of single values
    "Abs": Operator(plain(torch.abs), (6, 13), NUMBERS),
    "Neg": Operator(plain(torch.neg), (6, 13), NUMBERS),
    "Exp": Operator(plain(torch.exp), (6, 13)),
    "Log": Operator(plain(torch.log), (6, 13)),
    "Sqrt": Operator(plain(torch.sqrt), (6, 13)),
    "Reciprocal": Operator(plain(torch.reciprocal), (6, 13)),
    "Sin": Operator(plain(torch.sin), (7, 22)),
    "Cos": Operator(plain(torch.cos), (7, 22)),
    "Floor": Operator(rounded(torch.floor), (6, 13)),
    "Ceil": Operator(rounded(torch.ceil), (6, 13)),
    "Round": Operator(rounded(torch.round), (11, 22)),
    # Functions of several tensors
    "Add": Operator(binary(torch.add), (7, 13, 14), NUMBERS),
    "Sub": Operator(binary(torch.sub), (7, 13, 14), NUMBERS),
    "Mul": Operator(binary(torch.mul), (7, 13, 14), NUMBERS),
    "Div": Operator(arithmetic.division, (7, 13, 14), NUMBERS),
    "Pow": Operator(arithmetic.power, (7, 12, 13, 15), NUMBERS),
    "Sum": Operator(variadic(torch.add), (8, 13)),
    "Mean": Operator(arithmetic.mean, (8, 13)),
    "Max": Operator(variadic(torch.maximum), (8, 12, 13), ANY),
    "Min": Operator(variadic(torch.minimum), (8, 12, 13), ANY),
    "Where": Operator(arithmetic.where, (9, 16), ANY),
    "Equal": Operator(binary(torch.eq), (11, 13, 19), ANY),
    "Greater": Operator(binary(torch.gt), (9, 13), ANY),
    "GreaterOrEqual": Operator(binary(torch.ge), (12, 16), ANY),
    "Less": Operator(binary(torch.lt), (9, 13), ANY),
    "LessOrEqual": Operator(binary(torch.le), (12, 16), ANY),
    "And": Operator(binary(torch.logical_and), (7,), ANY),
    "Or": Operator(binary(torch.logical_or), (7,), ANY),
    "Xor": Operator(binary(torch.logical_xor), (7,), ANY),
    "Not": Operator(plain(torch.logical_not), (1,), ANY),
    # Products of matrices
    "MatMul": Operator(binary(torch.matmul), (9, 13), NUMBERS),
    "Gemm": Operator(matrices.gemm, (11, 13)),
    "Einsum": Operator(matrices.einsum, (12, 28)),
    # Reductions
    "ReduceL1": Operator(reduction(reductions.absolute_sum, 18), (11, 13, 18), NUMBERS, (1,)),
    "ReduceL2": Operator(reduction(reductions.euclidean, 18), (11, 13, 18), FLOATS, (1,)),
    "ReduceLogSumExp": Operator(reduction(torch.logsumexp, 18), (11, 13, 18, 28), FLOATS, (1,)),
    "ReduceMax": Operator(reduction(torch.amax, 18, idle=True), (11, 12, 13, 18, 20), ANY, (1,)),
    "ReduceMean": Operator(reduction(torch.mean, 18, idle=True), (11, 13, 18), FLOATS, (1,)),
    "ReduceMin": Operator(reduction(torch.amin, 18, idle=True), (11, 12, 13, 18, 20), ANY, (1,)),
    "ReduceProd": Operator(reduction(reductions.product, 18, idle=True), (11, 13, 18), FLOATS, (1,)),
    "ReduceSum": Operator(reduction(reductions.sums, 13, idle=True), (11, 13), NUMBERS, (1,)),
    "ReduceSumSquare": Operator(reduction(reductions.squares, 18), (11, 13, 18), FLOATS, (1,)),
    "ArgMax": Operator(arg_extreme(torch.argmax), (11, 12, 13), ANY),
    "ArgMin": Operator(arg_extreme(torch.argmin), (11, 12, 13), ANY),
    # The same values in another shape or order
    "Identity": Operator(layout.identity, (1, 13, 14, 16, 19, 21, 23, 24, 25), ANY),
    "Transpose": Operator(layout.transpose, (1, *FORMS), ANY),
    "Reshape": Operator(layout.reshape, (5, 13, 14, 19, 21, 23, 24, 25), ANY, (1,)),
    "Flatten": Operator(layout.flatten, (11, *FORMS), ANY),
    "Squeeze": Operator(layout.squeeze, (11, *FORMS), ANY, (1,)),
    "Unsqueeze": Operator(layout.unsqueeze, (11, *FORMS), ANY, (1,)),
    "Expand": Operator(layout.expand, (8, 13), ANY, (1,)),
    "Tile": Operator(layout.tile, (6, 13), ANY, (1,)),
    "Concat": Operator(layout.concat, (11, 13), ANY),
    "DepthToSpace": Operator(layout.depth_to_space, (11, 13, 28), ANY),
    "SpaceToDepth": Operator(layout.space_to_depth, (1, 13, 28), ANY),
    # Parts, and what is added around
    "Gather": Operator(selection.gather, (11, 13), ANY, (1,)),
    "GatherElements": Operator(selection.gather_elements, (11, 13), ANY, (1,)),
    "Split": Operator(selection.split, (11, 13, 18), ANY, (1,), MANY),
    "Slice": Operator(selection.slices, (11, 13), ANY, (1, 2, 3, 4)),
    "Pad": Operator(selection.pad, (11, 13, 18, 19, 21, 23, 24, 25), ANY, (1, 3)),
    "Resize": Operator(resizing.resize, (11, 13, 18, 19), FLOATS, (1, 2, 3)),
    # Shapes and constants
    "Shape": Operator(shapes.shape, (1, 13, 15, 19, 21, 23, 24, 25), ANY),
    "Size": Operator(shapes.size, (1, 13, 19, 21, 23, 24, 25), ANY),
    "Constant": Operator(shapes.constant, (11, 12, 13, 19, 21, 23, 24, 25), ANY),
    "ConstantOfShape": Operator(shapes.constant_of_shape, (9, 20, 21, 23, 24, 25), ANY),
    "Range": Operator(shapes.steps, (11, 27), NUMBERS),
    # Types
    "Cast": Operator(casting.cast, (9, 13, 19, 21, 23, 24, 25, 28), ANY),
    "QuantizeLinear": Operator(quantization.quantize, (10, 13, 19, 21, 23, 24, 25, 28), FLOATS, (2,)),
    "DequantizeLinear": Operator(quantization.dequantize, (10, 13, 19, 21, 23, 24, 25, 28), ANY),
}
