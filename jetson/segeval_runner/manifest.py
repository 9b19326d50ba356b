"""bundle.json as typed records. Everything in it is checked before use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from segeval_runner.digests import CHANGED, is_intact
from segeval_runner.errors import BundleError
from segeval_runner.fields import AGAIN, MOST_TEXT, malformed, take, take_count, take_sha256, take_text
from segeval_runner.own import TENSORRT, Own, own_of
from segeval_runner.strict import is_name, loads

SCHEMA = "segeval.bundle/2"
EARLIER = ("segeval.bundle/1",)
"""Versions that differ in nothing that a runner reads."""
CONTRACT = 2
"""What ONNX files keep that are made now. 1: the image was transposed before it was cast, which no TensorRT reads."""
WITH_OWN = 3
"""Of bundles that hold a file of the user's as well, which earlier runners know nothing of."""
MANIFEST = "bundle.json"
MOST_CLASSES = 255

# Far beyond what is deployed, and small enough that a device survives a manifest that asks for all of it.
MOST_BYTES = 16 << 20
"""Of bundle.json."""
MOST_WORKSPACE_MB = 1 << 20
MOST_INPUTS = 1_000_000
MOST_SIDE = 1 << 16
MOST_PIXELS = 1 << 27
"""Of the images of one call together."""
MOST_HEADER = 1 << 12
"""Bytes of a shard that are not pixels."""
TAKEN = ("bundle.json", "replay.json")
"""What lies beside the folders of the engines in a replay, so that no engine can be called so."""


@dataclass(frozen=True)
class Plan:
    """An engine that was built on the desktop. version: of the library that did."""

    file: str
    version: str


@dataclass(frozen=True)
class Engine:
    """One model at one precision.

    Attributes:
        file: ONNX, or of `own` an engine that was built elsewhere.
        inputs: half-open ranges of the inputs it runs.
        flagged_file: instead of `file` for a backend that takes precisions from flags; None if there is no other.
        plan: an engine that was built from `file`, None if there is none.
        integers: type of the activations, if it is an int8 file placed so that integer kernels can run it; else empty.
        own: of a file that the user brought, else None.
    """

    name: str
    model: str
    precision: str
    file: str
    height: int
    width: int
    batch: int
    classes: int
    inputs: Sequence[Tuple[int, int]]
    flagged_file: Optional[str] = None
    plan: Optional[Plan] = None
    integers: str = ""
    own: Optional[Own] = None

    @property
    def built_elsewhere(self) -> bool:
        """Whether its file is native code for TensorRT, and there is no ONNX file to build another of."""
        return self.own is not None and self.own.format == TENSORRT

    def indices(self) -> List[int]:
        """The inputs it runs, in order."""
        return [index for first, end in self.inputs for index in range(first, end)]


@dataclass(frozen=True)
class Shard:
    """A .npy file that holds the inputs from `first` up to, but not including, `end`."""

    file: str
    first: int
    end: int


@dataclass(frozen=True)
class File:
    """Recorded hash and size of a file."""

    sha256: str
    size: int


@dataclass(frozen=True)
class RunDefaults:
    """What to do where the command line does not say. dla: accelerator, None for the GPU."""

    backend: str = "onnxruntime"
    workspace_mb: int = 0
    dla: Optional[int] = None


@dataclass(frozen=True)
class Manifest:
    """bundle.json.

    Attributes:
        size: (height, width) of every image.
        index: file with the key of each input.
        contract: what the ONNX files keep; see `Backend.contract`.
    """

    set_sha256: str
    engines: List[Engine]
    inputs: int
    size: Tuple[int, int]
    index: str
    shards: List[Shard]
    files: Dict[str, File]
    run: RunDefaults
    contract: int


def parse(data: bytes) -> Manifest:
    """Read bundle.json. Raises BundleError naming what is wrong in it."""
    try:
        record = loads(data)
    except ValueError as error:
        raise malformed("bundle.json is not JSON: {}".format(error)) from error
    require_schema(take(record, "schema", str))
    if not is_intact(record):
        raise BundleError("the bundle's bundle.json {}".format(CHANGED), AGAIN)
    inputs = take(record, "inputs", dict)
    manifest = Manifest(
        set_sha256=take_sha256(take(record, "set", dict), "manifest_sha256"),
        engines=[engine(item) for item in take(record, "engines", list)],
        inputs=take_count(inputs, "count", MOST_INPUTS),
        size=(take_count(inputs, "height", MOST_SIDE), take_count(inputs, "width", MOST_SIDE)),
        index=take(inputs, "index", str),
        shards=[shard(item) for item in take(inputs, "shards", list)],
        files={
            name: File(take_sha256(item, "sha256"), take_count(item, "bytes"))
            for name, item in take(record, "files", dict).items()
        },
        run=run_defaults(record.get("run")),
        contract=contract_of(record),
    )
    require_file_names(manifest)
    require_engines_fit(manifest)
    require_consistent(manifest)
    return manifest


def require_schema(schema: str) -> None:
    """Raise BundleError unless this runner reads bundles of that schema."""
    name, _, version = SCHEMA.partition("/")
    found = re.fullmatch(re.escape(name) + "/([0-9]{1,9})", schema)
    if found and int(found.group(1)) > int(version):
        what = "the bundle was made by a newer segeval: its schema is {!r}, this runner reads {!r}"
        raise BundleError(what.format(schema, SCHEMA), "take the runner of that version")
    if schema not in (SCHEMA, *EARLIER):
        raise malformed("its schema is {!r}, this runner reads {!r}".format(schema[:MOST_TEXT], SCHEMA))


def contract_of(record: Any) -> int:
    """What the files keep, 1 where it is not said. Raises BundleError for one that this runner does not know."""
    found = take_count(record, "contract") if "contract" in record else 1
    if found > WITH_OWN:
        what = "the bundle was made by a newer segeval: its contract is {}, this runner knows {}"
        raise BundleError(what.format(found, WITH_OWN), "take the runner of that version")
    return found


def run_defaults(record: Any) -> RunDefaults:
    """The object `run`, which older bundles do not have."""
    if record is None:
        return RunDefaults()
    backend = take_text(record, "backend")
    dla = None if record.get("dla") is None else take_count(record, "dla")
    workspace_mb = take_count(record, "workspace_mb")
    if workspace_mb > MOST_WORKSPACE_MB:
        raise malformed("a workspace of {} MB".format(workspace_mb))
    return RunDefaults(backend, workspace_mb, dla)


def shard(record: Any) -> Shard:
    """One entry of the list of shards."""
    first = take_count(record, "first", MOST_INPUTS)
    return Shard(take(record, "file", str), first, first + take_count(record, "count", MOST_INPUTS))


def integers_of(record: Any) -> str:
    """Type of the activations of an int8 engine of segeval's whose calibration is placed for integer kernels; else
    empty."""
    if record.get("precision") != "int8" or record.get("calibration") is None:
        return ""
    calibration = take(record, "calibration", dict)
    if calibration.get("placement") != "fused":
        return ""
    activations = take(calibration, "activations", str) if "activations" in calibration else "int8"
    if activations not in ("int8", "uint8"):
        raise malformed("the activations of an engine are {!r}".format(activations[:MOST_TEXT]))
    return activations


def engine(record: Any) -> Engine:
    """One entry of the list of engines."""
    name = take_text(record, "name")
    ranges = []
    for pair in take(record, "inputs", list):
        if not (isinstance(pair, list) and len(pair) == 2 and all(type(end) is int for end in pair)):
            raise malformed("the inputs of engine {!r} are not ranges".format(name))
        ranges.append((pair[0], pair[1]))
    precision, classes = take_text(record, "precision"), take_count(record, "classes")
    own = own_of(record, precision, classes)
    return Engine(
        name=name,
        model=take_text(record, "model"),
        precision=precision,
        file=take(record, "file", str),
        height=take_count(record, "height"),
        width=take_count(record, "width"),
        batch=take_count(record, "batch"),
        classes=classes,
        inputs=ranges,
        flagged_file=None if record.get("flagged_file") is None else take(record, "flagged_file", str),
        plan=None if record.get("plan") is None else plan(record["plan"]),
        integers=integers_of(record) if own is None else own.integers,
        own=own,
    )


def plan(record: Any) -> Plan:
    """An engine that the bundle carries."""
    return Plan(take(record, "file", str), take_text(record, "version"))


def require_file_names(manifest: Manifest) -> None:
    """Raise BundleError unless every file lies inside the bundle on every file system, each under a name of its own."""
    files = {MANIFEST}
    folders: Set[str] = set()
    for name in manifest.files:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name:
            raise BundleError(
                "the path {!r} leads out of the bundle".format(name[:MOST_TEXT]), "do not use this bundle"
            )
        if not all(is_name(part) for part in parts):
            raise malformed("{!r} is not a name that segeval gives to a file".format(name[:MOST_TEXT]))
        if name.lower() in files:
            raise malformed("two files have the name {!r} where capital letters do not count".format(name))
        files.add(name.lower())
        folders.update("/".join(parts[:depth]).lower() for depth in range(1, len(parts)))
    if files & folders:
        raise malformed("{!r} is both a file and a folder".format(min(files & folders)))


def require_consistent(manifest: Manifest) -> None:
    """Raise BundleError unless each used file is hashed and the shards are as large as all inputs."""
    used = [item.file for item in manifest.engines] + [item.file for item in manifest.shards] + [manifest.index]
    used += [item.flagged_file for item in manifest.engines if item.flagged_file is not None]
    used += [item.plan.file for item in manifest.engines if item.plan is not None]
    for name in used:
        if name not in manifest.files:
            raise malformed("{!r} is used, but its hash is not recorded".format(name[:MOST_TEXT]))
    end = 0
    for part in manifest.shards:
        if part.first != end or part.end == part.first:
            raise malformed("the shard {} does not start at {}, or is empty".format(part.file, end))
        end = part.end
    if end != manifest.inputs:
        raise malformed("the shards hold {} of {} inputs".format(end, manifest.inputs))
    image = 3 * manifest.size[0] * manifest.size[1]
    for part in manifest.shards:
        size, pixels = manifest.files[part.file].size, (part.end - part.first) * image
        if not pixels < size <= pixels + MOST_HEADER:
            raise malformed("{} has {} bytes, its images have {}".format(part.file, size, pixels))


def require_engines_fit(manifest: Manifest) -> None:
    """Raise BundleError unless the engines fit the inputs, and have names that can be folders side by side."""
    taken = set(TAKEN)
    for item in manifest.engines:
        end = 0
        for first, last in item.inputs:
            if not end <= first < last <= manifest.inputs:
                raise malformed("the inputs of engine {!r} are not ascending ranges of the inputs".format(item.name))
            end = last
        fits = (item.height, item.width) == manifest.size and item.batch > 0 and 0 < item.classes <= MOST_CLASSES
        if not fits or not is_name(item.name):
            raise malformed("engine {!r} does not fit the inputs".format(item.name))
        pixels = item.batch * item.height * item.width
        if not 0 < pixels <= MOST_PIXELS:
            what = "engine {!r} takes {} pixels at once, not 1 to {}".format(item.name, pixels, MOST_PIXELS)
            raise malformed(what)
        if item.name.lower() in taken:
            raise malformed(
                "the name of engine {!r} is taken, by another engine of the same name or by a file".format(item.name)
            )
        taken.add(item.name.lower())
