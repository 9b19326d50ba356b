"""`segeval model init`: a model card drafted from an ONNX file and, if given, labelled images."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from segeval.classes import CAMVID, CITYSCAPES, TABLES, ClassTable, canonical_name, usual_colour
from segeval.errors import ConfigurationError, EngineError
from segeval.files.storage import sha256, write_atomic
from segeval.graphs.brought import Tensor, input_of, read_onnx
from segeval.graphs.given import OnnxNetwork
from segeval.graphs.given.file import answer_of, computed, float_network, logits_behind, of_shape, producers_of
from segeval.models.cards import ModelCard, Source
from segeval.models.cards.card_reading import card_of
from segeval_runner.described import Input, Kind, Layout, Output

from .check import USUAL
from .kinds import kind_of
from .trials import CLEARLY, IMAGENET, Labelled, Trial, trials

NORMALIZED = ("input.range", "input.mean", "input.std")
"""What no file says of normalization."""


@dataclass
class Draft:
    """A card that is being written.

    Attributes:
        card: as far as it is known.
        unsure: what was guessed, by ``table.key``.
        trials: what was tried on an image with labels, the best first.
        found: how that was decided, by ``table.key``.
    """

    card: ModelCard
    unsure: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)
    trials: Sequence[Trial] = ()


def draft_card(file: Path, out: Path, table: ClassTable | None = None, labelled: Sequence[Labelled] = ()) -> Draft:
    """Write the card of an ONNX file.

    Args:
        file: the network.
        out: the card, which must not be there yet.
        table: classes of the user's dataset, where there is one.
        labelled: images with labels, on which colour orders and normalizations are tried.

    Raises:
        ConfigurationError: if `out` is there, or the file has no one answer with a channel per class, or a name that
            no card can hold.
        EngineError: for a file that is no float ONNX network.
    """
    if out.exists():
        raise ConfigurationError(f"{out} already exists", "remove it, or choose another name with --out")
    if not file.is_file():
        raise ConfigurationError(f"no file {file}", "give the ONNX file of a network")
    if file.suffix.casefold() != ".onnx":
        hint = "write the card by hand: docs/own-network.md shows one for PyTorch"
        raise ConfigurationError(f"{file} is not an .onnx file, and no other kind describes its input and output", hint)
    model = read_onnx(file)
    takes_bytes = input_of(model, file).type == TensorProto.UINT8
    model = float_network(model, file)
    draft = described(model, takes_bytes, file, out, table)
    if labelled:
        draft.trials = trials(draft.card, OnnxNetwork(draft.card, file, model), labelled)
        settle(draft)
    text = text_of(draft, file).encode()
    card_of(out, text)
    write_atomic(out, text)
    return draft


def described(model: ModelProto, takes_bytes: bool, file: Path, out: Path, table: ClassTable | None) -> Draft:
    """What an ONNX file says by itself, with guesses for the rest.

    Args:
        model: the file, for float images.
        takes_bytes: whether it took bytes.
        file: where it is.
        out: the card.
        table: classes of the user's dataset.
    """
    unsure = dict[str, str]()
    image = input_of(model, file)
    layout = layout_of(image, file)
    inner = image.shape[2:] if layout == "NCHW" else image.shape[1:3]
    size = (inner[0], inner[1]) if all(inner) else None
    wanted = replace(IMAGENET, layout=layout)
    guess = "the file does not say it; this is what most networks of PyTorch take"
    unsure["input.colour"] = guess
    if takes_bytes:
        wanted, guess = Input(layout, "RGB", 255.0), "the file takes bytes, so that it should normalize them itself"
    unsure.update(dict.fromkeys(NORMALIZED, guess))
    output, channels = answered(model, image, file, size or USUAL, wanted, unsure)
    names, extra = classes_of(channels, table, unsure)
    source = Source("onnx", Path(os.path.relpath(file, out.parent)).as_posix())
    if size is None:
        unsure["input.multiple_of"] = "the file takes any size; 32 suits most networks"
    multiple = 1 if size else 32
    card = ModelCard(out, sha256(b""), out.stem, source, wanted, output, size, multiple, names, extra)
    return Draft(card, unsure)


def layout_of(image: Tensor, file: Path) -> Layout:
    """NCHW or NHWC, by where the three channels are. Raises EngineError if they are nowhere."""
    if image.shape[1] == 3:
        return "NCHW"
    if image.shape[3] == 3:
        return "NHWC"
    if not any(image.shape[1:]):
        return "NCHW"
    raise EngineError(f"{file} takes {image}, which has no 3 channels", "a camera image has red, green and blue")


def answered(
    model: ModelProto, image: Tensor, file: Path, size: tuple[int, int], wanted: Input, unsure: dict[str, str]
) -> tuple[Output, int]:
    """What the file answers, and in how many channels.

    Args:
        model: the file.
        image: its input.
        file: where it is.
        size: (height, width) to try it at.
        wanted: its layout.
        unsure: gets what was guessed.
    """
    shape = (1, *size, 3) if wanted.layout == "NHWC" else (1, 3, *size)
    fixed = of_shape(model, image, shape, file)
    names = [value.name for value in model.graph.output]
    chosen = names[0] if len(names) == 1 else largest(fixed, names, file)
    name = "" if len(names) == 1 else chosen
    if name:
        unsure["output.name"] = f"the file has several outputs: {', '.join(names)}; this one is the largest"
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values = computed(fixed, answer_of(model, chosen, file), file, noise)
    if values.dtype.kind in "iub":
        logits, axis = logits_behind(model, chosen, file)
        values = computed(fixed, logits, file)
        return Output("labels", "NHWC" if axis in (3, -1) else "NCHW", name=name), values.shape[axis]
    if values.ndim == 3:
        return Output(kind(model, chosen, values[:, None], unsure), "NCHW", name=name), 1
    if values.ndim != 4:
        what = f"{file}: {chosen} is {values.shape}, not one channel per class and pixel"
        raise ConfigurationError(what, "write the card by hand, and name the value with the logits as output.name")
    # Channels are fewer than columns; where that tells nothing, the output is as the input.
    last = wanted.layout == "NHWC" if values.shape[1] == values.shape[3] else values.shape[3] < values.shape[1]
    scores = np.moveaxis(values, 3 if last else 1, 1)
    output = Output(kind(model, chosen, scores, unsure), "NHWC" if last else "NCHW", name=name)
    channels = values.shape[3 if last else 1]
    if (values.shape[1:3] if last else values.shape[2:]) != size:
        unsure["output.resize"] = "the answer is smaller than the image; take the mode that your device uses"
    return output, channels


def kind(model: ModelProto, name: str, scores: NDArray[Any], unsure: dict[str, str]) -> Kind:
    """Whether an answer is logits or probabilities, by the last operator and its numbers.

    Args:
        model: the file.
        name: of the answer.
        scores: its values (N, C, ...) for an image of noise.
        unsure: gets what was guessed.
    """
    node = producers_of(model).get(name)
    if node is not None and node.op_type in ("Softmax", "Sigmoid"):
        return "probabilities"
    found, sure = kind_of(scores)
    if not sure:
        unsure["output.kind"] = "its numbers are within 0 and 1 for an image of noise, which logits may be too"
    return found


def largest(fixed: ModelProto, names: Sequence[str], file: Path) -> str:
    """The output with the most values."""
    return max(names, key=lambda name: computed(fixed, name, file).size)


def classes_of(channels: int, table: ClassTable | None, unsure: dict[str, str]) -> tuple[ClassTable, tuple[str, ...]]:
    """Classes for so many channels: those of the user's dataset, of a known table, or numbered ones."""
    count = 2 if channels == 1 else channels
    known = [table] if table is not None else [CITYSCAPES, CAMVID]
    for each in known:
        if count in (len(each), len(each) + 1):
            if table is None:
                unsure["classes"] = f"guessed from the number of outputs, {count}"
            extra = ("background",) if count > len(each) else ()
            if extra:
                unsure["classes.extra"] = f"the network has one output more than {each.name} has classes"
            return each, extra
    if table is not None:
        what = f"the network has {count} outputs, the dataset {len(table)} classes: {', '.join(table.names)}"
        raise ConfigurationError(what, "give a folder with the network's own classes, or none and edit the card")
    names = ("background", "foreground") if count == 2 else tuple(f"class-{number}" for number in range(count))
    doubt = f"the file does not name its {count} classes: replace {names[0]} to {names[-1]} by their names"
    unsure["classes"] = f"{doubt}, in the order of the outputs, in [classes] of the card"
    colours = tuple(usual_colour(name, number) for number, name in enumerate(names))
    return ClassTable("own", names, colours, names), ()


def settle(draft: Draft) -> None:
    """Take the best trial, and keep doubts that it leaves."""
    best, *others = draft.trials
    draft.card = replace(draft.card, input=best.input)
    found = f"best of {len(draft.trials)} tried: mIoU {100 * best.miou:.1f} %"
    draft.found["input.range"] = found + (f"; next: {others[0].said}, {100 * others[0].miou:.1f} %" if others else "")
    near = [each for each in others if each.miou > best.miou - CLEARLY]
    poor = best.miou < max(0.15, 1.5 / len(draft.card.outputs))
    draft.unsure.update(dict.fromkeys(NORMALIZED[1:], "the best of ten common ones; write those of your training"))
    for key in ("input.colour", "input.range"):
        draft.unsure.pop(key, None)
        if poor:
            draft.unsure[key] = f"{found}, which is poor: check the classes and their order"
        elif near:
            named = ", ".join(f"{each.said} ({100 * each.miou:.1f} %)" for each in near[:3])
            draft.unsure[key] = f"{found}; nearly as good: {named}"


def text_of(draft: Draft, file: Path) -> str:
    """The card as TOML, with a comment at all that is unsure or was found by trying."""
    card = draft.card

    def line(table: str, key: str, value: object) -> str:
        doubt, found = (told.get(f"{table}.{key}", "") for told in (draft.unsure, draft.found))
        comment = f"unsure: {doubt}" if doubt else found
        return f"{key} = {as_toml(value)}" + (f"  # {printable(comment)}" if comment else "")

    wanted, given = card.input, card.output
    lines = [f"# What {printable(file.name)} is: docs/own-network.md explains the keys.", "[source]"]
    lines += [line("source", "onnx", card.source.named), "", "[input]"]
    lines += [line("input", key, getattr(wanted, key)) for key in ("layout", "colour", "range", "mean", "std")]
    lines += [line("input", "size", card.size)] if card.size else [line("input", "multiple_of", card.multiple_of)]
    lines += ["", "[output]"] + ([line("output", "name", given.name)] if given.name else [])
    lines += [line("output", key, getattr(given, key)) for key in ("kind", "layout", "resize")]
    lines += ["", "[classes]"]
    doubt = draft.unsure.get("classes", "")
    lines += [f"# unsure: {printable(doubt)}"] if doubt else []
    known = [name for name, table in TABLES.items() if replace(card.table, name=name) == table]
    if known:
        lines.append(line("classes", "table", known[0]))
    else:
        names, canonical = card.table.names, card.table.canonical
        lines.append(line("classes", "names", names))
        lines.append(line("classes", "colours", [f"#{bytes(colour).hex()}" for colour in card.table.palette]))
        lines += [line("classes", "canonical", canonical)] if canonical != tuple(map(canonical_name, names)) else []
    lines += [line("classes", "extra", card.extra)] if card.extra else []
    return "\n".join(lines) + "\n"


def printable(text: str) -> str:
    """A text with control characters in the spelling of TOML: no name ends a line."""
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)


def as_toml(value: Any) -> str:
    """A text, number or list in the spelling of TOML."""
    if isinstance(value, str):
        return '"' + printable(value.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
