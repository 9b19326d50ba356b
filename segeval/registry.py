"""One lazy registry per kind of thing: a name points at ``package.module:attribute``, imported when asked for.

Third parties add theirs by entry point (group ``segeval.models``, ``segeval.datasets`` …) or name
``package.module:attribute`` on the command line.
"""

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from segeval.errors import ConfigurationError, UnknownNameError, nearest


class Registry:
    """Names of one kind and where each of them lives."""

    def __init__(self, kind: str, places: Mapping[str, str]) -> None:
        self.kind = kind
        self._places = dict(places)

    def places(self) -> dict[str, str]:
        """Every known name and its ``module:attribute``: built in first, then entry points."""
        installed = {point.name: point.value for point in entry_points(group=f"segeval.{self.kind}s")}
        return {**installed, **self._places}

    def __iter__(self) -> Iterator[str]:
        return iter(self.places())

    def require_allowed(self, name: str, allowed: Collection[str], where: str) -> None:
        """Raise ConfigurationError for code that a file names and the user did not: loading it would run it.

        Registered names are always allowed.

        Args:
            name: of the network or dataset.
            allowed: ``package.module:attribute``.
            where: the file that names it.
        """
        if name not in self.places() and name not in allowed:
            raise ConfigurationError(
                f"{where} names the {self.kind} {name!r}, which is unregistered code that segeval would have to run",
                f"if you trust it: --allow {name}",
            )

    def load(self, name: str) -> Any:
        """The object behind a registered name or a ``package.module:attribute``.

        Raises UnknownNameError, with the nearest known names, if there is none.
        """
        places = self.places()
        place = places.get(name, name)
        module, _, attribute = place.partition(":")
        if not attribute or not all(part.isidentifier() for part in module.split(".")):
            card = ", or by a model card FILE.toml" if self.kind == "model" else ""
            hint = f"{nearest(name, sorted(places))} Or name your own as package.module:attribute{card}."
            raise UnknownNameError(f"no {self.kind} {name!r}", hint)
        found = self._module(name, module, [] if name in places else [Path.cwd()])
        try:
            return getattr(found, attribute)
        except AttributeError as error:
            if name in self._places:
                raise
            what = f"cannot load {self.kind} {name!r}: module {module!r} has no attribute {attribute!r}"
            public = [each for each in vars(found) if not each.startswith("_")]
            raise UnknownNameError(what, nearest(attribute, public)) from error

    def _module(self, name: str, module: str, folders: Iterable[Path]) -> ModuleType:
        """The module of a name, which may lie in these folders; see `load`."""
        try:
            with importable(*folders):
                return import_module(module)
        except Exception as error:  # somebody else's code
            if name in self._places:
                raise
            what = f"cannot load {self.kind} {name!r}"
            if isinstance(error, ImportError):
                hint = "it must be in this folder, installed, or on PYTHONPATH"
                raise UnknownNameError(f"{what}: {error}", hint) from error
            at = extract_tb(error.__traceback__)[-1]
            reason = f"{at.filename}:{at.lineno}: {type(error).__name__}: {error}"
            raise UnknownNameError(f"{what}: {reason}", "check that it imports without segeval") from error


@contextmanager
def importable(*folders: Path) -> Iterator[None]:
    """Let Python import from these folders too, after all others: code that the user named lies in them."""
    added = [str(folder) for folder in folders if str(folder) not in sys.path]
    sys.path.extend(added)
    try:
        yield
    finally:
        for folder in added:
            sys.path.remove(folder)


MODELS = Registry(
    "model",
    {
        "dicenet-cityscapes": "segeval.models.catalog:DICENET_CITYSCAPES",
        "espnet-camvid": "segeval.models.catalog:ESPNET_CAMVID",
        "espnet-cityscapes": "segeval.models.catalog:ESPNET_CITYSCAPES",
        "espnet-synthetic": "segeval.models.catalog:ESPNET_SYNTHETIC",
        "espnetv2-cityscapes": "segeval.models.catalog:ESPNETV2_CITYSCAPES",
        "fast-scnn-camvid": "segeval.models.catalog:FAST_SCNN_CAMVID",
        "fast-scnn-cityscapes": "segeval.models.catalog:FAST_SCNN_CITYSCAPES",
        "fast-scnn-synthetic": "segeval.models.catalog:FAST_SCNN_SYNTHETIC",
    },
)
DATASETS = Registry(
    "dataset",
    {
        "camvid": "segeval.datasets.camvid:open_camvid",
        "cityscapes": "segeval.datasets.cityscapes:open_cityscapes",
        "folder": "segeval.datasets.folder:open_folder",
        "synthetic": "segeval.datasets.synthetic:open_synthetic",
    },
)
SOURCES = Registry(
    "source",
    {
        "exported": "segeval.models.cards.torch_files:open_exported",
        "factory": "segeval.models.cards.factories:open_factory",
        "onnx": "segeval.graphs.given.onnx_network:open_onnx",
        "torchscript": "segeval.models.cards.torch_files:open_torchscript",
    },
)
"""Where the network of a model card may come from: functions from the card to its network."""
ATTACKS = Registry(
    "attack",
    {
        "alma-prox": "segeval.generate.attacks.alma_prox:ALMAProx",
        "apgd": "segeval.generate.attacks.apgd:APGD",
        "cospgd": "segeval.generate.attacks.cospgd:CosPGD",
        "cw": "segeval.generate.attacks.cw:CW",
        "dag": "segeval.generate.attacks.dag:DAG",
        "ddn": "segeval.generate.attacks.ddn:DDN",
        "deepfool": "segeval.generate.attacks.deepfool:DeepFool",
        "fgsm": "segeval.generate.attacks.fgsm:FGSM",
        "fspgd": "segeval.generate.attacks.fspgd:FSPGD",
        "jsma": "segeval.generate.attacks.jsma:JSMA",
        "padam": "segeval.generate.attacks.padam:PAdam",
        "pdpgd": "segeval.generate.attacks.pdpgd:PDPGD",
        "pgd": "segeval.generate.attacks.pgd:PGD",
        "sea": "segeval.generate.attacks.sea:SEA",
        "segpgd": "segeval.generate.attacks.segpgd:SegPGD",
        "square": "segeval.generate.attacks.square:Square",
        "tanh": "segeval.generate.attacks.tanh:Tanh",
    },
)


STANDARD = ("apgd", "ddn", "pgd")
"""What is crafted if no attack is named: they search differently, two within a budget."""


def suites() -> dict[str, tuple[str, ...]]:
    """Names for several attacks."""
    return {"quick": ("pgd",), "standard": STANDARD, "full": tuple(ATTACKS)}


def attacks_of(names: Iterable[str]) -> tuple[str, ...]:
    """The attacks named directly or by a suite, each once."""
    known = suites()
    return tuple(dict.fromkeys(each for name in names for each in known.get(name, (name,))))


TARGETS = Registry(
    "target",
    {
        "cpu": "segeval.deploy.targets:CPU",
        "cuda": "segeval.deploy.targets:CUDA",
        "jetson": "segeval.deploy.targets:JETSON",
        "jetson-agx-orin": "segeval.deploy.targets:AGX_ORIN",
        "jetson-orin-nano": "segeval.deploy.targets:ORIN_NANO",
        "jetson-orin-nx": "segeval.deploy.targets:ORIN_NX",
        "jetson-thor": "segeval.deploy.targets:THOR",
        "jetson-xavier": "segeval.deploy.targets:XAVIER",
        "openvino": "segeval.deploy.targets:OPENVINO",
        "rtx": "segeval.deploy.targets:RTX",
        "tensorrt": "segeval.deploy.targets:TENSORRT",
    },
)
