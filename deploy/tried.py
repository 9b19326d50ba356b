"""Runs a user's file unchanged in ONNX Runtime, with images prepared and labels made by numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from segeval.errors import EngineError
from segeval.files.images import RgbImage
from segeval.graphs.brought import Tensor, has_unsigned_activations, input_of, output_of, with_shape
from segeval.graphs.session import open_session
from segeval.graphs.wrapping import wrapped
from segeval.metrics import Labels
from segeval_runner.described import Input, Output, answer_faults, label_maps, prepared

from .doubts import Predict, other_descriptions


def wrong_size(file: Path, image: Tensor, wanted: Sequence[int]) -> EngineError:
    """The error for a file that takes other images than the set has."""
    what = f"{file} takes {image}, and the images of the set are ({', '.join(map(str, wanted))})"
    height, width = image.shape[2:] if image.shape[1] == 3 else image.shape[1:3]
    return EngineError(what, f"correct input.layout, or craft the set with --size {height or 'H'}x{width or 'W'}")


def integers_of(model: ModelProto) -> Literal["", "uint8"]:
    """What ONNX Runtime must be told to multiply exactly; empty for a file that it cannot load so, or need not.

    int8 it leaves in the floating point of the file's own meaning.
    """
    if not has_unsigned_activations(model):
        return ""
    try:
        open_session(model, integers="uint8")
    except EngineError:
        return ""
    return "uint8"


class Tried:
    """A described file. Raises EngineError if it does not run, or does not take or give what is described."""

    def __init__(
        self,
        file: Path,
        model: ModelProto,
        wanted: Input,
        given: Output,
        size: tuple[int, int],
        batch: int,
        classes: int,
    ) -> None:
        self.image = input_of(model, file)
        self.answer = output_of(model, given.name, file)
        self.wanted, self.given, self.size = wanted, given, size
        batch = self.image.shape[0] or batch
        shape = (batch, 3, *size) if wanted.layout == "NCHW" else (batch, *size, 3)
        if any(found not in (0, needed) for found, needed in zip(self.image.shape, shape, strict=True)):
            raise wrong_size(file, self.image, shape)
        self.batch, self.file = batch, file
        self.model = with_shape(model, shape)
        try:
            self.integers = integers_of(self.model)
            self._session = open_session(self.model, integers=self.integers)
        except EngineError as error:
            raise EngineError(f"{file}: {error.what}", "check that it runs in ONNX Runtime without segeval") from error
        shape = self._run(np.zeros((batch, *size, 3), np.uint8), wanted).shape
        faults = answer_faults(shape, given, batch, size, classes)
        if faults:
            raise EngineError(f"{file}: its output does not fit its card: {faults}", "correct the card")
        self.answer = replace(self.answer, shape=shape)
        self.classes = classes

    def _run(self, images: NDArray[Any], wanted: Input) -> NDArray[Any]:
        """The answer to uint8 (N, H, W, 3) images."""
        try:
            found: NDArray[Any] = self._session.run(
                [self.answer.name], {self.image.name: prepared(images, wanted, self.image.dtype)}
            )[0]
        except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
            raise EngineError(f"{self.file}: ONNX Runtime fails on it: {error}") from error
        return found

    def predict(self, wanted: Input) -> Predict:
        """Labels of an image that is prepared so."""

        def predict(image: RgbImage) -> Labels:
            images = np.repeat(image[None], self.batch, axis=0)
            labels = label_maps(self._run(images, wanted), self.given, self.size)[0]
            return known_labels(labels, self.file, self.classes)

        return predict

    def others(self) -> Mapping[str, Predict]:
        """The same by every description that may have been meant."""
        return {name: self.predict(other) for name, other in other_descriptions(self.wanted).items()}

    def wrapped(self) -> ModelProto:
        """The file in nodes that make it keep the contract."""
        return wrapped(self.model, self.image, self.answer, self.wanted, self.given, self.size)


def known_labels(labels: NDArray[np.integer[Any]], file: Path, classes: int) -> Labels:
    """Label maps as uint8. Raises EngineError for a label that the network does not have."""
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        what = f"{file} gives labels from {labels.min()} to {labels.max()}; the network's are 0 to {classes - 1}"
        raise EngineError(what, "check that its labels are those of the network; output.classes gives their order")
    found: Labels = labels.astype(np.uint8)
    return found
