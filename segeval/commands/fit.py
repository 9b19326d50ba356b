"""``segeval fit``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.options import (
    USUAL_TASK,
    DataRoot,
    Dataset,
    Device,
    Ignore,
    OnName,
    Option,
    Out,
    Quiet,
    Seed,
    Size,
    TaskName,
    check_device,
    command,
    parse_size,
    same_images,
)
from segeval.console import progress, say
from segeval.errors import DataError, counted
from segeval.places import neighbour

if TYPE_CHECKING:
    from segeval.generate.crafting.setup import Setup

FEW = 3
"""Images that the next command names where it cannot name a split."""


def fit(
    kind: Annotated[
        Literal["universal", "patch"],
        typer.Argument(metavar="universal|patch", help="A change of the whole image, or a picture placed in it."),
    ],
    out: Out,
    dataset: Dataset,
    model: Annotated[
        list[str],
        Option(
            "--model", metavar="[LABEL=]NAME[=WEIGHTS]", help="Network to fool; repeat it to fool several together."
        ),
    ],
    task: TaskName = USUAL_TASK,
    setting: Annotated[
        list[str],
        Option("--set", metavar="KEY=VALUE", help="Change a parameter, as in budget=4 or side=0.3; repeatable."),
    ] = [],
    split: Annotated[str, Option("--split", help="Split to fit on; score it on another one.")] = "train",
    data_root: DataRoot = None,
    ignore: Ignore = [],
    limit: Annotated[int, Option("--limit", min=1, help="Number of images, spread over the split.")] = 32,
    size: Size = None,
    steps: Annotated[int, Option("--steps", min=1, help="Updates of the pattern.")] = 200,
    batch_size: Annotated[int, Option("--batch-size", min=1, help="Images per update.")] = 4,
    on: Annotated[
        Literal["fp32", "int8", "both"], Option("--on", help="The network, its deployed file, or both.")
    ] = "fp32",
    bundle: Annotated[
        Path | None, Option("--bundle", help="Bundle with the deployed file for --on.", show_default=False)
    ] = None,
    print_cm: Annotated[float, Option("--print-cm", min=1, help="Side of a printed patch in cm.")] = 60.0,
    device: Device = "cpu",
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Fit one perturbation, or one patch, for many images. `segeval craft` scores it on unseen images.

    \b
    segeval fit universal --out runs/universal --dataset camvid --model espnet-camvid --set budget=8
    segeval craft --out runs/set --dataset camvid --model espnet-camvid --scope full --attack runs/universal

    \b
    segeval fit patch --out runs/patch --dataset camvid --model fast-scnn-camvid --task untargeted \\
        --set side=0.3 --set region=road,sidewalk

    \b
    torchrun --nproc-per-node 8 -m segeval fit universal --device cuda --batch-size 8 --out runs/universal \\
        --dataset cityscapes --model espnet-cityscapes
    """
    from segeval.api import crafting_config
    from segeval.generate.group import joined
    from segeval.generate.patterns.fitting import Fitting

    group = joined()
    check_device(device)

    config = crafting_config(
        dataset,
        model,
        (),
        scopes=("full",),
        tasks=(task,),
        victims=("joint",),
        split=split,
        data_root=data_root,
        ignore=ignore,
        limit=limit,
        size=parse_size(size),
        steps=steps,
        batch_size=batch_size,
        seed=seed,
        device=device,
        on=(OnName(on).value,),
        bundle=bundle,
    )
    fitting = Fitting(config, kind, tuple(setting), group)
    if not quiet:
        passes = steps * batch_size * len(fitting.setup.models)
        chosen, updates = counted(len(fitting.setup.chosen), "image"), counted(steps, "update")
        say(f"{chosen} of {dataset} ({split}): {updates}, {counted(passes, 'gradient')}")
        for note in fitting.setup.notes:
            say(note)
    with progress(quiet) as tick:
        record = fitting.run(out, print_cm, tick, say)
    control = "without it" if kind == "universal" else "of a grey patch at the same places"
    say(
        f"success on the {counted(len(record.images), 'image')} it was fitted on: {record.success:.3f}, {control} "
        f"{record.blank:.3f}"
    )
    words = [word for name in model for word in ("--model", name)]
    asked = ("--dataset", dataset, *words, "--scope", "full", "--task", task, "--attack", out)
    images = unseen(fitting.setup, record.images)
    say_how_to_score(neighbour(out, "set"), images, (*asked, *same_images(data_root, ignore, size)))


def say_how_to_score(out: Path, images: Sequence[str] | None, asked: Sequence[object]) -> None:
    """Print the command that scores a pattern.

    Args:
        out: where the scored images go.
        images: as of `unseen`.
        asked: the other options of the command.
    """
    if images == []:
        say("score it with `segeval craft` on images that it was not fitted on: there are no others here")
        return
    these = [word for image in images or () for word in ("--image", image)]
    say(f"next: {command('craft', '--out', out, *asked, *these)}")


def unseen(setup: "Setup", used: Sequence[str]) -> list[str] | None:
    """Images to score a pattern on: None for the whole default split, a few where it shares images with the fitted one.

    Args:
        setup: what the pattern was fitted with.
        used: ids of the images it was fitted on.
    """
    from segeval.datasets import default_split

    try:
        scored = setup.opened(setup.dataset.table, default_split(setup.config.dataset)).ids
    except DataError:  # there is no such split
        return []
    if not set(scored) & set(used):
        return None
    return [image for image in scored if image not in set(used)][:FEW]
