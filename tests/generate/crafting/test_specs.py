"""From command-line words to attacks."""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pytest

from segeval.errors import ConfigurationError, UnknownNameError
from segeval.files.sets import AttackSpec, CraftConfig
from segeval.generate.attacks.problem import Attack, Presets
from segeval.generate.attacks.specs import build_attack, resolve
from segeval.registry import ATTACKS


@dataclass(frozen=True)
class Fractional:
    """Somebody's attack, of which no saved image could be what was measured."""

    presets: ClassVar[Presets] = {}
    radius: ClassVar = 2.5


def config(**changes: Any) -> CraftConfig:
    return CraftConfig("folder", ("espnet-synthetic",), **{"attacks": ("tanh",), **changes})


def resolved(**changes: Any) -> list[tuple[AttackSpec, Attack]]:
    """Every attack with its spec."""
    return [(spec, each.attack) for each in resolve(config(**changes)) for spec in each.specs]


def refusal(**changes: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        resolve(config(**changes))
    return f"{caught.value.what} | {caught.value.hint}"


def test_every_combination_is_resolved_in_order() -> None:
    found = resolved(attacks=("fgsm", "tanh"), presets=("default", "paper"))
    assert [spec.label for spec, _ in found] == [
        "fgsm-local", "fgsm-local-paper", "fgsm-full", "fgsm-full-paper",
        "tanh-local", "tanh-local-paper", "tanh-full", "tanh-full-paper",
    ]  # fmt: skip
    for spec, attack in found:
        assert attack.radius == spec.budget
        assert spec.keep == ("last" if spec.preset == "paper" else "best")
        assert spec.parameters == asdict(attack)  # type: ignore[call-overload]


def test_the_papers_presets_are_those_of_the_paper() -> None:
    specs = {spec.label: spec for spec, _ in resolved(attacks=("fgsm", "tanh"), presets=("paper",))}
    assert specs["fgsm-local-paper"].budget == specs["fgsm-full-paper"].budget == 1.0
    local, full = specs["tanh-local-paper"].parameters, specs["tanh-full-paper"].parameters
    assert (local["loss"], local["mask"], local["kappa"]) == ("difference", "frozen", None)
    assert (full["loss"], full["omega"]) == ("ce", "source")
    assert local["rate"] == full["rate"] == 0.01


def test_settings_reach_the_attacks_that_have_them() -> None:
    settings = ("fgsm.budget=4", "tanh.penalty=300", "rate=0.02")
    found = {spec.attack: spec for spec, _ in resolved(attacks=("fgsm", "tanh"), scopes=("local",), settings=settings)}
    assert found["fgsm"].budget == 4.0
    assert found["tanh"].parameters["penalty"] == 300.0
    assert found["tanh"].parameters["rate"] == 0.02
    ((spec, _),) = resolved(scopes=("local",), presets=("paper",), settings=("loss=ce",))
    assert spec.parameters["loss"] == "ce", "a setting wins over its preset"


def test_the_iterate_to_keep_can_be_chosen() -> None:
    assert {spec.keep for spec, _ in resolved(presets=("default", "paper"), keep="best")} == {"best"}
    assert {spec.keep for spec, _ in resolved(presets=("default", "paper"), keep="last")} == {"last"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"settings": ("penality=1",)}, ("no attack here has a setting 'penality'", "did you mean penalty?")),
        ({"settings": ("zzz=1",)}, ("Known: anchor", "rate")),
        ({"settings": ("fgsm.budget=1",)}, ("fgsm is not among your attacks: tanh", "add --attack fgsm")),
        ({"settings": ("tahn.rate=1",)}, ("tahn is not among your attacks: tanh", "did you mean tanh?")),
        ({"settings": ("tanh.penality=1",)}, ("a setting 'tanh.penality'", "did you mean tanh.penalty?")),
        ({"settings": ("tanh.step=1",), "attacks": ("fgsm", "tanh")}, ("tanh.step",)),
        ({"settings": ("budget=0.5",)}, ("tanh: a budget of 0.5", "whole levels")),
        ({"settings": ("penalty",)}, ("'penalty' is not KEY=VALUE", "--set penalty=300")),
        ({"settings": ("penalty=much",)}, ("tanh", "penalty", "--set")),
        ({"settings": ("penalty=",)}, ("tanh", "penalty")),
        ({"settings": ("penalty=-1",)}, ("penalty",)),
        ({"settings": ("rate=0",)}, ("rate",)),
        ({"settings": ("rate=nan",)}, ("rate",)),
        ({"settings": ("kappa=-0.5",)}, ("kappa",)),
        ({"settings": ("omega=all",)}, ("omega", "all")),
        ({"settings": ("penalty=inf",)}, ("penalty=inf", "finite")),
        ({"settings": ("kappa=1",)}, ("kappa=1.0 with loss=ce",)),
        ({"settings": ("omega=source",), "presets": ("paper",), "scopes": ("local",)}, ("omega=source",)),
        ({"settings": ("budget=0.5",), "attacks": ("fgsm",)}, ("budget of 0.5", "whole levels")),
        ({"settings": ("budget=1.5",), "attacks": ("fgsm",)}, ("fgsm: a budget of 1.5 levels", "whole levels")),
        ({"settings": ("budget=1.5",)}, ("tanh: a budget of 1.5 levels", "whole levels", "--within")),
        ({"attacks": (f"{__name__}:Fractional",)}, ("fractional: a budget of 2.5 levels", "whole levels")),
        ({"settings": ("budget=0",), "attacks": ("fgsm",)}, ("budget",)),
        ({"settings": ("budget=256",), "attacks": ("fgsm",)}, ("budget",)),
        ({"settings": ("step=-1",), "attacks": ("fgsm",)}, ("step",)),
        ({"settings": ("loss=difference",)}, ("loss=difference is of the local scope", "--scope local")),
        ({"settings": ("mask=shrinking",), "scopes": ("full",)}, ("mask=shrinking",)),
        ({"presets": ("papper",)}, ("no preset 'papper'", "presets: default, paper")),
        ({"attacks": ("tahn",)}, ("no attack 'tahn'", "tanh")),
        ({"attacks": ("segeval.generate.attacks.tanh:Nothing",)}, ("cannot load attack",)),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_before_anything_is_computed(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    text = refusal(**changes)
    for word in words:
        assert word in text


@pytest.mark.parametrize("name", list(ATTACKS))
def test_registered_attacks_follow_the_protocol(name: str) -> None:
    form = ATTACKS.load(name)
    for preset in {"default", *(preset for preset, _ in form.presets)}:
        for scope in ("local", "full"):
            attack = build_attack(name, preset, scope, {})
            assert attack.radius is None or 0 < attack.radius <= 255
            hash(attack)
    with pytest.raises(UnknownNameError):
        build_attack(name, "nowhere", "local", {})
