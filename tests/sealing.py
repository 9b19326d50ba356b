"""JSON files that are changed on purpose get the digest that fits: what is looked at then is what they say."""

import json
from pathlib import Path
from typing import Any

from segeval_runner.digests import sealed
from segeval_runner.strict import loads


def write_sealed(path: Path, record: dict[str, Any]) -> None:
    """Write one record."""
    path.write_text(json.dumps(sealed(record)))


def reseal(path: Path) -> None:
    """Seal a file anew; see `resealed`."""
    path.write_bytes(resealed(path.name, path.read_bytes()))


def resealed(name: str, data: bytes) -> bytes:
    """A JSON file with the digest that fits, in every line of a .jsonl file; what is no JSON object stays as it is."""
    if name.endswith(".jsonl"):
        return b"".join(map(resealed_object, data.splitlines(keepends=True)))
    return resealed_object(data) if name.endswith(".json") else data


def resealed_object(data: bytes) -> bytes:
    """One JSON object."""
    try:
        record = loads(data)
    except ValueError:
        return data
    end = b"\n" * data.endswith(b"\n")
    return json.dumps(sealed(record)).encode() + end if isinstance(record, dict) else data
