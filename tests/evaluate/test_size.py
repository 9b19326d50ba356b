"""A report is one file that can be sent: small, whatever was measured."""

import base64
import gzip
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from segeval.evaluate import evaluate
from segeval.evaluate.downloads import BUDGET, downloads

if TYPE_CHECKING:
    from tests.evaluate.conftest import World


def test_fifty_images_fit_into_3_megabytes_and_each_is_shown(build_at: Callable[..., "World"], tmp_path: Path) -> None:
    names = [f"frame-{number:03}" for number in range(50)]
    world = build_at(
        tmp_path,
        names=names,
        tasks=("vehicle-to-road",),
        attacks=(("fgsm", "full"),),
        precisions=("int8",),
        size=(288, 384),
        photographs=True,
        grain=8,
        margins=False,
    )
    report = evaluate(world.set_root, [world.replay_root], tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert {sample.partition("/")[0] for sample, _ in report.examples} == set(names)
    assert 1_000_000 < len(page.encode()) < 3_000_000
    assert "All 50 cases are here" in page
    pictures = re.findall(r"data:image/webp;base64,([^)]*)", page)
    assert len(pictures) == 50 * 8  # clean, attacked, change, two of the desktop, two of the engine, fates


def test_what_is_too_large_is_named_and_not_embedded() -> None:
    chance = random.Random(0)
    files = {"report.json": chance.randbytes(BUDGET), "survival.csv": b"a,b\n1,2\n", "samples.csv": b"x" * 100_000}
    large, small, compressed = downloads(files)
    assert (large.uri, large.file, large.size) == ("", "report.json", "420 kB")
    assert small.uri == "data:text/csv;base64," + base64.b64encode(files["survival.csv"]).decode()
    assert (small.name, small.size) == ("survival.csv", "1 kB")
    assert compressed.name == "samples.csv.gz" and compressed.uri.startswith("data:application/gzip;base64,")
    assert gzip.decompress(base64.b64decode(compressed.uri.partition(",")[2])) == files["samples.csv"]
    assert downloads(files) == downloads(files)
