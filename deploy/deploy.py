"""`segeval deploy`: from an adversarial set to a bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from onnx import ModelProto

import segeval
from segeval.bundles import (
    BundleFolder,
    BundleManifest,
    CalibrationMethod,
    DeployOptions,
    EngineRecord,
    Precision,
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
from segeval.deploy.parity import Reference, measure_parity
from segeval.deploy.targets import Target
from segeval.errors import ConfigurationError, IntegrityError
from segeval.models import Segmenter, load_model
from segeval.progress import Progress
from segeval.records import ModelRecord, encode
from segeval.registry import TARGETS
from segeval.store import SetFolder, sha256_file

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def deploy(
    set_root: Path,
    out: Path,
    target: str = "cpu",
    precisions: Sequence[Precision] = PRECISIONS,
    calibration: CalibrationMethod = "percentile",
    calibration_images: int = 32,
    batch: int = 1,
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
    options = DeployOptions(tuple(dict.fromkeys(precisions)), calibration, calibration_images, batch)
    require_sensible(TARGETS.load(target), options, manifest.models)
    there = existing(out, reference, target, options)
    if there is not None:
        return there
    contents = survey(folder)
    with new_folder(out) as part:
        size = (manifest.height, manifest.width)
        inputs = write_inputs(part, contents.inputs(), *size, partial(progress, "inputs"))
        images = choose_calibration(manifest, contents, calibration_images) if "int8" in options.precisions else None
        engines: list[EngineRecord] = []
        for record in manifest.models:
            engines += ModelDeployment(part, record, contents, size, options, images, progress).engines()
        write_file(part, "runner.pyz", runner_archive(), executable=True)
        write_file(part, "run.sh", RUN_SCRIPT.encode(), executable=True)
        files = hash_files(part)
        bundle = BundleManifest(segeval.__version__, reference, target, options, tuple(engines), inputs, files)
        write_file(part, "bundle.json", encode(bundle, indent=2) + b"\n")
    return bundle


def require_sensible(target: Target, options: DeployOptions, models: Sequence[ModelRecord]) -> None:
    """Raise ConfigurationError for options that no bundle can be made with."""
    unknown = [precision for precision in options.precisions if precision not in target.precisions]
    if unknown or not options.precisions:
        what = f"target {target.name} cannot run {', '.join(unknown)}" if unknown else "no precision was asked for"
        raise ConfigurationError(what, f"precisions are {', '.join(target.precisions)}")
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

    images: for calibration, None if int8 was not asked for.
    """

    part: Path
    record: ModelRecord
    contents: Contents
    size: tuple[int, int]
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
        return [self.engine(segmenter, fp32, references, precision) for precision in self.options.precisions]

    def engine(
        self, segmenter: Segmenter, fp32: ModelProto, references: Sequence[Reference], precision: Precision
    ) -> EngineRecord:
        """Write, prove and measure one file."""
        name = engine_name(self.record.name, precision)
        file = f"models/{name}.onnx"
        quantized = precision == "int8"
        images = self.images if quantized else None
        report = partial(self.progress, f"calibrate {self.record.name}")
        calibrating = counted(images, len(images.images), report) if images else ()
        model = at_precision(fp32, precision, calibrating, self.options.calibration)
        model = written_and_proved(self.part, file, model, precision)
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
            parity=measure_parity(model, comparing, len(segmenter.spec.table), unoptimised=quantized),
        )
