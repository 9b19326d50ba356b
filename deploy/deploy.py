"""`segeval deploy`: from an adversarial set to a bundle."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from onnx import ModelProto

import segeval
from segeval.errors import ConfigurationError, MissingPrerequisiteError
from segeval.files.bundles import (
    AttributionMode,
    BundleFolder,
    BundleManifest,
    Calibration,
    Compilation,
    DeployOptions,
    EngineRecord,
    NoiseFloor,
    Parity,
    Plan,
    RunDefaults,
    SetReference,
)
from segeval.files.encoding import encode_sealed
from segeval.files.folders import require_own
from segeval.files.images import RgbImage
from segeval.files.new_folder import new_folder
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet, ModelRecord
from segeval.files.storage import sha256_file
from segeval.graphs.calibration import IMAGES, CalibrationSpec, parse_calibrations
from segeval.graphs.export import export_fp32
from segeval.graphs.grouped import without_kernel
from segeval.graphs.mixed import file_form, needs_flagged_file, takes_flags, to_int8_fp16
from segeval.graphs.noise_floor import NOISE_IMAGES, measure_noise_floor
from segeval.models import Segmenter
from segeval.precision import HALF, QUANTIZED, Precision
from segeval.progress import Progress
from segeval.registry import TARGETS
from segeval_runner.manifest import CONTRACT, WITH_OWN
from segeval_runner.ownership import NOTHING, OTHER, kind_of

from .bundle import hash_files, write_file, write_inputs
from .calibration_images import CalibrationImages, choose_calibration
from .compiler import INSTALL, Compiler, installed
from .contents import Contents, survey
from .corruptions import parse_corruptions
from .engine_files import (
    at_precision,
    counted,
    crafted_for,
    engine_name,
    references_of,
    require_as_attacked,
    written_and_proved,
)
from .given import Given, load_victim, require_in_set
from .own_engines import OwnDeployment
from .own_files import OwnGiven, own_files
from .parity import Reference, evenly, measure_half, measure_parity
from .runner_archive import RUN_SCRIPT, runner_archive
from .targets import Target
from .variants import Quantizer, Variant, require_calibrations, variants

NONE_GIVEN = Given()


def deploy(
    set_root: Path,
    out: Path,
    target: str = "cpu",
    precisions: Sequence[Precision] | None = None,
    calibrations: Sequence[str] = ("percentile",),
    calibration_images: int = IMAGES,
    batch: int = 1,
    dla: int | None = None,
    corruptions: Sequence[str] = (),
    attribute: Sequence[AttributionMode] = (),
    engine_files: Sequence[str] = (),
    engine_cards: Sequence[str] = (),
    given: Given = NONE_GIVEN,
    tell: Callable[[str], None] = lambda text: None,
    progress: Progress = lambda stage, done, total: None,
) -> BundleManifest:
    """Write a bundle of every model of a set at every precision.

    A bundle of the same set and options that is there already is verified and returned.

    Args:
        set_root: a finished set.
        out: the folder to write to.
        target: name of the registered target.
        precisions: None for those that the target has by default.
        calibrations: as in ``minmax`` or ``percentile,percentile=99.9``; see `parse_calibrations`. The first makes the
            int8 that ships, each other an int8 of its own beside it.
        calibration_images: of those that do not say.
        batch: images per call of an engine.
        dla: number of the deep learning accelerator, None for the GPU.
        corruptions: as in ``jpeg:75``; every image is run after each of them as well, besides as it is.
        attribute: an int8 file for every block of each network as well, with only that block quantized, or all but it.
        engine_files: quantized files and built engines of the user's, as in ``mine=net-int8.onnx``; see `own_files`.
        engine_cards: what describes them, as in ``mine=net-int8.toml``, where that does not lie beside them.
        given: files that the set does not carry, and code that it may bring.
        tell: called with what a person should know.
        progress: called with the stage, what is done of it and its total.

    Raises:
        ConfigurationError: for options or `out`.
        IntegrityError, DataError: for the set.
        WeightsError: if the weights that were attacked are not here.
        EngineError: for a file that breaks a rule or that NVIDIA's compiler refuses.
        MissingPrerequisiteError, StorageError: for what the machine lacks.
    """
    torch.set_flush_denormal(True)
    folder = SetFolder(set_root)
    manifest = folder.complete_manifest()
    require_in_set(given, manifest.models)
    own = own_files(engine_files, engine_cards, manifest.models)
    reference = SetReference(sha256_file(folder.manifest_path))
    passing = parse_corruptions(corruptions)
    names = tuple(corruption.name for corruption in passing)
    specs = parse_calibrations(calibrations, calibration_images)
    device: Target = TARGETS.load(target)
    options = DeployOptions(
        precisions=tuple(dict.fromkeys(device.default_precisions if precisions is None else precisions)),
        calibration=specs[0].method,
        calibration_images=specs[0].images,
        batch=batch,
        dla=dla,
        corruptions=names,
        sweep=() if len(specs) == 1 and specs[0].plain else tuple(spec.text for spec in specs),
        attribute=tuple(dict.fromkeys(attribute)),
        own=tuple(each.option for each in own),
    )
    if device.ahead and not installed():
        what = f"target {target} builds its engines here, and TensorRT for RTX is not installed"
        raise MissingPrerequisiteError(what, INSTALL)
    require_sensible(device, options, manifest)
    require_runs_engines(device, own)
    require_calibrations(device, options.precisions, specs, options.attribute)
    there = existing(out, reference, target, options)
    if there is not None:
        return there
    contents = survey(folder, passing)
    with new_folder(out, "bundle", tell) as part:
        size = (manifest.height, manifest.width)
        inputs = write_inputs(part, contents.inputs(), *size, partial(progress, "inputs"))
        calibrated = not set(QUANTIZED).isdisjoint(options.precisions)
        images = cache(partial(choose_calibration, manifest, contents, given))
        chosen = {spec: images(spec.images, spec.seed) for spec in specs if calibrated}
        engines: list[EngineRecord] = []
        with compiler_for(device) as compiler:
            for record in manifest.models:
                victim = partial(load_victim, record, set_root, given)
                brought = [each for each in own if each.model == record.name]
                model = ModelDeployment(
                    part, record, victim, contents, size, device, options, chosen, brought, compiler, progress
                )
                engines += model.engines()
        write_file(part, "runner.pyz", runner_archive(), executable=True)
        write_file(part, "run.sh", RUN_SCRIPT.encode(), executable=True)
        files = hash_files(part)
        run = RunDefaults(device.backend, device.workspace_mb, dla)
        bundle = BundleManifest(
            segeval.__version__, reference, target, options, tuple(engines), inputs, files, run, contract_of(options)
        )
        write_file(part, "bundle.json", encode_sealed(bundle, indent=2) + b"\n")
    return bundle


@contextmanager
def compiler_for(target: Target) -> Iterator[Compiler | None]:
    """NVIDIA's compiler, if the files are for TensorRT and it works here.

    Raises MissingPrerequisiteError for a target that takes engines built here, and nothing works to build them.
    """
    compiler: Compiler | None = None
    try:
        compiler = Compiler() if target.tensorrt_versions and installed() else None
    except MissingPrerequisiteError:
        if target.ahead:
            raise
    with compiler or nullcontext():
        yield compiler


def require_sensible(target: Target, options: DeployOptions, manifest: AdversarialSet) -> None:
    """Raise ConfigurationError for options that no bundle can be made with, or that the device cannot do."""
    models = manifest.models
    if not options.precisions:
        raise ConfigurationError("no precision was asked for", f"precisions are {', '.join(target.precisions)}")
    refusal = target.refusal(options.precisions, options.dla)
    if refusal:
        raise ConfigurationError(*refusal)
    classes = max(len(model.outputs) for model in models)
    most = target.most_images(manifest.height, manifest.width, classes)
    if most is not None and options.batch > most:
        size = f"{manifest.height}x{manifest.width}"
        raise ConfigurationError(
            f"--batch {options.batch}: {size} images need more than a quarter of the {target.memory_gb} GB of "
            f"{target.description}",
            f"give at most --batch {most}" if most else "craft the set at a smaller --size",
        )
    if options.batch < 1:
        raise ConfigurationError("the batch size must be at least 1")
    names = [engine_name(model.name, "fp32") for model in models]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"two models of the set would have the same file name: {', '.join(names)}")


def require_runs_engines(target: Target, own: Sequence[OwnGiven]) -> None:
    """Raise ConfigurationError for a built engine that nothing on the device could run."""
    built = next((each for each in own if each.format == "tensorrt"), None)
    if built is not None and not target.tensorrt_versions:
        what = f"--engine-file {built.name}={built.file}: TensorRT built it, and target {target.name} has none"
        raise ConfigurationError(what, "give a --target with TensorRT, as jetson; what it can, ONNX Runtime runs here")


def existing(out: Path, reference: SetReference, target: str, options: DeployOptions) -> BundleManifest | None:
    """The bundle in `out` if it is the one that was asked for. Raises ConfigurationError if `out` holds another."""
    folder = BundleFolder(out)
    if kind_of(out) not in ("bundle", NOTHING, OTHER):
        require_own(out, "bundle")  # a replay has a copy of its bundle's manifest
    if not folder.manifest_path.is_file():
        return None
    found = folder.manifest()
    made = (found.segeval, found.contract, found.set, found.target, found.options)
    if made != (segeval.__version__, contract_of(options), reference, target, options):
        raise ConfigurationError(f"{out} holds another bundle", "choose another folder with --out, or remove it")
    return folder.verify()


def contract_of(options: DeployOptions) -> int:
    """What the files of a bundle keep: one with files of the user's is nothing for an earlier runner."""
    return WITH_OWN if options.own else CONTRACT


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
        """An engine whose file the user brought."""
        self.progress(f"check {given.engine}", 0, 1)
        spec, inputs = segmenter.spec, self.contents.inputs_for(self.record.name)
        engine = OwnDeployment(
            part=self.part,
            given=given,
            size=self.size,
            batch=self.options.batch,
            classes=len(spec.outputs),
            table=len(spec.table),
            weights_sha256=segmenter.weights_sha256,
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
        specs = list(self.calibrations) or [CalibrationSpec()]
        first, *others = variants(fp32, specs, self.options.attribute)
        for precision in self.options.precisions:
            yield precision, first
            if precision == "int8":
                yield from ((precision, variant) for variant in others)

    def calibrating(self, spec: CalibrationSpec) -> Iterator[RgbImage]:
        """The images of a calibration, reporting as they are taken."""
        images = self.calibrations[spec]
        return counted(images, len(images.images), partial(self.progress, f"calibrate {self.record.name}"))

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
            plan=Plan(plan, compiled.library.rpartition(" ")[2]) if plan and compiled else None,
            noise_floor=self.noise_floor(name, model, references) if variant.nodes is None else None,
            weights_sha256=segmenter.weights_sha256,
        )

    def noise_floor(self, name: str, model: ModelProto, references: Sequence[Reference]) -> NoiseFloor | None:
        """How many labels other orders of summation change; not asked of the many files of attribution."""
        images = [references[at].image for at in evenly(len(references), NOISE_IMAGES)]
        return measure_noise_floor(
            model, counted(images, len(images), partial(self.progress, f"noise floor of {name}"))
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
        comparing = counted(references, len(references), partial(self.progress, f"check {name}"))
        parity = measure_parity(model, comparing, classes, precision in QUANTIZED, integers)
        if precision not in HALF:
            return parity
        # An int8 file that is built with the flag of half precision too does not say in its types what will be half.
        typed = model if form == precision else to_int8_fp16(model)
        comparing = counted(references, len(references), partial(self.progress, f"check {name} in half arithmetic"))
        crafted = crafted_for(self.record.name, self.contents)
        return replace(parity, half=measure_half(name, typed, comparing, crafted, classes))
