"""How a calibration is typed, and what it is called."""

from itertools import product

import pytest

from segeval.errors import ConfigurationError, UnknownNameError
from segeval.graphs.calibration import PLACEMENTS, CalibrationSpec, parse_calibration, parse_calibrations
from segeval_runner.strict import is_name


@pytest.mark.parametrize(
    ("text", "spec", "name"),
    [
        ("percentile", CalibrationSpec(), "percentile"),
        ("minmax", CalibrationSpec("minmax"), "minmax"),
        ("entropy", CalibrationSpec("entropy"), "entropy"),
        ("percentile,percentile=99.9", CalibrationSpec(percentile=99.9), "percentile-99.9"),
        ("percentile,percentile=100", CalibrationSpec(percentile=100), "percentile-100"),
        ("minmax,images=64", CalibrationSpec("minmax", images=64), "minmax-64-images"),
        ("minmax,seed=3", CalibrationSpec("minmax", seed=3), "minmax-seed-3"),
        ("percentile,ops=Add+Conv", CalibrationSpec(op_types=("Conv", "Add")), "percentile-Conv+Add"),
        ("minmax,weights=per-tensor", CalibrationSpec("minmax", per_channel=False), "minmax-per-tensor"),
        ("minmax,weights=per-channel", CalibrationSpec("minmax"), "minmax"),
        ("percentile,activations=uint8", CalibrationSpec(activations="uint8"), "percentile-uint8"),
        ("minmax,placement=fused", CalibrationSpec("minmax", placement="fused"), "minmax-fused"),
        ("minmax,placement=accurate", CalibrationSpec("minmax"), "minmax"),
        ("minmax,placement=fused,ops=Conv", CalibrationSpec("minmax", placement="fused"), "minmax-fused"),
        (" percentile , images = 8, seed=0 ", CalibrationSpec(images=8, seed=0), "percentile-8-images-seed-0"),
    ],
)
def test_what_is_typed_is_what_is_meant(text: str, spec: CalibrationSpec, name: str) -> None:
    assert parse_calibration(text) == spec
    assert spec.name() == name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no method"),
        (",images=3", "names no method"),
        ("percntile", "unknown method 'percntile'"),
        ("99.9", "unknown method '99.9'"),
        ("minmax;images=3", "unknown method"),
        ("minmax,", "'' is not KEY=VALUE"),
        ("minmax,images", "'images' is not KEY=VALUE"),
        ("minmax,image=3", "unknown key 'image'"),
        ("minmax,images=3,images=4", "images is given twice"),
        ("minmax,images=0", "at least 1 image"),
        ("minmax,images=-1", "images=-1 is not a whole number from 0 to 999999999"),
        ("minmax,images=1e3", "not a whole number"),
        ("minmax,images=٣", "not a whole number"),
        ("minmax,images=9999999999", "not a whole number from 0 to 999999999"),
        ("minmax,seed=x", "seed=x is not a whole number"),
        ("percentile,seed=-1", "seed=-1 is not a whole number from 0"),
        ("minmax,percentile=99.9", "minmax takes no percentile"),
        ("percentile,percentile=0.999", "it is in percent"),
        ("percentile,percentile=100.1", "between 50 and 100"),
        ("percentile,percentile=nan", "between 50 and 100"),
        ("percentile,percentile=much", "between 50 and 100"),
        ("percentile,ops=", "unknown operator ''"),
        ("percentile,ops=Conv+MatMul", "unknown operator 'MatMul'"),
        ("percentile,ops=conv", "unknown operator 'conv'"),
        ("percentile,ops=Add", "Conv must be among"),
        ("percentile,weights=channel", "unknown weights 'channel'"),
        ("percentile,activations=int4", "unknown activations 'int4'"),
        ("percentile,placement=fast", "unknown placement 'fast'"),
        ("percentile,placement=fused,ops=Conv+Add", "leave out ops"),
        ("percentile,ops=Conv+Add,placement=fused", "leave out ops"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_text(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        parse_calibrations([text])
    assert repr(text) in caught.value.what
    assert caught.value.hint


def test_what_was_nearly_right_is_proposed() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_calibration("min-max")
    assert "did you mean minmax?" in caught.value.hint


def test_a_calibration_given_twice_is_refused_however_it_is_typed() -> None:
    with pytest.raises(ConfigurationError, match=r"'percentile,ops=Conv' is given twice"):
        parse_calibrations(["percentile", "percentile,ops=Conv"])
    with pytest.raises(ConfigurationError, match="no calibration"):
        parse_calibrations([])


def test_the_number_of_images_is_that_of_the_command_where_a_calibration_says_none() -> None:
    own, other = parse_calibrations(["minmax,images=8", "percentile"], 4)
    assert (own.images, other.images) == (8, 4)
    assert (own.name(4), other.name(4)) == ("minmax-8-images", "percentile")
    with pytest.raises(ConfigurationError, match="at least 1"):
        parse_calibrations(["minmax"], 0)


def every_spec() -> list[CalibrationSpec]:
    choices = product(
        ("percentile", "minmax", "entropy"),
        (99.99, 99.9, 99.999999, 100),
        (32, 8),
        (None, 0, 3),
        (("Conv",), ("Conv", "Add"), ("Conv", "ConvTranspose"), ("Conv", "ConvTranspose", "Add")),
        (True, False),
        ("int8", "uint8"),
        PLACEMENTS,
    )
    specs = (CalibrationSpec(*choice) for choice in choices)  # type: ignore[arg-type]
    return [
        spec
        for spec in specs
        if (spec.method == "percentile" or spec.percentile == 99.99)
        and (spec.placement == "accurate" or spec.op_types == ("Conv",))
    ]


def test_every_calibration_has_a_name_of_its_own_that_a_file_may_have() -> None:
    specs = every_spec()
    names = [spec.name() for spec in specs]
    assert len({name.lower() for name in names}) == len(names) == 576 + 144
    assert all(is_name(f"network.int8-{name}") for name in names)


def test_a_recorded_calibration_can_be_typed_again() -> None:
    for spec in every_spec():
        assert parse_calibration(spec.text) == spec


def test_a_plain_one_is_told_by_method_and_images() -> None:
    assert [spec for spec in every_spec() if spec.plain] == [
        CalibrationSpec(method, images=images) for method in ("percentile", "minmax", "entropy") for images in (32, 8)
    ]
