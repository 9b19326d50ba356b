"""A set that moved, or came from somebody else: its files are found by their hash, and it brings no code."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from segeval.commands.deploy import weight_files
from segeval.deploy import deploy
from segeval.deploy.given import Given, find_recorded, load_victim, require_in_set
from segeval.errors import ConfigurationError, DataError, FormatError, WeightsError
from segeval.files.bundles import BundleFolder
from segeval.files.set_folder import SetFolder
from segeval.files.sets import ModelRecord
from segeval.files.storage import sha256_file
from segeval.models import load_model
from segeval.models.cards import identity
from segeval.models.loading import load_spec
from segeval.registry import DATASETS
from tests.graphs.conftest import MakeSet, Victims

NAME = "espnet-synthetic"
ONE = (NAME,)


@pytest.fixture
def moved(victims: Victims, tmp_path: Path) -> tuple[ModelRecord, Path]:
    """The record of a network whose weights are no longer where they were, and a copy of them."""
    record = victims[NAME].record
    copy = tmp_path / "elsewhere" / Path(record.weights).name
    copy.parent.mkdir()
    shutil.copy(record.weights, copy)
    return replace(record, weights="no/such/folder/" + copy.name), copy


def test_weights_are_found_beside_the_set_and_here(
    moved: tuple[ModelRecord, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, copy = moved
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/mine.pth").write_bytes(b"another")
    with pytest.raises(
        WeightsError, match=r"looked for them, under any name, in\n(.*\n)*.*/weights \(not it: mine.pth\)"
    ) as caught:
        load_victim(record, tmp_path / "set", Given())
    assert caught.value.hint == f"name the file: --model {NAME}=FILE"
    here = tmp_path / "here"
    (here / "weights").mkdir(parents=True)
    monkeypatch.chdir(here)
    beside = ("set/" + copy.name, copy.name, "set/renamed.safetensors", "weights/renamed.safetensors")
    for name in (*beside, "here/renamed.safetensors", "here/weights/renamed.safetensors"):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        shutil.copy(copy, place)
        assert load_victim(record, tmp_path / "set", Given()).record == record
        place.unlink()


def test_a_place_that_cannot_be_looked_at_is_passed_over(moved: tuple[ModelRecord, Path], tmp_path: Path) -> None:
    record, copy = moved
    shut = replace(record, weights=f"/{'long' * 100}.safetensors")  # refused as a folder of another user is
    with pytest.raises(WeightsError, match="cannot be read"):
        load_victim(shut, tmp_path / "set", Given())
    shutil.copy(copy, tmp_path / "renamed.safetensors")
    assert load_victim(shut, tmp_path / "set", Given()).record == shut


def test_and_in_the_users_data(
    moved: tuple[ModelRecord, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, copy = moved
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path / "data"))
    (tmp_path / "data/weights").mkdir(parents=True)
    shutil.copy(copy, tmp_path / "data/weights/other.safetensors")
    assert load_victim(record, tmp_path / "set", Given()).record == record


def test_registered_weights_are_found_under_any_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGEVAL_DATA", raising=False)
    renamed = tmp_path / "renamed.pth"
    renamed.write_bytes(b"as published")
    record = replace(load_spec("espnet-camvid").record(sha256_file(renamed)), source="espnet-camvid")
    assert find_recorded(record, record.source, tmp_path / "set", Given()) == renamed


def test_a_moved_file_is_named_as_crafted_too(tmp_path: Path) -> None:
    file = tmp_path / "w=1.pth"
    file.touch()
    assert weight_files([f"mine={file}", f"other={NAME}={file}"]) == {"mine": file, "other": file}
    with pytest.raises(ConfigurationError, match="no such file"):
        weight_files([f"mine={tmp_path / 'none.pth'}"])
    with pytest.raises(ConfigurationError, match="no such file"):
        weight_files(["mine=~nobody-of-this-name/w.pth"])


def test_or_where_the_user_says(moved: tuple[ModelRecord, Path], tmp_path: Path) -> None:
    record, copy = moved
    assert load_victim(record, tmp_path / "set", Given({NAME: copy})).record == record
    copy.write_bytes(copy.read_bytes() + b"\0")
    with pytest.raises(WeightsError, match="not it: "):
        load_victim(record, tmp_path / "set", Given({NAME: copy}))


def test_a_file_for_a_network_that_the_set_does_not_have_is_refused(moved: tuple[ModelRecord, Path]) -> None:
    record, copy = moved
    require_in_set(Given({NAME: copy}), [record])
    with pytest.raises(ConfigurationError, match="the set has no network of that name") as caught:
        require_in_set(Given({"espnet": copy}), [record])
    assert caught.value.hint == f"its networks: {NAME}"


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A module that tells what of it was used, as an import of it would."""
    used: list[str] = []

    class Spying(ModuleType):
        def __getattr__(self, name: str) -> object:
            if name.startswith("__"):
                raise AttributeError(name)
            used.append(name)
            return load_spec(NAME) if name == "network" else DATASETS.load("folder")

    monkeypatch.setitem(sys.modules, "theirs", Spying("theirs"))
    yield used


def test_a_network_that_the_set_names_is_not_imported(make_set: MakeSet, tmp_path: Path, spy: list[str]) -> None:
    root = make_set(range(1), networks=ONE)
    folder = SetFolder(root)
    manifest = folder.manifest()
    theirs = replace(manifest.models[0], source="theirs:network")
    folder.write_manifest(replace(manifest, models=(theirs,)))
    with pytest.raises(ConfigurationError, match="unregistered code that segeval would have to run") as caught:
        deploy(root, tmp_path / "bundle", precisions=["fp32"])
    assert "--allow theirs:network" in caught.value.hint
    assert not spy and not (tmp_path / "bundle").exists()
    deploy(root, tmp_path / "bundle", precisions=["fp32"], given=Given(allowed=frozenset({"theirs:network"})))
    assert spy == ["network"]
    assert BundleFolder(tmp_path / "bundle").verify().engines[0].model == NAME


def test_code_that_builds_an_argument_is_not_run_either(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (tmp_path / "mine.py").write_text("from torch import nn\n\ndef net(x):\n    return nn.Conv2d(3, 2, 1)\n")
    card = tmp_path / "net.toml"
    card.write_text(
        f"""[source]
factory = "./mine.py:net"
arguments = {{ x = {{ factory = "builtins:str", object = {{ factory = "os:mkdir", path = "{ran}" }} }} }}
[input]
layout = "NCHW"
colour = "RGB"
range = 1
[output]
kind = "logits"
[classes]
names = ["road", "car"]
"""
    )
    record = load_model(str(card)).record
    codes = ("./mine.py:net", "builtins:str", "os:mkdir")
    assert record.card is not None and record.card.codes == codes and ran.is_dir()
    ran.rmdir()
    older = replace(record, card=replace(record.card, nested=()))
    for each in (record, older):
        with pytest.raises(ConfigurationError, match="names 'os:mkdir', which is code") as caught:
            load_victim(each, tmp_path / "set", Given(allowed=frozenset(codes[:2])))
        assert caught.value.hint.endswith("--allow os:mkdir") and not ran.exists()
    allowed = Given(allowed=frozenset(codes))
    victim = load_victim(record, tmp_path / "set", allowed)
    assert victim.record == record and ran.is_dir()
    ran.rmdir()
    unknown = replace(older, card=replace(record.card, files=()), weights_sha256=identity((), victim.network))
    assert load_victim(unknown, tmp_path / "set", allowed).record == unknown  # a set from before modules were recorded


def test_a_card_and_its_files_that_moved_are_found_by_what_they_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path / "data"))
    home, data, root = tmp_path / "home", tmp_path / "data/weights", tmp_path / "set"
    for folder in (home / "parts", data, root):
        folder.mkdir(parents=True)
    (home / "mine.py").write_text("from torch import nn\n\ndef net():\n    return nn.Conv2d(3, 2, 1)\n")
    torch.save(torch.nn.Conv2d(3, 2, 1).state_dict(), home / "parts/net.pth")
    (home / "net.toml").write_text(
        '[source]\nfactory = "./mine.py:net"\nweights = "parts/net.pth"\n[input]\nlayout = "NCHW"\ncolour = "RGB"\n'
        'range = 1\n[output]\nkind = "logits"\n[classes]\nnames = ["road", "car"]\n'
    )
    record = load_model(str(home / "net.toml")).record
    (home / "net.toml").rename(root / "other.toml")
    (home / "mine.py").rename(tmp_path / "theirs.py")
    (home / "parts/net.pth").rename(data / "other.pth")
    with pytest.raises(ConfigurationError, match=r"other\.toml\) names './mine.py:net', which is code"):
        load_victim(record, root, Given())
    given = Given(allowed=frozenset({"./mine.py:net"}))
    assert load_victim(record, root, given).record == record
    (tmp_path / "theirs.py").write_text("raise SystemExit\n")
    with pytest.raises(WeightsError, match=r"mine\.py, which the network of net was read from, is not here"):
        load_victim(record, root, given)


def test_nor_is_a_dataset(make_set: MakeSet, tmp_path: Path, spy: list[str]) -> None:
    root = make_set(range(1), networks=ONE)
    folder = SetFolder(root)
    manifest = folder.manifest()
    folder.write_manifest(replace(manifest, config=replace(manifest.config, dataset="theirs:open")))
    with pytest.raises(ConfigurationError, match="dataset 'theirs:open', which is unregistered code"):
        deploy(root, tmp_path / "bundle", precisions=["int8"])
    assert not spy


def test_a_dataset_that_the_user_names_must_be_there(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    with pytest.raises(DataError):
        deploy(root, tmp_path / "bundle", precisions=["int8"], given=Given(data_root=tmp_path / "nowhere"))


def test_a_file_that_is_another_is_refused_though_the_bundle_is_there(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    deploy(root, tmp_path / "bundle", precisions=["fp32"])
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(WeightsError, match="another file"):
        deploy(root, tmp_path / "bundle", precisions=["fp32"], given=Given({NAME: tmp_path / "other"}))


def test_a_set_that_contradicts_itself_is_not_deployed(make_set: MakeSet, tmp_path: Path) -> None:
    root = make_set(range(1), networks=ONE)
    folder = SetFolder(root)
    manifest = folder.manifest()
    (model,), (task, *_) = manifest.models, manifest.tasks
    forged = (
        replace(manifest, models=(replace(model, name="../../etc"),)),
        replace(manifest, models=(replace(model, logit_scale=1e-300),)),
        replace(manifest, images=("../x",)),
        replace(manifest, sample_count=7),
        replace(manifest, tasks=(replace(task, target=99),)),
        replace(manifest, height=-8),
    )
    for each in forged:
        folder.write_manifest(each)
        with pytest.raises(FormatError):
            deploy(root, tmp_path / "bundle", precisions=["fp32"])
    assert not (tmp_path / "bundle").exists()
