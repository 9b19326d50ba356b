"""What is known about a network besides its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from segeval.classes import ClassTable
from segeval.errors import ConfigurationError
from segeval.files.sets import CardRecord, ModelRecord, Resize

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Preprocessing:
    """The network's own normalization of an image.

    Raises ConfigurationError for a mean or std that can only be meant for images in 0–1.

    Attributes:
        mean, std: per channel in RGB order, in 0–255 levels; the network sees (level − mean) / std.
        bgr: hand the channels over in blue, green, red order.
        resize: how its authors bring images to its size.
    """

    mean: Channels
    std: Channels
    bgr: bool = False
    resize: Resize = "pillow"

    def __post_init__(self) -> None:
        if any(0 < level < 1 for level in self.mean) or any(not level >= 1 for level in self.std):
            raise ConfigurationError(
                f"mean {self.mean} and std {self.std} are not in 0-255 levels, as they must be",
                "multiply the ones for images in 0-1 by 255",
            )


@dataclass(frozen=True)
class WeightsFile:
    """A published or bundled weight file.

    Attributes:
        file: its name.
        sha256: of its bytes.
        source: where it comes from.
        bundled: it lies in the package itself.
    """

    file: str
    sha256: str
    source: str
    bundled: bool = False


def fitting_size(height: int, width: int, multiple: int) -> tuple[int, int]:
    """The largest (height, width) up to this whose sides are multiples of a number, at least that number itself."""
    return max(height // multiple, 1) * multiple, max(width // multiple, 1) * multiple


@dataclass(frozen=True)
class ModelSpec:
    """A registered network.

    Attributes:
        builder: ``module:function`` called with (number of outputs, state dict or None); empty if a model card is
            what it is loaded by.
        outputs: class name of each output; the table's classes in their order, then any the table lacks (background).
        multiple_of: what both sides of an image must be multiples of.
        size: (height, width) it was made for; zeros if nobody says.
        reported: figures its authors report, by name.
        training_only: how the names of parameters begin that only training needs, so that a weight file may lack them.
        only_size: whether it takes images of `size` alone.
    """

    name: str
    builder: str
    outputs: tuple[str, ...]
    table: ClassTable
    preprocessing: Preprocessing
    multiple_of: int
    size: tuple[int, int]
    weights: WeightsFile | None
    licence: str
    paper: str
    reported: Mapping[str, float] = field(default_factory=dict)
    training_only: tuple[str, ...] = ()
    only_size: bool = False

    def record(
        self, weights_sha256: str = "", weights: str = "", source: str = "", card: CardRecord | None = None
    ) -> ModelRecord:
        """What a manifest says about this network with the parameters that these tell; see `ModelRecord`."""
        return ModelRecord(self.name, self.table.name, self.outputs, weights, weights_sha256, source, card=card)

    def size_option(self, height: int, width: int) -> str:
        """``--size`` of the size it was made for; if nobody says, of the largest that it takes within this one."""
        return "--size {}x{}".format(*(self.size if all(self.size) else fitting_size(height, width, self.multiple_of)))

    @property
    def canonical_outputs(self) -> tuple[str, ...]:
        """The class of every output by its canonical name; outputs beyond the table by their own."""
        canonical = dict(zip(self.table.names, self.table.canonical, strict=True))
        return tuple(canonical.get(name, name) for name in self.outputs)
