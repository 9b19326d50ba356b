"""Small networks as their authors would export them, and what comes of running such a file plainly."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

HEIGHT, WIDTH = 32, 48
MEAN, STD = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


class Small(nn.Module):
    """Two convolutions with what usual networks have between them, at a quarter of the resolution."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.second, self.head = nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, classes, 1)
        nn.init.normal_(self.head.weight, std=3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.hardswish(self.second(functional.relu(self.norm(self.first(x)))))
        y = y * torch.sigmoid(y.mean((2, 3), keepdim=True))
        answer: Tensor = self.head(y)
        return answer


class Ending(nn.Module):
    """A network with a function before it and one behind it."""

    def __init__(self, network: nn.Module, before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.network, self.before, self.after = network, before, after

    def forward(self, x: Tensor) -> Any:
        return self.after(self.network(self.before(x)))


def same(x: Tensor) -> Tensor:
    return x


def large(x: Tensor) -> Tensor:
    return functional.interpolate(x, (HEIGHT, WIDTH), mode="bilinear")


def export(file: Path, network: nn.Module, shape: tuple[int, ...], opset: int = 17, **options: Any) -> Path:
    """Export a network as users do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (torch.zeros(shape),),
            file,
            opset_version=opset,
            dynamo=False,
            input_names=["image"],
            **options,
        )
    return file


@dataclass(frozen=True)
class Case:
    """A file, its card but for the source, and what its author makes of an image.

    Attributes:
        write: writes the file.
        card: [input], [output] and [classes].
        labels: from what the file gives for a prepared image (1, H, W, 3) in RGB and 0 to 1 to a label map.
    """

    write: Callable[[Path], Path]
    card: str
    prepare: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    labels: Callable[[NDArray[np.float32]], NDArray[Any]]


def image_of(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def plain_labels(case: Case, file: Path, image: NDArray[np.uint8]) -> NDArray[Any]:
    """The file run by ONNX Runtime, with numpy before and behind it."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    given = case.prepare((image[None] / 255).astype(np.float32))
    (answer,) = session.run(None, {session.get_inputs()[0].name: given})[:1]
    return case.labels(answer)


def first(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


def bigger(x: NDArray[np.float32], mode: str = "bilinear", **options: Any) -> NDArray[np.float32]:
    found: NDArray[np.float32] = functional.interpolate(
        torch.from_numpy(x), (HEIGHT, WIDTH), mode=mode, **options
    ).numpy()
    return found


def newer(file: Path) -> Path:
    """The same file in opset 21, by ONNX's converter, with its weights in a file beside it."""
    model = onnx.version_converter.convert_version(onnx.load(file), 21)
    onnx.save(model, file, save_as_external_data=True, location=file.name + ".data", size_threshold=0)
    return file


NCHW, NHWC = (1, 3, HEIGHT, WIDTH), (1, HEIGHT, WIDTH, 3)
FREE = {"dynamic_axes": {"image": {0: "n", 2: "h", 3: "w"}}}
FIVE = '[classes]\nnames = ["road", "car", "sky", "pole", "bus"]'
TWO = '[classes]\nnames = ["background", "road"]'
IMAGENET = "range = 1\nmean = [0.485, 0.456, 0.406]\nstd = [0.229, 0.224, 0.225]"
STRONG = "mean = [0.5, 0.5, 0.5]\nstd = [0.1, 0.1, 0.1]"
CASES = {
    "plain": Case(
        lambda file: export(file, Ending(Small(5), same, large), NCHW, 16),
        f'[input]\nlayout = "NCHW"\ncolour = "RGB"\n{IMAGENET}\n[output]\nkind = "logits"\n{FIVE}',
        lambda x: first((x - MEAN) / STD),
        lambda y: y.argmax(1)[0],
    ),
    "quarter, free sizes, blue first": Case(
        lambda file: export(file, Small(5), NCHW, 17, **FREE),
        f'[input]\nlayout = "NCHW"\ncolour = "BGR"\nrange = 255\nmean = [104, 117, 123]\n[output]\nkind = "logits"\n'
        f'resize = "bilinear-aligned"\n{FIVE}',
        lambda x: first(x[..., ::-1] * 255 - np.array([104, 117, 123], np.float32)),
        lambda y: bigger(y, align_corners=True).argmax(1)[0],
    ),
    "channels last, probabilities, resized by the nearest": Case(
        lambda file: export(
            file,
            Ending(Small(5), lambda x: x.permute(0, 3, 1, 2), lambda y: y.permute(0, 2, 3, 1).softmax(-1)),
            NHWC,
            13,
        ),
        '[input]\nlayout = "NHWC"\ncolour = "RGB"\nrange = 1\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\n'
        f'[output]\nkind = "probabilities"\nresize = "nearest"\n{FIVE}',
        lambda x: ((x - 0.5) / 0.5).astype(np.float32),
        lambda y: bigger(y.transpose(0, 3, 1, 2).copy(), "nearest").argmax(1)[0],
    ),
    "binary, a sigmoid": Case(
        lambda file: export(file, Ending(Small(1), same, torch.sigmoid), NCHW, 11),
        f'[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n[output]\nkind = "probabilities"\n{TWO}',
        lambda x: first(x),
        lambda y: (bigger(y)[0, 0] > 0.5).astype(int),
    ),
    "binary logits, one map without channels": Case(
        lambda file: export(file, Ending(Small(1), same, lambda y: large(y)[:, 0]), NCHW, 17),
        f'[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n[output]\nkind = "logits"\n{TWO}',
        lambda x: first(x),
        lambda y: (y[0] > 0).astype(int),
    ),
    "an ArgMax at the end": Case(
        lambda file: export(
            file, Ending(Small(5), same, lambda y: large(y).softmax(1).argmax(1, keepdim=True).to(torch.int32)), NCHW
        ),
        f'[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n{STRONG}\n[output]\nkind = "labels"\n{FIVE}',
        lambda x: first((x - np.float32(0.5)) / np.float32(0.1)),
        lambda y: y[0, 0],
    ),
    "opset 21, weights beside it": Case(
        lambda file: newer(export(file, Ending(Small(5), same, large), NCHW, 17)),
        f'[input]\nlayout = "NCHW"\ncolour = "RGB"\nrange = 1\n{STRONG}\n[output]\nkind = "logits"\n{FIVE}',
        lambda x: first((x - np.float32(0.5)) / np.float32(0.1)),
        lambda y: y.argmax(1)[0],
    ),
}


def write_card(folder: Path, case: Case, name: str = "net") -> Path:
    """A file and its card in a folder; the card's path."""
    folder.mkdir(parents=True, exist_ok=True)
    case.write(folder / f"{name}.onnx")
    card = folder / f"{name}.toml"
    card.write_text(f'[source]\nonnx = "{name}.onnx"\n{case.card}\n')
    return card
