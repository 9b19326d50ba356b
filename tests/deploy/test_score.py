import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto
from PIL import Image

from segeval.classes import CAMVID, IGNORE
from segeval.datasets import Dataset, Example, open_dataset
from segeval.deploy.calibration_images import from_dataset
from segeval.deploy.engine_files import written_and_proved
from segeval.deploy.score import ScoreConfig, ScoreRecord, measure, score
from segeval.errors import ConfigurationError, DataError, UnknownNameError
from segeval.files.encoding import decode, encode
from segeval.files.images import RgbImage
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.export import export_fp32
from segeval.graphs.fp16 import to_fp16
from segeval.graphs.quantize import to_int8
from segeval.graphs.session import DeployedModel
from segeval.metrics import Labels
from segeval.models import load_model
from segeval.precision import Precision
from tests.rounding import settle, share_changed_by_steps

ESPNET = ScoreConfig("espnet-camvid", "camvid", limit=3, calibration_images=2)


@pytest.fixture(scope="module")
def in_torch(data: Path) -> ScoreRecord:
    return score(ESPNET)


def test_scores_are_counted_over_all_pixels_and_unlabelled_images_left_out() -> None:
    class Stripes:
        """Three images: truth 0 0 1 IGNORE, none, and 1 1 1 1."""

        table = CAMVID
        ids: Sequence[str] = ("a", "b", "c")
        truth = (np.array([[0, 0, 1, IGNORE]], np.uint8), None, np.full((1, 4), 1, np.uint8))

        def __len__(self) -> int:
            return 3

        def __getitem__(self, index: int) -> Example:
            return Example(self.ids[index], np.zeros((1, 4, 3), np.uint8), self.truth[index])

    steps: list[tuple[str, int, int]] = []

    def predict(image: RgbImage) -> Labels:
        return np.array([[0, 1, 1, 1]], np.uint8)

    matrix, images, unlabelled, _ = measure(predict, Stripes(), 9, lambda *step: steps.append(step))
    # Class 0: 1 of 3 in its union. Class 1: 4 hits of 6; the prediction on the IGNORE pixel makes the union 7.
    assert images == 2
    assert unlabelled == ("b",)
    assert matrix.mean_iou() == pytest.approx((1 / 3 + 4 / 6) / 2)
    assert matrix.mean_iou(ignored_are_errors=True) == pytest.approx((1 / 3 + 4 / 7) / 2)
    assert matrix.class_average() == pytest.approx((1 / 2 + 4 / 5) / 2)
    assert matrix.pixel_accuracy() == pytest.approx(5 / 7)
    assert steps == [("score", 1, 3), ("score", 2, 3), ("score", 3, 3)]
    assert measure(predict, Stripes(), 1, lambda *step: None)[1] == 1


def test_the_networks_own_background_output_costs_accuracy(in_torch: ScoreRecord) -> None:
    classes = score(replace(ESPNET, outputs="classes"))
    assert in_torch.images == 3
    assert 0.5 < in_torch.miou_ignored_as_errors < in_torch.miou < 0.75
    assert in_torch.pixel_accuracy < classes.pixel_accuracy
    assert set(in_torch.iou) == set(CAMVID.names)
    assert in_torch.iou["Road"] is not None
    assert in_torch.iou["Road"] > 0.9


def test_a_record_survives_json(in_torch: ScoreRecord) -> None:
    assert decode(encode(in_torch), ScoreRecord, "here") == in_torch


@pytest.fixture(scope="module")
def fp32(data: Path) -> ModelProto:
    return export_fp32(load_model(ESPNET.model), 360, 480)


def miou_of(model: ModelProto, images: Dataset) -> float | None:
    return measure(DeployedModel(model).predict, images, 3, lambda *step: None)[0].mean_iou()


@pytest.mark.long
def test_deployed_files_score_as_their_labels_and_those_like_torchs(
    in_torch: ScoreRecord, fp32: ModelProto, data: Path
) -> None:
    test = open_dataset("camvid", data / "camvid", "test")
    examples = [test[index] for index in range(3)]
    labelled = sum(np.count_nonzero(e.labels != IGNORE) for e in examples)
    files: dict[Precision, ModelProto] = {"fp32": fp32, "fp16": to_fp16(fp32)}
    for engine, model in files.items():
        found = score(replace(ESPNET, engine=engine))
        assert found.miou == miou_of(model, test)
        assert found.calibration is None
        unsettled = sum(int(np.count_nonzero(~settle(fp32, e.image, engine).where)) for e in examples)
        assert abs(found.pixel_accuracy - in_torch.pixel_accuracy) <= unsettled / labelled < 0.1


@pytest.mark.long
def test_int8_is_calibrated_on_the_train_split(in_torch: ScoreRecord, fp32: ModelProto, data: Path) -> None:
    int8 = score(replace(ESPNET, engine="int8"))
    test, train = (open_dataset("camvid", data / "camvid", split) for split in ("test", "train"))
    model = to_int8(fp32, from_dataset(train, "", 2, 0), CalibrationSpec())
    assert int8.miou == miou_of(model, test) != in_torch.miou
    by_steps = share_changed_by_steps(fp32, model, [test[index].image for index in range(3)])
    assert abs(int8.pixel_accuracy - in_torch.pixel_accuracy) < 2 * by_steps < 0.1
    assert int8.calibration is not None
    assert int8.calibration.source == "camvid, train split"
    assert len(int8.calibration.images) == 2


def test_a_file_is_scored_that_was_written_read_back_and_proved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label_and_resize(folder, "0001TP_008550.png", (64, 48))
    label_and_resize(folder, "0001TP_008580.png", (64, 48))
    written: list[Path] = []

    def spied(root: Path, file: str, model: ModelProto, precision: Precision, spec: CalibrationSpec) -> ModelProto:
        read = written_and_proved(root, file, model, precision, spec)
        assert (root / file).read_bytes() == read.SerializeToString()
        assert read is not model
        written.append(root)
        return read

    monkeypatch.setattr("segeval.deploy.score.written_and_proved", spied)
    for engine in ("fp32", "fp16", "int8"):
        score(on(folder, engine))
    assert len(written) == 3
    assert not any(root.exists() for root in written)


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (replace(ESPNET, engine="int4"), "no engine 'int4'"),  # type: ignore[arg-type]
        (replace(ESPNET, outputs="some"), "no outputs 'some'"),  # type: ignore[arg-type]
        (replace(ESPNET, outputs="classes", engine="fp16"), "argmax inside an fp16 file"),
        (replace(ESPNET, limit=0), "at least 1"),
        (replace(ESPNET, calibration_images=0), "at least 1"),
    ],
)
def test_options_that_make_no_score(config: ScoreConfig, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        score(config)


def test_unknown_names_bring_suggestions(data: Path) -> None:
    with pytest.raises(UnknownNameError) as caught:
        score(replace(ESPNET, model="espnet-camvit"))
    assert "espnet-camvid" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        score(replace(ESPNET, dataset="camvit"))
    assert "camvid" in caught.value.hint


def test_other_classes_are_refused(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="predicts the 11 classes of camvid, synthetic has the 19"):
        score(replace(ESPNET, dataset="synthetic"))


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    """Two CamVid frames as a folder dataset without ground truth."""
    (tmp_path / "images").mkdir()
    (tmp_path / "classes.txt").write_text("camvid\n")
    for name in ("0001TP_008550.png", "0001TP_008580.png"):
        shutil.copyfile(data / "camvid" / "test" / name, tmp_path / "images" / name)
    return tmp_path


def on(folder: Path, engine: str = "torch") -> ScoreConfig:
    return replace(ESPNET, dataset="folder", data_root=str(folder), engine=engine)  # type: ignore[arg-type]


def test_no_ground_truth(folder: Path) -> None:
    with pytest.raises(DataError, match="no labelled pixel in the images of folder, split test"):
        score(on(folder))


def label_and_resize(folder: Path, name: str, size: tuple[int, int]) -> None:
    """Bring an image to (width, height) and give it ground truth of one class."""
    (folder / "masks").mkdir(exist_ok=True)
    Image.open(folder / "images" / name).resize(size).save(folder / "images" / name)
    Image.new("L", size, 3).save(folder / "masks" / name)


@pytest.mark.parametrize("engine", ["torch", "fp32"])
def test_images_of_odd_size(folder: Path, engine: str) -> None:
    label_and_resize(folder, "0001TP_008550.png", (479, 361))
    with pytest.raises(DataError, match="361x479") as caught:
        score(on(folder, engine))
    assert "--size" in caught.value.hint


def test_images_of_different_size(folder: Path) -> None:
    label_and_resize(folder, "0001TP_008550.png", (64, 48))
    label_and_resize(folder, "0001TP_008580.png", (48, 64))
    assert score(on(folder)).images == 2
    with pytest.raises(DataError, match="images differ in size: 64x48 after 48x64"):
        score(on(folder, "fp32"))
    assert score(replace(on(folder, "fp32"), size=(48, 64))).images == 2


def test_nothing_to_calibrate_on(folder: Path) -> None:
    label_and_resize(folder, "0001TP_008550.png", (64, 48))
    (folder / "test").mkdir()
    for part in ("images", "masks"):
        (folder / part).rename(folder / "test" / part)
    with pytest.raises(DataError, match=r"int8 needs a train split to be calibrated on: .* has no split 'train'"):
        score(on(folder, "int8"))
