"""What an attack is made on: names, networks, what counts as success, and images as a file takes them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from segeval.corruptions import parse_corruptions
from segeval.errors import ConfigurationError, UnknownNameError
from segeval.files.sets import CraftConfig, MadeOn
from segeval.generate.attacks.budgets import to_bytes
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import resolve
from segeval.generate.attacks.victims import attacked, together
from segeval.generate.crafting.deployed import attacked_bundle
from segeval.generate.crafting.driver import success_of
from segeval.goals import Goal
from segeval.metrics import AttackCounts, AttackMeter
from segeval.models import load_models

CONFIG = CraftConfig(dataset="folder", models=("espnet-synthetic",), attacks=("fgsm",), scopes=("full",))
EVERY: tuple[MadeOn, ...] = get_args(MadeOn)


def test_an_attack_is_named_after_what_it_was_made_on() -> None:
    config = replace(CONFIG, on=EVERY, engines=("int8", "int8-entropy"), match=("fgsm=fgsm",))
    found = [trajectory.specs[0].label for trajectory in resolve(config)]
    ends = ["", "-on-int8+int8-entropy", "-on-fp32+int8+int8-entropy", "-on-int8+int8-entropy-not-fp32"]
    assert found[:4] == [f"fgsm-full{end}" for end in ends]
    assert found[4:] == [f"fgsm-full-as-fgsm{end}" for end in ends]
    floats = [trajectory.specs[0].on_float.label for trajectory in resolve(config)]
    assert floats == ["fgsm-full"] * 4 + ["fgsm-full-as-fgsm"] * 4


def test_an_attack_on_more_files_than_a_name_holds_is_named_after_their_number() -> None:
    """And after which they are. So is one that is matched to it, although that one's name alone would fit."""
    files = tuple(f"int8-minmax-seed-{seed}-Conv+ConvTranspose+Add" for seed in range(1, 9))
    config = replace(CONFIG, on=EVERY, engines=files, match=("fgsm=fgsm",))
    specs = [trajectory.specs[0] for trajectory in resolve(config)]
    begins = ["fgsm-full"] * 4 + ["fgsm-full-as-fgsm"] * 4
    ends = ["", "-on-8-files-90b9c918", "-on-fp32+8-files-90b9c918", "-on-8-files-90b9c918-not-fp32"] * 2
    assert [spec.label for spec in specs] == [begin + end for begin, end in zip(begins, ends, strict=True)]
    assert [spec.on_float.label for spec in specs] == begins
    others = resolve(replace(config, engines=files[::-1]))
    assert len({spec.label for spec in specs} | {each.specs[0].label for each in others}) == 14
    almost = ("x" * (255 - len("fgsm-full-on-")),)
    fits, too_long = (resolve(replace(config, on=("int8",), engines=almost))[place].specs[0] for place in (0, 1))
    assert (len(fits.label), too_long.label[:28]) == (255, "fgsm-full-as-fgsm-on-1-files")
    assert too_long.on_float.label == "fgsm-full-as-fgsm"


def test_what_is_attacked_is_the_network_its_files_or_both() -> None:
    victims = together(load_models(["espnet-synthetic", "fast-scnn-synthetic"]))
    files = {f"{name}.{engine}": victims.segmenters[0] for name in victims.names for engine in ("int8", "fp16")}
    found = {on: attacked(victims, on, ("int8", "fp16"), files) for on in EVERY}
    espnet, fast_scnn = victims.names
    assert found["fp32"].names == victims.names
    assert found["int8"].names == (f"{espnet}.int8", f"{espnet}.fp16", f"{fast_scnn}.int8", f"{fast_scnn}.fp16")
    both = (espnet, f"{espnet}.int8", f"{espnet}.fp16", fast_scnn, f"{fast_scnn}.int8", f"{fast_scnn}.fp16")
    assert found["both"].names == found["evasive"].names == both
    assert found["evasive"].unaware == (True, False, False) * 2
    assert not any(found["int8"].unaware + found["both"].unaware + found["fp32"].unaware)
    assert all(len(each.outputs) == len(each.names) == len(each.networks) for each in found.values())


def test_an_attack_may_be_made_to_survive_corruptions_too() -> None:
    config = replace(CONFIG, on=("fp32", "int8"), engines=("int8",), robust_to=("jpeg:75", "blur:1.5"), within=(1.0,))
    specs = [spec for trajectory in resolve(config) for spec in trajectory.specs]
    plain, robust = "fgsm-full", "fgsm-full-robust-to-jpeg-75+blur-1.5"
    within = "fgsm-full-within-1"
    assert [spec.label for spec in specs] == [
        *(plain, within, robust, f"{within}-robust-to-jpeg-75+blur-1.5"),
        *(f"{plain}-on-int8", f"{within}-on-int8"),
        *(f"{robust}-on-int8", f"{within}-robust-to-jpeg-75+blur-1.5-on-int8"),
    ]
    assert {spec.plain.label for spec in specs} == {plain, within}
    victims = together(load_models(["espnet-synthetic"]))
    (name,) = victims.names
    files = {f"{name}.int8": victims.segmenters[0]}
    found = attacked(victims, "both", ("int8",), files, parse_corruptions(config.robust_to))
    behind = [(f"{name}.fp32+{each}", f"{name}.int8+{each}") for each in ("jpeg-75", "blur-1.5")]
    assert found.names == (name, f"{name}.int8", *behind[0], *behind[1])
    assert found.models == (name,) * 6


def test_a_corruption_that_is_not_there_is_named_with_its_option() -> None:
    with pytest.raises(UnknownNameError, match=r"--robust-to 'jpg:75': unknown corruption 'jpg'"):
        resolve(replace(CONFIG, robust_to=("jpg:75",)))


def test_success_is_what_the_files_show_and_the_network_does_not() -> None:
    phi = np.array([[True, True, True, True, False]])
    clean = np.zeros((1, 5), np.uint8)
    meter = AttackMeter(phi, Goal((0,), 1), None, clean)
    file, other, network = (np.array([row], np.uint8) for row in ([1, 1, 1, 0, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 1]))
    assert success_of(meter, [network, file], {}, (True, False), [clean] * 2) == pytest.approx((2 - 1) / 4)
    assert success_of(meter, [network, file, other], {}, (True, False, False), [clean] * 3) == pytest.approx(
        (1.5 - 1) / 4
    )
    # The network shows a pixel of φ otherwise than its victims together; to keep showing it so is to notice nothing.
    own = np.array([[2, 0, 0, 0, 0]], np.uint8)
    assert success_of(meter, [own, file], {}, (True, False), [own, clean]) == pytest.approx(3 / 4)
    assert success_of(meter, [clean, file], {}, (True, False), [own, clean]) == pytest.approx((2 - 1) / 4)
    counts = {"a": AttackCounts(4, 3), "b": AttackCounts(4, 1)}
    assert success_of(meter, [file, other], counts, (False, False), []) == pytest.approx(1 / 4)


def test_a_file_sees_whole_levels_and_the_gradient_passes(several_classes: Callable[..., Problem]) -> None:
    problem = replace(several_classes("full", torch.float64), whole_levels=True)
    images = (problem.clean * 0.9 + 0.05).requires_grad_()
    seen = problem.seen(images)
    torch.testing.assert_close(seen * 255, (images * 255).round())
    (gradient,) = torch.autograd.grad((3 * seen).sum(), images)
    assert (gradient == 3).all()


def test_what_networks_see_dithered_is_what_is_saved(several_classes: Callable[..., Problem]) -> None:
    given = several_classes("full")
    clean = (given.clean * 255).round()
    problem = replace(given, clean=clean / 255, dithered=True)
    images = (problem.clean + 3 / 255 * torch.randn(clean.shape)).clamp(0, 1)
    seen = problem.seen(images)
    for index, lifts in enumerate(problem.lifts.numpy()):
        levels = clean[index].permute(1, 2, 0).byte().numpy()
        saved = to_bytes(images[index], levels, None, lifts)
        assert torch.equal(seen[index], torch.from_numpy(saved).permute(2, 0, 1) / 255)
    assert float((seen - images).mean()) * 255 == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("drawn", [0.0, 1.0 - 2**-24])
def test_a_whole_level_is_seen_as_it_is_whatever_is_drawn(
    drawn: float, several_classes: Callable[..., Problem], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, also at the ends of every budget, which float32 misses by rounding."""
    given = several_classes("full")
    levels = torch.arange(256.0).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    monkeypatch.setattr(torch, "rand", lambda size, generator: torch.full(size, drawn))
    phi = torch.ones_like(levels[:, 0], dtype=torch.bool)
    problem = replace(given, clean=levels / 255, phi=phi, seeds=(0,), dithered=True)
    assert torch.equal(problem.seen(problem.clean), problem.clean)
    for radius in range(1, 256):
        ball = problem.linf(radius)
        assert torch.equal((problem.seen(ball.lowest) * 255).round(), (levels - radius).clamp(min=0))
        assert torch.equal((problem.seen(ball.highest) * 255).round(), (levels + radius).clamp(max=255))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"on": ("int8",)}, "need a bundle"),
        ({"bundle": "somewhere"}, "for attacks on deployed files"),
        ({"forward": "onnxruntime"}, "for attacks on deployed files"),
        ({"engines": ("int8",)}, "for attacks on deployed files"),
    ],
)
def test_options_that_do_not_go_together_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        attacked_bundle(replace(CONFIG, **changes), CONFIG.models)  # type: ignore[arg-type]


def test_a_pair_differs_in_what_it_was_made_on_alone() -> None:
    """Else a gap between two attacks would be that of rounding, or of other random numbers."""
    assert not any(trajectory.specs[0].whole_levels for trajectory in resolve(CONFIG))
    config = replace(CONFIG, attacks=("tanh", "fgsm"), on=("fp32", "int8", "both"), engines=("int8",))
    specs = [trajectory.specs[0] for trajectory in resolve(config)]
    assert all(spec.whole_levels for spec in specs)
    assert all(spec.dithered for spec in specs)
    for spec in specs:
        assert spec.on_float in specs


def test_an_evasive_attack_has_a_loss_of_its_own() -> None:
    evasive = replace(CONFIG, attacks=("tanh",), presets=("paper",), scopes=("local",), on=("evasive",))
    ((spec,),) = (trajectory.specs for trajectory in resolve(replace(evasive, engines=("int8",))))
    assert spec.parameters["loss"] == "ce" and spec.parameters["omega"] == "none"
    for setting in ("mask=shrinking", "tanh.omega=source", "kappa=1"):
        with pytest.raises(ConfigurationError, match="belongs to its own loss"):
            resolve(replace(evasive, settings=(setting,)))
    assert resolve(replace(evasive, settings=("penalty=10",)))[0].specs[0].parameters["penalty"] == 10


def test_labels_stay_apart() -> None:
    """The label is the attack's place on disk: none may be another's."""
    config = replace(CONFIG, on=EVERY, engines=("int8",))
    labels = sorted(trajectory.specs[0].label for trajectory in resolve(config))
    assert len(labels) == 4 and all(one != other for one, other in pairwise(labels))


def test_both_kinds_are_crafted_and_a_curve_tells_of_each_network_behind_each_corruption(
    world: Any, tmp_path: Path
) -> None:
    changes = {"attacks": ("fgsm",), "scopes": ("full",), "limit": 1, "robust_to": ("jpeg:75",)}
    folder = world.craft(tmp_path / "set", **changes)
    name = world.victim.spec.name
    plain, robust = folder.samples()
    assert plain.attack == "fgsm-full" and robust.attack == "fgsm-full-robust-to-jpeg-75"
    assert plain.seed == robust.seed
    assert plain.curve[0].counts.keys() == {name} and robust.curve[0].counts.keys() == {name, f"{name}.fp32+jpeg-75"}
    assert plain.files["adversarial"].sha256 != robust.files["adversarial"].sha256
    assert plain.counts.keys() == robust.counts.keys() == {name}
