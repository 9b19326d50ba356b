"""Deploys one network of a set: a file for every precision, checked and compared with PyTorch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from onnx import ModelProto

from segeval.errors import ConfigurationError
from segeval.files.bundles import DeployOptions
from segeval.files.engine_records import Calibration, Compilation, EngineRecord, NoiseFloor, Parity
from segeval.files.images import RgbImage
from segeval.files.sets import ModelRecord
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.grouped import without_kernel
from segeval.graphs.mixed import file_form, needs_flagged_file, takes_flags, to_int8_fp16
from segeval.graphs.noise_floor import NOISE_IMAGES, measure_noise_floor
from segeval.models import Segmenter
from segeval.precision import HALF, QUANTIZED, Precision
from segeval.progress import Progress

from .calibration_images import CalibrationImages
from .compiler import Compiler, plan_of
from .contents import Contents
from .engine_files import (
    at_precision,
    crafted_for,
    engine_name,
    references_of,
    reporting,
    require_as_attacked,
    written_and_proved,
)
from .own_engines import OwnDeployment
from .own_files import OwnGiven
from .parity import Reference, evenly, measure_half, measure_parity
from .targets import Target
from .variants import Quantizer, Variant, require_quantizable, variants


@dataclass(frozen=True)
class ModelDeployment:
    """One model on its way into an unfinished bundle.

    Attributes:
        part: its folder.
        size: (height, width).
        victim: loads it.
        calibrations: with their images, the one that ships first; none if no quantized precision was asked for.
        brought: files of the user's that compute it as well.
        compiler: builds every file that is for TensorRT, if it is installed.
    """

    part: Path
    record: ModelRecord
    victim: Callable[[], Segmenter]
    contents: Contents
    size: tuple[int, int]
    target: Target
    options: DeployOptions
    calibrations: dict[CalibrationSpec, CalibrationImages]
    brought: Sequence[OwnGiven]
    compiler: Compiler | None
    progress: Progress

    def engines(self) -> list[EngineRecord]:
        """Write a file for every precision, prove its rules and measure its parity with torch."""
        segmenter = self.victim()
        references = references_of(segmenter, self.contents)
        require_as_attacked(self.record.name, references, self.contents)
        # First, since they may be refused, and calibration takes long.
        own = [self.own_engine(each, segmenter, references) for each in self.brought]
        self.progress(f"export {self.record.name}", 0, 1)
        fp32 = export_fp32(segmenter, *self.size, self.options.batch)
        self.progress(f"export {self.record.name}", 1, 1)
        quantizer = Quantizer(fp32, self.calibrating)
        versions = self.target.tensorrt_versions
        lacking = without_kernel(fp32, versions)
        self.require_comparable(lacking)
        found = []
        for precision, planned in self.plan(fp32):
            form = file_form(precision, versions)
            flagged = planned.leaving_out(fp32, lacking)
            variant = flagged if all(map(takes_flags, versions)) else planned
            model = at_precision(fp32, form, partial(quantizer.file, variant))
            images = self.calibrations[variant.spec] if precision in QUANTIZED else None
            calibration = None if images is None else variant.record(images, fp32, lacking)
            engine = self.engine(segmenter, model, references, precision, form, variant, calibration)
            file = self.flagged_file(engine, precision, form, quantizer, flagged)
            found.append(replace(engine, flagged_file=file))
        return found + own

    def own_engine(self, given: OwnGiven, segmenter: Segmenter, references: Sequence[Reference]) -> EngineRecord:
        """An engine from the user's own file."""
        self.progress(f"check {given.engine}", 0, 1)
        spec, inputs = segmenter.spec, self.contents.inputs_for(self.record.name)
        engine = OwnDeployment(
            part=self.part,
            given=given,
            size=self.size,
            batch=self.options.batch,
            classes=len(spec.outputs),
            table=len(spec.table),
            weights_sha256=segmenter.record.weights_sha256,
            inputs=inputs,
            references=references,
            compiler=self.compiler,
            ahead=self.target.ahead,
        ).engine()
        self.progress(f"check {given.engine}", 1, 1)
        return engine

    def require_comparable(self, lacking: Sequence[str]) -> None:
        """Raise ConfigurationError for blocks of which some cannot be quantized on every device of the target."""
        if lacking and self.options.attribute:
            what = f"--attribute: TensorRT 8 has no int8 kernel for {len(lacking)} convolutions of {self.record.name}"
            raise ConfigurationError(f"{what}, as for {lacking[0]}", "deploy to a target without TensorRT 8")

    def plan(self, fp32: ModelProto) -> Iterator[tuple[Precision, Variant]]:
        """Precision and calibration of every engine. int8-fp16 is made by the first calibration alone.

        A precision that is not quantized is paired with the default calibration, which is not heeded.
        """
        require_quantizable(fp32, self.calibrations, self.record.name)
        specs = list(self.calibrations) or [CalibrationSpec()]
        first, *others = variants(fp32, specs, self.options.attribute)
        for precision in self.options.precisions:
            yield precision, first
            if precision == "int8":
                yield from ((precision, variant) for variant in others)

    def calibrating(self, spec: CalibrationSpec) -> Iterator[RgbImage]:
        """The images of a calibration, reporting as they are taken."""
        images = self.calibrations[spec]
        return reporting(images, len(images.images), partial(self.progress, f"calibrate {self.record.name}"))

    def flagged_file(
        self, engine: EngineRecord, precision: Precision, form: Precision, quantizer: Quantizer, variant: Variant
    ) -> str | None:
        """The file of an engine for those that take precisions from flags, written if it is another one."""
        lacking = engine.calibration.not_on_tensorrt_8 if engine.calibration is not None else ()
        if needs_flagged_file(precision, self.target.tensorrt_versions, lacking):
            name = f"models/{engine.name}.flags.onnx"
            written_and_proved(self.part, name, quantizer.file(variant), "int8", variant.spec, variant.nodes)
            self.compiled(name)
            return name
        return None if form == precision else engine.file

    def engine(
        self,
        segmenter: Segmenter,
        model: ModelProto,
        references: Sequence[Reference],
        precision: Precision,
        form: Precision,
        variant: Variant,
        calibration: Calibration | None,
    ) -> EngineRecord:
        """Write, prove and measure one file.

        Args:
            segmenter: the network.
            model: the exported file.
            references: PyTorch's answers, to compare with.
            precision: of the engine.
            form: the precision whose rules it follows.
            variant: which calibration it is of.
            calibration: its images and settings, None for float files.
        """
        name = engine_name(self.record.name, precision, variant.name)
        file = f"models/{name}.onnx"
        model = written_and_proved(self.part, file, model, form, variant.spec, variant.nodes)
        plan = f"models/{name}.rtx" if self.target.ahead else None
        compiled = self.compiled(file, plan)
        integers = variant.spec.integers if precision == "int8" else ""
        compared = [references[at] for at in evenly(len(references), variant.parity_images)]
        return EngineRecord(
            name=name,
            model=self.record.name,
            precision=precision,
            file=file,
            height=self.size[0],
            width=self.size[1],
            batch=self.options.batch,
            classes=len(segmenter.spec.outputs),
            inputs=self.contents.inputs_for(self.record.name, corruptions=variant.ships),
            calibration=calibration,
            parity=self.parity(name, model, compared, len(segmenter.spec.table), precision, form, integers),
            compiled=compiled,
            plan=plan_of(plan, compiled),
            noise_floor=self.noise_floor(name, model, references) if variant.nodes is None else None,
            weights_sha256=segmenter.record.weights_sha256,
        )

    def noise_floor(self, name: str, model: ModelProto, references: Sequence[Reference]) -> NoiseFloor | None:
        """How many labels other orders of summation change; not asked of the many files of attribution."""
        images = [references[at].image for at in evenly(len(references), NOISE_IMAGES)]
        return measure_noise_floor(
            model, reporting(images, len(images), partial(self.progress, f"noise floor of {name}"))
        )

    def compiled(self, file: str, plan: str | None = None) -> Compilation | None:
        """What NVIDIA's compiler makes of a written file, if it is here.

        Args:
            file: of the bundle, relative to its root.
            plan: where in the bundle the engine is kept.

        Raises:
            EngineError: if it refuses the file.
        """
        if self.compiler is None:
            return None
        return self.compiler.compile(self.part / file, None if plan is None else self.part / plan)

    def parity(
        self,
        name: str,
        model: ModelProto,
        references: Sequence[Reference],
        classes: int,
        precision: Precision,
        form: Precision,
        integers: str,
    ) -> Parity:
        """Compare a file with torch, one with half precision in it in half arithmetic too. Raises EngineError."""
        comparing = reporting(references, len(references), partial(self.progress, f"check {name}"))
        parity = measure_parity(model, comparing, classes, precision in QUANTIZED, integers)
        if precision not in HALF:
            return parity
        # An int8 file that is built with the flag of half precision too does not say in its types what will be half.
        typed = model if form == precision else to_int8_fp16(model)
        comparing = reporting(references, len(references), partial(self.progress, f"check {name} in half arithmetic"))
        crafted = crafted_for(self.record.name, self.contents)
        return replace(parity, half=measure_half(name, typed, comparing, crafted, classes))
