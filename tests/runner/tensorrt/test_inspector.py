"""Descriptions of engines, in the forms that the releases write."""

import json

import pytest

from segeval_runner.backends.tensorrt.inspector import inspect, precision_of, type_in


def layer(kind: str, inputs: list[dict[str, object]], outputs: list[dict[str, object]]) -> dict[str, object]:
    return {
        "Name": f"{kind} of a network",
        "LayerType": kind,
        "Inputs": inputs,
        "Outputs": outputs,
        "TacticValue": "0x1",
    }


def tensor(text: str) -> dict[str, object]:
    return {"Name": "x", "Location": "Device", "Dimensions": [1, 8, 4, 6], "Format/Datatype": text}


def described(*layers: object) -> str:
    return json.dumps({"Layers": layers, "Bindings": ["image", "labels"]})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Row major linear FP32", "fp32"),
        ("Row major linear FP16 format", "fp16"),
        ("Channel major FP16 format where channel % 8 == 0", "fp16"),
        ("Thirty-two wide channel vectorized row major Int8 format", "int8"),
        ("Row major linear INT32", "int32"),
        ("Row major linear UInt8 format", "uint8"),
        ("Half", "fp16"),
        ("Float", "fp32"),
        ("Int8", "int8"),
        ("BFloat16", "bf16"),
        ("FP8", "fp8"),
        ("Bool", "bool"),
        ("N/A due to dynamic shapes", None),
        ("", None),
        (None, None),
    ],
)
def test_a_type_is_found_in_every_description(text: object, name: str | None) -> None:
    assert type_in(text) == name


def test_a_layer_computes_on_the_type_of_its_first_input() -> None:
    int8, fp32 = tensor("Four wide channel vectorized row major Int8 format"), tensor("Row major linear FP32")
    assert precision_of(layer("CaskConvolution", [int8, fp32], [fp32])) == "int8"
    assert precision_of(layer("Reformat", [fp32], [int8])) == "fp32"
    assert precision_of(layer("Constant", [], [int8])) == "int8"


def test_the_two_fields_of_tensorrt_11_are_read() -> None:
    one: dict[str, object] = {
        "Name": "x",
        "DataType": "Half",
        "Format": "Channel major FP16 format where channel % 8 == 0 (kHWC8)",
    }
    assert precision_of(layer("CaskConvolution", [one], [one])) == "fp16"
    one["Datatype"] = one.pop("DataType")  # as later releases write it
    one["Format"] = "Channel major format"
    assert precision_of(layer("CaskConvolution", [one], [one])) == "fp16"
    del one["Datatype"]
    one["Format"] = "Channel major FP16 format where channel % 8 == 0 (kHWC8)"
    assert precision_of(layer("CaskConvolution", [one], [one])) == "fp16"


@pytest.mark.parametrize("strange", ["conv1 + relu1", {}, {"Inputs": ["x"]}, {"Inputs": 3, "Outputs": []}, None, 7])
def test_what_a_layer_does_not_say_is_unknown(strange: object) -> None:
    assert precision_of(strange) == "unknown"
    assert inspect(described(strange))["precisions"] == {"unknown": 1}


def test_layers_are_counted_by_precision_and_by_type() -> None:
    half, int8 = tensor("Half"), tensor("Int8")
    layers = [
        layer("CaskConvolution", [int8], [half]),
        layer("CaskConvolution", [int8], [int8]),
        layer("kgen", [half], []),
    ]
    expected = {
        "layers": 3,
        "precisions": {"fp16": 1, "int8": 2},
        "layer_types": {"CaskConvolution": 2, "kgen": 1},
        "listed": [
            ["CaskConvolution of a network", "CaskConvolution", "int8"],
            ["CaskConvolution of a network", "CaskConvolution", "int8"],
            ["kgen of a network", "kgen", "fp16"],
        ],
    }
    assert inspect(described(*layers)) == expected


@pytest.mark.parametrize("text", ["", "no JSON", "[]", "{}", '{"Layers": 3}', '{"Layers": null}', "[" * 60000])
def test_a_description_that_cannot_be_read_has_no_layers(text: str) -> None:
    assert inspect(text) == {"layers": None, "precisions": {}, "layer_types": {}, "listed": []}
