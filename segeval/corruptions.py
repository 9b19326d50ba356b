"""Corruptions: what a camera pipeline does to an image before the network sees it.

Each is a pure function from a uint8 (H, W, 3) RGB image and one setting to an image of the same shape. To add one,
write the function and a line in KINDS.
"""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.errors import ConfigurationError, UnknownNameError, nearest
from segeval.files.images import RgbImage


def jpeg(image: RgbImage, quality: float) -> RgbImage:
    """Saved as baseline JPEG of this quality by libjpeg's tables, chroma 4:2:0 (Pillow's default), and read back."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(quality), subsampling="4:2:0")
    with Image.open(file) as read:
        return np.asarray(read.convert("RGB"))


def resize(image: RgbImage, factor: float) -> RgbImage:
    """Made smaller by this factor per side and as large as before, both bilinear, as a scaler on the way to a buffer.

    On the way down each pixel is a mean over all that it covers, weighted by a triangle: no aliasing.
    """
    height, width = image.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    reduced = Image.fromarray(image).resize(small, Image.Resampling.BILINEAR)
    return np.asarray(reduced.resize((width, height), Image.Resampling.BILINEAR))


def gamma(image: RgbImage, exponent: float) -> RgbImage:
    """Levels in 0..1 to the power of this exponent, rounded to nearest: below 1 brighter, above 1 darker."""
    return as_levels((np.arange(256) / 255) ** exponent)[image]


def blur(image: RgbImage, sigma: float) -> RgbImage:
    """Gaussian blur per channel, standard deviation in pixels, truncated at 4 of them; the border is repeated."""
    from scipy.ndimage import gaussian_filter  # here: it takes a fifth of a second, and hardly any run blurs

    smooth = np.asarray(gaussian_filter(image.astype(np.float64), (sigma, sigma, 0), mode="nearest"), np.float64)
    return np.rint(smooth).astype(np.uint8)


def bits(image: RgbImage, depth: float) -> RgbImage:
    """The highest so many bits of each colour, spread over 0..255 again so that white stays white."""
    most = 2 ** int(depth) - 1
    kept = np.arange(256) // (256 // (most + 1))
    return as_levels(kept / most)[image]


def as_levels(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shares of white as levels, rounded to nearest."""
    return np.rint(255 * shares).astype(np.uint8)


@dataclass(frozen=True)
class Kind:
    """A kind of corruption.

    Attributes:
        setting: its name and range, for messages.
        low, high: ends of the range, which belong to it.
        example: a setting to show.
        whole: only whole numbers.
    """

    apply: Callable[[RgbImage, float], RgbImage]
    setting: str
    low: float
    high: float
    example: str
    whole: bool = False


KINDS: Mapping[str, Kind] = {
    "jpeg": Kind(jpeg, "quality", 1, 100, "75", whole=True),
    "resize": Kind(resize, "factor", 0.05, 0.99, "0.5"),
    "gamma": Kind(gamma, "exponent", 0.1, 10, "2.2"),
    "blur": Kind(blur, "standard deviation in pixels", 0.1, 20, "1.5"),
    "bits": Kind(bits, "bits per colour", 1, 8, "4", whole=True),
}
SETTING = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3})?")
"""Few enough digits that a name tells two settings apart."""


@dataclass(frozen=True)
class Corruption:
    """One corruption with its setting. name: as in ``jpeg-75``, in keys, labels and tables."""

    name: str
    kind: Kind
    setting: float

    def apply(self, image: RgbImage) -> RgbImage:
        """The image after the corruption, (H, W, 3)."""
        return self.kind.apply(image, self.setting)


def written_as(name: str, option: str) -> str:
    """How a corruption of this kind is written, for messages."""
    return f"write it as in {option} {name}:{KINDS[name].example}"


def parse_corruption(spec: str, option: str = "--corruption") -> Corruption:
    """Read ``jpeg:75``. Raises UnknownNameError for a kind that is not there, ConfigurationError for a bad setting.

    Args:
        spec: what was given.
        option: by which.
    """
    name, _, text = spec.partition(":")
    kind = KINDS.get(name)
    if kind is None:
        hint = f"{nearest(name, KINDS)} Write it as in {option} jpeg:{KINDS['jpeg'].example}"
        raise UnknownNameError(f"{option} {spec!r}: unknown corruption {name!r}", hint)
    setting = float(text) if SETTING.fullmatch(text) else math.nan  # which lies in no range
    if not kind.low <= setting <= kind.high or (kind.whole and setting != int(setting)):
        form = "a whole number" if kind.whole else "a number of at most three decimals"
        what = f"{option} {spec!r}: the {kind.setting} is {form} from {kind.low:g} to {kind.high:g}"
        raise ConfigurationError(what, written_as(name, option))
    return Corruption(f"{name}-{setting:g}", kind, setting)


def parse_corruptions(specs: Sequence[str], option: str = "--corruption") -> tuple[Corruption, ...]:
    """Read several. Raises ConfigurationError, also for one that is given twice. The arguments are those of one."""
    corruptions = tuple(parse_corruption(spec, option) for spec in specs)
    names = [corruption.name for corruption in corruptions]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"{option} {name.replace('-', ':')} is given twice", "give each corruption once")
    return corruptions
