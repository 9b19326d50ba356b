"""Figures: what is counted in them, and that their files say what kang2020.json says."""

import csv
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from segeval.evaluate.measure.estimate_records import Estimate
from segeval.files.experiments import ExperimentFolder
from segeval.files.images import load_png
from segeval.files.set_folder import SetFolder
from segeval.progress import silent
from segeval.reproduce.kang2020 import write_report
from segeval.reproduce.kang2020.charts import budgets_mean
from segeval.reproduce.kang2020.kang2020_records import EVERY_VICTIM, BudgetPoint, Mean
from segeval.reproduce.kang2020.kang2020_terminal import read
from segeval.reproduce.kang2020.sheets import draw, scaled, shortened, tile, tile_size

Build = Callable[..., ExperimentFolder]


def rows_of(folder: ExperimentFolder, name: str) -> list[dict[str, str]]:
    with (folder.root / "report" / "figures" / name).open() as file:
        return list(csv.DictReader(file))


def test_equation_9() -> None:
    pixels, low, high = scaled(np.array([[[-2, 0, 2]]], np.int16))
    assert (pixels.tolist(), low, high) == ([[[0, 128, 255]]], -2.0, 2.0)
    flat, low, high = scaled(np.zeros((2, 2, 3), np.float32))
    assert (set(flat.ravel().tolist()), low, high) == ({128}, 0.0, 0.0)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(512, 1024, (512, 256)), (360, 480, (480, 360)), (48, 64, (512, 384))]
)
def test_tiles_are_neither_huge_nor_tiny(height: int, width: int, size: tuple[int, int]) -> None:
    assert tile_size(height, width) == size


def test_labels_are_enlarged_without_new_colours() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 0] = (10, 20, 30)
    sheet = draw([[tile("a title that is much too long for its place" * 9, "", pixels), None]])
    assert {(10, 20, 30), (0, 0, 0)} <= {tuple(colour) for colour in sheet.reshape(-1, 3).tolist()}
    assert shortened("abc" * 200, 100).endswith("…")


def test_every_figure_is_there_with_its_data(shared: ExperimentFolder) -> None:
    report = read(shared)
    names = [figure.name for figure in report.figures]
    strips = [f"steps-{model}-{scope}" for model in (1, 2) for scope in ("local", "full")]
    pictures = ["fig2", "fig3-local", "fig3-full", "fig4", "fig5", "fig7", "fig8", *strips]
    assert sorted(names) == sorted(["fig1", "fig6", "budgets-mean", "budgets-linf", *pictures])
    on_disk = {path.name for path in (shared.root / "report" / "figures").iterdir()}
    assert on_disk == {Path(path).name for figure in report.figures for path in (*figure.files, *figure.data)}
    for figure in report.figures:
        assert figure.files and figure.data and figure.title and figure.caption
        for path in figure.files:
            if path.endswith(".png"):
                Image.open(shared.root / "report" / path).verify()
            else:
                text = (shared.root / "report" / path).read_text()
                assert text.startswith("<?xml") and "--series-1" in text and text.rstrip().endswith("</svg>")
                ElementTree.fromstring(text.encode())  # the style sheet's colours are text in it


def test_figure_1_is_the_hyperbolic_tangent(shared: ExperimentFolder) -> None:
    rows = rows_of(shared, "fig1.csv")
    assert (float(rows[0]["x"]), float(rows[-1]["x"])) == (-1.5, 1.5)
    for row in rows:
        assert float(row["tanh"]) == pytest.approx(np.tanh(float(row["x"])))


def test_class_shares_are_those_of_the_pictures(shared: ExperimentFolder) -> None:
    report = read(shared)
    for name in ("fig2", "fig3-local", "fig3-full", "fig4", "fig7", "fig8"):
        ours = [share for share in report.classes if share.figure == name]
        rows = rows_of(shared, f"{name}.csv")
        assert [(r["panel"], r["name"], float(r["share"])) for r in rows] == [(s.panel, s.name, s.share) for s in ours]
        for key in {(share.panel, share.model) for share in ours}:
            assert sum(share.share for share in ours if (share.panel, share.model) == key) == pytest.approx(1)
    maps = shared.read_maps()
    for probe in maps.probes:
        labels = load_png(shared.maps, probe.labels, "L")
        shares = {s.name: s.share for s in report.classes if s.figure == "fig4" and s.model == probe.model}
        assert shares["Car"] == pytest.approx((labels == 8).mean())


def test_scales_are_the_ends_of_the_perturbation(shared: ExperimentFolder) -> None:
    report, source = read(shared), SetFolder(shared.set("table1"))
    for name, scope in (("fig7", "local"), ("fig8", "full")):
        ours = [scale for scale in report.scales if scale.figure == name]
        assert len(ours) == len(rows_of(shared, f"{name}-scale.csv")) == 3
        for scale in ours:
            (sample,) = (
                s
                for s in source.samples()
                if (s.image, s.task, s.attack, "+".join(s.victims))
                == ("a", "vehicle-to-road", f"tanh-{scope}-paper", scale.model)
            )
            change = source.image(sample.files["adversarial"]).astype(int) - source.image(sample.files["clean"])
            assert (scale.minimum, scale.maximum) == (change.min(), change.max())
    fifth = [scale for scale in report.scales if scale.figure == "fig5"]
    assert [scale.unit for scale in fifth] == ["gradient", "levels"] * 2


def test_curves_agree_and_the_joint_one_is_the_mean_of_its_victims(shared: ExperimentFolder) -> None:
    report = read(shared)
    rows = rows_of(shared, "fig6.csv")
    curves = {(c.model, "+".join(c.victims), c.attack): c for c in report.curves}
    assert {row["model"] for row in rows} == {"espnet-camvid", "fast-scnn-camvid", EVERY_VICTIM}
    for row in rows:
        point = curves[row["model"], row["victims"], row["attack"]].points[int(row["step"])]
        assert float(row["success"]) == point.success and float(row["ratio"]) == point.ratio
    both = "espnet-camvid+fast-scnn-camvid"
    for attack in ("fgsm-local-paper", "tanh-full-paper"):
        mean, first, second = (curves[m, both, attack] for m in (EVERY_VICTIM, "espnet-camvid", "fast-scnn-camvid"))
        for point, one, other in zip(mean.points, first.points, second.points, strict=True):
            assert one.success is not None and other.success is not None
            assert point.success == pytest.approx((one.success + other.success) / 2)
            assert point.mean == one.mean == other.mean
    assert {curve.attack for curve in report.curves} == {
        f"{method}-{scope}-paper" for method in ("fgsm", "tanh") for scope in ("local", "full")
    }
    assert [point.step for point in mean.points] == [0, 1, 2, 3]


def test_gradients(shared: ExperimentFolder) -> None:
    report, maps = read(shared), shared.read_maps()
    for share in report.gradients:
        inside = [each.energy_in_phi for each in maps.gradients if each.model == share.model]
        assert share.energy_in_phi.mean == pytest.approx(sum(inside) / 2) and share.energy_in_phi.images == 2
        assert share.energy_in_phi.low is None, "two images are too few for an interval"
    with (shared.root / "report" / "gradients.csv").open() as file:
        assert [float(row["energy_in_phi"]) for row in csv.DictReader(file)] == [
            s.energy_in_phi.mean for s in report.gradients
        ]


def test_steps(shared: ExperimentFolder) -> None:
    report = read(shared)
    assert len(report.steps) == 2 * 2 * 3
    for row in report.steps:
        assert row.minimum is not None and row.maximum is not None
        assert -row.step <= row.minimum <= row.maximum <= row.step
    assert [float(row["mean"]) for row in rows_of(shared, "steps-1-local.csv")] == [
        row.mean for row in report.steps if row.figure == "steps-1-local"
    ]


def test_a_damaged_gradient_is_refused(build_at: Build, tmp_path: Path) -> None:
    from segeval.errors import IntegrityError

    folder = build_at(tmp_path, parts=("maps",))
    (path,) = (folder.maps / "gradient" / "espnet-camvid").iterdir()
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(IntegrityError, match="not the file"):
        write_report(folder, silent)


def test_a_change_of_next_to_nothing_is_in_the_data_and_takes_no_room_on_the_axis() -> None:
    def point(change: float, success: float) -> BudgetPoint:
        share = Estimate(success, None, None, success, None, None, 4, 0, "")
        size = Mean(change, None, None, 4, "")
        return BudgetPoint("s", "a", "tanh", "full", "m", "penalty", 1.0, 4, share, size, 1)

    shown = [point(0.5, 0.4), point(2.0, 0.9)]
    without, hidden, more = (budgets_mean([*shown, *extra]) for extra in ([], [point(0.001, 0.0)], [point(0.06, 0.1)]))
    assert without and hidden and more
    assert (len(without.data), len(hidden.data), len(more.data)) == (2, 3, 3)
    assert hidden.svg.count("<use") < more.svg.count("<use")  # its marker, and a tick for 0.0625
    assert ">0.0625<" in more.svg and ">0.002<" not in hidden.svg
