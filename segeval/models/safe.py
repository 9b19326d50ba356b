"""Weights as safetensors with a digest, which detects damage after training."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from segeval.errors import IntegrityError

DIGEST = "segeval.sha256"
"""Key of the digest in the metadata of a file."""


def digest_of(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, types, shapes and bytes of tensors, in the order of their names."""
    found = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def to_safetensors(state: dict[str, Tensor]) -> bytes:
    """A safetensors file of these tensors with their digest."""
    return save(state, {DIGEST: digest_of(state)})


def from_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises IntegrityError if it has a digest, and it is not theirs."""
    with safe_open(path, "pt") as file:
        recorded = (file.metadata() or {}).get(DIGEST)
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if recorded is not None and digest_of(state) != recorded:
        raise IntegrityError(f"{path} was changed after it was trained", "restore the file, or train again")
    return state
