"""A record that was changed after it was written is found; spaces and records of an earlier segeval are no matter."""

import json
from dataclasses import dataclass

import pytest

from segeval.errors import FormatError, IntegrityError
from segeval.files.encoding import decode, encode, encode_sealed
from segeval_runner.digests import digest_of


@dataclass(frozen=True)
class Measured:
    """A record with a number."""

    name: str
    ms: float
    count: int = 3


RECORD = Measured("é", 21.8)


def test_a_sealed_record_reads_back() -> None:
    data = encode_sealed(RECORD, indent=2)
    assert list(json.loads(data))[-1] == "digest"
    assert decode(data, Measured, "here") == RECORD


def test_a_record_of_an_earlier_segeval_has_no_digest() -> None:
    assert decode(encode(RECORD), Measured, "here") == RECORD


def test_spaces_and_order_say_nothing() -> None:
    said = json.loads(encode_sealed(RECORD))
    assert decode(json.dumps(dict(reversed(said.items())), indent=7), Measured, "here") == RECORD


def test_every_changed_bit_is_found_or_changes_nothing() -> None:
    data = encode_sealed(RECORD)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            assert decode(bytes(flipped), Measured, "here") == RECORD
        except (IntegrityError, FormatError):
            continue


def test_a_changed_number_is_named() -> None:
    data = encode_sealed(RECORD).replace(b"21.8", b"721.8")
    with pytest.raises(IntegrityError, match="here was changed after it was written"):
        decode(data, Measured, "here")


def test_the_digest_is_of_the_values() -> None:
    assert digest_of({"b": 1.0, "a": "é"}) == digest_of({"a": "é", "b": 1.00, "digest": "anything"})
    assert digest_of({"a": 1}) != digest_of({"a": 1.0})
