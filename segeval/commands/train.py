"""``segeval train``."""

from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.options import (
    DataRoot,
    Dataset,
    Device,
    FirstImages,
    Ignore,
    Option,
    Out,
    Quiet,
    Resume,
    Seed,
    Size,
    absolute_root,
    check_device,
    command,
    parse_size,
    same_images,
)
from segeval.console import progress, say

if TYPE_CHECKING:
    from segeval.generate.training.train import EpochReport


def train(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name from `segeval ls models`.")],
    out: Out,
    dataset: Dataset,
    data_root: DataRoot = None,
    ignore: Ignore = [],
    split: Annotated[str, Option("--split", help="Split to train on.")] = "train",
    validation: Annotated[str, Option("--validation", help="Split to validate on.")] = "val",
    size: Size = None,
    limit: FirstImages = None,
    epochs: Annotated[int, Option("--epochs", min=1, help="Number of epochs.")] = 30,
    batch_size: Annotated[int, Option("--batch-size", min=2, help="Images per step.")] = 8,
    crop: Annotated[
        str | None, Option("--crop", metavar="HxW", help="Training crop, height x width.", show_default="256x512")
    ] = None,
    zoom: Annotated[tuple[float, float], Option("--zoom", help="Range of the random zoom.")] = (
        0.75,
        1.5,
    ),
    colour: Annotated[float, Option("--colour", help="Largest change of brightness, contrast, saturation.")] = 0.3,
    loss_stride: Annotated[
        int, Option("--loss-stride", min=1, help="Compute the loss at 1/N of the resolution, which is faster.")
    ] = 1,
    rate: Annotated[float, Option("--rate", min=0, help="Peak learning rate.")] = 2e-3,
    class_weights: Annotated[
        bool, Option("--class-weights/--no-class-weights", help="Give rare classes more weight.")
    ] = True,
    initial: Annotated[
        str, Option("--initial", metavar="WEIGHTS|NAME[=WEIGHTS]", help="Start from a file, or from another network.")
    ] = "",
    teacher: Annotated[
        str,
        Option(
            "--teacher",
            metavar="NAME[=WEIGHTS]",
            help="Also learn the class probabilities of this network (distillation).",
        ),
    ] = "",
    distillation: Annotated[float, Option("--distillation", min=0, help="Weight of the distillation loss.")] = 1.0,
    lovasz: Annotated[float, Option("--lovasz", min=0, help="Weight of the Lovász-softmax loss.")] = 0.0,
    hold_out: Annotated[
        str,
        Option(
            "--hold-out",
            metavar="PREFIX",
            help="Validate on the training images whose names begin with this.",
        ),
    ] = "",
    validate_every: Annotated[int, Option("--validate-every", min=1, help="Epochs between validations.")] = 1,
    seed: Seed = 0,
    device: Device = "cpu",
    resume: Resume = False,
    quiet: Quiet = False,
) -> None:
    """Train a network. Averaged weights are saved as safetensors after every epoch.

    \b
    segeval train fast-scnn-synthetic --out runs/fast --dataset synthetic --epochs 9 --batch-size 4 --zoom 1 1
    """
    check_device(device)
    from segeval.generate.training.config import TrainConfig
    from segeval.generate.training.train import train as run

    config = TrainConfig(
        model=model,
        dataset=dataset,
        data_root=absolute_root(data_root),
        ignore=tuple(ignore),
        train_split=split,
        validation_split=validation,
        size=parse_size(size),
        limit=limit,
        epochs=epochs,
        batch_size=batch_size,
        crop=parse_size(crop) or (256, 512),
        scale=zoom,
        colour=colour,
        loss_stride=loss_stride,
        rate=rate,
        class_weights=class_weights,
        initial=initial,
        teacher=teacher,
        distillation=distillation,
        lovasz=lovasz,
        hold_out=hold_out,
        validate_every=validate_every,
        seed=seed,
        device=device,
    )
    with progress(quiet) as tick:
        weights = run(config, out, resume, tick, show_epoch)
    say(f"weights: {weights}")
    images = same_images(data_root, ignore, size)
    say(f"next: {command('score', f'{model}={weights}', '--dataset', dataset, *images)}")


def show_epoch(report: "EpochReport") -> None:
    """One line per epoch."""
    miou = "" if report.miou is None else f", validation mIoU {report.miou:.4f}"
    typer.echo(f"epoch {report.epoch}/{report.epochs}: loss {report.loss:.4f}{miou}")
