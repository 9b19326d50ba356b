"""What the check compares of a page that another processor may have written."""

import pytest

from tests.tensorrt_build.page import lasting

QUANTIZED = ["espnet-camvid", "int8", "122", "3 fp32→fp32, 82 int8→fp32", "18 fp32→int8", "5.4"]
FLOAT = ["espnet-camvid", "fp16", "118", "85 fp16→fp16", "–", "4.0"]


@pytest.mark.parametrize("other", [(2, "121"), (3, "2 fp32→fp32, 82 int8→fp32"), (4, "17 fp32→int8"), (5, "5.5")])
def test_rounding_of_calibration_does_not_count(other: tuple[int, str]) -> None:
    assert lasting(changed(QUANTIZED, *other)) == lasting(QUANTIZED)


@pytest.mark.parametrize("other", [(0, "espnet-cityscapes"), (1, "int8-fp16"), (3, "3 fp32→fp32, 81 int8→fp32")])
def test_convolutions_that_read_int8_count(other: tuple[int, str]) -> None:
    assert lasting(changed(QUANTIZED, *other)) != lasting(QUANTIZED)


@pytest.mark.parametrize("other", [(2, "117"), (3, "84 fp16→fp16, 1 fp32→fp32")])
def test_of_float_files_everything_but_their_size_counts(other: tuple[int, str]) -> None:
    assert lasting(changed(FLOAT, *other)) != lasting(FLOAT)
    assert lasting(changed(FLOAT, 5, "4.1")) == lasting(FLOAT)


def changed(cells: list[str], at: int, to: str) -> list[str]:
    return [*cells[:at], to, *cells[at + 1 :]]
