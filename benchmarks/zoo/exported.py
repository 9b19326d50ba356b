"""ONNX files of networks that others wrote, by exporters that are not ours: one in a process of its own.

    python -m benchmarks.zoo.exported pidnet-s.onnx FOLDER/pidnet-s.onnx

Every exporter is PyTorch's newer one, which segeval does not use, of a library's network with random weights.
"""

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from benchmarks.zoo.pictures import SIZE, batch
from benchmarks.zoo.random_weights import settle

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
CLASSES = 19
COARSEST = 32
"""Pixels of the image along a side of the maps that Keras's MobileNetV2 ends in."""


def openmmlab(config: str) -> nn.Module:
    """A network of mmsegmentation by the path of its configuration, without the heads that train it alone."""
    mmcv = importlib.import_module("mmcv")
    operators = ModuleType("mmcv.ops")  # those that are compiled, which mmcv-lite does not have
    operators.__getattr__ = lambda name: None  # type: ignore[method-assign]
    sys.modules["mmcv.ops"] = operators
    vars(mmcv)["ops"] = operators
    mmseg = importlib.import_module("mmseg.models")
    configs = Path(str(mmseg.__file__)).parents[1] / ".mim/configs"
    model = importlib.import_module("mmengine.config").Config.fromfile(configs / config).model
    del model["data_preprocessor"]
    network = importlib.import_module("mmseg.registry").MODELS.build(model)
    plain: nn.Module = importlib.import_module("mmengine.model").revert_sync_batchnorm(network)
    return plain


def export(network: nn.Module, file: Path, opset: int, **options: Any) -> None:
    """Settle and export a network."""
    images = (batch() - MEAN) / STD
    settle(network, images)
    torch.onnx.export(network, (images[:1],), file, dynamo=True, opset_version=opset, verbose=False, **options)


def ddrnet(file: Path) -> None:
    """DDRNet-23-slim, of one size, in opset 18."""
    config = "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py"
    export(openmmlab(config), file, 18, input_names=["image"], output_names=["logits"], external_data=False)


def pidnet(file: Path) -> None:
    """PIDNet-S, of one size, in opset 20, its weights in a file beside it."""
    config = "pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py"
    export(openmmlab(config), file, 20, input_names=["image"], output_names=["logits"], external_data=True)


def bisenetv2(file: Path) -> None:
    """BiSeNetV2, of any size, in opset 23."""
    config = "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py"
    sides = {2: torch.export.Dim("height", min=64, max=4096), 3: torch.export.Dim("width", min=64, max=4096)}
    export(openmmlab(config), file, 23, dynamic_shapes=(sides,), external_data=False)


def free_space(file: Path) -> None:
    """A binary network: an FPN whose only channel ends in a sigmoid, in opset 21."""
    library = importlib.import_module("segmentation_models_pytorch")
    network = library.FPN("tu-mobilenetv3_small_100", encoder_weights=None, classes=1, activation="sigmoid")
    export(network, file, 21, external_data=False)


def keras_mobilenet(file: Path) -> None:
    """A network that takes and gives NHWC, in batches of any size: Keras's MobileNetV2 with a convolution behind it."""
    os.environ["KERAS_BACKEND"] = "torch"
    keras: Any = importlib.import_module("keras")
    keras.utils.set_random_seed(0)
    base = keras.applications.MobileNetV2(input_shape=(*SIZE, 3), include_top=False, weights=None, alpha=0.35)
    layers = keras.layers
    logits = layers.Conv2D(CLASSES, 1)(base.output)
    network = keras.Model(base.input, layers.UpSampling2D(COARSEST, interpolation="bilinear")(logits))
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    network(2 * batch().permute(0, 2, 3, 1).numpy() - 1, training=True)
    network.export(file, format="onnx", verbose=False)


EXPORTS: Mapping[str, Callable[[Path], None]] = {
    "ddrnet-23-slim.onnx": ddrnet,
    "pidnet-s.onnx": pidnet,
    "bisenetv2.onnx": bisenetv2,
    "free-space.onnx": free_space,
    "keras-mobilenetv2.onnx": keras_mobilenet,
}
"""What writes the ONNX file of a card."""


def main(name: str, file: Path) -> None:
    """Write one file."""
    torch.manual_seed(0)
    EXPORTS[name](file)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
