"""Where a training starts: random weights, a file, or another registered network whose classes overlap."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from segeval.errors import ConfigurationError
from segeval.models import ModelSpec
from segeval.models.loading import build_network, find_weights, load_spec, read_state


def initial_network(spec: ModelSpec, initial: str) -> nn.Module:
    """The network of `spec` with random weights, those of a file, or those of NAME[=WEIGHTS].

    Raises UnknownNameError, WeightsError; ConfigurationError if two networks of as many outputs mean other classes.
    """
    if not initial or Path(initial).is_file():
        return build_network(spec, read_state(Path(initial)) if initial else None, initial)
    name, _, given = initial.partition("=")
    other = load_spec(name)
    if len(other.outputs) == len(spec.outputs) and other.canonical_outputs != spec.canonical_outputs:
        raise ConfigurationError(
            f"--initial {initial}: {name} has as many outputs as {spec.name}, but for other classes", "give a file"
        )
    state = read_state(Path(given) if given else find_weights(other))
    network = build_network(spec, None)
    donor = build_network(other, state, name)
    widths = len(spec.outputs), len(other.outputs)
    taken = merged(network, donor, aligned_outputs(spec, other), widths)
    if not taken:
        raise ConfigurationError(
            f"--initial {initial}: {name} has no parameter in common with {spec.name}", "give another"
        )
    network.load_state_dict({**network.state_dict(), **taken})
    return network


def aligned_outputs(spec: ModelSpec, other: ModelSpec) -> list[tuple[int, int]]:
    """Pairs of output numbers, of `spec` and of `other`, that mean the same class."""
    names = other.canonical_outputs
    return [(own, names.index(name)) for own, name in enumerate(spec.canonical_outputs) if name in names]


def merged(
    network: nn.Module, donor: nn.Module, pairs: Sequence[tuple[int, int]], widths: tuple[int, int]
) -> dict[str, Tensor]:
    """The donor's parameters; where a layer is as wide as the number of outputs, only the rows of shared classes.

    A parameter that cannot be taken over is left out.

    Args:
        network: that gets the parameters.
        donor: that has them.
        pairs: (output of the network, output of the donor) of shared classes.
        widths: numbers of outputs of both.
    """
    taken: dict[str, Tensor] = {}
    own, given = network.state_dict(), donor.state_dict()
    rows = torch.tensor([pair[0] for pair in pairs]), torch.tensor([pair[1] for pair in pairs])
    for key, tensor in own.items():
        other = given.get(key)
        if other is not None and tensor.shape == other.shape:
            taken[key] = other
        elif other is not None and tensor.shape[1:] == other.shape[1:] and (len(tensor), len(other)) == widths:
            taken[key] = tensor.index_copy(0, rows[0], other.index_select(0, rows[1]))
    return taken
