"""The JSON form of every record: of the sets, of the bundles and of the replays."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from typing import Any

import msgspec
import pytest

import segeval.files.bundles
import segeval.files.replays
import segeval.files.sets
from segeval.errors import FormatError
from segeval.files.bundles import BundleManifest
from segeval.files.encoding import decode, encode
from segeval.files.replays import ReplayRecord
from segeval.files.sets import AdversarialSet, AttackSpec, FileRecord, Norms

Example = Callable[[Any], Any]
MANIFESTS = (AdversarialSet, BundleManifest, ReplayRecord)
RECORDS = [
    form
    for module in (segeval.files.sets, segeval.files.bundles, segeval.files.replays)
    for form in vars(module).values()
    if isinstance(form, type) and is_dataclass(form) and form.__module__ == module.__name__
]
every_record = pytest.mark.parametrize("form", RECORDS, ids=lambda form: form.__name__)


@every_record
def test_a_record_comes_back_as_it_was(form: type, example: Example) -> None:
    record = example(form)
    assert decode(encode(record), form, "here") == record
    assert decode(encode(record, indent=2), form, "here") == record
    assert b"\n" not in encode(record)


@every_record
def test_a_field_of_another_type_is_named(form: type, example: Example) -> None:
    whole = json.loads(encode(example(form)))
    for field in fields(form):
        with pytest.raises(FormatError, match=rf"^here: .* `\$\.{field.name}[\[.`]") as caught:
            decode(json.dumps({**whole, field.name: [[]]}), form, "here")
        assert "this version of segeval" in caught.value.hint


@every_record
def test_a_field_that_is_missing_is_named(form: type, example: Example) -> None:
    whole = json.loads(encode(example(form)))
    for field in (field for field in fields(form) if field.default is field.default_factory is MISSING):
        rest = {name: value for name, value in whole.items() if name != field.name}
        with pytest.raises(FormatError, match=f"missing required field `{field.name}`"):
            decode(json.dumps(rest), form, "here")


@pytest.mark.parametrize("form", MANIFESTS, ids=lambda form: form.__name__)
def test_another_version_of_the_format_is_refused(form: Any, example: Example) -> None:
    manifest = json.loads(encode(example(form)))
    name, _, version = manifest["schema"].partition("/")
    assert name.split(".")[0] == "segeval"
    newer = f"{name}/{int(version) + 1}"
    with pytest.raises(FormatError, match=rf"'{newer}'.*`\$\.schema`"):
        decode(json.dumps({**manifest, "schema": newer}), form, "here")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"path": "\xff", "sha256": ""}', "utf-8"),
        (b'{"path": 1, "sha256": ""}', r"Expected `str`, got `int` - at `\$\.path`"),
        (b'{"path": "a", "sha256": ""} {}', "trailing"),
        (b'{"x": ' + b"[" * 100_000, "depth"),
    ],
)
def test_what_is_no_record_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(FormatError, match=f"^here: .*{reason}"):
        decode(data, FileRecord, "here")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"path": "a", "sha256": "", "path": "b"}', "the key 'path' occurs twice"),
        (b'{"path": "a", "sha256": "", "more": {"x": 1, "x": 1}}', "the key 'x' occurs twice"),
        (b'{"path": "a", "sha256": "", "more": ' + b"[" * 70 + b"]" * 70 + b"}", "nested too deeply"),
        (b'{"path": "a", "sha256": "", "more": 9223372036854775808}', "too large"),
        (b'{"path": "a", "sha256": "", "more": 1e999}', "range|too large"),
        (b'{"path": "a", "sha256": "", "more": NaN}', "malformed"),
        (b'{"path": "\\ud800", "sha256": ""}', "surrogate"),
    ],
)
def test_what_readers_understand_differently_is_refused(data: bytes, reason: str) -> None:
    """Also in fields that this version does not know."""
    with pytest.raises(FormatError, match=f"^here: .*({reason})"):
        decode(data, FileRecord, "here")


@pytest.mark.parametrize("form", MANIFESTS, ids=lambda form: form.__name__)
def test_a_newer_version_is_named_even_if_nothing_else_is_understood(form: Any) -> None:
    name = form.schema.partition("/")[0]
    with pytest.raises(FormatError, match=f"here: made by a newer segeval: it is '{name}/12'"):
        decode(f'{{"schema": "{name}/12", "engines": 3}}', form, "here")
    with pytest.raises(FormatError) as caught:
        decode(f'{{"schema": "{name}/0"}}', form, "here")
    assert "newer" not in str(caught.value)


def test_numbers_are_not_taken_from_text_or_truth_values() -> None:
    for wrong in ('"1"', "true", "1.5"):
        with pytest.raises(FormatError, match="linf"):
            decode(f'{{"mean": 1, "mean_phi": 1, "l2": 1, "linf": {wrong}}}', Norms, "here")


def test_a_class_table_that_contradicts_itself_is_a_malformed_file(example: Example) -> None:
    manifest = json.loads(encode(example(AdversarialSet)))
    manifest["table"]["palette"].pop()
    with pytest.raises(FormatError, match=r"^here: class table 'cityscapes'.*differ in length"):
        decode(json.dumps(manifest), AdversarialSet, "here")


def test_the_label_of_an_attack_names_its_preset_unless_it_is_the_default(example: Example) -> None:
    spec = replace(example(AttackSpec), attack="tanh", scope="full", within=None, match="", robust_to=())
    assert replace(spec, preset="default").label == "tanh-full"
    assert replace(spec, preset="paper").label == "tanh-full-paper"
    assert replace(spec, preset="paper", within=0.5).label == "tanh-full-paper-within-0.5"
    fgsm = replace(spec, attack="fgsm", preset="matched")
    assert replace(fgsm, match="tanh-full-paper").label == "fgsm-full-as-tanh-paper"
    assert replace(fgsm, match="tanh-full").label == "fgsm-full-as-tanh"
    robust = replace(spec, preset="default", robust_to=("jpeg-75", "blur-1.5"), on="int8", engines=("int8",))
    assert robust.label == "tanh-full-robust-to-jpeg-75+blur-1.5-on-int8"


@dataclass(frozen=True)
class Named:
    """A record with texts."""

    name: str
    parts: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    "character", ["\x1b", "\x00", "\x07", "\x08", "\r", "\x7f", "\x9b", "\u202e", "\u2028", "\u2066"]
)
def test_texts_that_a_terminal_would_obey_are_refused(character: str) -> None:
    text = f"first second{character}[31m"
    for record in (Named(text), Named("", {text: ()}), Named("", {"a": ("b", text)})):
        for data in (encode(record), json.dumps(msgspec.to_builtins(record)).encode()):
            with pytest.raises(FormatError, match="here: a text holds control characters"):
                decode(data, Named, "here")


def test_other_texts_are_not() -> None:
    for text in ("é 日本 😀", "a \\u001b that is written out", "C:\\runs\\bin"):
        for data in (encode(Named(text)), json.dumps({"name": text}).encode()):
            assert decode(data, Named, "here").name == text
