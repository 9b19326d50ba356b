"""What `segeval deploy` writes and the device reads: deployed models, the images to run and a hash of every file.

bundle.json              this manifest; its sha256 is the bundle's identity
models/*.onnx            one file per model and precision: uint8 (N, H, W, 3) RGB in, int32 (N, H, W) labels out
models/*.engine          built by the user's TensorRT, with whatever it takes and gives
inputs/index.jsonl       line i: {"key": "clean/IMAGE"} or {"key": "adversarial/SAMPLE"}; after a corruption
                         {"key": "corruption/NAME/clean/IMAGE"} or {"key": "corruption/NAME/adversarial/SAMPLE"}
inputs/shard-*.npy       the images in the same order, uint8 (N, H, W, 3)
runner.pyz, run.sh       what runs on the device
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from segeval.errors import DataError, FormatError, IntegrityError
from segeval.files.earlier import KEY, current_key, of_today, within
from segeval.files.encoding import decode
from segeval.files.engine_records import AttributionMode, CalibrationMethod, EngineRecord, require_calibration_names
from segeval.files.storage import read_file, sha256
from segeval.precision import Precision
from segeval_runner.bundle import Bundle
from segeval_runner.errors import BundleError
from segeval_runner.manifest import MOST_BYTES, parse
from segeval_runner.ownership import lacking
from segeval_runner.strict import is_name


@dataclass(frozen=True)
class Shard:
    """A uint8 (count, H, W, 3) .npy file that holds the inputs from `first` on."""

    file: str
    first: int
    count: int


@dataclass(frozen=True)
class Inputs:
    """The images to run.

    Attributes:
        height, width: of every image.
        index: file with the key of each.
    """

    count: int
    height: int
    width: int
    index: str
    shards: tuple[Shard, ...]


@dataclass(frozen=True)
class BundledFile:
    """Hash and size of a file of the bundle."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class SetReference:
    """The adversarial set a bundle was made from. manifest_sha256: of its set.json."""

    manifest_sha256: str


@dataclass(frozen=True)
class DeployOptions:
    """What was asked for; a bundle of the same set, version and options is the same bundle.

    Attributes:
        calibration, calibration_images: of the int8 that ships.
        sweep: every calibration in full, the one that ships first, as in ``percentile,percentile=99.9,images=32``;
            empty if those two say it all.
        attribute: for which modes every block of a network has a file.
        dla: None for the GPU.
        corruptions: what the images are run after as well, as in ``jpeg-75``.
        own: files that the user brought, as in ``espnet-camvid.mine=SHA256 SHA256``: of the file, and of how it was
            described.
    """

    precisions: tuple[Precision, ...]
    calibration: CalibrationMethod
    calibration_images: int
    batch: int
    dla: int | None = None
    corruptions: tuple[str, ...] = ()
    sweep: tuple[str, ...] = ()
    attribute: tuple[AttributionMode, ...] = ()
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunDefaults:
    """What the runner takes where it is not told otherwise; its options of these names come first.

    Attributes:
        backend: of the runner.
        workspace_mb: most memory for building an engine, 0 for the engine's own choice.
        dla: deep learning accelerator, None for the GPU.
    """

    backend: str = "onnxruntime"
    workspace_mb: int = 0
    dla: int | None = None


@dataclass(frozen=True)
class BundleManifest:
    """bundle.json.

    Attributes:
        segeval: the version that wrote it.
        files: every file but bundle.json itself, by path.
        contract: what every ONNX file keeps, see CONTRACT, or that there are files of the user's beside them, see
            WITH_OWN; 1 where it is not said.
    """

    segeval: str
    set: SetReference
    target: str
    options: DeployOptions
    engines: tuple[EngineRecord, ...]
    inputs: Inputs
    files: Mapping[str, BundledFile]
    run: RunDefaults = field(default_factory=RunDefaults)
    contract: int = 1
    schema: Literal["segeval.bundle/2"] = field(default="segeval.bundle/2")

    @staticmethod
    def upgraded(said: object) -> object:
        """The JSON of segeval.bundle/1 as that of today."""
        return of_today(within(said, "options", channels="corruptions"), "segeval.bundle/1", "segeval.bundle/2")


@dataclass(frozen=True)
class InputKey:
    """A line of inputs/index.jsonl."""

    key: str


def corrupted_key(corruption: str, key: str) -> str:
    """Key of an input after a corruption, ``corruption/jpeg-75/clean/IMAGE``; `key` itself if there is none."""
    return f"{KEY}{corruption}/{key}" if corruption else key


def corruption_of(key: str) -> str:
    """The corruption that an input went through, empty for none. Raises FormatError for a name that none can have."""
    if not key.startswith(KEY):
        return ""
    name = key.split("/")[1]
    require_corruption_name(name)
    return name


def require_corruption_name(name: str) -> None:
    """Raise FormatError unless a corruption can be called so: the name stands in keys, labels and tables."""
    if not is_name(name):
        raise FormatError(f"{name!r} is not the name of a corruption", "make the bundle again with segeval deploy")


class BundleFolder:
    """A bundle on disk. Its rules are the runner's own, so that nothing is refused on the device alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def manifest_path(self) -> Path:
        """The path of bundle.json."""
        return self.root / "bundle.json"

    def _manifest_bytes(self) -> bytes:
        try:
            return read_file(self.manifest_path, MOST_BYTES)
        except OSError as error:
            raise DataError(
                f"{self.root} is not a bundle: {lacking(self.root, 'bundle.json')}", "make one with segeval deploy"
            ) from error

    def manifest(self) -> BundleManifest:
        """Read bundle.json. Raises DataError if this is no bundle, FormatError if it is malformed."""
        data = self._manifest_bytes()
        manifest = decode(data, BundleManifest, str(self.manifest_path))
        try:
            parse(data)
        except BundleError as error:
            raise FormatError(f"{self.manifest_path}: {error.what}", error.hint) from error
        for corruption in manifest.options.corruptions:
            require_corruption_name(corruption)
        for engine in manifest.engines:
            require_calibration_names(engine.calibration, str(self.manifest_path))
        return manifest

    def sha256(self) -> str:
        """Identity of the bundle: the hash of bundle.json."""
        return sha256(self._manifest_bytes())

    def keys(self) -> list[str]:
        """The key of every input, in order. Raises DataError, FormatError."""
        self.manifest()
        try:
            return list(map(current_key, Bundle(self.root).keys()))
        except BundleError as error:
            raise FormatError(error.what, error.hint) from error

    def verify(self) -> BundleManifest:
        """The manifest, once every file proved to be the recorded one. Raises IntegrityError naming the file."""
        manifest = self.manifest()
        try:
            Bundle(self.root).verify(lambda done, total: None)
        except BundleError as error:
            raise IntegrityError(error.what, "remove the bundle and deploy again, or copy it again") from error
        return manifest
