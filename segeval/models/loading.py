"""From a name to a network with its weights. Weight files are data from strangers: read, never executed."""

import inspect
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError, IntegrityError, WeightsError
from segeval.fetching.inventory import state_of
from segeval.fetching.sources import source_of
from segeval.files.storage import sha256_file
from segeval.models.cards import is_card, load_card, read_card
from segeval.models.matching import require_match
from segeval.models.model_names import FILES, ModelName, labelled, parse_model
from segeval.models.safe import from_safetensors
from segeval.models.segmenter import Segmenter
from segeval.models.spec import ModelSpec, WeightsFile
from segeval.places import places_of, with_home
from segeval.registry import MODELS, Registry

BUNDLED = Path(__file__).parent / "weights"
WEIGHTS = (".pth", ".pt", ".safetensors")
"""How the names of files end that may be weights."""
WRAPPERS = ("state_dict", "model_state_dict", "model", "net")


def load_spec(name: str) -> ModelSpec:
    """The specification behind a registered name, ``package.module:attribute`` or the path of a model card.

    Raises UnknownNameError, ConfigurationError, with the way to a model card where one is needed.
    """
    if is_card(name):
        return read_card(with_home(name)).spec
    require_no_file(name)
    spec = MODELS.load(name)
    if not isinstance(spec, ModelSpec):
        what = f"model {name!r} is a {type(spec).__name__}, not a ModelSpec"
        raise ConfigurationError(what, f'put it into a model card: [source] factory = "{name}" (docs/own-network.md)')
    if spec.outputs[: len(spec.table)] != spec.table.names:
        raise ConfigurationError(
            f"model {name!r}: its outputs do not begin with the classes of {spec.table.name}, in their order",
            "list the table's classes first, then outputs that the table lacks",
        )
    return spec


def named_specs(texts: Sequence[str]) -> list[ModelSpec]:
    """The specifications of the networks that `load_models` would load, under the names that they have in a set."""
    names = labelled([parse_model(text) for text in texts])
    return [replace(spec, name=each.label or spec.name) for each in names for spec in [load_spec(each.name)]]


def require_no_file(name: str) -> None:
    """Raise ConfigurationError for a file in place of a network's name: a card must say what it is."""
    lower = name.casefold()
    if lower.endswith((*FILES, *WEIGHTS)):
        kind = "an ONNX file" if lower.endswith(".onnx") else "a file"
        hint = f"write one: segeval model init {name}" if kind == "an ONNX file" else "write one: docs/own-network.md"
        hint += f"; or are these weights of a network, as in --model NAME={name}?" if lower.endswith(WEIGHTS) else ""
        lacks = "It does not say what its classes are or how images must be prepared; a model card does."
        raise ConfigurationError(f"{name} is {kind}. {lacks}", hint)
    if re.match(r"[^:]*\.py(:|$)", name):
        code = name if ":" in name else f"{name}:FUNCTION"
        hint = f'write a model card with [source] factory = "{code}" (docs/own-network.md)'
        raise ConfigurationError(f"{name} is code, which gives neither class names nor pre-processing", hint)


def load_model(text: str, device: str = "cpu") -> Segmenter:
    """The network called NAME, with its registered weights or those of NAME=WEIGHTS; see `parse_model`.

    Raises UnknownNameError, WeightsError.
    """
    return load(parse_model(text), device)


def load_models(texts: Sequence[str], device: str = "cpu") -> list[Segmenter]:
    """Networks for one set, several weight files of one network under names of their own; see `load_model`.

    Raises ConfigurationError too if two names are one where capital letters do not count: files are named by them.
    """
    models = [load(name, device) for name in labelled([parse_model(text) for text in texts])]
    seen: dict[str, str] = {}
    for model in models:
        name = model.spec.name
        if name.casefold() in seen:
            raise ConfigurationError(
                f"models {seen[name.casefold()]!r} and {name!r} have one name where capital letters do not count",
                "give one of them another name: --model LABEL=NAME[=WEIGHTS]",
            )
        seen[name.casefold()] = name
    return models


def load(asked: ModelName, device: str = "cpu") -> Segmenter:
    """See `load_model`."""
    if is_card(asked.name):
        if asked.weights:
            what = f"--model {asked.name}={asked.weights}: a model card names its own weights"
            raise ConfigurationError(what, "write them into a card of their own: [source] weights")
        return load_card(asked.name, asked.label, device)
    spec = load_spec(asked.name)
    path = with_home(asked.weights) if asked.weights else find_weights(spec, asked.name)
    state = read_state(path)
    network = build_network(spec, state, str(path))
    if asked.label:
        spec = replace(spec, name=asked.label)
    return Segmenter(spec, network, spec.record(sha256_file(path), asked.weights, asked.name)).to(device)


def build_network(spec: ModelSpec, state: Mapping[str, Tensor] | None, where: str = "the weights") -> nn.Module:
    """The bare network of a specification with these parameters, or with random ones.

    Raises WeightsError, naming `where`, if the parameters belong to something else.
    """
    if not spec.builder:
        what = f"{spec.name} is named by a model card: it can be attacked and deployed, not trained or built anew"
        raise ConfigurationError(what, "train it where it was made, or choose a network of `segeval ls models`")
    builder = Registry("builder", {}).load(spec.builder)
    try:
        inspect.signature(builder).bind(len(spec.outputs), state)
    except TypeError as error:
        what = f"{spec.name}: its builder {spec.builder} takes {inspect.signature(builder)}"
        raise ConfigurationError(what, "let it take the number of outputs and a state dict, or None") from error
    try:
        network: nn.Module = builder(len(spec.outputs), state)
    except WeightsError as error:
        raise WeightsError(f"{where}: {error.what}", error.hint or expectation(spec)) from error
    if state is not None:
        require_match(spec.name, network, state, where, expectation(spec), spec.training_only)
        network.load_state_dict({**network.state_dict(), **state})
    return network


def expectation(spec: ModelSpec) -> str:
    """What a weight file of this network looks like, for an error message."""
    file = f", such as {spec.weights.file}" if spec.weights else ""
    return f"{spec.name} takes a state dict of {spec.builder.split(':')[0]} with {len(spec.outputs)} outputs{file}"


def find_weights(spec: ModelSpec, called: str = "") -> Path:
    """Where the registered weight file lies, checked against its hash. Raises WeightsError if it is nowhere.

    Args:
        spec: of the network.
        called: what it is loaded by, if that is not its name.
    """
    weights, called = spec.weights, called or spec.name
    if weights is None:
        hint = f"give a file: --model {called}=WEIGHTS; a network that needs none is named by a model card"
        raise WeightsError(f"{spec.name} has no weights of its own", f"{hint} (docs/own-network.md)")
    places = candidates(weights)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        looked = "\n".join(f"  {place}" for place in places)
        source = source_of(f"weights/{weights.file}")
        get = f"segeval fetch {source.name}" if source else f"get them from {weights.source}"
        raise WeightsError(
            f"the weights of {spec.name} ({weights.file}) are not here; looked for\n{looked}",
            f"{get}, or give a file: --model {called}=WEIGHTS",
        )
    if sha256_file(path) != weights.sha256:
        raise WeightsError(
            f"{path} is not the registered file: its sha256 is not {weights.sha256}",
            f"to use other weights name them: --model {called}={path}",
        )
    return path


def weights_status(spec: ModelSpec) -> str:
    """Whether the weights of a network are available, in a word or two."""
    if spec.weights is None:
        return "give a file"
    weights = spec.weights
    return "bundled" if weights.bundled else state_of(f"weights/{weights.file}", f"sha256:{weights.sha256}")


def candidates(weights: WeightsFile) -> list[Path]:
    """Where a weight file may be, in order of preference."""
    if weights.bundled:
        return [BUNDLED / weights.file]
    return places_of(f"weights/{weights.file}")


def read_state(path: Path) -> dict[str, Tensor]:
    """A flat state dict from a safetensors file or a PyTorch file that holds tensors only.

    Raises WeightsError for anything else; a pickle with code in it is refused, not run.
    """
    if not path.is_file():
        raise WeightsError(f"no weight file {path}", "check the part after = in --model NAME=WEIGHTS")
    require_no_network(path)
    return flat_state(read_tensors(path), path)


def require_no_network(path: Path) -> None:
    """Raise WeightsError for a file that holds a whole network."""
    kind, source = whole_network(path)
    if kind:
        hint = f'name it in a model card: [source] {source} = "{path.name}" (docs/own-network.md)'
        raise WeightsError(f"{path} is {kind}: a whole network, not a weight file", hint)


def whole_network(path: Path) -> tuple[str, str]:
    """What a file that holds a whole network is, and the key of a card for it; empty for any other file."""
    names = {name.partition("/")[2] for name in names_in(path)}
    if any(name.startswith("code/") for name in names):
        return "a TorchScript file", "torchscript"
    if "archive_format" in names or "serialized_exported_program.json" in names:
        return "a file of torch.export", "exported"
    return ("an ONNX file", "onnx") if path.suffix.casefold() == ".onnx" else ("", "")


def names_in(path: Path) -> list[str]:
    """Names of the members of a zip archive; none of what is no whole one."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error, EOFError):
        return []


def read_tensors(path: Path) -> Any:
    """The tensors in a weight file."""
    safe = path.suffix == ".safetensors"
    try:
        return from_safetensors(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except IntegrityError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} is refused: it contains more than tensors, and loading it could run code",
            "save the bare state_dict(), or convert it to safetensors",
        ) from error
    except Exception as error:  # both readers trip over damaged files in a dozen ways
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{path} is not a {'safetensors' if safe else 'PyTorch weight'} file: {reason}",
            "the file is damaged or of another kind",
        ) from error


def flat_state(loaded: Any, path: Path) -> dict[str, Tensor]:
    """Unwrap a checkpoint and drop the prefix that DataParallel adds."""
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
            break
    if not isinstance(loaded, Mapping) or not loaded:
        raise WeightsError(f"{path} holds a {type(loaded).__name__}, not a state dict of named tensors")
    odd = [str(key) for key, value in loaded.items() if not isinstance(key, str) or not isinstance(value, Tensor)]
    if odd:
        raise WeightsError(f"{path} is not a state dict: {', '.join(odd[:3])} is not a tensor")
    for key, value in loaded.items():
        require_dense(value, f"{path}: {key}")
    return {
        key.removeprefix("module."): value.float() if value.is_floating_point() else value
        for key, value in loaded.items()
    }


def require_dense(tensor: Tensor, where: str) -> None:
    """Raise WeightsError for a tensor that is not what it says: sparse, complex, quantized, without memory of its own.

    A view may repeat one number 2^36 times in a file of a kilobyte; the first copy of it takes 256 GiB.
    """
    plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_quantized
    if not plain or tensor.is_complex():
        raise WeightsError(f"{where} is not a plain tensor of real numbers", "save the parameters as they are")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise WeightsError(
            f"{where} declares {tensor.numel()} numbers, but the file has fewer",
            "the file is damaged, or was made to exhaust memory; save contiguous tensors",
        )
