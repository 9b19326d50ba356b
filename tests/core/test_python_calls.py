"""Calls from Python are told of arguments where the command line is told of options."""

import pytest

from segeval.errors import ConfigurationError, DataError
from segeval.python_calls import called_from_python, in_python

KINDS = {
    "allow": "collections.abc.Sequence[str]",
    "data_root": "str | pathlib.Path | None",
    "gates": "Sequence[str]",
    "limit": "int | None",
    "on": "tuple[Literal['fp32', 'int8'], ...]",
    "out": "str | Path",
    "precisions": "Sequence[Precision] | None",
    "resume": "<class 'bool'>",
    "settings": "tuple[str, ...]",
    "size": "tuple[int, int] | None",
    "split": "<class 'str'>",
    "tasks": "tuple[str, ...]",
    "weights": "Mapping[str, str | Path]",
}


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("if you trust it: --allow ./mynet.py:build", "if you trust it: allow=['./mynet.py:build']"),
        ("choose another with --split", "choose another with split"),
        ("give it with --data-root. Expected inside: images", "give it with data_root. Expected inside: images"),
        ("choose another folder with --out, or remove it", "choose another folder with out, or remove it"),
        ("finish it with --resume for craft", "finish it with resume=True for craft"),
        ("choose other tasks with --task", "choose other tasks with tasks"),
        ("for example --set penalty=300", "for example settings=['penalty=300']"),
        ("craft with both, --on fp32 --on int8", "craft with both, on=['fp32'] on=['int8']"),
        ("craft with --size 64x128, or another", "craft with size=(64, 128), or another"),
        ("as in --precision fp32,int8; or", "as in precisions=['fp32', 'int8']; or"),
        ("--gate 'int8.hits < 1' is wrong", "gates=['int8.hits < 1'] is wrong"),
        ("name the file: --model NAME=FILE", "name the file: weights={'NAME': 'FILE'}"),
        ("at most --limit 4", "at most limit=4"),
        ("install it with --upgrade", "install it with --upgrade"),
    ],
)
def test_an_option_is_told_as_the_argument_that_it_stands_for(typed: str, told: str) -> None:
    assert in_python(typed, KINDS) == told


def options(limit: int = 0, split: str = "") -> None:
    raise DataError("no images", "choose another with --split, or --limit 1")


@called_from_python(__name__, "options")
def step(out: str, **rest: int) -> None:
    options(**rest)  # type: ignore[arg-type]


def test_an_argument_that_does_not_exist_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match="step has no argument 'limt'") as caught:
        step("folder", limt=3)
    assert caught.value.hint.startswith("did you mean limit")


def test_an_error_keeps_its_kind_and_names_arguments() -> None:
    with pytest.raises(DataError, match="no images") as caught:
        step("folder", limit=3)
    assert caught.value.hint == "choose another with split, or limit=1"
