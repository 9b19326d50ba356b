"""Networks that PyTorch saved with their code: TorchScript, and programs of torch.export."""

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segeval.errors import WeightsError
from segeval.models.cards.adapters import Adapted, chosen
from segeval.models.cards.card import ModelCard
from segeval.models.cards.opening import Opened, require_file
from segeval.models.loading import whole_network


def open_torchscript(card: ModelCard) -> Opened:
    """The network of a TorchScript file. Raises ConfigurationError, WeightsError."""
    path = require_file(card, card.source.named, "torchscript")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it announces the end of TorchScript
            network = Scripted(torch.jit.load(str(path), map_location="cpu"))  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise unreadable(path, "a TorchScript file", "torch.jit.save", error) from error
    return Opened(Adapted(network.eval(), card), (path,))


class Scripted(nn.Module):
    """A TorchScript network that can be exported as a part of another one.

    PyTorch does not trace calls of a script module that was read from a file. It does those of a function, and the
    graph of a frozen module, whose parameters are constants in it, is one.
    """

    def __init__(self, network: torch.jit.ScriptModule) -> None:
        super().__init__()
        self.network = network.eval()
        graph = torch.jit.freeze(self.network).graph.copy()
        torch._C._jit_pass_inline(graph)
        graph.eraseInput(0)  # the module itself, which nobody reads any more
        self.function = torch._C._create_function_from_graph("forward", graph)

    def forward(self, images: Tensor) -> Any:
        """The network's output."""
        return (self.network if torch._C._get_tracing_state() is None else self.function)(images)


def open_exported(card: ModelCard) -> Opened:
    """The network of a file of torch.export. Raises ConfigurationError, WeightsError."""
    path = require_file(card, card.source.named, "exported")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = torch.export.load(path).module()
    except Exception as error:  # of many kinds: a zip, JSON, a version
        raise unreadable(path, "a file of torch.export", "torch.export.save", error) from error
    return Opened(Adapted(OneByOne(network, card), card), (path,))


class OneByOne(nn.Module):
    """A program that was exported for one image, for several; of its answers the one that the card names."""

    def __init__(self, network: nn.Module, card: ModelCard) -> None:
        super().__init__()
        self.network, self.card = network, card

    def eval(self) -> "OneByOne":
        """Itself: such a program is in the mode that it was exported in, and has no other."""
        return self

    def train(self, mode: bool = True) -> "OneByOne":
        """Itself; see `eval`."""
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Answers to images, in one tensor."""
        parts = [images] if len(images) == 1 else torch.split(images, 1)
        answers = [chosen(self.network(each), self.card) for each in parts]
        return answers[0] if len(answers) == 1 else torch.cat(answers)


def unreadable(path: Path, wanted: str, writer: str, error: Exception) -> WeightsError:
    """The error for a file that PyTorch does not read: what it is instead, where that shows.

    Args:
        path: of the file.
        wanted: what it should be.
        writer: the function that writes such files.
        error: PyTorch's.
    """
    kind, source = whole_network(path)
    if kind and kind != wanted:
        hint = f'write {source} = "{path.name}" into [source]'
        return WeightsError(f"{path} is {kind}, not {wanted}", hint)
    return WeightsError(f"{path} is not {wanted}: {first_line(error)}", f"save the network by {writer}")


def first_line(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
