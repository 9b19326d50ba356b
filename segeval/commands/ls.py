"""``segeval ls``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from segeval.classes import ANY, TASKS, ClassTable, tasks_of
from segeval.commands.options import AsJson, DataRoot, Option, Split
from segeval.commands.text_tables import table
from segeval.console import results, say
from segeval.errors import ConfigurationError
from segeval.fetching.sources import source_of
from segeval.files.encoding import encode
from segeval.places import dataset_root, places_of
from segeval.registry import ATTACKS, DATASETS, MODELS, TARGETS, suites

Row = tuple[str, ...]
Kind = Literal["models", "datasets", "attacks", "suites", "tasks", "targets"]


def first_line(thing: object) -> str:
    """The first sentence of a docstring."""
    return (thing.__doc__ or "").strip().split("\n")[0]


def model_rows() -> tuple[Row, list[Row]]:
    """Registered networks, and whether their weights are at hand."""
    from segeval.models.loading import load_spec, weights_status

    rows: list[Row] = []
    for name in MODELS:
        spec = load_spec(name)
        reported = ", ".join(f"{key} {value}" for key, value in spec.reported.items())
        outputs = f"{spec.table.name} ({len(spec.outputs)})"
        size = "{}x{}".format(*spec.size)
        rows.append((name, outputs, size, weights_status(spec), spec.licence, reported, spec.paper))
    return ("model", "classes (outputs)", "made for", "weights", "licence", "scores", "paper"), rows


def attack_rows() -> tuple[Row, list[Row]]:
    """Registered attacks. All take every goal, both scopes, and one gradient (or query) per step of every network."""
    from segeval.generate.attacks.specs import parameters

    rows: list[Row] = []
    for name in ATTACKS:
        attack = ATTACKS.load(name)
        presets = sorted({"default", *(preset for preset, _ in attack.presets)})
        settings = ", ".join(parameters(name))
        rows.append(
            (
                name,
                getattr(attack, "norm", ""),
                first_line(attack),
                getattr(attack, "paper", ""),
                ", ".join(presets),
                settings,
            )
        )
    return ("attack", "norm", "what it does", "paper", "presets", "settings"), rows


def suite_rows() -> tuple[Row, list[Row]]:
    """Names for several attacks."""
    return ("suite", "attacks"), [(name, ", ".join(attacks)) for name, attacks in suites().items()]


def dataset_rows() -> tuple[Row, list[Row]]:
    """Registered datasets, and where those that are read from disk are found without --data-root."""
    rows: list[Row] = [(name, first_line(DATASETS.load(name)), local(name)) for name in DATASETS]
    return ("dataset", "what it holds", "local"), rows


def local(dataset: str) -> str:
    """Where a dataset is; empty for one that is drawn, or has no usual place."""
    if source_of(dataset) is None:
        return ""
    return next((str(place) for place in places_of(dataset) if place.is_dir()), "missing")


def task_rows() -> tuple[Row, list[Row]]:
    """Attack tasks, in canonical class names."""
    return ("task", "source classes", "adversarial class"), [
        (
            task.name,
            "all" if task.sources == (ANY,) else ", ".join(task.sources),
            "any other" if task.target == ANY else task.target,
        )
        for task in TASKS.values()
    ]


def classes_of_model(model: str) -> ClassTable:
    """The classes of a network. Raises UnknownNameError, ConfigurationError."""
    from segeval.models.loading import load_spec
    from segeval.models.model_names import parse_model

    return load_spec(parse_model(model).name).table


def classes_of_dataset(name: str, root: Path | None, split: str) -> ClassTable:
    """The classes of a dataset. Raises UnknownNameError, DataError."""
    from segeval.datasets import open_dataset

    return open_dataset(name, dataset_root(str(root) if root else None), split).table


def task_rows_of(classes: ClassTable) -> tuple[Row, list[Row]]:
    """The tasks possible with the classes of a network or dataset."""
    rows: list[Row] = []
    for text, goal in tasks_of(classes).items():
        sources = (
            "all" if len(goal.sources) == len(classes) else ", ".join(classes.names[each] for each in goal.sources)
        )
        rows.append((text, sources, "any other" if goal.target is None else classes.names[goal.target]))
    return ("task", "source classes", "adversarial class"), rows


def target_rows() -> tuple[Row, list[Row]]:
    """Registered deployment targets."""
    rows: list[Row] = []
    for name in TARGETS:
        target = TARGETS.load(name)
        jetpacks = ", ".join(jetpack.name for jetpack in target.jetpacks)
        memory = f"{target.memory_gb} GB" if target.memory_gb else ""
        cores = "asked there" if target.dla_cores is None else str(target.dla_cores)
        dla = f"{cores}: {target.dla_releases}" if target.dla_jetpacks else cores
        rows.append((name, target.description, target.backend, ", ".join(target.precisions), jetpacks, memory, dla))
    return ("target", "device", "engine", "precisions", "JetPack", "memory from", "DLA"), rows


KINDS: dict[Kind, Callable[[], tuple[Row, list[Row]]]] = {
    "models": model_rows,
    "datasets": dataset_rows,
    "attacks": attack_rows,
    "suites": suite_rows,
    "tasks": task_rows,
    "targets": target_rows,
}


def ls(
    kind: Annotated[Kind | None, typer.Argument(help="List only these.", show_default="all")] = None,
    model: Annotated[
        str, Option("--model", metavar="NAME|CARD", help="For `tasks`: only those this network's classes allow.")
    ] = "",
    dataset: Annotated[
        str, Option("--dataset", help="For `tasks`: only those this dataset's classes allow.", show_default=False)
    ] = "",
    data_root: DataRoot = None,
    split: Split = "",
    as_json: AsJson = False,
) -> None:
    """List the models, datasets, attacks, suites, tasks and targets. Name your own as package.module:attribute.

    \b
    segeval ls attacks

    \b
    segeval ls tasks --model mynet.toml

    \b
    segeval ls tasks --dataset folder --data-root pictures
    """
    classes = classes_asked_for(kind, model, dataset, data_root, split)
    chosen: Sequence[Kind] = [kind] if kind else list(KINDS)
    listed = {each: task_rows_of(classes) if classes else KINDS[each]() for each in chosen}
    if as_json:
        records = {each: [dict(zip(head, row, strict=True)) for row in rows] for each, (head, rows) in listed.items()}
        typer.echo(encode(records, indent=2))
        return
    for each, (headings, rows) in listed.items():
        results.print(table(headings, rows, each, words=len(headings)))
    if classes:
        say(f"and any SOURCE[,SOURCE…]:TARGET from {', '.join(classes.names)}")


def classes_asked_for(
    kind: Kind | None, model: str, dataset: str, data_root: Path | None, split: str
) -> ClassTable | None:
    """The classes whose tasks are listed; None for all registered tasks. Raises ConfigurationError."""
    if model and kind != "tasks":
        raise ConfigurationError("--model works only with `segeval ls tasks`", f"segeval ls tasks --model {model}")
    if dataset and kind != "tasks":
        raise ConfigurationError(
            "--dataset works only with `segeval ls tasks`", f"segeval ls tasks --dataset {dataset}"
        )
    if model and dataset:
        raise ConfigurationError("--model and --dataset exclude each other", "give one of them")
    if (data_root or split) and not dataset:
        raise ConfigurationError("--data-root and --split need a dataset", "name it with --dataset")
    if dataset:
        return classes_of_dataset(dataset, data_root, split)
    return classes_of_model(model) if model else None
