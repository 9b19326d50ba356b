"""Tables of any contents at any width: no word is broken, and none is lost."""

from collections.abc import Sequence

import pytest
from rich.console import Console

from segeval.commands.text_tables import columns, table
from segeval.console import duration

HEADINGS = ("engine or device", "", "precisions", "found")
ROWS = [
    ("tensorrt-rtx (builds files)", "works", "fp32, fp16, int8-fp16", "TensorRT-RTX 1.7.1.116 parses and builds"),
    ("onnxruntime", "missing", "", "this ONNX Runtime has no CUDAExecutionProvider"),
]


def printed(width: int, rows: Sequence[tuple[str, ...]] = ROWS) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table(HEADINGS, rows, "What works", words=4))
    return captured.get()


@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 100, 120, 200])
def test_no_word_is_broken_at_any_width(width: int) -> None:
    shown = printed(width)
    assert max(map(len, shown.splitlines())) <= width
    words = shown.replace("precisions: ", "").replace("found: ", "").replace("works,", "works").split()
    for word in " ".join(cell for row in ROWS for cell in row).split():
        assert word in words


def test_columns_stand_side_by_side_where_they_fit() -> None:
    assert "precisions: fp32, fp16, int8-fp16" not in printed(120)
    assert "\n  precisions: fp32, fp16, int8-fp16\n" in "\n".join(map(str.rstrip, printed(60).split("\n")))


def test_short_texts_share_a_line() -> None:
    rows = [("fast-scnn-camvid", "pgd-full", "0.854", "this network has no other answer")]
    shown = printed(40, rows)
    assert "\n  pgd-full, precisions: 0.854" in "\n".join(map(str.rstrip, shown.split("\n")))


def test_no_short_text_is_broken_between_two_lines() -> None:
    headings = ["attack", *(f"noise {number} %" for number in range(6))]
    console = Console(width=40)
    with console.capture() as captured:
        console.print(table(headings, [("pgd-full", *("a b" for _ in range(6)))]))
    lines = [line.rstrip() for line in captured.get().splitlines() if line.strip()]
    assert lines == [
        "pgd-full",
        "  noise 0 %: a b, noise 1 %: a b,",
        "  noise 2 %: a b, noise 3 %: a b,",
        "  noise 4 %: a b, noise 5 %: a b",
    ]


def test_an_empty_cell_takes_no_line() -> None:
    assert printed(60).count("precisions") == 1


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7140, "119 min"), (12000, "3 h 20 min")]
)
def test_time_left_is_told_in_units_that_a_person_thinks_in(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_the_table_of_a_set_has_the_largest_change_of_any_image() -> None:
    shared = (0.5, 0.4, None, 1.0, 0.25)
    assert columns([(*shared, 0.0), (*shared, 1.0)]) == ["0.500", "0.400", "–", "1.00", "0.25", "1"]
