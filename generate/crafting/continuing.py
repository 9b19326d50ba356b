"""What may lie in the folder of a set already: the same set, finished or not, or one in which nothing was attacked."""

from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.refused import remove
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet, CraftConfig

MADE_FROM = ("table", "images", "models", "height", "width", "attacks", "tasks", "versions", "resize", "deployed")
"""What decides the result besides the options."""
PLACES = ("bundle",)
"""Options that only say where something is stored; its contents are compared by `MADE_FROM`."""
SPELLED = {
    "models": "model",
    "attacks": "attack",
    "scopes": "scope",
    "presets": "preset",
    "tasks": "task",
    "settings": "set",
    "ids": "image",
    "engines": "engine",
}
"""Options by the fields of `CraftConfig` that are called otherwise."""
FOLDERS = ("clean", "truth", "prediction", "phi", "adversarial", "adversarial_prediction", "margin")
MADE = (*FOLDERS, "samples.jsonl", "set.json")
"""Everything in the folder of a set."""


def opened(folder: SetFolder, fresh: AdversarialSet, resume: bool) -> AdversarialSet:
    """The manifest on disk: `fresh`, or that of the same configuration.

    A set in which nothing was attacked yet, perhaps because it could not be, gives way to one of another configuration,
    and of the same if it is not to be resumed: a process of torchrun that is refused leaves such a set.
    """
    root = folder.root
    if not folder.manifest_path.exists():
        folder.write_manifest(fresh)
        return fresh
    found = folder.manifest()
    changed = differences(found, fresh)
    if (changed or not resume) and not found.complete and not begun(folder):
        remove(root, FOLDERS)
        folder.write_manifest(fresh)
        return fresh
    if changed:
        raise ConfigurationError(*refusal(root, found, fresh))
    if not resume and not found.complete:
        raise ConfigurationError(f"{root} holds an unfinished set", "continue it with --resume")
    return folder.complete_manifest() if found.complete else found


def begun(folder: SetFolder) -> bool:
    """Whether the folder holds at least one sample."""
    path = folder.samples_path
    return path.exists() and path.stat().st_size > 0


def refusal(root: Path, found: AdversarialSet, fresh: AdversarialSet) -> tuple[str, str]:
    """That a folder holds another set than the one asked for, and what to do.

    Args:
        root: the folder.
        found: manifest of the set in it.
        fresh: of the one asked for.
    """
    if options := other_options(found, fresh):
        what = f"{root} holds a set that was made with other options ({', '.join(map(typed, options))})"
        return what, "choose another --out, or repeat the options of that set"
    names = ", ".join(differences(found, fresh))
    usable = "; that one can still be deployed and evaluated" if found.complete else ""
    return (
        f"{root} holds a set of the same options that was made from something else ({names}): other files, or other "
        "versions of segeval or its libraries",
        f"choose another --out{usable}",
    )


def differences(found: AdversarialSet, fresh: AdversarialSet) -> list[str]:
    """Names of what decides the result and differs between two manifests."""
    inputs = [name for name in MADE_FROM if getattr(found, name) != getattr(fresh, name)]
    return other_options(found, fresh) or inputs


def typed(option: str) -> str:
    """An option as it is typed: ``--set`` for ``settings``."""
    return f"--{SPELLED.get(option, option).replace('_', '-')}"


def other_options(found: AdversarialSet, fresh: AdversarialSet) -> list[str]:
    """Names of the options that differ; models, attacks and tasks are also names of what is made from them."""
    return [
        name
        for name in CraftConfig.__dataclass_fields__
        if name not in PLACES and getattr(found.config, name) != getattr(fresh.config, name)
    ]
