"""A record with a digest, so that changed numbers are detected."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Dict

DIGEST = "digest"
CHANGED = "was changed after it was written: its digest does not fit"


def digest_of(record: Dict[str, Any]) -> str:
    """SHA-256 of what a record says besides its digest; spaces and the order of members do not count.

    It is of the values: UTF-8 JSON of all other members, sorted, without spaces, numbers as Python writes them.
    """
    said = {name: value for name, value in record.items() if name != DIGEST}
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sealed(record: Dict[str, Any]) -> Dict[str, Any]:
    """The record with its digest as the last member."""
    said = {name: value for name, value in record.items() if name != DIGEST}
    return {**said, DIGEST: digest_of(said)}


def is_intact(record: Dict[str, Any]) -> bool:
    """Whether a record matches its digest. One without a digest, from an earlier segeval, is accepted."""
    return DIGEST not in record or record[DIGEST] == digest_of(record)
