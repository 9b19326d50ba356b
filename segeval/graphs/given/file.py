"""A user's float ONNX file, checked before anything is computed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, inliner, shape_inference

from segeval.errors import ConfigurationError, EngineError, nearest
from segeval.graphs.brought import Tensor, all_nodes, described, input_of, like, read_onnx, with_shape
from segeval.graphs.given.opset import require_known_opset
from segeval.graphs.session import NOT_LOADED, open_session

BEHIND_ARGMAX = ("Cast", "Identity", "Reshape", "Squeeze", "Unsqueeze")
"""Operators that change nothing of a label map but its type or shape."""


def read_float(path: Path) -> ModelProto:
    """A file that computes in float32; see `float_network`."""
    return float_network(read_onnx(path), path)


def float_network(model: ModelProto, path: Path) -> ModelProto:
    """A network that takes one float32 image, made in place where it takes bytes or lists constants as inputs.

    Raises EngineError for one that is quantized or in half precision, is of an opset that is not known, has operators
    that ONNX does not, or takes something else than one image.

    Args:
        model: as it was read.
        path: of the file, for messages.
    """
    if model.functions:
        model = inliner.inline_local_functions(model)
    kind = like(model)
    if kind in ("int8", "int8-fp16"):
        hint = (
            "give the float file it was made from; add this one to the bundle: segeval deploy --engine-file NAME=FILE"
        )
        raise EngineError(f"{path} is already quantized; attacks need the float network", hint)
    foreign = next((node for node in all_nodes(model.graph.node) if node.domain not in ("", "ai.onnx")), None)
    if foreign is not None:
        what = (
            f"{path}: {foreign.domain}.{foreign.op_type} ({foreign.name or foreign.output[0]}) is not an ONNX operator"
        )
        raise EngineError(what, "export the network without the optimisations of ONNX Runtime")
    require_known_opset(model, str(path))
    image = input_of(model, path)
    if kind == "fp16" or image.type == TensorProto.FLOAT16:
        raise EngineError(
            f"{path} computes in half precision", "export the network in float32; deploy makes fp16 of it"
        )
    if image.type == TensorProto.UINT8:
        as_float(model, image.name, path)
    kept = [value for value in model.graph.input if value.name == image.name]
    del model.graph.input[:]
    model.graph.input.extend(kept)  # older files list constants among their inputs
    name_nodes(model)
    return model


def as_float(model: ModelProto, name: str, path: Path) -> None:
    """Let a file that begins by making floats of bytes take floats. Raises EngineError for another that takes bytes."""
    readers = [node for node in model.graph.node if name in node.input]
    if any(node.op_type != "Cast" for node in readers):
        what = f"{path} takes uint8 images, and {readers[0].op_type} {readers[0].name} reads them"
        raise EngineError(what, "export the network for float32 images")
    for value in model.graph.input:
        if value.name == name:
            value.type.tensor_type.elem_type = TensorProto.FLOAT


def name_nodes(model: ModelProto) -> None:
    """Give every node a unique name, which calibration and messages use."""
    seen = set[str]()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{number}_{node.output[0]}"
        seen.add(node.name)


def producers_of(model: ModelProto) -> Mapping[str, NodeProto]:
    """The node behind every value."""
    return {name: node for node in model.graph.node for name in node.output}


def answer_of(model: ModelProto, name: str, path: Path) -> str:
    """The value that is the answer: the one of this name, or the only output.

    Raises ConfigurationError if there is no such value, or several outputs and no name.
    """
    outputs: dict[str, Tensor] = {value.name: described(value) for value in model.graph.output}
    if name:
        values = [*outputs, *producers_of(model)]
        if name not in values:
            near = nearest(name, values)
            hint = (
                near if near.startswith("did you mean") else f"its outputs are {', '.join(map(str, outputs.values()))}"
            )
            raise ConfigurationError(f"{path} has no value {name!r}, the card's output.name", hint)
        return name
    if len(outputs) != 1:
        found = ", ".join(map(str, outputs.values()))
        what = f"{path} has {len(outputs)} outputs: {found}"
        raise ConfigurationError(what, f'say which in the card: [output] name = "{next(iter(outputs))}"')
    return next(iter(outputs))


def logits_behind(model: ModelProto, answer: str, path: Path) -> tuple[str, int]:
    """What the ArgMax behind a label map reads, and along which axis it looks.

    Raises ConfigurationError, naming what to put into the card, if something else lies between ArgMax and labels.
    """
    producers = producers_of(model)
    name = answer
    while name in producers and producers[name].op_type in BEHIND_ARGMAX:
        name = producers[name].input[0]
    node = producers.get(name)
    if node is not None and node.op_type == "ArgMax":
        axis = next((helper.get_attribute_value(each) for each in node.attribute if each.name == "axis"), 0)
        return str(node.input[0]), int(axis)
    found = next((each for each in reversed(model.graph.node) if each.op_type == "ArgMax"), None)
    what = f'{path}: {answer} should be labels (kind = "labels"), but does not come from an ArgMax'
    what += f" but from {node.op_type} {node.name}" if node is not None else ""
    if found is None:
        raise ConfigurationError(what, 'name the value with the logits in the card: [output] name, kind = "logits"')
    hint = f'cut before ArgMax {found.name}: [output] name = "{found.input[0]}", kind = "logits"'
    raise ConfigurationError(what, hint)


def of_shape(model: ModelProto, image: Tensor, shape: tuple[int, ...], path: Path) -> ModelProto:
    """A copy for images of one shape, with the shapes of its values inferred.

    Args:
        model: the file.
        image: its input.
        shape: wanted, in the file's layout.
        path: of the file, for messages.

    Raises:
        ConfigurationError: if the file takes other sizes.
    """
    if any(own and own != asked for own, asked in zip(image.shape[1:], shape[1:], strict=True)):
        what = f"{path} takes {image}, not {shape}"
        if image.shape[1 if shape[1] == 3 else 3] not in (0, 3):
            raise ConfigurationError(what, "check input.layout (NCHW or NHWC) of the card")
        height, width = image.shape[2:] if image.shape[1] == 3 else image.shape[1:3]
        hint = f"add size = [{height}, {width}] to [input] of the card, and craft with --size {height}x{width}"
        raise ConfigurationError(what, hint)
    fixed = with_shape(model, shape)
    if image.shape != shape:  # what the file says of its values is of other images
        for output in fixed.graph.output:
            output.type.tensor_type.ClearField("shape")
        del fixed.graph.value_info[:]
    try:
        return shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    except Exception as error:  # of ONNX, without a base of its own
        reason = str(error).strip().splitlines()[-1]
        raise ConfigurationError(
            f"{path} cannot take images {shape}: {reason}",
            "another --size, or input.multiple_of in the card, may fit; check layout too",
        ) from error


def computed(model: ModelProto, name: str, path: Path, given: NDArray[np.float32] | None = None) -> NDArray[Any]:
    """A value of a file for one image, from ONNX Runtime: its shape is known for sure then.

    Args:
        model: the file, with an input of a fixed shape.
        name: of the value.
        path: of the file, for messages.
        given: the image, None for zeros.

    Raises:
        ConfigurationError: if the file cannot be run at this size.
        EngineError: if it cannot be run at all.
    """
    asked = ModelProto()
    asked.CopyFrom(model)
    del asked.graph.output[:]
    asked.graph.output.append(helper.make_empty_tensor_value_info(name))
    image = asked.graph.input[0]
    shape = [axis.dim_value for axis in image.type.tensor_type.shape.dim]
    given = np.zeros(shape, np.float32) if given is None else given
    try:
        session = open_session(asked, optimised=False)
    except EngineError as error:
        reason = error.what.strip().splitlines()[0].removeprefix(NOT_LOADED)[:300]
        hint = "check that it runs in ONNX Runtime; export it again with opset 17"
        raise EngineError(f"{path}: ONNX Runtime cannot load it: {reason}", hint) from error
    try:
        values: NDArray[Any] = session.run([name], {image.name: given})[0]
        return values
    except Exception as error:  # of ONNX Runtime, without a base of its own
        reason = str(error).strip().splitlines()[0][:300]
        raise ConfigurationError(
            f"{path} cannot be run on images {tuple(shape)}: {reason}",
            "another --size, or input.multiple_of in the card, may fit; or the file was exported for one batch size",
        ) from error
