"""The files of a bundle as networks to attack: the victim is then what ships, not what was trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from torch import Tensor, nn

from segeval.errors import ConfigurationError, IntegrityError, WeightsError, nearest
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.engine_records import EngineRecord
from segeval.files.sets import CraftConfig, DeployedFile, Forward
from segeval.files.storage import inside, sha256
from segeval.models import Segmenter
from segeval.models.segmenter import scaled_logits


class Deployed(nn.Module):
    """A deployed file of a network as a `Network`: the logits that it takes the argmax of.

    Attributes:
        file: which it is.
        base: the float network, whose `logit_scale` its logits are multiplied by too.
        size: (height, width) of its images.
    """

    def __init__(self, file: DeployedFile, base: Segmenter, graph: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.file, self.graph, self.size = file, graph, size
        self.spec = base.spec
        self._base = (base,)  # no part of this module: its weights are not this file's

    @property
    def name(self) -> str:
        """What it is called among what attacks are made on."""
        return f"{self.file.model}.{self.file.engine}"

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) RGB in [0, 1] to logits (N, C, H, W)."""
        logits: Tensor = self.graph(images)
        return scaled_logits(logits, self._base[0].record)

    def require_size(self, height: int, width: int, where: str) -> None:
        """Raise ConfigurationError if the file takes images of another size than those that are attacked."""
        if self.size != (height, width):
            raise ConfigurationError(
                f"{self.name} takes images of {self.size[0]}x{self.size[1]}, {where} is {height}x{width}",
                "deploy a set of these images, and give its bundle with --bundle",
            )


@dataclass(frozen=True)
class AttackedBundle:
    """A bundle with the files that attacks are made on, and what its manifest says."""

    path: Path
    manifest: BundleManifest

    def record(self, network: str, label: str) -> EngineRecord:
        """The record of a file that an attack can be made on, as in ``int8``.

        Raises ConfigurationError if the network has no such file, or one without a gradient, WeightsError if nobody
        knows the weights it was made of.
        """
        if label == "fp32":
            hint = "make the attack on the network: --on fp32"
            raise ConfigurationError("--engine fp32 computes what the network does", hint)
        engines = (each for each in self.manifest.engines if each.model == network and each.precision != "fp32")
        own = {record.label: record for record in engines}
        if label not in own:
            what = f"the bundle {self.path} has no file named {label!r} of {network}"
            raise ConfigurationError(what, nearest(label, own) if own else "deploy a set of this network first")
        record = own[label]
        if record.own is not None and record.own.format != "onnx":
            what = f"--engine {label}: {record.file} in {self.path} is a built engine, which gives no gradient"
            raise ConfigurationError(what, "give the ONNX file that it was built from to deploy as well")
        if not record.weights_sha256:
            raise WeightsError(
                f"the bundle {self.path} does not say which weights {record.file} was made of",
                "it was made by an earlier segeval: deploy the set again",
            )
        return record


def attacked_bundle(config: CraftConfig, networks: Sequence[str]) -> AttackedBundle | None:
    """The bundle with the files that attacks are made on, None if they are made on none. Loads no network.

    Args:
        config: of the crafting run.
        networks: names of those that are attacked.

    Raises:
        ConfigurationError: for options that do not go together, and as `AttackedBundle.record`.
        WeightsError: likewise.
        DataError, FormatError: for what is no bundle.
    """
    if set(config.on) == {"fp32"}:
        if config.bundle or config.engines or config.forward != "graph":
            hint = "say what is to be made on it: --on int8, both or evasive"
            raise ConfigurationError("--bundle, --engine and --forward are for attacks on deployed files", hint)
        return None
    if config.bundle is None:
        raise ConfigurationError("attacks on deployed files need a bundle", "name it: --bundle BUNDLE")
    path = Path(config.bundle)
    bundle = AttackedBundle(path, BundleFolder(path).manifest())
    for network, label in product(networks, config.engines):
        bundle.record(network, label)
    return bundle


def open_deployed(
    config: CraftConfig, bundle: AttackedBundle | None, models: Sequence[Segmenter]
) -> dict[str, Deployed]:
    """The files that the attacks of a configuration are made on, by name as in ``espnet-camvid.int8``.

    Args:
        config: of the crafting run.
        bundle: with the files, None if there are none.
        models: the networks that are attacked.

    Raises:
        IntegrityError: for a file that was changed.
        WeightsError: if it was made of other weights than those that are attacked.
        EngineError: for a file with operators that have no gradient here.
    """
    if bundle is None:
        return {}
    found = (
        read(bundle, bundle.record(model.spec.name, label), model, config.forward)
        for model in models
        for label in config.engines
    )
    return {deployed.name: deployed for deployed in found}


def read(bundle: AttackedBundle, record: EngineRecord, base: Segmenter, forward: Forward) -> Deployed:
    """One file as a network on the device of its float network. Raises IntegrityError, WeightsError, EngineError."""
    import onnx

    from segeval.graphs.differentiable import EngineInTheLoop, GraphSegmenter

    from .engines import engine_logits

    if record.weights_sha256 != base.record.weights_sha256:
        raise WeightsError(
            f"{record.file} in {bundle.path} was made of other weights than those of {base.spec.name}",
            "attack the network that was deployed, or deploy this one",
        )
    recorded = bundle.manifest.files[record.file].sha256
    data = inside(bundle.path, record.file).read_bytes()
    if sha256(data) != recorded:
        raise IntegrityError(f"{record.file} in {bundle.path} was changed", "deploy again")
    model = onnx.load_from_string(data)
    graph: nn.Module = GraphSegmenter(model)
    if forward != "graph":
        graph = EngineInTheLoop(graph, engine_logits(bundle.path, record.name, model, forward))
    file = DeployedFile(base.spec.name, record.label, recorded)
    return Deployed(file, base, graph, (record.height, record.width)).to(base.mean.device)
