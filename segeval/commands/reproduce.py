"""``segeval reproduce``."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.options import (
    Allow,
    DataRoot,
    Device,
    Option,
    Quiet,
    Resume,
    Seed,
    Size,
    Workers,
    absolute_root,
    check_device,
    command,
    parse_size,
    worker_count,
)
from segeval.commands.text_tables import table
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError, counted
from segeval.places import neighbour

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segeval.files.experiments import ExperimentConfig
    from segeval.reproduce import Cost


class PartName(StrEnum):
    """A part of a reproduction."""

    TABLE1 = "table1"
    MAPS = "maps"
    BUDGETS = "budgets"


def reproduce(
    context: typer.Context,
    paper: Annotated[Literal["kang2020"], typer.Argument(metavar="PAPER", help="kang2020.")] = "kang2020",
    out: Annotated[Path | None, Option("--out", help="Folder for the reproduction.", show_default=False)] = None,
    dataset: Annotated[
        str | None, Option("--dataset", help="camvid, cityscapes, synthetic, or your own.", show_default=False)
    ] = None,
    origin: Annotated[
        Path | None, Option("--from", metavar="DIR", help="Repeat this reproduction with its recorded configuration.")
    ] = None,
    split: Annotated[str | None, Option("--split", help="Split of the dataset.", show_default="the paper's")] = None,
    data_root: DataRoot = None,
    size: Size = None,
    model: Annotated[
        list[str], Option("--model", metavar="NAME[=WEIGHTS]", help="Victim; repeatable. Default: two per dataset.")
    ] = [],
    task: Annotated[list[str], Option("--task", help="Attack task; repeatable. Default: the paper's three.")] = [],
    part: Annotated[
        list[PartName],
        Option("--part", help="Part to compute: Table 1 and its figures, gradient maps, matched budgets; repeatable."),
    ] = [PartName.TABLE1, PartName.MAPS, PartName.BUDGETS],
    limit: Annotated[int, Option("--limit", min=1, help="Number of images for Table 1, drawn with --seed.")] = 12,
    budget_limit: Annotated[
        int, Option("--budget-limit", min=1, help="Number of these used for budgets and maps.")
    ] = 4,
    steps: Annotated[int, Option("--steps", min=1, help="Updates per image.")] = 50,
    batch_size: Annotated[int, Option("--batch-size", min=1, help="Images attacked together, on a GPU.")] = 1,
    allow: Allow = [],
    device: Device = "cpu",
    seed: Seed = 0,
    workers: Workers = None,
    resume: Resume = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Print the plan and its cost, then stop.")] = False,
    quiet: Quiet = False,
) -> None:
    """Reproduce a paper on your data and compare the results.

    \b
    segeval reproduce kang2020 --dataset camvid --out runs/kang2020 --dry-run
    segeval reproduce kang2020 --dataset camvid --out runs/kang2020

    \b
    segeval reproduce --from runs/kang2020 --out runs/again
    """
    from segeval.files.experiments import ExperimentFolder
    from segeval.reproduce import Options, Reproduction, resolve

    if origin is not None:
        config = repeated(context, ExperimentFolder(origin).read().config)
        require_known(config, allow, str(origin))
        where = out or (origin if resume else None)
    elif dataset is not None:
        config = resolve(
            Options(
                dataset=dataset,
                split=split,
                data_root=absolute_root(data_root),
                size=parse_size(size),
                models=tuple(model),
                tasks=tuple(task),
                limit=limit,
                budget_limit=budget_limit,
                parts=tuple(each.value for each in part),
                steps=steps,
                batch_size=batch_size,
                seed=seed,
                device=device,
            )
        )
        where = out
    else:
        raise ConfigurationError("no dataset given", "give --dataset, or --from with an earlier reproduction")
    if where is None:
        raise ConfigurationError("no folder given for the reproduction", "give --out")
    check_device(config.device)
    reproduction = Reproduction(config, where, worker_count(workers, config.device))
    if dry_run or not quiet:
        show_plan(config, reproduction.cost())
    if dry_run:
        return
    with progress(quiet) as tick:
        reproduction.run(resume, tick)
    show_summary(where)
    say(f"report: {where / 'report' / 'report.html'}")
    if "table1" in config.parts:
        say(f"next: {command('deploy', reproduction.folder.set('table1'), '--out', neighbour(where, 'bundle'))}")


def require_known(config: "ExperimentConfig", allow: "Sequence[str]", where: str) -> None:
    """Raise ConfigurationError if a recorded reproduction names code that is not registered and not allowed."""
    from segeval.models.model_names import parse_model
    from segeval.registry import DATASETS, MODELS

    DATASETS.require_allowed(config.dataset, allow, where)
    for text in config.models:
        MODELS.require_allowed(parse_model(text).name, allow, where)


def repeated(context: typer.Context, config: "ExperimentConfig") -> "ExperimentConfig":
    """A recorded configuration on this machine: only where to compute and where the data lie may differ.

    Raises ConfigurationError if other options were given.
    """
    given = {
        name: context.params[name]
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }
    if others := sorted(
        given.keys() - {"origin", "out", "resume", "dry_run", "quiet", "device", "data_root", "workers", "allow"}
    ):
        names = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise ConfigurationError(
            f"--from uses the recorded configuration and excludes {names}", "leave out one of them"
        )
    if "device" in given:
        config = replace(config, device=given["device"])
    if "data_root" in given:
        config = replace(config, data_root=absolute_root(given["data_root"]))
    return config


def show_plan(config: "ExperimentConfig", cost: "Cost") -> None:
    """What is about to be computed, and how long it takes."""
    rows = [
        [
            name,
            str(plan.images),
            str(plan.samples_at_most),
            *(str(plan.gradients.get(model, 0)) for model in cost.seconds),
        ]
        for name, plan in cost.plans.items()
    ]
    headings = ["set", "images", "samples", *(f"gradients of {model}" for model in cost.seconds)]
    results.print(
        table(headings, rows, f"{config.paper} on {config.dataset} ({config.split}), {counted(config.steps, 'step')}")
    )
    each = ", ".join(f"{model} {1000 * seconds:.1f} ms" for model, seconds in cost.seconds.items())
    where = config.device if cost.workers == 1 else f"{cost.workers} processes on {config.device}"
    say(f"time per gradient: {each}; total about {cost.estimate / 60:.0f} min with {where}")


def show_summary(out: Path) -> None:
    """Table 1."""
    from segeval.files.experiments import ExperimentFolder
    from segeval.reproduce.kang2020 import summary_table

    results.print(summary_table(ExperimentFolder(out)))
