"""What was written when a corruption was called a channel is read, and evaluated, under its name of today.

``with_channels`` holds a set, a replay with its bundle.json and the report.json of both, written by the code of commit
1bddcb3: segeval.set/1, segeval.bundle/1, segeval.report/1, and keys that begin with ``channel/``.
"""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from segeval.errors import FormatError
from segeval.evaluate import evaluate, read_report
from segeval.files.bundles import BundleFolder
from segeval.files.replays import Replay
from segeval.files.set_folder import SetFolder
from segeval.goals import Goal

ROOT = Path(__file__).parent / "with_channels"
FILES = ("set/set.json", "replay/bundle.json", "report/report.json")


def test_the_files_are_really_of_that_version() -> None:
    """Were they written anew, these tests would show nothing."""
    texts = [(ROOT / file).read_text() for file in FILES]
    assert [json.loads(text)["schema"][-2:] for text in texts] == ["/1"] * 3
    assert not any("corruption" in text for text in texts)
    keys = (ROOT / "replay" / "espnet-synthetic.int8" / "results.jsonl").read_text()
    assert '"channel/jpeg-75/clean/' in keys and "corruption" not in keys


def test_their_records_have_the_names_of_today() -> None:
    (task,) = SetFolder(ROOT / "set").complete_manifest().tasks
    assert task.goal == Goal((2, 8), 0, "class")
    assert BundleFolder(ROOT / "replay").manifest().options.corruptions == ("jpeg-75",)
    keys = Replay.open(ROOT / "replay").results("espnet-synthetic.int8").keys
    assert sum(key.startswith("corruption/jpeg-75/") for key in keys) == len(keys) / 2


def test_the_numbers_are_those_they_gave(tmp_path: Path) -> None:
    then = read_report(ROOT / "report")
    now = evaluate(ROOT / "set", [ROOT / "replay"], tmp_path / "report")
    assert (
        {row.corruption for row in then.survival} == {engine.corruption for engine in then.engines} == {"", "jpeg-75"}
    )
    assert tuple(replace(row, evaded=None) for row in now.survival) == then.survival
    assert tuple(replace(engine, file_sha256="") for engine in now.engines) == then.engines
    assert now.clean == then.clean and now.comparisons == then.comparisons


@pytest.mark.parametrize("schema", ["segeval.report/0", "segeval.report/3"])
def test_another_version_is_refused(tmp_path: Path, schema: str) -> None:
    said = json.loads((ROOT / "report" / "report.json").read_text())
    del said["digest"]
    (tmp_path / "report.json").write_text(json.dumps({**said, "schema": schema}))
    with pytest.raises(FormatError, match=r"\$\.schema"):
        read_report(tmp_path)
