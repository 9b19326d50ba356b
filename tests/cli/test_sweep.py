"""Several calibrations and a network's blocks, from the command line to the tables."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Call, World


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_a_sweep_ends_in_a_matrix_and_a_ranking(call: "Call", world: "World", tmp_path: Path) -> None:
    adversarial, bundle, replay, report = (tmp_path / name for name in ("set", "bundle", "replay", "report"))
    strong = ("--attack", "tanh", "--scope", "full", "--steps", 30)  # a weak one ranks no block
    assert call("craft", "--out", adversarial, *world.crafting, *strong).code == 0
    sweep = ("--calibration", "percentile", "--calibration", "minmax,activations=uint8", "--calibration-images", "2")
    blocks = ("--precision", "fp32,int8", "--attribute", "only")
    deployed = call("deploy", adversarial, "--out", bundle, *sweep, *blocks, "--quiet")
    assert deployed.code == 0, deployed.err
    assert call("replay", bundle, "--out", replay, "--quiet").code == 0
    evaluated = call("evaluate", adversarial, replay, "--out", report, "--quiet")
    assert evaluated.code == 0, evaluated.err
    told = " ".join(evaluated.out.split())  # a title that is wider than its table is wrapped
    assert "Survival by calibration on espnet-synthetic, %" in told
    assert "What each block of espnet-synthetic does to survival, quantized alone" in told

    matrix, ranking = read(report / "calibrations.csv"), read(report / "attribution.csv")
    engines = ["espnet-synthetic.int8", "espnet-synthetic.int8-minmax-uint8"]
    assert [line["engine"] for line in matrix[:2]] == engines
    assert {line["block"] for line in ranking} >= {"level1", "level2.0", "combine_l2_l3", "conv"}
    survival = {(line["engine"], line["attack"]): line for line in read(report / "survival.csv")}
    for line in (*matrix, *ranking):
        assert line["survival_mean"] == survival[line["engine"], line["attack"]]["survival_mean"]
    losses = [float(line["effect_over_attacks"]) for line in ranking if line["rank"] and line["effect_over_attacks"]]
    assert losses == sorted(losses, reverse=True)


def test_bad_calibrations_are_named_and_nothing_is_written(call: "Call", world: "World", tmp_path: Path) -> None:
    adversarial = tmp_path / "set"
    assert call("craft", "--out", adversarial, *world.crafting, "--attack", "fgsm").code == 0
    for given, complaint in (
        (("--calibration", "min-max"), "did you mean minmax?"),
        (("--calibration", "percentile,percentile=0.999"), "it is in percent"),
        (("--calibration", "minmax", "--calibration", "minmax"), "given twice"),
        (("--precision", "fp32", "--attribute", "both"), "int8 was not requested"),
        (("--target", "jetson", "--calibration", "minmax,activations=uint8"), "zero-points of 0"),
        (("--attribute", "all"), "'only', 'without', 'both'"),
    ):
        refused = call("deploy", adversarial, "--out", tmp_path / "bundle", *given)
        assert refused.code == 2
        assert complaint in " ".join(refused.err.split())
        assert not (tmp_path / "bundle").exists()
