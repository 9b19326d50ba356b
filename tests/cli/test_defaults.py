"""An option comes before its SEGEVAL_ variable, that before the file of --config, that before the default."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segeval.cli import command_line
from segeval.commands.defaults import options, read_defaults
from segeval.commands.on_demand import home_expanded
from segeval.errors import ConfigurationError

Call = Callable[..., Any]


def written(folder: Path, text: str) -> Path:
    path = folder / "segeval.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("option", "variable", "file", "used"),
    [
        (None, None, None, None),
        (None, None, "file", "file"),
        (None, "variable", "file", "variable"),
        ("option", "variable", "file", "option"),
        ("option", None, "file", "option"),
        ("option", "variable", None, "option"),
    ],
)
def test_precedence(
    call: Call,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    option: str | None,
    variable: str | None,
    file: str | None,
    used: str | None,
) -> None:
    # There is no such device, and the message names the one that was meant. The default is one that works.
    arguments = [
        "craft",
        "--out",
        tmp_path / "out",
        "--dataset",
        "folder",
        "--model",
        "espnet-synthetic",
        "--data-root",
        "nowhere",
    ]
    if file is not None:
        arguments = ["--config", written(tmp_path, f'[craft]\ndevice = "{file}"\n'), *arguments]
    if variable is not None:
        monkeypatch.setenv("SEGEVAL_CRAFT_DEVICE", variable)
    if option is not None:
        arguments += ["--device", option]
    ended = call(*arguments)
    assert ended.code == 2
    assert f"--device {used}: " in ended.err if used else "nowhere does not exist" in ended.err


def test_a_path_behind_an_equals_sign_is_in_the_home_of_the_user(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for arguments in (
        ("craft", "--out=set", "--dataset=folder", "--data-root=~/pictures", "--model=espnet-synthetic"),
        ("replay", "~/pictures", "--out=replay"),
        ("model", "check", "~/pictures"),
        ("evaluate", "~/pictures", "~/pictures", "--out=report"),
        ("--config=~/pictures", "ls", "tasks"),
    ):
        ended = call(*arguments)
        assert ended.code == 2 and str(tmp_path / "home" / "pictures") in ended.err, (arguments, ended.err)
    (tmp_path / "home").mkdir(exist_ok=True)  # Matplotlib, where this test is the first to import it, makes its cache
    (tmp_path / "home" / "segeval.toml").write_text('[report]\nout = "~/page.html"\n')
    ended = call("--config=~/segeval.toml", "report", tmp_path)
    assert ended.code == 2 and "there is no report in" in ended.err
    assert home_expanded(["~", Path("~/a")]) == ["~", tmp_path / "home" / "a"]  # a text is no path
    assert home_expanded(Path("~nobody-here/a")) == Path("~nobody-here/a")
    assert not list(tmp_path.glob("~*"))


def test_flags_follow_the_same_order(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_json(*arguments: object) -> bool:
        ended = call(*arguments)
        assert ended.code == 0
        return bool(ended.out.startswith("{"))

    config = written(tmp_path, "[ls]\njson = true\n")
    assert not is_json("ls", "tasks")
    assert is_json("--config", config, "ls", "tasks")
    monkeypatch.setenv("SEGEVAL_LS_JSON", "0")
    assert not is_json("--config", config, "ls", "tasks")
    assert is_json("--config", config, "ls", "tasks", "--json")
    monkeypatch.setenv("SEGEVAL_CONFIG", str(config))
    monkeypatch.delenv("SEGEVAL_LS_JSON")
    assert is_json("ls", "tasks")


def test_every_option_has_a_variable_of_its_own_that_is_spelled_like_it() -> None:
    variables = {
        option.envvar: (name, spelling)
        for name, command in command_line.commands.items()
        for spelling, option in options(command).items()
    }
    assert variables["SEGEVAL_CRAFT_DATA_ROOT"] == ("craft", "data-root")
    assert variables["SEGEVAL_CRAFT_SET"] == ("craft", "set")
    assert variables["SEGEVAL_EVALUATE_JSON"] == ("evaluate", "json")
    assert len(variables) == sum(len(options(command)) for command in command_line.commands.values())


def test_unrelated_variables_do_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEGEVAL_VERSION", "SEGEVAL_HELP", "SEGEVAL_DATA", "SEGEVAL_CRAFT_SETTING"):
        monkeypatch.setenv(name, "1")
    assert call("ls", "tasks").out.startswith("tasks")


def test_values_reach_the_options_they_name(tmp_path: Path) -> None:
    text = """
        [craft]
        attack = ["fgsm", "tanh"]
        scope = "local"
        set = "budget=4"
        data-root = "pictures"
        batch_size = 4
        stop-at = 0.5
        quiet = true
        [train]
        zoom = [0.5, 2]
        [demo]
    """
    assert read_defaults(written(tmp_path, text), command_line.commands) == {
        "craft": {
            "attack": ["fgsm", "tanh"],
            "scope": ["local"],
            "setting": ["budget=4"],
            "data_root": "pictures",
            "batch_size": "4",
            "stop_at": "0.5",
            "quiet": True,
        },
        "train": {"zoom": ["0.5", "2"]},
        "demo": {},
    }


def test_lists_and_single_values_are_taken_as_if_they_were_typed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SEGEVAL_CRAFT_ATTACK")
    for value in ('["fgsm", "tahn"]', '"tahn"'):
        config = written(tmp_path, f'[craft]\nattack = {value}\ndataset = "folder"\nmodel = "m"\nout = "o"\n')
        ended = call("--config", config, "craft")
        assert ended.code == 2
        assert "no attack 'tahn'" in ended.err and "did you mean tanh?" in ended.err
    ended = call(
        "--config", written(tmp_path, "[train]\nzoom = [1, 'wide']\n"), "train", "m", "--out", "o", "--dataset", "d"
    )
    assert "--zoom" in ended.err and "valid number" in ended.err
    ended = call(
        "--config", written(tmp_path, "[craft]\nsteps = 2.5\n"), "craft", "--out", "o", "--dataset", "d", "--model", "m"
    )
    assert "--steps" in ended.err and "valid integer" in ended.err


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("[crft]\nlimit = 2", "unknown command 'crft'", "did you mean craft?"),
        ("limit = 2", "unknown command 'limit'", "Known: demo, craft"),
        ("[craft]\nlimti = 2", r"\[craft\] has no option 'limti'", "did you mean limit?"),
        ("[score]\nmodel = 'x'", r"\[score\] has no option 'model'", "Known: dataset"),
        ("[craft]\nsetting = 'x'", r"\[craft\] has no option 'setting'", "did you mean set?"),
        ("craft = 2", "craft is not a table", r"\[craft\]"),
        ("[craft]\nlimit = true", r"\[craft\] limit is True", "a string, a number"),
        ("[craft]\nlimit = [1, 2]", r"\[craft\] limit is \[1, 2\]", "one value"),
        ("[craft]\nlimit = {a = 1}", r"\[craft\] limit is \{'a': 1\}", "a string, a number"),
        ("[craft]\nattack = [['fgsm']]", r"\[craft\] attack is", "a string, a number"),
        ("[craft]\nquiet = 'yes'", r"\[craft\] quiet is 'yes'", "true or false"),
        ("[craft", "is not TOML", ""),
        ("\0", "is not TOML", ""),
    ],
)
def test_mistakes_in_the_file_are_named(tmp_path: Path, text: str, what: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"segeval\.toml.*{what}") as caught:
        read_defaults(written(tmp_path, text), command_line.commands)
    assert re.search(hint, caught.value.hint)


def test_mistakes_in_the_file_end_the_command(call: Call, tmp_path: Path) -> None:
    ended = call("--config", written(tmp_path, "[craft]\nlimti = 2"), "ls", "tasks")
    assert (ended.code, ended.out) == (2, "")
    assert "limti" in ended.err
    ended = call("--config", tmp_path / "none.toml", "ls", "tasks")
    assert (ended.code, ended.out) == (2, "")
    assert "cannot read" in ended.err and "none.toml" in ended.err
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    assert "is not TOML" in call("--config", tmp_path / "latin.toml", "ls").err


def test_json_on_request_is_json_alone(call: Call) -> None:
    ended = call("ls", "tasks", "--json")
    assert {row["task"] for row in json.loads(ended.out)["tasks"]} >= {"vehicle-to-road"}
    assert ended.err == ""
