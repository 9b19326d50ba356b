"""`segeval deploy`: from an adversarial set to a bundle."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path

import torch

import segeval
from segeval.corruptions import parse_corruptions
from segeval.errors import ConfigurationError, MissingPrerequisiteError
from segeval.files.bundles import BundleFolder, BundleManifest, DeployOptions, RunDefaults, SetReference
from segeval.files.encoding import encode_sealed
from segeval.files.engine_records import AttributionMode, EngineRecord
from segeval.files.folders import require_own
from segeval.files.new_folder import new_folder
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet
from segeval.files.storage import sha256_file
from segeval.graphs.calibration import IMAGES, parse_calibrations
from segeval.precision import QUANTIZED, Precision
from segeval.progress import Progress, silent
from segeval.registry import TARGETS
from segeval_runner.manifest import CONTRACT, WITH_OWN
from segeval_runner.ownership import NOTHING, OTHER, kind_of

from .bundle import hash_files, write_file, write_inputs
from .calibration_images import choose_calibration
from .compiler import INSTALL, Compiler, installed
from .contents import survey
from .engine_files import engine_name
from .given import Given, load_victim, require_in_set
from .model_deployment import ModelDeployment
from .own_files import own_files, require_runs_engines
from .runner_archive import RUN_SCRIPT, runner_archive
from .targets import Target
from .variants import require_calibrations

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
    progress: Progress = silent,
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
    require_sensible(device, options, manifest)
    require_runs_engines(device, own, dla)
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
    """Raise ConfigurationError for options that no bundle can be made with, or that the device cannot do.

    Raises MissingPrerequisiteError where engines are built here and nothing can build them.
    """
    if target.ahead and not installed():
        what = f"target {target.name} builds its engines here, and TensorRT for RTX is not installed"
        raise MissingPrerequisiteError(what, INSTALL)
    models = manifest.models
    if not options.precisions:
        raise ConfigurationError("no precision given", f"precisions are {', '.join(target.precisions)}")
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
    """The contract version of a bundle: bundles with a user's own files are too new for earlier runners."""
    return WITH_OWN if options.own else CONTRACT
