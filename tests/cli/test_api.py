"""The chain from Python: the blocks of docs/python.md, as they stand there."""

import json
import re
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from segeval.api import CraftedSet, Replayed, Report, compare, craft, deploy, evaluate, replay, settings_as_typed
from segeval.commands.craft import craft as craft_command
from segeval.errors import ConfigurationError, DataError, GateMissedError
from segeval.evaluate import read_report
from segeval.files.sets import CraftConfig
from segeval.registry import attacks_of
from tests.walks import DOCS


def require_shown(found: dict[str, object]) -> None:
    rows, made = found["rows"], found["made"]
    assert isinstance(rows, pd.DataFrame) and isinstance(made, pd.DataFrame)
    assert [name.rpartition(".")[2] for name in rows.engine.unique()] == ["fp32", "int8"]
    assert made.success.between(0, 1).all() and len(made) == 2 * made.image.nunique()
    for name, told in (("adversarial", "pgd-full"), ("bundle", "synthetic.int8"), ("report", "report.html")):
        assert told in found[name]._repr_html_()  # type: ignore[attr-defined]


@pytest.mark.long
def test_the_quickstart_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(first.splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    found = shown_by(first, {})
    require_shown({**found, "made": found["adversarial"].to_pandas()})
    adaptive = shown_by(second, found)
    rows = adaptive["rows"]
    both = {"fast-scnn-synthetic.fp32", "fast-scnn-synthetic.int8"}
    assert set(rows.made_on) == {"fp32", "int8"} and set(rows.engine) == both
    assert (rows.gap_difference.notna() == (rows.made_on == "int8")).all()
    assert not any("failed" in sentence for sentence in adaptive["report"].record.verdict)


def shown_by(block: str, before: dict[str, Any]) -> dict[str, Any]:
    """What a block defines after others, and as `rows` what it ends with."""
    *lines, last = block.strip().splitlines()
    found = dict(before)
    exec("\n".join([*lines, f"rows = {last}"]), found)
    return found


def test_the_chain_returns_what_shows_itself(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data: dict[str, Any] = {"data_root": str(world.data), "tasks": [world.task], "limit": 2}
    adversarial = craft(tmp_path / "set", "folder", [world.model], ["quick"], steps=2, **data)
    bundle = deploy(adversarial, tmp_path / "bundle", precisions=["fp32", "int8"], calibration_images=2)
    replayed = replay(bundle, tmp_path / "replay", threads=1)
    report = evaluate(adversarial, [replayed], tmp_path / "report")
    assert [engine.name for engine in replayed.record.engines] == [each.name for each in bundle.manifest.engines]
    assert report.record.verdict and adversarial.manifest.complete
    found = {"adversarial": adversarial, "bundle": bundle, "report": report, "made": adversarial.to_pandas()}
    require_shown({**found, "rows": report.to_pandas()})
    assert "espnet-synthetic.int8" in replayed._repr_html_()
    assert read_report(str(report.path)) == report.record
    require_judged(adversarial, replayed, report, tmp_path)
    again = {**data, "scopes": ["full"], "on": ["fp32", "int8"], "settings": {"pgd.budget": 4}}
    adaptive = craft(tmp_path / "adaptive", "folder", [world.model], ["pgd"], steps=1, bundle=bundle, **again)
    assert [spec.label for spec in adaptive.manifest.attacks] == ["pgd-full", "pgd-full-on-int8"]
    assert adaptive.manifest.config.settings == ("pgd.budget=4",)
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "report.html" in report._repr_html_() and "<table" not in report._repr_html_()


def require_judged(adversarial: CraftedSet, replayed: Replayed, report: Report, root: Path) -> None:
    with pytest.raises(GateMissedError, match=r"int8\.success = "):
        evaluate(adversarial, replayed, root / "judged", gates=["int8.success > 1"])
    assert read_report(root / "judged") == report.record, "a gate fails once the report is written"
    found = compare(report, root / "judged", root / "compared", gates=["int8.success.change == 0"])
    assert found.record.same_set and (root / "compared/compare.json").exists()
    assert list(found.to_pandas()) == list(pd.read_csv(root / "compared/compare.csv"))
    assert found.record.finding[:10] in found._repr_html_()
    with pytest.raises(GateMissedError, match=r"int8\.success\.change = 0"):
        compare(report, str(root / "judged"), gates=["int8.success.change > 0"])
    with pytest.raises(ConfigurationError, match=r"gates=\['int8.hits < 1'\]"):
        compare(report, report, gates=["int8.hits < 1"])


def test_settings_are_kept_as_the_command_line_types_them() -> None:
    given = {"loss": "ce", "budget": 0.5, "dithered": False, "restarts": None}
    assert settings_as_typed(given) == ("loss=ce", "budget=0.5", "dithered=false", "restarts=null")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"scopes": ["locl"]}, "'locl' - at `scopes"),
        ({"tasks": "vehicle-to-road"}, "got `str` - at `tasks`"),
        ({"keep": "bst"}, "keep"),
        ({"steps": 1.5}, "steps"),
        ({"limit": 0}, "limit is 0"),
        ({"stop_at": 2}, "stop_at is 2"),
        ({"attacks": "fgsm"}, "attacks is one text"),
        ({"models": "espnet-synthetic"}, "models is one text"),
    ],
)
def test_an_impossible_value_is_refused_before_a_set_is_made(tmp_path: Path, wrong: Any, told: str) -> None:
    given = {"models": ["espnet-synthetic"], "attacks": ["fgsm"], **wrong}
    with pytest.raises(ConfigurationError, match=told):
        craft(tmp_path / "set", "synthetic", **given)
    assert not (tmp_path / "set").exists()


def test_every_way_to_craft_has_the_same_default() -> None:
    of_command = signature(craft_command).parameters["attack"].default
    of_function = signature(craft).parameters["attacks"].default
    assert attacks_of(of_command) == attacks_of(of_function) == CraftConfig("synthetic", ()).attacks


def test_the_command_takes_a_set_from_python_for_its_own(
    call: Callable[..., Any], world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world.data.parent)
    options: dict[str, Any] = {"tasks": [world.task], "limit": 2, "scopes": ["full"]}
    made = craft(tmp_path / "set", "folder", [world.model], ["fgsm"], steps=2, data_root=world.data.name, **options)
    assert made.manifest.config.data_root == str(world.data)
    before = (tmp_path / "set/set.json").stat().st_mtime_ns
    asked = ("--out", tmp_path / "set", *world.crafting, "--attack", "fgsm", "--scope", "full")
    assert call("craft", *asked).code == 0 and (tmp_path / "set/set.json").stat().st_mtime_ns == before


def test_each_stage_answers_in_json(call: Callable[..., Any], world: Any, tmp_path: Path) -> None:
    crafting = (*world.crafting, "--attack", "quick", "--scope", "full", "--limit", "1", "--quiet", "--json")
    folder, bundle = tmp_path / "set", tmp_path / "bundle"
    deploying = ("--precision", "fp32", "--quiet", "--json")
    for arguments, manifest in (
        (("craft", "--out", folder, *crafting), folder / "set.json"),
        (("deploy", folder, "--out", bundle, *deploying), bundle / "bundle.json"),
        (("replay", bundle, "--out", tmp_path / "replay", "--quiet", "--json"), tmp_path / "replay/replay.json"),
    ):
        ended = call(*arguments)
        assert ended.code == 0, ended.err
        assert json.loads(ended.out) == json.loads(manifest.read_text(encoding="utf-8"))
        assert "USB stick" not in ended.err, "this machine needs none"
    ended = call("deploy", folder, "--out", bundle, "--host", "somebody@nowhere", "--json")
    assert ended.code == 2 and "leave out --json" in ended.err


def test_a_mistake_is_told_as_by_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no attack 'pgdd'"):
        craft(tmp_path / "set", "synthetic", ["fast-scnn-synthetic"], ["pgdd"])
    with pytest.raises(ConfigurationError, match="craft has no argument 'task'") as caught:
        craft(tmp_path / "set", "synthetic", ["fast-scnn-synthetic"], task=["vehicle-to-road"])
    assert caught.value.hint == "did you mean tasks?"
    with pytest.raises(DataError) as refused:
        craft(tmp_path / "set", "folder", ["fast-scnn-synthetic"])
    assert "give it with data_root" in refused.value.hint
    with pytest.raises(ConfigurationError, match="evaluate has no argument 'bench'"):
        evaluate(tmp_path / "set", tmp_path, tmp_path / "report", bench=tmp_path)  # type: ignore[call-arg]
    assert CraftedSet(tmp_path).path == tmp_path
