"""What training draws at random of an image and its labels, and the loss against soft labels."""

import pytest
import torch
from torch import Tensor

from segeval.classes import IGNORE
from segeval.generate.training.augment import Augmentation
from segeval.generate.training.distillation import soft_cross_entropy


def labelled(height: int, width: int, count: int) -> tuple[Tensor, Tensor]:
    """Blocks whose grey level is ten times their label."""
    coarse = torch.randint(0, 19, (count, height // 32, width // 32), generator=torch.Generator().manual_seed(0))
    labels = coarse.repeat_interleave(32, 1).repeat_interleave(32, 2)
    return (10 * labels[:, None].expand(-1, 3, -1, -1)).to(torch.uint8), labels.to(torch.uint8)


@pytest.mark.parametrize("zoom", [0.5, 0.8, 1.0, 1.7])
def test_labels_follow_their_image_through_zoom_crop_and_mirror(zoom: float) -> None:
    images, labels = labelled(64, 128, 4)
    augment = Augmentation((40, 72), (zoom, zoom), colour=0)
    mirrored = []
    for seed in range(8):
        found, classes, _ = augment(images, labels, torch.Generator().manual_seed(seed))
        assert found.shape == (4, 3, 40, 72)
        assert classes.shape == (4, 40, 72)
        assert classes.dtype == torch.int64
        for image, label in zip(found, classes, strict=True):
            counted = label != IGNORE
            assert counted.float().mean() > (0.5 if zoom < 0.6 else 0.99)
            # Only where blocks meet is a resampled image no longer that of its nearest label.
            wrong = (image[0] * 255 - 10 * label).abs()[counted] > 1
            assert wrong.float().mean() < (0.01 if zoom == 1 else 0.4)
        mirrored.append(classes)
    assert any(not torch.equal(mirrored[0], other) for other in mirrored[1:])


def test_mirrors_and_windows_are_drawn_for_every_image() -> None:
    """With a crop of the whole image only the mirror is left to chance."""
    images, labels = labelled(64, 128, 12)
    found, classes, _ = Augmentation((64, 128), (1.0, 1.0), colour=0)(images, labels, torch.Generator().manual_seed(0))
    flips = 0
    for index in range(12):
        straight = torch.equal(classes[index], labels[index].long())
        assert straight or torch.equal(classes[index], labels[index].long().flip(1))
        assert torch.allclose(found[index] * 255, 10.0 * classes[index].expand(3, -1, -1), atol=1e-3)
        flips += not straight
    assert 0 < flips < 12


def test_windows_beyond_the_image_do_not_count() -> None:
    images, labels = labelled(32, 32, 1)
    found, classes, _ = Augmentation((64, 64), (1.0, 1.0), colour=0)(images, labels, torch.Generator().manual_seed(1))
    assert (classes == IGNORE).sum() == 64 * 64 - 32 * 32
    assert (found[0, 0][classes[0] == IGNORE] == 0).all()


def test_colours_change_within_the_range_and_labels_do_not() -> None:
    images, labels = labelled(64, 128, 2)
    plain = Augmentation((64, 128), (1.0, 1.0), colour=0)(images, labels, torch.Generator().manual_seed(0))
    changed = Augmentation((64, 128), (1.0, 1.0), colour=0.3)(images, labels, torch.Generator().manual_seed(0))
    again = Augmentation((64, 128), (1.0, 1.0), colour=0.3)(images, labels, torch.Generator().manual_seed(0))
    assert torch.equal(plain[1], changed[1])
    assert torch.equal(changed[0], again[0])
    assert not torch.allclose(plain[0], changed[0])
    assert changed[0].min() >= 0 and changed[0].max() <= 1


def test_soft_labels_follow_their_image_through_zoom_crop_and_mirror() -> None:
    """Probabilities that say which label a block has stay with that label."""
    images, labels = labelled(64, 128, 4)
    soft = torch.nn.functional.one_hot(labels[:, ::4, ::4].long(), 19).permute(0, 3, 1, 2).half()
    for seed, zoom in enumerate((0.5, 1.0, 1.6)):
        augment = Augmentation((40, 72), (zoom, zoom), colour=0)
        _, classes, found = augment(images, labels, torch.Generator().manual_seed(seed), soft)
        assert found is not None and found.shape == (4, 19, 10, 18)
        centres = classes[:, 2::4, 2::4]
        counted = centres != IGNORE
        agree = found.argmax(1)[counted] == centres[counted]
        assert agree.float().mean() > 0.85, zoom
        assert (found.sum(1)[~counted] < 0.99).all(), "nothing is known beyond the image"


def test_soft_cross_entropy_is_that_of_every_pixel() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    soft = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64).softmax(1)
    soft[0, :, 0, 0] = 0
    total = 0.0
    for n in range(2):
        for y in range(4):
            for x in range(5):
                chances = logits[n, :, y, x].softmax(0)
                total -= sum(float(soft[n, c, y, x] * chances[c].log()) for c in range(3))
    assert float(soft_cross_entropy(logits, soft)) == pytest.approx(total / 40)
