"""Notes of `segeval deploy` besides parity: operators left in floating point, doubtful files, calibration images."""

from typing import TYPE_CHECKING

from segeval.console import say
from segeval.errors import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segeval.files.bundles import BundleManifest


FEW = 16
"""Calibration images below which their choice matters too much."""


def carries(bundle: "BundleManifest") -> bool:
    """Whether a bundle has engines that the user gave, and therefore trusts."""
    return any(engine.own is not None and engine.own.format == "tensorrt" for engine in bundle.engines)


def show_left_out(bundle: "BundleManifest") -> None:
    """Print which convolutions of an int8 file stay in floating point, and why."""
    for engine in bundle.engines:
        found = engine.calibration
        if found is not None and found.too_small:
            say(f"{engine.name}: {len(found.too_small)} convolutions with few channels stay in floating point")
        if found is not None and found.not_on_tensorrt_8:
            count = len(found.not_on_tensorrt_8)
            what = f"{count} grouped convolutions stay in floating point"
            say(f"{engine.name}: {what}; TensorRT 8 has no int8 kernel for them")


def show_own(bundle: "BundleManifest") -> None:
    """Print warnings about the user's own files."""
    for engine in bundle.engines:
        own = engine.own
        if own is None:
            continue
        if own.doubt:
            wrong = "the card of {} is probably wrong" if own.input else "{} is probably not a file of this network"
            say(f"warning: {wrong.format(engine.name)}: {own.doubt}")
        if own.refused:
            say(f"warning: TensorRT for RTX on this machine refuses {engine.name}: {own.refused}")
            say(f"with TensorRT, {engine.name} is skipped unless --engine names it")
        if own.format == "tensorrt":
            say(f"{engine.name}: a built engine is run and checked on its device, not here")


def warn_of_calibration(bundle: "BundleManifest") -> None:
    """Warn if int8 was calibrated on the images it will be judged on, on few, or on fewer than requested."""
    found = [engine.calibration for engine in bundle.engines]
    for source in dict.fromkeys(each.source for each in found if each and each.on_own_images):
        say(f"warning: the int8 ranges were found on {source}")
        say(
            "to find them on others, name a folder of the dataset that has a train split: --data-root, with a new --out"
        )
    for asked, there in shortages(bundle):
        say(f"warning: {asked} calibration images were requested, only {there} exist")
    if not asks_for_few(bundle):
        for there in sorted({len(each.images) for each in found if each and len(each.images) < FEW}):
            what = f"the int8 ranges were found on only {counted(there, 'image')}"
            say(f"warning: {what}; others might give other ranges: have {FEW} or more that are not attacked")


def asks_for_few(bundle: "BundleManifest") -> bool:
    """Whether so few calibration images were asked for."""
    return bundle.options.calibration_images < FEW


def shortages(bundle: "BundleManifest") -> "Iterator[tuple[int, int]]":
    """Requested numbers of calibration images, other than the default, and the smaller numbers available."""
    from segeval.graphs.calibration import IMAGES, parse_calibrations

    options = bundle.options
    specs = parse_calibrations(options.sweep or (options.calibration,), options.calibration_images)
    used = {each.calibration.name: len(each.calibration.images) for each in bundle.engines if each.calibration}
    for place, spec in enumerate(specs):
        there = used.get(spec.name(specs[0].images) if place else "", spec.images)
        if spec.images != IMAGES and there < spec.images:
            yield spec.images, there
