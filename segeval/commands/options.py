"""Options that several commands share."""

import re
import shlex
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from segeval.errors import ConfigurationError
from segeval.places import dataset_root

if TYPE_CHECKING:
    from segeval.precision import Precision

Option = partial(typer.Option, show_envvar=False)
"""An option whose help does not repeat the rule that SEGEVAL_COMMAND_OPTION sets it too."""

USUAL_TASK = "vehicle-to-road"
"""The task of those who name none."""

SetArgument = Annotated[Path, typer.Argument(metavar="SET", help="A set made by segeval craft.")]
BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle made by segeval deploy.")]
Out = Annotated[Path, Option("--out", help="Folder for the results.", show_default=False)]
Quiet = Annotated[bool, Option("--quiet", help="Print only results and errors.")]
AsJson = Annotated[bool, Option("--json", help="Print the result as JSON on stdout.")]
Seed = Annotated[int, Option("--seed", min=0, help="Seed of all random numbers.")]
Device = Annotated[str, Option("--device", help="PyTorch device: cpu, cuda, cuda:1 …")]
Resume = Annotated[bool, Option("--resume", help="Continue an interrupted run in --out.")]
Workers = Annotated[
    int | None,
    Option(
        "--workers",
        min=1,
        help="Number of processes; results on the CPU do not depend on it.",
        show_default="one per core, 1 on a GPU",
    ),
]
CountingWorkers = Annotated[
    int | None,
    Option(
        "--workers",
        min=1,
        help="Number of processes; the report does not depend on it.",
        show_default="one per core, 1 for a small set",
    ),
]
DataRoot = Annotated[
    Path | None, Option("--data-root", help="Folder of the dataset.", show_default="its default folder")
]
Ignore = Annotated[
    list[int],
    Option(
        "--ignore",
        metavar="VALUE",
        help="Mask value to ignore, for --dataset folder; repeatable.",
        show_default="255, or as classes.toml says",
    ),
]
Dataset = Annotated[str, Option("--dataset", help="A name from `segeval ls datasets`.", show_default=False)]
Split = Annotated[str, Option("--split", help="Split of the dataset.", show_default="val of cityscapes, else test")]
Size = Annotated[
    str | None, Option("--size", metavar="HxW", help="Resize images to this height x width.", show_default="as is")
]
Allow = Annotated[
    list[str],
    Option(
        "--allow",
        metavar="MODULE:ATTRIBUTE",
        help="Allow importing your own network or dataset that the files name; repeatable.",
    ),
]


FirstImages = Annotated[int | None, Option("--limit", min=1, help="Use only the first images.")]
Backend = Annotated[str, Option("--backend", help="Inference engine.", show_default="the one of the bundle's target")]
Engines = Annotated[list[str], Option("--engine", help="Run only this engine, MODEL.PRECISION; repeatable.")]
Gates = Annotated[
    list[str],
    Option("--gate", metavar="[ATTACK:]EXPRESSION", help="Exit with 1 if this condition fails; repeatable."),
]
TaskName = Annotated[str, Option("--task", help="A name from `segeval ls tasks`, or SOURCE[,SOURCE…]:TARGET.")]
Threads = Annotated[int, Option("--threads", min=0, help="CPU threads; 0 means one per core.")]
Prebuilt = Annotated[
    bool, Option("--prebuilt", help="Run the built engines in the bundle. They are native code: trust their maker.")
]


class ScopeName(StrEnum):
    """Where an attack may change the image."""

    LOCAL = "local"
    FULL = "full"


class OnName(StrEnum):
    """What an attack is made on."""

    FP32 = "fp32"
    INT8 = "int8"
    BOTH = "both"
    EVASIVE = "evasive"


class AuditedName(StrEnum):
    """What is audited."""

    FP32 = "fp32"
    INT8 = "int8"


class VictimsName(StrEnum):
    """Who is attacked by one perturbation."""

    EACH = "each"
    JOINT = "joint"


class ScenarioName(StrEnum):
    """What is measured: one call after the other, the same counted in images, or with a call ahead."""

    LATENCY = "latency"
    OFFLINE = "offline"
    THROUGHPUT = "throughput"


def parse_precisions(texts: Sequence[str]) -> "list[Precision]":
    """``fp32,int8``, and repeated, as precisions. Raises ConfigurationError for one that does not exist."""
    from segeval.precision import Precision

    known = get_args(Precision)
    names = [name.strip() for text in texts for name in text.split(",")]
    for name in names:
        if name not in known:
            raise ConfigurationError(f"unknown precision {name!r}", f"--precision takes {', '.join(known)}")
    return [cast("Precision", name) for name in names]


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``512x1024`` as (height, width). Raises ConfigurationError."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        hint = "write height x width in pixels; `segeval ls models` lists the size that each network was made for"
        raise ConfigurationError(f"--size {text!r} is not HEIGHTxWIDTH", hint)
    return int(match[1]), int(match[2])


def absolute_root(folder: Path | None) -> str | None:
    """--data-root as a record keeps it: it still names the same folder when read from another one."""
    root = dataset_root(str(folder) if folder else None)
    return str(root) if root else None


def same_images(data_root: Path | str | None, ignore: Sequence[int], size: str | None) -> list[object]:
    """The options that say which images the next command reads, as they are typed."""
    return [
        *(() if data_root is None else ("--data-root", data_root)),
        *(word for value in ignore for word in ("--ignore", value)),
        *(() if size is None else ("--size", size)),
    ]


def check_device(device: str) -> None:
    """Raise ConfigurationError if PyTorch cannot compute on this device."""
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"--device {device}: {reason}", "`segeval doctor` lists what works here") from error


def worker_count(workers: int | None, device: str) -> int:
    """The number of crafting processes: as requested, else one per core, or one on a GPU."""
    from segeval.generate.numerics import is_cpu
    from segeval_runner.environment import usable_cores

    return workers or (usable_cores() if is_cpu(device) else 1)


def command(*words: object) -> str:
    """The command line a person would type next; it can be pasted into a shell."""
    return shlex.join(["segeval", *map(str, words)])
