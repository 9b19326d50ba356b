"""What is said of deployed files that attacks were made on, with records alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from segeval.commands.files_attacked import files_again, say_what_else_could_be_attacked, warn_of_files_left_out
from segeval.files.bundles import BundledFile, BundleFolder
from segeval.files.own import OwnFile
from segeval.files.sets import DeployedFile

OWN = OwnFile("mine.onnx", "0" * 64, 1, "onnx", "int8")


def engine(label: str, own: OwnFile | None = None, model: str = "m") -> Any:
    return SimpleNamespace(model=model, label=label, own=own, file=f"models/{model}.{label}.onnx")


def bundle_of(*engines: Any) -> Any:
    """A bundle in which the hash of a file is its name."""
    return SimpleNamespace(engines=engines, files={each.file: BundledFile(each.file, 1) for each in engines})


def set_of(*engines: Any, models: int = 1) -> Any:
    """A set with attacks on these engines of a bundle."""
    deployed = tuple(DeployedFile(each.model, each.label, each.file) for each in engines)
    return SimpleNamespace(
        deployed=deployed, models=tuple(range(models)), config=SimpleNamespace(bundle="bundle" if engines else None)
    )


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A bundle with int8 and the user's file."""
    made = bundle_of(engine("int8"), engine("mine", OWN))
    monkeypatch.setattr(BundleFolder, "manifest", lambda self: made)
    return made


def test_the_users_file_is_named_unless_it_is_attacked(bundle: Any, capfd: pytest.CaptureFixture[str]) -> None:
    say_what_else_could_be_attacked(Path("bundle"), ("int8",))
    said = capfd.readouterr().err
    assert said == "attacks are made on int8; the bundle also has your own 'mine': --engine mine\n"
    say_what_else_could_be_attacked(Path("bundle"), ("int8", "mine"))
    say_what_else_could_be_attacked(Path("bundle"), ())
    say_what_else_could_be_attacked(None, ("int8",))
    bundle.engines = (engine("int8"),)
    say_what_else_could_be_attacked(Path("bundle"), ("int8",))
    assert capfd.readouterr().err == ""


def test_the_next_deploy_brings_the_files_that_were_attacked(bundle: Any) -> None:
    own = bundle.engines[1]
    assert files_again(set_of(own)) == ["--engine-file", "mine=mine.onnx"]
    assert files_again(set_of(own, models=2)) == ["--engine-file", "m.mine=mine.onnx"]
    assert files_again(set_of(bundle.engines[0])) == [] == files_again(set_of())
    assert files_again(set_of(engine("mine", model="another"))) == []


def test_the_next_deploy_finds_the_users_file_beside_the_bundle_or_asks_for_its_folder(
    bundle: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    of_mine = set_of(bundle.engines[1])
    assert files_again(of_mine) == ["--engine-file", "mine=mine.onnx"]
    assert "mine.onnx is not in this folder" in capfd.readouterr().err
    of_mine.config.bundle = "made/bundle"
    Path("made").mkdir()
    Path("made/mine.onnx").touch()
    assert files_again(of_mine) == ["--engine-file", "mine=made/mine.onnx"]
    Path("mine.onnx").touch()
    assert files_again(of_mine) == ["--engine-file", "mine=mine.onnx"]
    assert capfd.readouterr().err == ""


def test_a_file_that_a_bundle_lacks_is_warned_of(bundle: Any, capfd: pytest.CaptureFixture[str]) -> None:
    warn_of_files_left_out(set_of(*bundle.engines), bundle)
    assert capfd.readouterr().err == ""
    warn_of_files_left_out(set_of(*bundle.engines), bundle_of(engine("int8")))
    said = capfd.readouterr().err.splitlines()
    assert said == [
        "warning: attacks were made on mine of m, and that file is not in this bundle",
        "add it by --engine-file, or the --calibration that it was made with; otherwise it is not judged",
    ]
