"""Deploys a user's file: reads, wraps and runs it, and compares it with the network it should compute."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from onnx import ModelProto

from segeval.errors import EngineError
from segeval.files.engine_records import EngineRecord, Parity
from segeval.files.own import OwnFile
from segeval.files.storage import read_file
from segeval.graphs.brought import (
    input_of,
    keeps_contract,
    like,
    read_onnx,
)
from segeval.graphs.session import DeployedModel
from segeval.models.cards.card import ENDS

from .bundle import write_file
from .compiler import Compiler, plan_of
from .doubts import Predict, doubt
from .own_files import OwnGiven
from .parity import Reference, measure_parity
from .tried import Tried, integers_of, known_labels, wrong_size

MOST_BYTES = 8 << 30
"""Of a built engine."""
LONGEST = 500
"""Characters of what a compiler says of a file."""


@dataclass(frozen=True)
class OwnDeployment:
    """The deployment of a user's file into an unfinished bundle.

    Attributes:
        part: the folder of the bundle.
        size: (height, width) of the images.
        batch: images per call, of a file that leaves it open.
        classes: of the network.
        table: classes of the class table.
        weights_sha256: of the network.
        inputs: that the engine is to run.
        references: PyTorch's answers, to compare with.
        compiler: builds ONNX files, if the bundle is for TensorRT and it is installed.
        ahead: keep what it builds.
    """

    part: Path
    given: OwnGiven
    size: tuple[int, int]
    batch: int
    classes: int
    table: int
    weights_sha256: str
    inputs: tuple[tuple[int, int], ...]
    references: Sequence[Reference]
    compiler: Compiler | None
    ahead: bool

    def engine(self) -> EngineRecord:
        """Write the file and say what was found. Raises EngineError for one that cannot be what it is said to be."""
        return self.built() if self.given.format == "tensorrt" else self.onnx()

    def record(self, file: str, batch: int, parity: Parity | None, own: OwnFile) -> EngineRecord:
        """What the bundle says about it."""
        return EngineRecord(
            name=self.given.engine,
            model=self.given.model,
            precision="own",
            file=file,
            height=self.size[0],
            width=self.size[1],
            batch=batch,
            classes=self.classes,
            inputs=self.inputs,
            calibration=None,
            parity=parity,
            weights_sha256=self.weights_sha256,
            own=own,
        )

    @property
    def described(self) -> OwnFile:
        """What is known of the file before anything was tried."""
        given = self.given
        size = given.file.stat().st_size
        return OwnFile(given.file.name, given.sha256, size, given.format, input=given.input, output=given.output)

    def built(self) -> EngineRecord:
        """A TensorRT engine, copied unchanged; what it computes can only be checked where it runs."""
        given = self.given
        if given.input is None or given.output is None:
            what = f"{given.file} is a built engine, and how it takes its images is not said"
            raise EngineError(what, undescribed(given.file))
        file = f"models/{given.engine}.engine"
        write_file(self.part, file, read_file(given.file, MOST_BYTES))
        return self.record(file, self.batch, None, self.described)

    def onnx(self) -> EngineRecord:
        """An ONNX file, wrapped in nodes unless it already keeps the contract."""
        given = self.given
        model = read_onnx(given.file)
        if given.input is not None and given.output is not None:
            tried = Tried(given.file, model, given.input, given.output, self.size, self.batch, self.classes)
            integers = tried.integers
            model, predict, others = tried.wrapped(), tried.predict(given.input), tried.others()
        else:
            self.require_contract(model)
            integers = integers_of(model)
            predict = self.as_it_is(model, integers)
            others = {"red and blue exchanged": lambda image: predict(image[..., ::-1])}
        file = f"models/{given.engine}.onnx"
        write_file(self.part, file, model.SerializeToString())
        arithmetic = like(model)
        own = replace(
            self.described,
            like=arithmetic,
            integers=integers,
            doubt=doubt(predict, others, self.references, self.classes),
        )
        quantized = arithmetic in ("int8", "int8-fp16")
        parity = measure_parity(model, self.references, self.table, quantized, integers)
        batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_value
        return self.compiled(self.record(file, batch, parity, own))

    def as_it_is(self, model: ModelProto, integers: str) -> Predict:
        """The labels of a file that keeps the contract. integers: as of `DeployedModel`."""
        deployed = DeployedModel(model, integers=integers)
        return lambda image: known_labels(deployed.predict(image), self.given.file, self.classes)

    def require_contract(self, model: ModelProto) -> None:
        """Raise EngineError unless a file without a description needs none."""
        given = self.given
        image = input_of(model, given.file)
        if not keeps_contract(model):
            answers = ", ".join(value.name for value in model.graph.output)
            what = f"{given.file} takes {image} and gives {answers}: how its images are prepared is not said"
            raise EngineError(what, undescribed(given.file))
        if image.shape[1:3] != self.size:
            raise wrong_size(given.file, image, (image.shape[0], *self.size, 3))

    def compiled(self, record: EngineRecord) -> EngineRecord:
        """The record with what NVIDIA's compiler makes of the file, or why it makes nothing of it."""
        if self.compiler is None or record.own is None:
            return record
        plan = f"models/{record.name}.rtx" if self.ahead else None
        try:
            found = self.compiler.compile(self.part / record.file, None if plan is None else self.part / plan)
        except EngineError as error:
            refused = " ".join(error.what.replace(f"{self.part}/", "").split())
            return replace(record, own=replace(record.own, refused=refused[:LONGEST]))
        return replace(record, compiled=found, plan=plan_of(plan, found))


def undescribed(file: Path) -> str:
    """The remedy for a file without a card."""
    return f"say it in {file.with_suffix('.toml').name} beside it, or in another file with --engine-card:\n{ENDS}"
