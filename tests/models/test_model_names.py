"""Names of networks: one of one's own for each of several weight files of one network."""

from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from segeval.errors import ConfigurationError
from segeval.models import load_models
from segeval.models.loading import BUNDLED
from segeval.models.model_names import ModelName, parse_model

NAME = "espnet-synthetic"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NAME, ModelName(NAME, "", "")),
        (f"{NAME}=runs/a=b.pth", ModelName(NAME, "runs/a=b.pth", "")),
        (f"q3={NAME}", ModelName(NAME, "", "q3")),
        (f"q3={NAME}=runs/a=b.pth", ModelName(NAME, "runs/a=b.pth", "q3")),
        ("mine=package.module:SPEC=w.pth", ModelName("package.module:SPEC", "w.pth", "mine")),
        ("package.module:SPEC=w.pth", ModelName("package.module:SPEC", "w.pth", "")),
        ("nothing=w.pth", ModelName("nothing", "w.pth", "")),
        ("runs/lr=0.1/net.toml", ModelName("runs/lr=0.1/net.toml", "", "")),
        ("mine=runs/lr=0.1/net.toml", ModelName("runs/lr=0.1/net.toml", "", "mine")),
    ],
)
def test_parts(text: str, expected: ModelName) -> None:
    assert parse_model(text) == expected


def test_an_odd_label_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="not a valid network name"):
        parse_model(f"a/b={NAME}")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two weight files of one network."""
    state = load_file(BUNDLED / f"{NAME}.safetensors")
    found = []
    for number, name in enumerate(("q3", "q5")):
        found.append(tmp_path / f"{name}.safetensors")
        save_file(
            {key: value + number if key == "classifier.weight" else value for key, value in state.items()}, found[-1]
        )
    return found


def test_two_files_of_one_network_get_the_names_of_the_files(files: list[Path]) -> None:
    q3, q5 = load_models([f"{NAME}={file}" for file in files])
    assert (q3.record.name, q5.record.name) == (f"{NAME}-q3", f"{NAME}-q5")
    assert q3.record.source == q5.record.source == NAME
    assert q3.record.weights_sha256 != q5.record.weights_sha256


def test_or_names_that_the_user_gives(files: list[Path]) -> None:
    models = load_models([f"small={NAME}={files[0]}", f"large={NAME}={files[1]}", NAME])
    assert [model.record.name for model in models] == ["small", "large", NAME]


def test_one_name_for_two_is_refused(files: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="given more than once") as caught:
        load_models([NAME, NAME])
    assert f"LABEL={NAME}=WEIGHTS" in caught.value.hint
    with pytest.raises(ConfigurationError, match="given more than once"):
        load_models([f"one={NAME}={files[0]}", f"one={NAME}={files[0]}"])


def test_names_that_differ_in_capital_letters_alone_are_refused(files: list[Path]) -> None:
    with pytest.raises(ConfigurationError, match="'q' and 'Q' have one name where capital letters do not count"):
        load_models([f"q={NAME}={files[0]}", f"Q={NAME}={files[1]}"])


@pytest.mark.parametrize("text", [f"{NAME}=", f"q3={NAME}=", "q3="])
def test_nothing_after_the_last_sign_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="nothing after the ="):
        parse_model(text)
