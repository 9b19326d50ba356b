"""`segeval score`: how well a network segments a dataset, in torch or as a deployed file."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, get_args

import numpy as np
import torch

from segeval.classes import class_difference, same_classes
from segeval.datasets import Dataset, Size, default_split, open_dataset
from segeval.datasets.checked import CheckedDataset
from segeval.errors import ConfigurationError, DataError
from segeval.files.engine_records import Calibration, CalibrationMethod
from segeval.files.images import RgbImage
from segeval.files.sets import ModelRecord, Resize
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel
from segeval.metrics import ConfusionMatrix, Labels
from segeval.models import Segmenter, load_model
from segeval.models.segmenter import resizing
from segeval.models.soundness import answer, worse_than_none
from segeval.places import dataset_root
from segeval.precision import QUANTIZED, Precision
from segeval.progress import Progress, silent

from .calibration_images import CalibrationImages, from_dataset
from .engine_files import at_precision, calibration_record, written_and_proved
from .variants import require_quantizable

Engine = Literal["torch", "fp32", "fp16", "int8", "int8-fp16"]
Outputs = Literal["all", "classes"]
Predict = Callable[[RgbImage], Labels]


@dataclass(frozen=True)
class ScoreConfig:
    """Everything that decides a score.

    Attributes:
        model: NAME or NAME=WEIGHTS.
        split: empty for the dataset's default.
        size: (height, width) images are brought to, None for the dataset's own.
        outputs: "classes" takes the argmax over the class table alone, without a network's background output.
        limit: score the first images only.
        calibration, calibration_images, seed: of the int8 file, whose calibration images are drawn from the dataset's
            train split as `segeval deploy` draws them.
        device: for torch.
        ignore: values of label files that never count, where the dataset lets one choose.
    """

    model: str
    dataset: str
    split: str = ""
    data_root: str | None = None
    size: Size | None = None
    engine: Engine = "torch"
    outputs: Outputs = "all"
    limit: int | None = None
    calibration: CalibrationMethod = "percentile"
    calibration_images: int = 32
    seed: int = 0
    device: str = "cpu"
    ignore: tuple[int, ...] = ()


@dataclass(frozen=True)
class ScoreRecord:
    """A score. Shares in 0..1 over all pixels of all images.

    Attributes:
        images: how many had ground truth and were scored.
        miou: over the classes that the ground truth has, `classes_in_truth` of them; pixels labelled IGNORE do not
            count.
        miou_ignored_as_errors: predictions on them are false positives, as ESPNet's authors count.
        class_average: mean recall of the classes.
        iou: per class, None for one that the ground truth does not have.
        calibration: of the int8 file.
        seconds: spent on inference alone.
        unlabelled: images without ground truth, not scored.
        left_out: images beside them that belong to other splits.
        doubt: what speaks against the score.
        notes: how the dataset's files are read, where they could be read otherwise.
        classes_only_predicted: classes that are predicted on labelled pixels although the ground truth has none of
            them.
    """

    config: ScoreConfig
    model: ModelRecord
    images: int
    miou: float
    miou_ignored_as_errors: float
    class_average: float
    pixel_accuracy: float
    iou: Mapping[str, float | None]
    calibration: Calibration | None
    seconds: float
    classes_in_truth: int
    classes_only_predicted: int
    unlabelled: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    doubt: str = ""
    notes: tuple[str, ...] = ()


def score(config: ScoreConfig, progress: Progress = silent) -> ScoreRecord:
    """Score a network on a split of a dataset.

    Raises ConfigurationError for options that do not go together, DataError if the dataset cannot be used or has no
    ground truth, UnknownNameError, WeightsError, EngineError.
    """
    check_options(config)
    config = replace(config, split=config.split or default_split(config.dataset))
    segmenter = load_model(config.model, config.device)
    data = open_part(config, config.split, config.size, resizing([segmenter.spec]))
    require_same_classes(segmenter, data, config.dataset)
    calibration = None
    if config.engine == "torch":
        count = len(data.table if config.outputs == "classes" else segmenter.spec.outputs)
        predict = torch_engine(segmenter, count)
    else:
        predict, calibration = deployed_engine(segmenter, config, config.engine, data, progress)
    matrix, images, unlabelled, seconds = measure(predict, data, config.limit or len(data), progress)
    miou, errors = matrix.mean_iou(), matrix.mean_iou(ignored_are_errors=True)
    average, accuracy = matrix.class_average(), matrix.pixel_accuracy()
    if miou is None or errors is None or average is None or accuracy is None:
        where = f"the images of {config.dataset}, split {config.split}"
        raise DataError(f"no labelled pixel in {where}", "choose a split with ground truth")
    per_class = zip(data.table.names, matrix.intersection_over_union().tolist(), strict=True)
    iou = {name: None if np.isnan(value) else value for name, value in per_class}
    return ScoreRecord(
        config=config,
        model=segmenter.record,
        images=images,
        miou=miou,
        miou_ignored_as_errors=errors,
        class_average=average,
        pixel_accuracy=accuracy,
        iou=iou,
        calibration=calibration,
        seconds=seconds,
        classes_in_truth=int(matrix.in_truth.sum()),
        classes_only_predicted=int(matrix.only_predicted.sum()),
        unlabelled=unlabelled,
        left_out=tuple(data.left_out),
        doubt=worse_than_none(segmenter.spec.name, matrix, data.table),
        notes=(*data.notes, *data.told_of(range(len(data))[: config.limit])),
    )


def measure(
    predict: Predict, data: Dataset, limit: int, progress: Progress
) -> tuple[ConfusionMatrix, int, tuple[str, ...], float]:
    """Pixel counts over the first `limit` images, how many had ground truth, which had none, seconds of inference."""
    matrix = ConfusionMatrix(len(data.table))
    images, seconds = 0, 0.0
    unlabelled: list[str] = []
    total = min(limit, len(data))
    for index in range(total):
        example = data[index]
        if example.labels is not None:
            started = time.perf_counter()
            prediction = predict(example.image)
            seconds += time.perf_counter() - started
            matrix.update(example.labels, prediction)
            images += 1
        else:
            unlabelled.append(example.id)
        progress("score", index + 1, total)
    return matrix, images, tuple(unlabelled), seconds


def check_options(config: ScoreConfig) -> None:
    """Raise ConfigurationError for values that do not exist or do not go together."""
    if config.engine not in get_args(Engine):
        raise ConfigurationError(f"no engine {config.engine!r}", f"engines are {', '.join(get_args(Engine))}")
    if config.outputs not in get_args(Outputs):
        raise ConfigurationError(f"no outputs {config.outputs!r}", f"choices are {', '.join(get_args(Outputs))}")
    if config.outputs == "classes" and config.engine != "torch":
        raise ConfigurationError(
            f"the argmax inside an {config.engine} file is over all outputs", "only torch can score the classes alone"
        )
    if (config.limit is not None and config.limit < 1) or config.calibration_images < 1:
        raise ConfigurationError("the limit and the number of calibration images must be at least 1")


def open_part(config: ScoreConfig, split: str, size: Size | None, resize: Resize) -> CheckedDataset:
    """A split of the dataset of `config`, resized as the authors of its network do."""
    return open_dataset(config.dataset, dataset_root(config.data_root), split, size, resize, ignore=config.ignore)


def require_same_classes(segmenter: Segmenter, data: Dataset, name: str) -> None:
    """Raise ConfigurationError unless network and dataset have the same classes in the same order."""
    own, other = segmenter.spec.table, data.table
    if not same_classes(own, other):
        message = f"{segmenter.spec.name} predicts the {len(own)} classes of {own.name}"
        hint = f"choose a dataset with the network's classes: {', '.join(own.names)}"
        raise ConfigurationError(
            f"{message}, {name} has the {len(other)} of {other.name}: {class_difference(own, other)}", hint
        )


def torch_engine(segmenter: Segmenter, outputs: int) -> Predict:
    """The network in torch, through the same normalization as the deployed files.

    Args:
        segmenter: the network.
        outputs: the argmax is taken over this many of the network's outputs, counted from the first.
    """
    # Denormal numbers slow these networks down several times on a CPU and change no label.
    torch.set_flush_denormal(True)

    @torch.no_grad()
    def predict(image: RgbImage) -> Labels:
        segmenter.require_size(image.shape[0], image.shape[1], "an image")
        labels: Labels = answer(segmenter, image, "an image")[0, :outputs].argmax(0).to("cpu", torch.uint8).numpy()
        return labels

    return predict


def deployed_engine(
    segmenter: Segmenter, config: ScoreConfig, precision: Precision, data: Dataset, progress: Progress
) -> tuple[Predict, Calibration | None]:
    """The network as `segeval deploy` would ship it, for the size of the first image, and its calibration."""
    first = data[0]
    height, width, _ = first.image.shape
    segmenter.require_size(height, width, f"image {first.id}")
    answer(segmenter, first.image, f"image {first.id}")  # NaN would go into the file, and its argmax is some class
    progress(f"export {precision}", 0, 1)
    images = calibration_images(config, (height, width), resizing([segmenter.spec])) if precision in QUANTIZED else None
    fp32 = export_fp32(segmenter.cpu(), height, width)
    spec = CalibrationSpec(config.calibration)
    if precision in QUANTIZED:
        require_quantizable(fp32, [spec], segmenter.spec.name)
    model = at_precision(fp32, precision, partial(to_int8, fp32, images or (), spec))
    with TemporaryDirectory(prefix="segeval-") as folder:
        model = written_and_proved(Path(folder), "model.onnx", model, precision, spec)
    calibration = calibration_record(images, spec) if images else None
    progress(f"export {precision}", 1, 1)
    deployed = DeployedModel(model)

    def predict(image: RgbImage) -> Labels:
        if image.shape != (height, width, 3):
            hint = f"bring all images to one size: {segmenter.spec.size_option(height, width)}"
            raise DataError(f"images differ in size: {image.shape[0]}x{image.shape[1]} after {height}x{width}", hint)
        return deployed.predict(image)

    return predict, calibration


def calibration_images(config: ScoreConfig, size: Size, resize: Resize) -> CalibrationImages:
    """Images of the train split at the size of the file. Raises DataError if the dataset has no such split."""
    try:
        train = open_part(config, "train", size, resize)
    except DataError as error:
        raise DataError(f"int8 needs a train split to be calibrated on: {error.what}", error.hint) from error
    return from_dataset(train, f"{config.dataset}, train split", config.calibration_images, config.seed)
