"""docs/schema is what the records say, and the files that segeval writes follow it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from segeval.evaluate import SurvivalReport
from segeval.evaluate.formats.schemas import RECORDS, main

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

Shared = tuple["World", SurvivalReport]
FOLDER = Path(__file__).parents[3] / "docs" / "schema"


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((FOLDER / f"{name}.schema.json").read_bytes())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_schemas_are_current(tmp_path: Path) -> None:
    """``make schemas`` writes them anew."""
    main(tmp_path)
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(path.name for path in tmp_path.iterdir())
    for path in tmp_path.iterdir():
        assert (FOLDER / path.name).read_bytes() == path.read_bytes(), f"{path.name}: make schemas"


@pytest.mark.parametrize("name", RECORDS)
def test_every_object_of_a_schema_is_explained(name: str) -> None:
    schema = validator(name).schema
    assert isinstance(schema, dict) and schema["title"]
    unexplained = [each for each, form in schema["$defs"].items() if not form.get("description")]
    assert not unexplained


def documents(world: "World") -> Iterator[tuple[str, Any]]:
    """Every JSON document of the set, the replay and the report, with the name of its schema."""
    out = world.set_root.parent / "out"
    engines = [path.parent.name for path in world.replay_root.glob("*/results.jsonl")]
    assert engines
    whole = {"set": world.set_root / "set.json", "replay": world.replay_root / "replay.json"}
    for name, path in {**whole, "report": out / "report.json"}.items():
        yield name, json.loads(path.read_bytes())
    by_line = [("set-sample", world.set_root / "samples.jsonl"), ("report-sample", out / "samples.jsonl")]
    by_line += [("replay-result", world.replay_root / engine / "results.jsonl") for engine in engines]
    for name, path in by_line:
        for line in path.read_bytes().splitlines():
            yield name, json.loads(line)


def test_real_files_follow_their_schemas(shared: Shared) -> None:
    validators = {name: validator(name) for name in RECORDS}
    seen = set()
    for name, document in documents(shared[0]):
        validators[name].validate(document)
        seen.add(name)
    assert seen == {"set", "set-sample", "replay", "replay-result", "report", "report-sample"}


def test_a_schema_refuses_what_the_readers_refuse(shared: Shared) -> None:
    for name, document in documents(shared[0]):
        own = validator(name)
        required = own.schema["$defs"][RECORDS[name][1].__name__]["required"]  # type: ignore[index]
        for key in required[:3]:
            with pytest.raises(ValidationError):
                own.validate({other: value for other, value in document.items() if other != key})
            with pytest.raises(ValidationError):
                own.validate({**document, key: [[None]]})
