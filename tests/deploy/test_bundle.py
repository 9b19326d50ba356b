from functools import partial
from pathlib import Path

import numpy as np
import pytest

from segeval.deploy import bundle as writing
from segeval.deploy.bundle import Input, hash_files, ranges, write_inputs
from segeval.errors import ConfigurationError
from segeval.files.bundles import Shard
from segeval.files.images import RgbImage
from segeval.files.new_folder import new_folder


def image(value: int) -> RgbImage:
    return np.full((4, 6, 3), value, np.uint8)


def nothing(done: int, total: int) -> None:
    pass


def test_inputs_are_split_into_shards_of_limited_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "MOST_BYTES", 2 * 4 * 6 * 3 + 71)
    steps: list[tuple[int, int]] = []
    inputs = [Input(f"clean/{value}", partial(image, value)) for value in range(5)]
    written = write_inputs(tmp_path, inputs, 4, 6, lambda *step: steps.append(step))
    names = [f"inputs/shard-0000{number}.npy" for number in range(3)]
    assert written.shards == (Shard(names[0], 0, 2), Shard(names[1], 2, 2), Shard(names[2], 4, 1))
    assert steps[-1] == (5, 5)
    pixels = np.concatenate([np.load(tmp_path / name, allow_pickle=False) for name in names])
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, np.stack([image(value) for value in range(5)]))
    assert (tmp_path / "inputs/index.jsonl").read_text().splitlines()[4] == '{"key":"clean/4"}'


@pytest.mark.parametrize(("least", "count"), [(1, 8), (24 * 4 * 6 * 3, 1), (5 * 4 * 6 * 3, 5)])
def test_many_inputs_are_spread_over_files_that_are_hashed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: int, count: int
) -> None:
    monkeypatch.setattr(writing, "LEAST_BYTES", least)
    inputs = [Input(f"clean/{value}", partial(image, value)) for value in range(24)]
    shards = write_inputs(tmp_path, inputs, 4, 6, nothing).shards
    assert len(shards) == count
    assert sum(shard.count for shard in shards) == 24


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"clean/a is \(4, 6\)"):
        write_inputs(tmp_path, [Input("clean/a", partial(image, 1))], 8, 6, nothing)


def test_a_folder_appears_only_when_it_is_finished(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "bundle"
    with pytest.raises(RuntimeError), new_folder(out, "bundle") as part:
        (part / "half").write_text("done")
        raise RuntimeError
    assert not any((tmp_path / "deep").iterdir())
    with new_folder(out, "bundle") as part:
        (part / "whole").write_text("done")
        assert not out.exists()
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["bundle", "whole"]


def enter(out: Path) -> None:
    with new_folder(out, "bundle"):
        pass


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with (
        pytest.raises(ConfigurationError, match="holds files that segeval did not make"),
        new_folder(tmp_path, "bundle"),
    ):
        pass
    (tmp_path / "set.json").touch()
    with (
        pytest.raises(ConfigurationError, match=r"holds an adversarial set \(set\.json\)"),
        new_folder(tmp_path, "bundle"),
    ):
        pass
    assert (tmp_path / "mine").read_text() == "precious"


def test_every_file_is_hashed_by_its_relative_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"abc")
    (file,) = hash_files(tmp_path).items()
    assert file[0] == "a/b"
    assert file[1].bytes == 3
    assert file[1].sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    ("indices", "expected"),
    [([], ()), ([4], ((4, 5),)), ([0, 1, 2, 5, 6, 9], ((0, 3), (5, 7), (9, 10)))],
)
def test_indices_become_half_open_ranges(indices: list[int], expected: tuple[tuple[int, int], ...]) -> None:
    assert ranges(indices) == expected
