"""Label maps of a replay as PNG: the value of a pixel is its class, and the palette paints it in the class's colour."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segeval.files.storage import inside, write_atomic
from segeval.metrics import Labels
from segeval.progress import Progress

from ..measure.inputs import Engine, Sources
from ..report.palette import class_colours

FOLDER = "labels"


def palette_png(labels: Labels, colours: NDArray[np.uint8]) -> bytes:
    """PNG of an (H, W) label map, which reads back as class indices.

    Args:
        labels: (H, W) class indices.
        colours: (classes, 3) RGB.
    """
    image = Image.fromarray(labels)
    image.putpalette(colours.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_label_maps(sources: Sources, out: Path, progress: Progress) -> None:
    """Write ``labels/ENGINE/clean/IMAGE.png`` and ``labels/ENGINE/adversarial/SAMPLE.png`` below `out`.

    A sample's id has slashes, and so has its path. What an unfinished replay lacks is left out.
    Raises FormatError for an engine or sample whose name leads out of the folder, StorageError, and as `Engine.labels`.
    """
    colours = class_colours(sources.manifest.table)
    written: set[tuple[str, str]] = set()
    for done, sample in enumerate(sources.folder.samples()):
        progress("label maps", done, sources.manifest.sample_count)
        for _, engines in sources.evaluated(sample):
            for engine in engines:
                if (engine.label, sample.image) not in written:  # an image has several samples
                    written.add((engine.label, sample.image))
                    _write(sources, engine, engine.clean_key(sample.image), f"clean/{sample.image}", colours, out)
                _write(sources, engine, engine.adversarial_key(sample.id), f"adversarial/{sample.id}", colours, out)
    progress("label maps", sources.manifest.sample_count, sources.manifest.sample_count)


def _write(sources: Sources, engine: Engine, key: str, name: str, colours: NDArray[np.uint8], out: Path) -> None:
    if not engine.pending(key):
        labels = engine.labels(key, sources.shape)
        path = inside(out, f"{FOLDER}/{engine.label}/{name}.png")
        write_atomic(path, palette_png(labels, colours[: engine.record.classes]))
