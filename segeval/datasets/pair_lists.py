"""pairs.csv: pairs of image and mask whose names do not match."""

import csv
import unicodedata
from pathlib import Path, PurePosixPath

from segeval.datasets.files import LabelFile, Pair, id_of
from segeval.datasets.meaning import Meaning
from segeval.datasets.splits import no_split
from segeval.errors import DataError, nearest

PAIR_LIST = "pairs.csv"
COLUMNS = ("image", "mask", "split")
EXAMPLE = "image,mask"


def read_pairs(path: Path, split: str, meaning: Meaning) -> list[Pair]:
    """The pairs of a split, in the order of the list. The path of an image below the folder is its name.

    Args:
        path: of the list: a header with image and, if there are any, mask and split; paths are relative to its folder.
            Without a column split every split names all; a pair without mask has no ground truth.
        split: of the dataset.
        meaning: of the masks.

    Raises:
        DataError: naming the line that is wrong, or if no pair is of the split.
    """
    rows = read_rows(path)
    splits = sorted({row["split"] for _, row in rows if "split" in row})
    if splits and split not in splits:
        raise no_split(path, split, splits)
    pairs = []
    for line, row in rows:
        if row.get("split", split) != split:
            continue
        where = f"{path}, line {line}"
        image = listed(path.parent, row["image"], where)
        mask = listed(path.parent, row["mask"], where) if row.get("mask") else None
        name = unicodedata.normalize("NFC", PurePosixPath(row["image"]).with_suffix("").as_posix())
        pairs.append(Pair(id_of(name), image, LabelFile(mask, meaning) if mask else None))
    return pairs


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Number and cells of every line. Raises DataError for what is no such list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            require_header(path, header)
            rows = []
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header) or not cells[header.index("image")].strip():
                    raise DataError(
                        f"{path}, line {reader.line_num}: {','.join(cells)!r} is not {','.join(header)}",
                        "every line has as many cells as the first and names an image",
                    )
                rows.append((reader.line_num, dict(zip(header, map(str.strip, cells), strict=True))))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"cannot read {path}: {error}", f"it must be CSV in UTF-8 that begins with {EXAMPLE}"
        ) from error


def require_header(path: Path, header: list[str]) -> None:
    """Raise DataError unless the columns are known ones, image among them, each once."""
    for name in header:
        if name not in COLUMNS or header.count(name) > 1:
            raise DataError(
                f"{path}, line 1: unknown column {name!r}", f"{nearest(name, COLUMNS)} The first line is like {EXAMPLE}"
            )
    if "image" not in header:
        raise DataError(f"{path} is empty or has no column image", f"the first line is like {EXAMPLE}")


def listed(folder: Path, text: str, where: str) -> Path:
    """The file that a list names. Raises DataError if it lies outside its folder or is not there."""
    given = PurePosixPath(text)
    if given.is_absolute() or ".." in given.parts or "\\" in text or text[1:2] == ":":
        raise DataError(f"{where}: {text!r} is not in {folder}", "write paths relative to it, with forward slashes")
    path = folder / given
    if not path.is_file():
        raise DataError(f"{where}: {path} is missing", "check the path; it is relative to the folder of the list")
    return path
