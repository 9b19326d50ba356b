"""Checks whether parameters belong to a network."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from segeval.errors import WeightsError, some


def require_match(
    name: str,
    network: nn.Module,
    state: Mapping[str, Tensor],
    where: str,
    hint: str,
    training_only: tuple[str, ...] = (),
) -> None:
    """Raise WeightsError unless `state` has exactly the parameters of `network`, in finite floating-point numbers.

    Args:
        name: of the network, for messages.
        network: built for as many outputs as are wanted.
        state: read from a file.
        where: the file, for messages.
        hint: what fits instead.
        training_only: how names of parameters begin that may be missing.
    """
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    given = {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    optional = {key for key in own if key.startswith(training_only)}
    missing = sorted(own.keys() - given.keys() - optional)
    unexpected = sorted(given.keys() - own.keys())
    if missing or unexpected:
        odd = [f"{what} {some(keys, 3)}" for what, keys in (("missing", missing), ("unexpected", unexpected)) if keys]
        raise WeightsError(f"{where} does not fit {name}: {'; '.join(odd)}", hint)
    for key, tensor in given.items():
        if tensor.shape != own[key].shape:
            what = f"{where} does not fit {name}: {key} is {tuple(tensor.shape)}, expected {tuple(own[key].shape)}"
            raise WeightsError(what, hint)
        if own[key].is_floating_point() and not tensor.is_floating_point():
            kind = str(tensor.dtype).removeprefix("torch.")
            raise WeightsError(f"{where}: {key} holds {kind}, not floating-point numbers", "save the float network")
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{where}: {key} holds values that are not finite", "the file is damaged")
