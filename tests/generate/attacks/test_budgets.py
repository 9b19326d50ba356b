import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segeval.errors import ConfigurationError
from segeval.generate.attacks.budgets import EPSILON, linf, to_bytes

quickly = settings(max_examples=60, deadline=None, derandomize=True, database=None)
pixels = arrays(np.uint8, (3, 4, 3), elements=st.integers(0, 255))
# Fractions of integers: strategies for floats refuse to work where denormals are flushed, as crafting does.
levels = arrays(np.int32, (3, 3, 4), elements=st.integers(-30 * 64, 285 * 64)).map(lambda x: np.float32(x) / 64)
whole_radii = st.integers(1, 20).map(float)
radii = st.one_of(st.integers(1, 25500).map(lambda x: x / 100), whole_radii)


@quickly
@given(clean=pixels, wanted=levels, radius=radii)
def test_projection_gives_the_nearest_images_of_the_budget(
    clean: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    wanted: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    radius: float,
) -> None:
    start = torch.from_numpy(clean).permute(2, 0, 1).float() / 255
    images = torch.from_numpy(wanted) / 255
    ball = linf(radius, start, torch.ones_like(start[:1], dtype=torch.bool))
    projected = ball.project(images)
    assert ((projected - start).abs() * 255 <= radius + 1e-4).all()
    inside = ((images - start).abs() * 255 < radius - 1e-4) & (images >= 0) & (images <= 1)
    assert torch.equal(projected[inside], images[inside])
    outside = (images - start).abs() * 255 > radius + 1e-4
    nearest = (start + (images - start).sign() * radius / 255).clamp(0, 1)
    assert torch.allclose(projected[outside], nearest[outside], atol=1e-6)
    assert torch.equal(ball.project(projected), projected)


@quickly
@given(clean=pixels, wanted=levels, radius=st.one_of(st.none(), whole_radii))
def test_saved_bytes_are_rounded_to_nearest_and_stay_in_the_budget(
    clean: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    wanted: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    radius: float | None,
) -> None:
    saved = to_bytes(torch.from_numpy(wanted) / 255, clean, radius)
    assert saved.dtype == np.uint8
    margin = 255 if radius is None else int(radius)
    change = saved.astype(int) - clean
    assert np.abs(change).max() <= margin
    low, high = np.maximum(clean.astype(int) - margin, 0), np.minimum(clean.astype(int) + margin, 255)
    ideal = wanted.transpose(1, 2, 0)
    free = (ideal > low) & (ideal < high)
    assert (np.abs(saved - ideal)[free] <= 0.5 + 1e-4).all()
    assert (saved[ideal <= low] == low[ideal <= low]).all()
    assert (saved[ideal >= high] == high[ideal >= high]).all()


def test_every_8_bit_image_survives_the_way_to_float_and_back() -> None:
    clean = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    images = torch.from_numpy(clean).permute(2, 0, 1).float() / 255
    assert np.array_equal(to_bytes(images, np.zeros_like(clean), None), clean)
    darker = linf(1.0, images, torch.tensor(True)).project(images - 1 / 255)
    assert np.array_equal(to_bytes(darker, clean, 1.0), np.maximum(clean, 1) - 1)


@pytest.mark.parametrize("radius", [0.0, -1.0, 256.0, float("nan")])
def test_impossible_budgets_are_refused(radius: float) -> None:
    with pytest.raises(ConfigurationError, match="budget"):
        linf(radius, torch.zeros(1, 3, 4, 5), torch.tensor(True))


def test_dithering_keeps_the_mean_and_whole_levels_and_the_budget() -> None:
    rng = np.random.default_rng(0)
    clean = rng.integers(10, 240, (64, 64, 3)).astype(np.uint8)
    lifts = rng.random((3, 64, 64)).clip(EPSILON, 1 - EPSILON).astype(np.float32)
    start = torch.from_numpy(clean).permute(2, 0, 1).float() / 255
    for change in (0.0, 0.1, 0.3, 0.8, 1.0, 1.25, 2.0, -0.4, -1.6):
        rounded = to_bytes(start + change / 255, clean, None, lifts).astype(int) - clean
        assert abs(rounded.mean() - change) < 0.02
        assert set(np.unique(rounded)) <= {int(np.floor(change)), int(np.ceil(change))}
        held = to_bytes(start + change / 255, clean, 1.0, lifts).astype(int) - clean
        assert np.abs(held).max() <= 1
    assert np.array_equal(to_bytes(start, clean, None, lifts), clean)


def test_what_may_not_change_stays_as_it_is() -> None:
    clean, images = torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)
    free = torch.rand(2, 1, 4, 5) < 0.5
    ball = linf(9.0, clean, free)
    assert torch.equal(ball.project(images), torch.where(free, ball.project(images), clean))
    whole = linf(9.0, clean, torch.tensor(True)).project(images)
    assert torch.equal(ball.project(images)[free.expand_as(clean)], whole[free.expand_as(clean)])
