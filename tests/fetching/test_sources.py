"""What can be fetched agrees with the registered models, the datasets and the record of the real data."""

import csv
import hashlib
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from segeval.errors import DataError, WeightsError
from segeval.fetching.inventory import take
from segeval.fetching.sources import SOURCES, Source, source_of
from segeval.models.loading import find_weights, load_spec, weights_status
from segeval.places import cache_folder
from segeval.registry import DATASETS, MODELS

DICENET = ("sacmehta/EdgeNets", "model/segmentation/model_zoo/dicenet/dicenet_s_1.0_city_1024x512.pth")
"""The one published file that is not among the real data: its hash was taken from a clone of its repository."""

sources = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())


@sources
def test_files_have_a_place_below_the_cache_and_a_hash(source: Source) -> None:
    files = source.files()
    assert files and len({file.path for file in files}) == len(files)
    assert source.licence and source.goes_on
    for file in files:
        assert ".." not in PurePosixPath(file.path).parts and not PurePosixPath(file.path).is_absolute()
        assert re.fullmatch(r"sha256:[0-9a-f]{64}|git:[0-9a-f]{40}", file.digest)
        assert re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{40}", file.commit)


def test_no_two_sources_bring_the_same_file() -> None:
    paths = [file.path for source in SOURCES.values() for file in source.files()]
    assert len(set(paths)) == len(paths) == 1402 + 10 + 4


def test_every_published_weight_file_of_a_registered_model_can_be_fetched() -> None:
    published = {
        name: spec.weights for name in MODELS if (spec := load_spec(name)).weights and not spec.weights.bundled
    }
    assert {"espnet-camvid", "espnet-cityscapes"} <= published.keys() <= SOURCES.keys()
    for name, weights in published.items():
        assert weights is not None
        (file,) = SOURCES[name].files()
        assert (file.path, file.digest) == (f"weights/{weights.file}", f"sha256:{weights.sha256}")
        assert file.repository in weights.source and file.commit[:8] in weights.source


def test_camvid_has_both_kinds_of_files_of_every_split_pictures_first() -> None:
    paths = [PurePosixPath(file.path) for file in SOURCES["camvid"].files()]
    for split, number in {"train": 367, "val": 101, "test": 233}.items():
        pictures = [path.name for path in paths if path.parent.name == split]
        labels = [path.name for path in paths if path.parent.name == f"{split}annot"]
        assert pictures == labels and len(pictures) == number
        last = max(index for index, path in enumerate(paths) if path.parent.name == split)
        assert last < min(index for index, path in enumerate(paths) if path.parent.name == f"{split}annot")


def test_the_tables_agree_with_the_record_of_the_real_data(data: Path) -> None:
    with (data / "MANIFEST.tsv").open(encoding="utf-8", newline="") as lines:
        rows = {(row["origin_repository"], row["origin_path"]): row for row in csv.DictReader(lines, delimiter="\t")}
    for source in SOURCES.values():
        for file in source.files():
            if (file.repository, file.origin) == DICENET:
                continue
            row = rows[file.repository, file.origin]
            if row["form"] == "byte-identical":
                assert (file.digest, file.size) == (f"sha256:{row['sha256']}", int(row["bytes"]))
            else:
                assert (file.digest, file.size) == (f"git:{row['origin_git_blob']}", None)
    assert sum(int(row["bytes"]) for row in rows.values() if row["path"].startswith("camvid/")) == (
        SOURCES["camvid"].at_least
    )


def test_what_brings_a_file_or_a_folder_is_known() -> None:
    assert source_of("weights/espnet_p_2_q_8.pth") is SOURCES["espnet-cityscapes"]
    assert source_of("camvid") is SOURCES["camvid"]
    assert source_of("cityscapes") is SOURCES["cityscapes-frames"]
    assert source_of("cam") is None
    assert source_of("weights/other.pth") is None


def test_missing_weights_and_datasets_name_the_command_that_gets_them() -> None:
    with pytest.raises(WeightsError) as weights:
        find_weights(load_spec("espnet-camvid"))
    assert weights.value.hint.startswith("segeval fetch espnet-camvid, or give a file")
    assert weights_status(load_spec("espnet-camvid")) == "missing"
    with pytest.raises(DataError) as dataset:
        DATASETS.load("camvid")()
    assert dataset.value.hint.startswith("segeval fetch camvid brings the 701")
    assert "--data-root" in dataset.value.hint


@pytest.mark.parametrize("folder", ["cache", "data"])
def test_fetch_and_ls_agree_on_what_is_here(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("SEGEVAL_DATA", str(tmp_path / "data"))
    root = tmp_path / "data" if folder == "data" else cache_folder()
    spec, source = load_spec("espnet-camvid"), SOURCES["espnet-camvid"]
    assert spec.weights is not None
    right = hashlib.sha256(b"right").hexdigest()
    registered = replace(spec, weights=replace(spec.weights, sha256=right))
    recorded = replace(source, files=lambda: [replace(source.files()[0], digest=f"sha256:{right}")])
    for content, expected in ((None, "missing"), (b"another", "damaged"), (b"right", "here")):
        if content is not None:
            place = root / "weights" / spec.weights.file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
        assert weights_status(registered) == take(recorded).local == expected
    assert find_weights(registered) == place and take(recorded).folder == place.parent
