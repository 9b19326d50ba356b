"""How much of the gradient of ξ lies in φ (Fig. 5)."""

from collections.abc import Sequence

from segeval.evaluate.measure.bootstrap import derived
from segeval.files.experiments import Maps
from segeval.reproduce.kang2020.kang2020_records import GradientImage, GradientShare
from segeval.reproduce.kang2020.tallies import mean_of


def gradient_images(maps: Maps) -> tuple[GradientImage, ...]:
    """One row per model and image."""
    return tuple(
        GradientImage(each.model, each.image, each.step, each.energy_in_phi, each.phi_share) for each in maps.gradients
    )


def gradient_shares(images: Sequence[GradientImage], seed: int) -> tuple[GradientShare, ...]:
    """Means over the images of each model, with their intervals."""
    found = []
    for model in dict.fromkeys(each.model for each in images):
        ours = [each for each in images if each.model == model]
        drawn = derived(seed, "gradients", model)
        found.append(
            GradientShare(
                model=model,
                steps=tuple(sorted({each.step for each in ours})),
                energy_in_phi=mean_of([each.energy_in_phi for each in ours], drawn),
                phi_share=mean_of([each.phi_share for each in ours], drawn),
            )
        )
    return tuple(found)
