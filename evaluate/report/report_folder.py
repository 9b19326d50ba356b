"""Where reports may go: into a folder that is new, empty, or holds one of the same kind."""

from collections.abc import Iterable
from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.folders import require_own
from segeval.files.storage import explaining
from segeval_runner.ownership import kind_in

from .renewal import Kept, finish


def require_place(out: Path, kept: Kept) -> None:
    """Raise ConfigurationError if `out` holds anything else than what is kept there; StorageError.

    A writer that was killed as it moved its files into place is finished first.
    """
    with explaining(out):
        finish(out, kept)
    require_own(out, kept.kind)


def require_free(files: Iterable[Path], out: Path | None, kept: Kept) -> None:
    """Raise ConfigurationError if one of `files` would lie among the files of a folder of segeval, or twice the same.

    A folder like `out`, which gets a report if one is written, may hold others beside it, under names that no report
    uses.
    """
    seen: set[Path] = set()
    for file in files:
        place = file.resolve()
        if place.is_dir() or any(parent.exists() and not parent.is_dir() for parent in place.parents):
            raise ConfigurationError(f"{file} cannot be written: a folder or file is in the way", "name another file")
        if place in seen:
            raise ConfigurationError(f"{file} is given twice", "choose another file")
        seen.add(place)
        for folder in place.parents:
            own = out is not None and folder == out.resolve()
            kind = kind_in(folder)
            if own or (kind is not None and kind.name == kept.kind):
                if kept.takes(place.relative_to(folder).as_posix()):
                    raise ConfigurationError(f"{file} would be a file of the report itself", "choose another file")
            elif kind is not None:
                what = f"{file} would lie in {folder}, which holds {kind.words} ({kind.manifests[0]})"
                raise ConfigurationError(what, "choose a file outside of it")
