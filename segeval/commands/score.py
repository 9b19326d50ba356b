"""``segeval score``."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.options import (
    AsJson,
    DataRoot,
    Dataset,
    Device,
    FirstImages,
    Ignore,
    Option,
    Quiet,
    Seed,
    Size,
    Split,
    absolute_root,
    check_device,
    parse_size,
)
from segeval.commands.text_tables import number, table
from segeval.console import progress, results, say
from segeval.errors import counted, some
from segeval.files.encoding import encode

if TYPE_CHECKING:
    from segeval.deploy.score import ScoreRecord


def score(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="NAME or NAME=WEIGHTS.")],
    dataset: Dataset,
    split: Split = "",
    data_root: DataRoot = None,
    ignore: Ignore = [],
    engine: Annotated[
        Literal["torch", "fp32", "fp16", "int8", "int8-fp16"],
        Option("--engine", help="PyTorch, or a deployed file on ONNX Runtime."),
    ] = "torch",
    outputs: Annotated[
        Literal["all", "classes"],
        Option("--outputs", help="Take the argmax over all outputs, or leave out the network's background output."),
    ] = "all",
    limit: FirstImages = None,
    size: Size = None,
    calibration: Annotated[
        Literal["percentile", "minmax", "entropy"], Option("--calibration", help="How to choose int8 ranges.")
    ] = "percentile",
    calibration_images: Annotated[
        int, Option("--calibration-images", min=1, help="Number of calibration images for int8.")
    ] = 32,
    seed: Seed = 0,
    device: Device = "cpu",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure a network's mIoU on clean images.

    \b
    segeval score espnet-camvid --dataset camvid --split test --engine int8
    """
    check_device(device)
    from segeval.deploy.score import ScoreConfig
    from segeval.deploy.score import score as measure

    config = ScoreConfig(
        model=model,
        dataset=dataset,
        split=split,
        data_root=absolute_root(data_root),
        ignore=tuple(ignore),
        size=parse_size(size),
        engine=engine,
        outputs=outputs,
        limit=limit,
        calibration=calibration,
        calibration_images=calibration_images,
        seed=seed,
        device=device,
    )
    with progress(quiet) as tick:
        record = measure(config, tick)
    if as_json:
        typer.echo(encode(record, indent=2))
    else:
        show(record)


def show(record: "ScoreRecord") -> None:
    """Print the scores as a table, then what is odd about the images or the scores."""
    config = record.config
    rows = [
        ("mIoU, unlabelled pixels ignored", number(100 * record.miou, 2)),
        ("mIoU, unlabelled pixels count as errors", number(100 * record.miou_ignored_as_errors, 2)),
        ("class average", number(100 * record.class_average, 2)),
        ("pixel accuracy", number(100 * record.pixel_accuracy, 2)),
        ("classes in the ground truth", str(record.classes_in_truth)),
        ("classes predicted, not in the ground truth", str(record.classes_only_predicted)),
        *((f"IoU {name}", number(None if value is None else 100 * value, 2)) for name, value in record.iou.items()),
    ]
    title = f"{config.model} on {config.dataset} {config.split}, {config.engine}, {counted(record.images, 'image')}"
    results.print(table(("score", "%"), rows, title))
    for note in record.notes:
        say(note)
    if record.unlabelled:
        say(f"not scored, because they have no ground truth: {some(record.unlabelled)}")
    if record.left_out:
        say(f"not scored, because they belong to other splits: {some(record.left_out)}")
    if record.doubt:
        say(f"warning: {record.doubt}")
