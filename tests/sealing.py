"""JSON files that are changed on purpose get the digest that fits: what is looked at then is what they say."""

import json
from pathlib import Path
from typing import Any

from segeval_runner.digests import sealed


def write_sealed(path: Path, record: dict[str, Any]) -> None:
    """Write one record."""
    path.write_text(json.dumps(sealed(record)))


def reseal(path: Path) -> None:
    """Seal every line of a .jsonl file anew that is an object, or the one object that another file is."""
    if path.suffix == ".jsonl":
        path.write_bytes(b"".join(map(resealed, path.read_bytes().splitlines(keepends=True))))
    else:
        path.write_bytes(resealed(path.read_bytes()))


def resealed(data: bytes) -> bytes:
    """A JSON object with the digest that fits; anything else as it is."""
    try:
        record = json.loads(data)
    except ValueError:
        return data
    end = b"\n" * data.endswith(b"\n")
    return json.dumps(sealed(record)).encode() + end if isinstance(record, dict) else data
