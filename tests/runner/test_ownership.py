"""Whose a folder is, by what lies in it."""

from pathlib import Path

import pytest

from segeval_runner.ownership import KINDS, NOTHING, OTHER, Kind, kind_of, refusal


def filled(folder: Path, *names: str) -> Path:
    """A folder with these files."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_known_by_its_manifest_and_refused_to_all_others(kind: Kind, tmp_path: Path) -> None:
    folder = filled(tmp_path / "out", *kind.manifests)
    assert kind_of(folder) == kind.name
    for other in KINDS:
        said = refusal(folder, other.name)
        assert said == ("" if other == kind else f"{folder} holds {kind.words} ({kind.manifests[0]})")


def test_a_replay_is_not_taken_for_the_bundle_whose_manifest_it_has(tmp_path: Path) -> None:
    assert kind_of(filled(tmp_path, "bundle.json", "replay.json")) == "replay"
    assert kind_of(filled(tmp_path, "runner.pyz")) == "replay"


def test_nothing_is_what_is_not_there_or_was_left_by_a_writer_that_was_killed(tmp_path: Path) -> None:
    assert kind_of(tmp_path / "new") == NOTHING
    assert kind_of(tmp_path) == NOTHING
    filled(tmp_path, "replay.json.part")
    (tmp_path / ".unpacked.x.part").mkdir()
    assert kind_of(tmp_path) == NOTHING
    assert refusal(tmp_path, "bench") == ""


def test_what_was_begun_is_only_its_makers(tmp_path: Path) -> None:
    filled(tmp_path, "bundle.json")
    assert refusal(tmp_path, "replay", ("bundle.json",)) == ""
    assert refusal(tmp_path, "bench") == f"{tmp_path} holds files that segeval did not make"


def test_other_files_and_what_is_no_folder(tmp_path: Path) -> None:
    folder = filled(tmp_path / "mine", "thesis.tex")
    assert kind_of(folder) == OTHER
    assert refusal(folder, "set") == f"{folder} holds files that segeval did not make"
    file = folder / "thesis.tex"
    assert kind_of(file) == OTHER
    assert refusal(file, "set") == f"{file} is not a folder"
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert refusal(tmp_path / "dangling", "set") == f"{tmp_path / 'dangling'} is not a folder"


def test_an_own_folder_stays_ones_own_beside_another_kind(tmp_path: Path) -> None:
    """As earlier versions allowed: a benchmark was written into any folder."""
    filled(tmp_path, "set.json", "bench.json")
    assert refusal(tmp_path, "bench") == ""
    assert "an adversarial set (set.json)" in refusal(tmp_path, "replay")
