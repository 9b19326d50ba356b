"""Every file that `segeval deploy` can write for TensorRT, at small sizes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from onnx import ModelProto

from segeval.deploy.engine_files import at_precision, written_and_proved
from segeval.deploy.variants import Quantizer, Variant
from segeval.errors import WeightsError
from segeval.files.images import RgbImage
from segeval.graphs.calibration import PLACEMENTS, CalibrationSpec, parse_calibration
from segeval.graphs.export import export_fp32
from segeval.models import ModelSpec, Segmenter, load_model
from segeval.models.loading import load_spec
from segeval.precision import QUANTIZED, Precision
from tests.random_networks import batch_of, random_network

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "int8-fp16")
OPERATORS = ("Conv", "Conv+ConvTranspose", "Conv+Add", "Conv+ConvTranspose+Add")
WEIGHTS = ("per-channel", "per-tensor")
OTHER_PLACEMENTS = PLACEMENTS[1:]
"""The first is that of all calibrations which name none."""
CALIBRATIONS = (
    *(f"percentile,ops={ops},weights={weights}" for ops, weights in product(OPERATORS, WEIGHTS)),
    *(f"percentile,weights={weights},placement={name}" for name, weights in product(OTHER_PLACEMENTS, WEIGHTS)),
    "minmax",
    "entropy",
)
"""Methods change the scales and not the graph, so each of the others is taken once. The first is the default."""
SIDES = (4, 8)
"""Height and width, in multiples of what the network takes."""


@dataclass(frozen=True)
class Case:
    """A file. calibration: of a quantized one, as typed."""

    network: str
    precision: Precision
    calibration: str = CALIBRATIONS[0]
    batch: int = 1

    def __str__(self) -> str:
        calibration = f" {self.calibration}" if self.precision in QUANTIZED else ""
        return f"{self.network} {self.precision}{calibration} batch {self.batch}"


def cases(network: str, calibrations: Sequence[str], batches: Sequence[int]) -> list[Case]:
    """The files of a network. Only quantized ones differ by calibration."""
    return [
        Case(network, precision, calibration, batch)
        for batch in batches
        for precision in PRECISIONS
        for calibration in (calibrations if precision in QUANTIZED else calibrations[:1])
    ]


def network_of(name: str) -> Segmenter:
    """A registered network with its weights or, where they are not here, with random ones that images fit."""
    try:
        return load_model(name)
    except WeightsError:
        return random_network(name, batch_of(pictures(load_spec(name))), seed=0)


def pictures(spec: ModelSpec) -> list[RgbImage]:
    """Images of random blocks in the size of a network's files."""
    height, width = (sides * spec.multiple_of for sides in SIDES)
    shape = (2, height // 8, width // 8, 3)
    blocks = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    return list(blocks.repeat(8, axis=1).repeat(8, axis=2))


class Files:
    """Writes the files of a network into a folder, each proved by the project's own checker."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.segmenter = network_of(name)
        self.images = pictures(self.segmenter.spec)
        self._quantizers: dict[int, tuple[ModelProto, Quantizer]] = {}

    def write(self, case: Case) -> tuple[Path, ModelProto]:
        """The file of a case. Raises EngineError if it breaks a rule."""
        fp32, quantizer = self.exported(case.batch)
        spec = parse_calibration(case.calibration)
        model = at_precision(fp32, case.precision, lambda: quantizer.file(Variant(spec)))
        name = "-".join((case.precision, str(case.batch), *case.calibration.split(","))) + ".onnx"
        return self.folder / name, written_and_proved(self.folder, name, model, case.precision, spec)

    def exported(self, batch: int) -> tuple[ModelProto, Quantizer]:
        """The fp32 file for this batch, and what quantizes it."""
        if batch not in self._quantizers:
            height, width, _ = self.images[0].shape
            fp32 = export_fp32(self.segmenter, height, width, batch)
            self._quantizers[batch] = fp32, Quantizer(fp32, self.calibrating)
        return self._quantizers[batch]

    def calibrating(self, spec: CalibrationSpec) -> Iterator[RgbImage]:
        """The same images for every calibration."""
        return iter(self.images)


def quantized_convolutions(model: ModelProto) -> int:
    """How many convolutions of a file read weights that come through DequantizeLinear."""
    integers = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    kinds = ("Conv", "ConvTranspose")
    return sum(node.op_type in kinds and node.input[1] in integers for node in model.graph.node)
