"""What to say of deployed files that attacks were made on: those of a bundle, and whether another bundle has them."""

from pathlib import Path
from typing import TYPE_CHECKING

from segeval.console import say

if TYPE_CHECKING:
    from segeval.files.bundles import BundleManifest
    from segeval.files.sets import AdversarialSet


def say_what_else_could_be_attacked(bundle: Path | None, engines: tuple[str, ...]) -> None:
    """Name the user's own files in a bundle, if attacks are made on it and on none of them."""
    if bundle is None or not engines:
        return
    from segeval.files.bundles import BundleFolder

    own = [engine.label for engine in BundleFolder(bundle).manifest().engines if engine.own is not None]
    if own and not set(own) & set(engines):
        made_on, others = ", ".join(engines), ", ".join(map(repr, own))
        say(f"attacks are made on {made_on}; the bundle also has your own {others}: --engine {own[0]}")


def files_again(manifest: "AdversarialSet") -> list[str]:
    """The options of `segeval deploy` that bring the user's files which were attacked into the next bundle."""
    if manifest.config.bundle is None:
        return []
    from segeval.files.bundles import BundleFolder

    attacked = {(file.model, file.engine) for file in manifest.deployed}
    several = len(manifest.models) > 1
    words = []
    for engine in BundleFolder(Path(manifest.config.bundle)).manifest().engines:
        if engine.own is not None and (engine.model, engine.label) in attacked:
            name = f"{engine.model}.{engine.label}" if several else engine.label
            words += ["--engine-file", f"{name}={found(engine.own.source, Path(manifest.config.bundle))}"]
    return words


def found(name: str, bundle: Path) -> Path:
    """A file of the user's, of which a bundle records only the name: here, beside the bundle, or asked for."""
    for place in (Path(name), bundle.parent / name):
        if place.is_file():
            return place
    say(f"{name} is not in this folder: put the folder it is in before its name in the next command")
    return Path(name)


def warn_of_files_left_out(manifest: "AdversarialSet", bundle: "BundleManifest") -> None:
    """Warn of files that attacks of a set were made on and that its bundle lacks: nothing is judged on them then."""
    there = {bundle.files[engine.file].sha256 for engine in bundle.engines}
    for file in manifest.deployed:
        if file.sha256 not in there:
            say(f"warning: attacks were made on {file.engine} of {file.model}, and that file is not in this bundle")
            say("add it by --engine-file, or the --calibration that it was made with; otherwise it is not judged")
