"""`segeval deploy`: from an adversarial set to a bundle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import torch
from onnx import ModelProto

import segeval
from segeval.bundles import (
    QUANTIZED,
    BundleFolder,
    BundleManifest,
    CalibrationMethod,
    DeployOptions,
    EngineRecord,
    Precision,
    RunDefaults,
    SetReference,
)
from segeval.deploy.archive import RUN_SCRIPT, runner_archive
from segeval.deploy.build import (
    at_precision,
    calibration_record,
    counted,
    engine_name,
    references_of,
    written_and_proved,
)
from segeval.deploy.bundle import hash_files, new_folder, write_file, write_inputs
from segeval.deploy.calibration import CalibrationImages, choose_calibration
from segeval.deploy.contents import Contents, survey
from segeval.deploy.export import export_fp32
from segeval.deploy.mixed import file_form, needs_flagged_file
from segeval.deploy.parity import Reference, measure_parity
from segeval.deploy.quantize import to_int8
from segeval.deploy.targets import PRECISIONS, Target
from segeval.errors import ConfigurationError, IntegrityError
from segeval.models import Segmenter, load_model
from segeval.progress import Progress
from segeval.records import AdversarialSet, ModelRecord, encode
from segeval.registry import TARGETS
from segeval.store import SetFolder, sha256_file


def deploy(
    set_root: Path,
    out: Path,
    target: str = "cpu",
    precisions: Sequence[Precision] = PRECISIONS,
    calibration: CalibrationMethod = "percentile",
    calibration_images: int = 32,
    batch: int = 1,
    dla: int | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> BundleManifest:
    """Write a bundle of every model of a set at every precision.

    A bundle of the same set and options that is there already is verified and returned.
    Raises DataError or IntegrityError for the set, ConfigurationError for options or `out`, WeightsError,
    EngineError for a file that breaks a rule, StorageError.
    """
    torch.set_flush_denormal(True)
    folder = SetFolder(set_root)
    manifest = folder.complete_manifest()
    reference = SetReference(sha256_file(folder.manifest_path))
    options = DeployOptions(tuple(dict.fromkeys(precisions)), calibration, calibration_images, batch, dla)
    device: Target = TARGETS.load(target)
    require_sensible(device, options, manifest)
    there = existing(out, reference, target, options)
    if there is not None:
        return there
    contents = survey(folder)
    with new_folder(out) as part:
        size = (manifest.height, manifest.width)
        inputs = write_inputs(part, contents.inputs(), *size, partial(progress, "inputs"))
        calibrated = not set(QUANTIZED).isdisjoint(options.precisions)
        images = choose_calibration(manifest, contents, calibration_images) if calibrated else None
        engines: list[EngineRecord] = []
        for record in manifest.models:
            engines += ModelDeployment(part, record, contents, size, device, options, images, progress).engines()
        write_file(part, "runner.pyz", runner_archive(), executable=True)
        write_file(part, "run.sh", RUN_SCRIPT.encode(), executable=True)
        files = hash_files(part)
        run = RunDefaults(device.backend, device.workspace_mb, dla)
        bundle = BundleManifest(segeval.__version__, reference, target, options, tuple(engines), inputs, files, run)
        write_file(part, "bundle.json", encode(bundle, indent=2) + b"\n")
    return bundle


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
    if options.batch < 1 or options.calibration_images < 1:
        raise ConfigurationError("batch size and number of calibration images must be at least 1")
    names = [engine_name(model.name, "fp32") for model in models]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"two models of the set would have the same file name: {', '.join(names)}")


def existing(out: Path, reference: SetReference, target: str, options: DeployOptions) -> BundleManifest | None:
    """The bundle in `out` if it is the one that was asked for. Raises ConfigurationError if `out` holds another."""
    folder = BundleFolder(out)
    if not folder.manifest_path.is_file():
        return None
    found = folder.manifest()
    if (found.segeval, found.set, found.target, found.options) != (segeval.__version__, reference, target, options):
        raise ConfigurationError(f"{out} holds another bundle", "choose another folder with --out, or remove it")
    return folder.verify()


def load_victim(record: ModelRecord) -> Segmenter:
    """The network that was attacked. Raises IntegrityError if its weights are others by now."""
    source = record.source or record.name
    segmenter = load_model(f"{source}={record.weights}" if record.weights else source)
    if segmenter.weights_sha256 != record.weights_sha256:
        hint = "restore the weight file, or craft the set again"
        raise IntegrityError(f"the weights of {record.name} are not those that were attacked", hint)
    return segmenter


@dataclass(frozen=True)
class ModelDeployment:
    """One model on its way into an unfinished bundle. part: its folder.   size: (height, width).

    images: for calibration, None if no quantized precision was asked for.
    """

    part: Path
    record: ModelRecord
    contents: Contents
    size: tuple[int, int]
    target: Target
    options: DeployOptions
    images: CalibrationImages | None
    progress: Progress

    def engines(self) -> list[EngineRecord]:
        """Write a file for every precision, prove its rules and measure its parity with torch."""
        self.progress(f"export {self.record.name}", 0, 1)
        segmenter = load_victim(self.record)
        fp32 = export_fp32(segmenter, *self.size, self.options.batch)
        references = references_of(segmenter, self.contents)
        self.progress(f"export {self.record.name}", 1, 1)
        quantized = cache(partial(self.quantized, fp32))  # calibrated once for all precisions
        found = []
        for precision in self.options.precisions:
            form = file_form(precision, self.target.tensorrt_versions)
            engine = self.engine(segmenter, at_precision(fp32, form, quantized), references, precision, form)
            found.append(replace(engine, flagged_file=self.flagged_file(engine, form, quantized)))
        return found

    def flagged_file(self, engine: EngineRecord, form: Precision, quantized: Callable[[], ModelProto]) -> str | None:
        """The file of an engine for those that take precisions from flags, written if it is another one."""
        if needs_flagged_file(engine.precision, self.target.tensorrt_versions):
            name = f"models/{engine.name}.flags.onnx"
            written_and_proved(self.part, name, quantized(), "int8")
            return name
        return None if form == engine.precision else engine.file

    def quantized(self, fp32: ModelProto) -> ModelProto:
        """The int8 file, calibrated."""
        assert self.images is not None
        report = partial(self.progress, f"calibrate {self.record.name}")
        calibrating = counted(self.images, len(self.images.images), report)
        return to_int8(fp32, calibrating, self.options.calibration)

    def engine(
        self,
        segmenter: Segmenter,
        model: ModelProto,
        references: Sequence[Reference],
        precision: Precision,
        form: Precision,
    ) -> EngineRecord:
        """Write, prove and measure one file. form: the precision whose rules it follows."""
        name = engine_name(self.record.name, precision)
        file = f"models/{name}.onnx"
        model = written_and_proved(self.part, file, model, form)
        images = self.images if precision in QUANTIZED else None
        comparing = counted(references, len(references), partial(self.progress, f"check {name}"))
        return EngineRecord(
            name=name,
            model=self.record.name,
            precision=precision,
            file=file,
            height=self.size[0],
            width=self.size[1],
            batch=self.options.batch,
            classes=len(segmenter.spec.outputs),
            inputs=self.contents.inputs_for(self.record.name),
            calibration=calibration_record(images, self.options.calibration) if images else None,
            parity=measure_parity(model, comparing, len(segmenter.spec.table), unoptimised=images is not None),
        )
