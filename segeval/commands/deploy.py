"""``segeval deploy``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.text import Text

from segeval.commands.deploy_notes import carries, show_left_out, show_own, warn_of_calibration
from segeval.commands.files_attacked import warn_of_files_left_out
from segeval.commands.hosts import (
    REMOTE_DIR,
    REMOTE_PYTHON,
    Hosts,
    RemoteDir,
    RemotePython,
    SshConfig,
    checked,
    replay_on_hosts,
    two_lines,
)
from segeval.commands.options import Allow, AsJson, DataRoot, Option, Out, Quiet, SetArgument, command, parse_precisions
from segeval.commands.text_tables import number, table
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError, counted
from segeval.places import neighbour, with_home

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from segeval.files.bundles import BundleManifest
    from segeval.files.engine_records import AttributionMode


def deploy(
    adversarial_set: SetArgument,
    out: Out,
    target: Annotated[str, Option("--target", help="A name from `segeval ls targets`.")] = "cpu",
    precision: Annotated[
        list[str],
        Option(
            "--precision",
            help="fp32, fp16, int8, int8-fp16; repeatable, or separated by commas. Default: all that the target's "
            "TensorRT supports; fp32,fp16,int8 for other engines.",
        ),
    ] = [],
    calibration: Annotated[
        list[str],
        Option(
            "--calibration",
            metavar="METHOD[,KEY=VALUE...]",
            help="How to choose int8 ranges: percentile, minmax or entropy, with percentile=, images=, seed=, ops=, "
            "weights=, activations=, placement=. Repeat it for several int8 files; the first is the one named int8. "
            "See docs/quantization.md.",
        ),
    ] = ["percentile"],
    calibration_images: Annotated[
        int, Option("--calibration-images", min=1, help="Number of calibration images from the dataset's train split.")
    ] = 32,
    attribute: Annotated[
        Literal["only", "without", "both"] | None,
        Option(
            "--attribute",
            help="Also make one int8 file per block of each network, to find which block stops an attack: with only "
            "that block quantized, or with all blocks but that one.",
        ),
    ] = None,
    batch: Annotated[int, Option("--batch", min=1, help="Images per call of the engine.")] = 1,
    dla: Annotated[
        int | None,
        Option("--dla", min=0, metavar="CORE", help="Run on this deep learning accelerator (DLA) of a Jetson."),
    ] = None,
    corruption: Annotated[
        list[str],
        Option(
            "--corruption",
            metavar="KIND:SETTING",
            help="Also run every image after this corruption: jpeg:QUALITY, resize:FACTOR, gamma:EXPONENT, "
            "blur:PIXELS, bits:NUMBER; repeatable. See docs/input-path.md.",
        ),
    ] = [],
    channel: Annotated[list[str], Option("--channel", hidden=True, help="Old name of --corruption.")] = [],
    engine_file: Annotated[
        list[str],
        Option(
            "--engine-file",
            metavar="[MODEL.]NAME=FILE",
            help="Add your own file to the bundle as engine NAME: .onnx from any quantizer, or .engine or .plan "
            "built by TensorRT. Repeatable. See docs/own-engine.md.",
        ),
    ] = [],
    engine_card: Annotated[
        list[str],
        Option(
            "--engine-card",
            metavar="[MODEL.]NAME=FILE",
            help="Card of engine NAME, if it is not beside the file: TOML that describes the file's input "
            "pre-processing and its output.",
        ),
    ] = [],
    model: Annotated[
        list[str],
        Option(
            "--model",
            metavar="LABEL=WEIGHTS",
            help="Where the weights, or the model card, of this network of the set are now; repeatable.",
        ),
    ] = [],
    data_root: DataRoot = None,
    allow: Allow = [],
    host: Hosts = [],
    remote_dir: RemoteDir = REMOTE_DIR,
    remote_python: RemotePython = REMOTE_PYTHON,
    ssh_config: SshConfig = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a self-contained bundle for a device.

    The bundle holds every model of the set at every precision, the images, and the runner.

    \b
    segeval deploy runs/set --out runs/bundle

    \b
    segeval deploy runs/set --out runs/orin --target jetson-orin-nano --precision fp16,int8

    \b
    segeval deploy runs/set --out runs/sweep --calibration percentile --calibration minmax \\
        --calibration percentile,percentile=99.9,images=64 --calibration percentile,ops=Conv+Add

    \b
    segeval deploy runs/set --out runs/blocks --precision fp32,int8 --attribute only

    \b
    segeval deploy runs/set --out runs/camera --corruption jpeg:75 --corruption resize:0.5

    \b
    segeval deploy runs/set --out runs/orin --target jetson --host jetson@192.168.1.20
    """
    from segeval.api import deploy as deploy_set
    from segeval.files.set_folder import SetFolder

    if channel:
        say("--channel is called --corruption now")
    if as_json and host:
        raise ConfigurationError("--json prints a bundle that stays on this machine", "leave out --json, or --host")
    remote = checked(host, remote_dir, remote_python, ssh_config) if host else None
    with progress(quiet) as tick:
        made = deploy_set(
            adversarial_set,
            out,
            target,
            parse_precisions(precision) if precision else None,
            allow=allow,
            weights=weight_files(model),
            data_root=data_root,
            calibrations=calibration,
            calibration_images=calibration_images,
            batch=batch,
            dla=dla,
            corruptions=[*corruption, *channel],
            attribute=modes(attribute),
            engine_files=engine_file,
            engine_cards=engine_card,
            progress=tick,
            tell=say,
        )
    bundle = made.manifest
    if as_json:
        typer.echo((out / "bundle.json").read_bytes(), nl=False)
    else:
        show_parity(bundle)
        show_compilations(bundle)
    warn_of_files_left_out(SetFolder(adversarial_set).manifest(), bundle)
    say_what_was_made(bundle)
    results_folder = neighbour(out, "replay")
    if remote is not None:
        from segeval.deploy.ssh import RunOptions

        replay_on_hosts(out, results_folder, host, remote, RunOptions(prebuilt=carries(bundle)), quiet)
        return
    prebuilt = ["--prebuilt"] * carries(bundle)
    if bundle.target != "cpu":
        say(two_lines(out, prebuilt))
    say(f"next: {command('replay', out, '--out', results_folder, *prebuilt)}")


def say_what_was_made(bundle: "BundleManifest") -> None:
    """Print what is special about a bundle's files, its calibration, its device and its images."""
    show_left_out(bundle)
    show_own(bundle)
    warn_of_calibration(bundle)
    say_where_the_accelerator_is(bundle)
    if bundle.options.corruptions:
        images, corruptions = counted(bundle.inputs.count, "image"), ", ".join(bundle.options.corruptions)
        say(f"{images} to run: each unchanged, and after {corruptions}")


def weight_files(texts: "Sequence[str]") -> dict[str, Path]:
    """The files given with --model, by network. Raises ConfigurationError."""
    found = {}
    for text in texts:
        label, _, rest = text.partition("=")
        places = [with_home(each) for each in (rest, rest.partition("=")[2]) if each]
        file = next(filter(Path.is_file, places), None)  # behind LABEL=, or behind LABEL=NAME= as in craft
        if file is None:
            hint = "write LABEL=WEIGHTS, with the network's name in the set and a file"
            raise ConfigurationError(f"--model {text}: no such file", hint)
        found[label] = file
    return found


def modes(attribute: str | None) -> "list[AttributionMode]":
    """What --attribute asks for."""
    every: tuple[AttributionMode, ...] = ("only", "without")
    return [mode for mode in every if attribute in (mode, "both")]


def show_parity(bundle: "BundleManifest") -> None:
    """Print how well each deployed file agrees with PyTorch on clean images, and its largest half-precision value."""
    from segeval.precision import LARGEST_HALF

    compared = [(engine, engine.parity) for engine in bundle.engines if engine.parity is not None]
    rows = [
        (
            engine.name,
            number(100 * parity.equal, 3),
            number(None if parity.half is None else 100 * parity.half.equal, 3),
            number(None if parity.unoptimised_equal is None else 100 * parity.unoptimised_equal, 3),
            number(100 * engine.noise_floor.share if engine.noise_floor else None, 3),
            number(parity.miou),
            number(parity.miou_difference, 4),
            str(parity.images),
        )
        for engine, parity in compared
    ]
    headings = (
        "engine",
        "labels as torch %",
        "in half arithmetic %",
        "as unoptimised %",
        "noise floor %",
        "mIoU",
        "vs torch",
        "images",
    )
    results.print(table(headings, rows, "Parity on clean images"))
    for engine, parity in compared:
        half = parity.half
        if half is not None:
            peak = f"{half.peak:,.{0 if half.peak >= 100 else 1}f} of {LARGEST_HALF:,.0f}"
            results.print(
                Text(f"{engine.name}: largest activation {peak}, at {half.layer} ({half.input})"), soft_wrap=True
            )


def say_where_the_accelerator_is(bundle: "BundleManifest") -> None:
    """On which releases of JetPack a bundle for an accelerator runs: NVIDIA took it out of some and put it back."""
    from segeval.registry import TARGETS

    if bundle.options.dla is not None:
        releases = TARGETS.load(bundle.target).dla_releases
        say(f"the accelerator (--dla {bundle.options.dla}) runs on {releases}; elsewhere give the runner --dla gpu")


def show_compilations(bundle: "BundleManifest") -> None:
    """Print what NVIDIA's compiler made of every file, or warn that the files were not checked by TensorRT."""
    from segeval.registry import TARGETS

    compiled = [(engine.name, engine.compiled) for engine in bundle.engines if engine.compiled is not None]
    if compiled:
        found = compiled[0][1]
        rows = [
            (name, str(each.layers), counts(each.convolutions), counts(each.conversions), str(len(each.warnings)))
            for name, each in compiled
        ]
        headings = ("engine", "layers", "convolutions", "conversions to int8", "warnings")
        use = f"for {found.capability} as a check; each device builds its own" if found.capability else "for the bundle"
        results.print(table(headings, rows, f"Built by {found.library} {use}"))
        for warning in dict.fromkeys(warning for _, each in compiled for warning in each.warnings):
            results.print(Text(f"TensorRT-RTX warns: {warning}"))
    elif TARGETS.load(bundle.target).tensorrt_versions:
        say(f"warning: these files were not checked by TensorRT; {why_not_compiled()}")


def why_not_compiled() -> str:
    """Why a bundle was not compiled, as far as this machine tells, and what to do."""
    from segeval.deploy.compiler import INSTALL, Compiler, installed
    from segeval.errors import MissingPrerequisiteError

    if not installed():
        return f"{INSTALL} lets deploy build each of them without a GPU"
    try:
        with Compiler():
            return "the bundle was made without TensorRT for RTX; remove it and deploy again to have each file built"
    except MissingPrerequisiteError as error:
        return f"{error.what}; {error.hint}"


def counts(by_types: "Mapping[str, int]") -> str:
    """Layers by the types they read and write: ``52 int8→fp32``."""
    return ", ".join(f"{count} {types.replace(' to ', '→')}" for types, count in by_types.items()) or "–"
