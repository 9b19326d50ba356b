"""``segeval audit``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.options import (
    USUAL_TASK,
    AsJson,
    AuditedName,
    DataRoot,
    Dataset,
    Device,
    Ignore,
    Option,
    Quiet,
    ScopeName,
    Seed,
    Size,
    Split,
    TaskName,
    check_device,
    command,
    parse_size,
    same_images,
)
from segeval.console import progress, results, say
from segeval.errors import GateMissedError, counted
from segeval.files.encoding import encode

if TYPE_CHECKING:
    from segeval.generate.auditing.audit import AuditPlan
    from segeval.generate.auditing.audit_records import AuditConfig, AuditRecord

STEPS = 20
"""Updates per image; with fewer a sign is inconclusive."""


def audit(
    dataset: Dataset,
    model: Annotated[
        list[str],
        Option(
            "--model",
            metavar="[LABEL=]NAME[=WEIGHTS]",
            help="Network to audit, a name from `segeval ls models` or a model card FILE.toml; repeatable.",
        ),
    ],
    attack: Annotated[
        str, Option("--attack", help="Attack to audit with, from `segeval ls attacks`; it must have a budget.")
    ] = "pgd",
    budget: Annotated[
        int, Option("--budget", min=1, max=255, help="L∞ budget in 8-bit levels; larger ones are tried too.")
    ] = 1,
    steps: Annotated[
        int, Option("--steps", min=4, help="Updates per image; the search without a gradient gets four times as many.")
    ] = STEPS,
    restarts: Annotated[int, Option("--restarts", min=0, help="Random starts to try too, each with all --steps.")] = 2,
    scope: Annotated[
        ScopeName, Option("--scope", help="Change only the pixels of the source classes, or the whole image.")
    ] = ScopeName.FULL,
    task: TaskName = USUAL_TASK,
    on: Annotated[
        list[AuditedName],
        Option("--on", help="What to audit: the network (fp32), or its deployed file (int8); repeatable."),
    ] = [AuditedName.FP32],
    bundle: Annotated[
        Path | None, Option("--bundle", help="Bundle with the deployed files for --on int8.", show_default=False)
    ] = None,
    engine: Annotated[
        list[str],
        Option(
            "--engine",
            metavar="PRECISION[-CALIBRATION]",
            help="File of the bundle, as in int8 or int8-entropy; several are attacked together.",
            show_default="int8",
        ),
    ] = [],
    split: Split = "",
    data_root: DataRoot = None,
    ignore: Ignore = [],
    limit: Annotated[int, Option("--limit", min=1, help="Number of images, spread over the split.")] = 4,
    size: Size = None,
    device: Device = "cpu",
    seed: Seed = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Check a network, or its int8 file, for gradient masking.

    An attack may fail only because the gradient misleads it. Exit code 1: a check shows a sign of that.

    \b
    segeval audit --dataset camvid --model espnet-camvid --limit 2

    \b
    segeval audit --dataset camvid --model espnet-camvid --on fp32 --on int8 --bundle runs/bundle --attack apgd
    """
    check_device(device)
    from segeval.api import crafting_config
    from segeval.generate.auditing.audit import Audit
    from segeval.generate.auditing.audit_records import AuditConfig

    craft = crafting_config(
        dataset,
        model,
        (attack,),
        scopes=(scope.value,),
        tasks=(task,),
        split=split,
        data_root=data_root,
        ignore=ignore,
        limit=limit,
        size=parse_size(size),
        steps=steps,
        seed=seed,
        device=device,
        on=tuple(dict.fromkeys(each.value for each in on)),
        bundle=bundle,
        engines=engine,
    )
    config = AuditConfig(craft, budget, restarts)
    auditor = Audit(config)
    if not quiet:
        show_plan(auditor.plan(), config)
        for note in auditor.setup.notes:
            say(note)
    with progress(quiet) as tick:
        record = auditor.run(tick, say)
    show_record(record, as_json)
    judge(record)


def show_plan(plan: "AuditPlan", config: "AuditConfig") -> None:
    """What is about to be computed."""
    within, images = counted(config.budget, "level"), counted(plan.images, "image")
    say(
        f"{config.attack} within {within} on {', '.join(plan.subjects)}, up to {images} of {config.craft.dataset}: "
        f"{counted(plan.gradients, 'gradient')} and {plan.queries} queries in all"
    )


def show_record(record: "AuditRecord", as_json: bool) -> None:
    """Every check, as a table per network or as JSON."""
    from segeval.commands.text_tables import audit_table

    if as_json:
        typer.echo(encode(record, indent=2))
        return
    for network in record.networks:
        results.print(audit_table(record.config, network))


def judge(record: "AuditRecord") -> None:
    """Say in a sentence what was found, and what comes next. Raises GateMissedError if there is a sign."""
    config = record.config
    names = " and ".join(each.network for each in record.networks)
    if record.signs:
        lines = "".join(f"\n  {each.network}: {sign.told}" for each in record.networks for sign in each.signs)
        few = config.craft.steps < STEPS
        but = f"; inconclusive with so few steps, {config.craft.steps} of the usual {STEPS}" if few else ""
        verb = "misleads" if len(record.networks) == 1 else "mislead"
        raise GateMissedError(
            f"{counted(record.signs, 'sign')} that {names} {verb} {config.attack}, or that it needs more steps{but}"
            f"{lines}",
            "try more --steps, then another --attack; if signs stay, attack it without what masks the gradient",
        )
    say(f"no sign that the gradient of {names} hides anything from {config.attack}")
    craft = config.craft
    words = [word for each in craft.models for word in ("--model", each)]
    size = "x".join(map(str, craft.size)) if craft.size else None
    where = same_images(craft.data_root, craft.ignore, size)
    of = ("--dataset", craft.dataset, *where, *words, "--task", *craft.tasks, "--attack", config.attack)
    say(f"next: {command('craft', '--out', 'runs/set', *of, '--set', f'{config.attack}.budget={config.budget}')}")
