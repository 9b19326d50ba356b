"""``segeval craft``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segeval.commands.files_attacked import files_again, say_what_else_could_be_attacked
from segeval.commands.options import (
    USUAL_TASK,
    AsJson,
    DataRoot,
    Dataset,
    Device,
    Ignore,
    OnName,
    Option,
    Out,
    Quiet,
    Resume,
    ScopeName,
    Seed,
    Size,
    Split,
    VictimsName,
    Workers,
    check_device,
    command,
    parse_size,
    worker_count,
)
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError, counted, some
from segeval.files.sets import AdversarialSample, AdversarialSet, CraftConfig
from segeval.places import neighbour
from segeval.registry import attacks_of

if TYPE_CHECKING:
    from segeval.generate.crafting.craft import Crafter
    from segeval.generate.crafting.setup import CraftPlan


def craft(
    out: Out,
    dataset: Dataset,
    model: Annotated[
        list[str],
        Option(
            "--model",
            metavar="[LABEL=]NAME[=WEIGHTS]",
            help="Network to attack: a name from `segeval ls models`, or a model card FILE.toml. Repeatable; see "
            "--victims.",
        ),
    ],
    attack: Annotated[
        list[str],
        Option(
            "--attack",
            help="An attack from `segeval ls attacks`, or a suite: quick, standard or full (`segeval ls suites`); "
            "repeatable.",
        ),
    ] = ["standard"],
    scope: Annotated[
        list[ScopeName],
        Option(
            "--scope", help="Which pixels may change: those of the source classes (local) or all (full); repeatable."
        ),
    ] = [ScopeName.LOCAL, ScopeName.FULL],
    task: Annotated[
        list[str],
        Option(
            "--task",
            help="A name from `segeval ls tasks`, or SOURCE[,SOURCE…]:TARGET. * as target means any other class, "
            "* as source means every class. Repeatable.",
        ),
    ] = [USUAL_TASK],
    preset: Annotated[
        list[str], Option("--preset", help="Parameters: `default` works best, `paper` is as published. Repeatable.")
    ] = ["default"],
    setting: Annotated[
        list[str],
        Option("--set", metavar="KEY=VALUE", help="Set an attack parameter, for example fgsm.budget=4; repeatable."),
    ] = [],
    on: Annotated[
        list[OnName],
        Option(
            "--on",
            help="What to attack: the network (fp32), its deployed file (int8), both, or the deployed file while the "
            "network's output stays as it was (evasive). Repeatable.",
        ),
    ] = [OnName.FP32],
    bundle: Annotated[
        Path | None, Option("--bundle", help="Bundle with the deployed files for --on.", show_default=False)
    ] = None,
    engine: Annotated[
        list[str],
        Option(
            "--engine",
            metavar="PRECISION[-CALIBRATION]",
            help="File of the bundle to attack with --on, for example int8 or int8-entropy, or the name of your own "
            "file. Several are attacked together.",
            show_default="int8",
        ),
    ] = [],
    forward: Annotated[
        Literal["graph", "onnxruntime", "openvino", "tensorrt"],
        Option("--forward", help="What computes a deployed file's logits; gradients always come from the graph."),
    ] = "graph",
    robust_to: Annotated[
        list[str],
        Option(
            "--robust-to",
            metavar="KIND:SETTING",
            help="Also craft every attack to survive this corruption, for example jpeg:75, blur:1.5, resize:0.5, "
            "gamma:2.2, bits:5. Repeat it for attacks that survive several.",
        ),
    ] = [],
    victims: Annotated[
        list[VictimsName],
        Option("--victims", help="Attack each model separately, or all with one perturbation (joint); repeatable."),
    ] = [VictimsName.EACH],
    transfer: Annotated[
        bool, Option("--transfer", help="Run every adversarial image through all models, not only its victims.")
    ] = False,
    within: Annotated[
        list[float],
        Option(
            "--within", min=0, help="Also save the best iterate within this mean change, in 8-bit levels; repeatable."
        ),
    ] = [],
    match: Annotated[
        list[str],
        Option("--match", metavar="ATTACK=REFERENCE", help="Limit ATTACK to the mean change of REFERENCE; repeatable."),
    ] = [],
    image: Annotated[list[str], Option("--image", metavar="ID", help="Attack only this image; repeatable.")] = [],
    steps: Annotated[int, Option("--steps", min=1, help="Updates per image.")] = 50,
    keep: Annotated[
        Literal["best", "last"] | None,
        Option("--keep", help="Iterate to save.", show_default="best; last with --preset paper"),
    ] = None,
    stop_at: Annotated[float | None, Option("--stop-at", min=0, max=1, help="Stop an image at this success.")] = None,
    split: Split = "",
    data_root: DataRoot = None,
    ignore: Ignore = [],
    limit: Annotated[int | None, Option("--limit", min=1, help="Number of images, spread over the split.")] = None,
    size: Size = None,
    batch_size: Annotated[int, Option("--batch-size", min=1, help="Images attacked together.")] = 1,
    device: Device = "cpu",
    seed: Seed = 0,
    workers: Workers = None,
    resume: Resume = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Craft adversarial images and save them as 8-bit PNG. All figures are measured on the saved files.

    \b
    segeval craft --out runs/set --dataset camvid --model espnet-camvid --limit 20

    \b
    segeval craft --out runs/set --dataset folder --data-root pictures \\
        --model espnet-cityscapes=my.pth --attack fgsm --set budget=4 --task car,truck:road

    \b
    segeval craft --out runs/adaptive --dataset camvid --model espnet-camvid --limit 20 \\
        --on fp32 --on int8 --on evasive --bundle runs/bundle

    \b
    segeval craft --out runs/joint --dataset cityscapes --split all --transfer --victims each --victims joint \\
        --model espnet-cityscapes --model espnetv2-cityscapes

    \b
    torchrun --nproc-per-node 8 -m segeval craft --device cuda --out runs/set --dataset cityscapes --resume \\
        --model espnet-cityscapes
    """
    from segeval.api import crafting_config
    from segeval.generate.crafting.craft import Crafter
    from segeval.generate.group import joined

    group = joined()
    if workers is not None and group.size > 1:
        raise ConfigurationError("torchrun and --workers both start processes", "leave out --workers")
    check_device(device)

    config = crafting_config(
        dataset,
        model,
        attacks_of(attack),
        scopes=tuple(each.value for each in scope),
        presets=preset,
        tasks=task,
        settings=setting,
        victims=tuple(each.value for each in victims),
        transfer=transfer,
        within=within,
        match=match,
        ids=image,
        split=split,
        data_root=data_root,
        ignore=ignore,
        limit=limit,
        size=parse_size(size),
        steps=steps,
        keep=keep,
        stop_at=stop_at,
        batch_size=batch_size,
        seed=seed,
        device=device,
        on=tuple(each.value for each in on),
        bundle=bundle,
        engines=engine,
        forward=forward,
        robust_to=robust_to,
    )
    crafter = Crafter(config, out, group=group)
    if not quiet:
        announce(crafter, bundle)
    with progress(quiet) as tick:
        manifest = crafter.run(resume, tick, worker_count(workers, device), say)
    if not group.leads:
        return
    if as_json:
        typer.echo((out / "set.json").read_bytes(), nl=False)
    else:
        show_summary(out)
    if manifest.skipped:
        say(f"{len(manifest.skipped)} of the image × task × victim combinations have no source pixel and were skipped")
    say_how_to_deploy(out, manifest)


def announce(crafter: "Crafter", bundle: Path | None) -> None:
    """Say what is about to be computed, and what of the images and the bundle is left out."""
    setup = crafter.setup
    show_plan(setup.plan(), setup.config)
    for note in setup.notes:
        say(note)
    say_what_else_could_be_attacked(bundle, setup.config.engines)
    if setup.left_out:
        say(f"skipped, because they belong to other splits: {some(setup.left_out)}")


def say_how_to_deploy(out: Path, manifest: AdversarialSet) -> None:
    """Print the command that deploys a set with the files, corruptions and code that it needs."""
    own = [word for name in code_of(manifest) for word in ("--allow", name)]
    expected = [word for corruption in manifest.config.robust_to for word in ("--corruption", corruption)]
    same = (*expected, *files_again(manifest), *own)
    say(f"next: {command('deploy', out, '--out', neighbour(out, 'bundle'), *same)}")


def code_of(manifest: AdversarialSet) -> list[str]:
    """Unregistered code that a set names, which `segeval deploy` imports only with --allow."""
    from segeval.registry import DATASETS, MODELS

    cards = [code for model in manifest.models if model.card is not None for code in model.card.codes]
    plain = [model.source for model in manifest.models if model.card is None]
    models = [*cards, *(source for source in plain if source not in MODELS.places())]
    dataset = manifest.config.dataset
    return list(dict.fromkeys([*models, *([] if dataset in DATASETS.places() else [dataset])]))


def show_plan(plan: "CraftPlan", config: CraftConfig) -> None:
    """What is about to be computed."""
    say(
        f"{counted(plan.images, 'image')} of {config.dataset}: up to "
        f"{counted(plan.samples_at_most, 'adversarial image')} of {counted(config.steps, 'step')}, "
        f"{counted(plan.gradients_at_most, 'gradient')} in all"
    )


def show_summary(out: Path) -> None:
    """One row per victim, attack and task: means over images."""
    from segeval.commands.failed_attacks import failures
    from segeval.commands.text_tables import crafted_tables
    from segeval.files.set_folder import SetFolder

    for table in crafted_tables(SetFolder(out).samples()):
        results.print(table)
    manifest = SetFolder(out).manifest()
    for failure in failures(SetFolder(out).samples(), manifest.attacks):
        say(failure)
    if manifest.deployed:
        say("success is that on the float network, for attacks made on files too: segeval evaluate judges files")
    samples = list(map(unmoved, SetFolder(out).samples()))
    if any(samples):
        say(
            f"{sum(samples)} of {len(samples)} attacks never changed their image: the gradient is zero in float32. "
            "Their failure says nothing about robustness."
        )


def unmoved(sample: AdversarialSample) -> bool:
    """Whether an attack took steps and none changed its image."""
    return len(sample.curve) > 1 and len({step.mean for step in sample.curve}) == 1
