"""The procedural street scenes."""

import hashlib

import numpy as np
import pytest

from segeval.datasets.synthetic import Scene, render_scene

IGNORE = 255


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render_scene(seed, 128, 256) for seed in range(20)]


def test_same_seed_and_size_give_the_same_bytes() -> None:
    first, second = render_scene(7, 96, 192), render_scene(7, 96, 192)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.labels.tobytes() == second.labels.tobytes()


def test_numpys_global_generator_is_neither_read_nor_moved() -> None:
    np.random.seed(1)  # noqa: NPY002
    first = render_scene(3, 64, 128)
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert render_scene(3, 64, 128).image.tobytes() == first.image.tobytes()
    np.random.seed(1)  # noqa: NPY002
    assert str(np.random.get_state()) == str(state)  # noqa: NPY002


@pytest.mark.parametrize(("height", "width"), [(64, 128), (65, 129), (180, 240), (64, 640), (300, 200)])
def test_any_size_is_drawn(height: int, width: int) -> None:
    scene = render_scene(11, height, width)
    assert scene.image.shape == (height, width, 3)
    assert scene.image.dtype == np.uint8
    assert scene.labels.shape == (height, width)
    assert scene.labels.dtype == np.uint8


@pytest.mark.parametrize(("height", "width"), [(63, 128), (64, 127), (0, 0), (-64, 128)])
def test_too_small_a_size_is_refused(height: int, width: int) -> None:
    with pytest.raises(ValueError, match="64x128"):
        render_scene(0, height, width)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        render_scene(-1)


def test_labels_are_train_ids_or_ignore(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert set(np.unique(scene.labels).tolist()) <= {*range(19), IGNORE}


def test_every_class_occurs_in_a_good_share_of_the_scenes(scenes: list[Scene]) -> None:
    counts = [sum(int((scene.labels == train_id).sum() > 15) for scene in scenes) for train_id in range(19)]
    assert min(counts) >= 0.25 * len(scenes), counts


def test_the_ignored_region_is_one_strip_at_the_lower_edge(scenes: list[Scene]) -> None:
    with_bonnet = [render_scene(seed, 128, 256) for seed in (41, 62)]
    assert all((scene.labels == IGNORE).any() for scene in with_bonnet)
    for scene in [*scenes, *with_bonnet]:
        ignored = scene.labels == IGNORE
        assert not ignored[: int(0.9 * ignored.shape[0])].any()
        # No holes from above: once a column is bonnet, it stays so to the edge.
        assert np.array_equal(ignored, np.maximum.accumulate(ignored, axis=0))


@pytest.mark.parametrize("seed", [0, 9])
def test_twice_the_size_shows_the_same_scene(seed: int) -> None:
    small, large = render_scene(seed, 128, 256), render_scene(seed, 256, 512)
    assert np.mean(large.labels[1::2, 1::2] == small.labels) > 0.95
    shrunk = large.image.reshape(128, 2, 256, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk - small.image).mean() < 12


def test_a_wider_picture_shows_the_same_street_in_its_middle() -> None:
    narrow, wide = render_scene(4, 128, 170), render_scene(4, 128, 256)
    assert np.mean(wide.labels[:, 43:213] == narrow.labels) > 0.97


def test_seeds_give_different_scenes(scenes: list[Scene]) -> None:
    digests = {hashlib.sha256(scene.image.tobytes()).digest() for scene in scenes}
    assert len(digests) == len(scenes)
    assert np.mean(scenes[0].labels == scenes[1].labels) < 0.9


def test_colours_of_a_class_vary_and_overlap_between_classes(scenes: list[Scene]) -> None:
    def greys(train_id: int) -> set[int]:
        values = [scene.image[scene.labels == train_id].mean(axis=1) for scene in scenes]
        return set((np.concatenate(values) // 16).astype(int).tolist())

    assert len(greys(13) & greys(0)) > 6
    assert len(greys(2) & greys(3)) > 6


def test_image_and_labels_agree_at_the_skyline(scenes: list[Scene]) -> None:
    """Sky is brighter than the buildings under it, up to the last row of either."""
    right = total = 0
    for scene in scenes:
        grey = scene.image.mean(axis=2)
        above, below = scene.labels[:-3], scene.labels[3:]
        edge = (above == 10) & (below == 2)
        right += int((grey[:-3][edge] > grey[3:][edge]).sum())
        total += int(edge.sum())
    assert total > 500
    assert right / total > 0.8
