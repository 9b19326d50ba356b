"""No sign on a network whose best attack is known, some on every way to hide a gradient."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from segeval.datasets import open_dataset
from segeval.errors import ConfigurationError, DataError, EngineError
from segeval.files.sets import CraftConfig, DeployedFile
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import build_attack
from segeval.generate.auditing import audit
from segeval.generate.auditing.audit import Audit
from segeval.generate.auditing.audit_records import AuditConfig, AuditRecord, Check
from segeval.generate.auditing.audit_runs import Measured, Run, measured, runs_of
from segeval.generate.auditing.checks import checks_of, gradient
from segeval.generate.crafting.deployed import Deployed
from segeval.generate.crafting.jobs import Job
from segeval.generate.crafting.samples import Loaded, make_problem
from segeval.goals import Goal
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.progress import silent

ROAD, CAR = 0, 1
WEIGHTS = 60 * torch.tensor([[0.5, -0.3, 0.2], [-0.4, 0.1, 0.6]])
REACH = float((WEIGHTS[CAR] - WEIGHTS[ROAD]).abs().sum()) / 255
"""By how much one level changes the lead of a car over road, at most."""


class Linear:
    """logits = A x, pixel by pixel, times a number; what of the gradient is shown depends on `shown`."""

    spec: Any = None

    def __init__(self, scale: float = 1.0, shown: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
        self.scale, self.shown = scale, shown

    def __call__(self, images: Tensor) -> Tensor:
        if self.shown is None:
            return self.logits(images)
        wrong = self.shown(images, self.logits(images.detach()))
        return self.logits(images.detach()) + (wrong - wrong.detach())

    def logits(self, images: Tensor) -> Tensor:
        return self.scale * torch.einsum("kc,nchw->nkhw", WEIGHTS, images - 0.5)


def constant(images: Tensor, logits: Tensor) -> Tensor:
    """Every pixel the brighter, the more of the last class, whatever it shows."""
    return images.sum((1, 2, 3), keepdim=True) * torch.tensor([-1.0, 1.0])[:, None, None]


def zero(images: Tensor, logits: Tensor) -> Tensor:
    """A gradient that is there, and zero, as of a rounding."""
    return 0 * images.sum() * logits


def shattered(images: Tensor, logits: Tensor) -> Tensor:
    """Another direction for every image."""
    draw = torch.Generator().manual_seed(int(1e6 * float(images.detach().mean())))
    return (images * (torch.rand(images.shape, generator=draw) - 0.5)).sum(1, keepdim=True) * logits.sign()


@pytest.fixture
def problem() -> Problem:
    """An image of cars, whose leads are of half a level to six; the left half of them is to become road."""
    draw = torch.Generator().manual_seed(0)
    across = (WEIGHTS[CAR] - WEIGHTS[ROAD]).sign()[:, None, None]
    clean = ((127.5 + 0.5 * across + across * torch.randint(0, 6, (8, 12), generator=draw)) / 255)[None]
    predicted = Linear()(clean).argmax(1)
    assert (predicted == CAR).all()
    phi = torch.zeros(1, 8, 12, dtype=torch.bool)
    phi[:, :, :6] = True
    return Problem(clean, predicted, phi, Goal((CAR,), ROAD), "full", (Linear(),), (0,), steps=4)


def config(**changes: Any) -> AuditConfig:
    own = {name: changes.pop(name) for name in ("budget", "restarts") if name in changes}
    craft = CraftConfig("synthetic", ("fast-scnn-synthetic",), ("pgd",), ("full",), limit=1, steps=4, size=(64, 128))
    return AuditConfig(replace(craft, **changes), **own)


def audited(problem: Problem, network: Any = None, **changes: Any) -> dict[str, Check]:
    given = problem if network is None else replace(problem, networks=(network,))
    found = checks_of(measured(runs_of(config(**changes), "fp32"), [given], lambda: None), 1)
    return {check.name: check for check in found}


def signs(checks: Mapping[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.verdict == "sign"}


def test_a_linear_network_hides_nothing_and_success_is_that_of_the_best_corner(problem: Problem) -> None:
    checks = audited(problem)
    assert signs(checks) == set()
    lead = Linear()(problem.clean)[:, CAR] - Linear()(problem.clean)[:, ROAD]
    found = [each.value for each in checks["larger budgets"].found]
    assert found == pytest.approx([float((lead < n * REACH)[problem.phi].double().mean()) for n in (1, 2, 4)])
    assert 0.05 < found[0] < found[1] < found[2] < 1
    assert [each.value for each in checks["no bound"].found] == [1]


@pytest.mark.parametrize("hidden", [zero, constant, shattered])
def test_a_gradient_that_leads_elsewhere_is_noticed(
    problem: Problem, hidden: Callable[[Tensor, Tensor], Tensor]
) -> None:
    assert {"search without a gradient", "no bound"} <= signs(audited(problem, Linear(shown=hidden)))


def test_a_gradient_that_is_zero_lowers_no_loss(problem: Problem) -> None:
    assert "loss falls" in signs(audited(problem, Linear(shown=zero), restarts=0))


def test_success_that_saturated_logits_hide_is_found_when_they_are_scaled(problem: Problem) -> None:
    """Leads of 50 to 550 logits, left as they are: the probability of the clean class is 1 in float32."""
    untargeted = replace(problem, goal=Goal((ROAD, CAR), None, "wrong"), phi=torch.ones_like(problem.phi))
    steep = Linear(100 / REACH)
    assert steep(problem.clean).topk(2, 1).values.diff(dim=1).abs().median() < 500
    assert "scale of the logits" in signs(audited(untargeted, steep, budget=4))
    assert "scale of the logits" not in signs(audited(untargeted, Linear(), budget=4))
    assert "scale of the logits" not in signs(audited(problem, steep, budget=4)), (
        "a cross entropy to one class does not saturate"
    )


def made(success: float, losses: tuple[float, ...] = (2.0, 1.5, 1.0)) -> Measured:
    return Measured(Run("a run", build_attack("pgd", "default", "full", {}), 2), losses, success)


SANE = {
    "steps": [made(0.2), made(0.3), made(0.4)],
    "restarts": [made(0.36)],
    "budgets": [made(0.6), made(0.8)],
    "search": [made(0.1)],
    "unbounded": [made(1.0)],
    "scales": [made(0.1), made(0.44)],
}


@pytest.mark.parametrize(
    "key, runs, sign",
    [
        ("steps", [made(0.2), made(0.406), made(0.4)], "more steps"),
        ("steps", [made(0.2), made(0.404), made(0.4)], ""),
        ("steps", [made(0.2), made(0.3), made(0.4, (1.0, 0.5, 1.0))], "loss falls"),
        ("steps", [made(0.2), made(0.3), made(0.4, (1.0, 1.5, 1.6, 0.9))], "loss falls"),
        ("restarts", [made(0.34)], "random starts"),
        ("budgets", [made(0.394), made(0.8)], "larger budgets"),
        ("budgets", [made(0.6), made(0.5)], "larger budgets"),
        ("search", [made(0.4)], "search without a gradient"),
        ("unbounded", [made(0.98)], "no bound"),
        ("scales", [made(0.46), made(0.1)], "scale of the logits"),
    ],
)
def test_each_sign_has_its_own_bound(key: str, runs: list[Measured], sign: str) -> None:
    found = {check.name: check for check in checks_of({**SANE, key: runs}, 1)}
    assert signs(found) == ({sign} if sign else set())
    assert all(bool(check.told) == (check.verdict == "sign") for check in found.values())
    assert found["larger budgets"].found[0].label.startswith("1 level, ")


def test_where_the_attack_wins_all_a_search_may_as_well() -> None:
    everything = {key: [made(1.0) for _ in runs] for key, runs in SANE.items()}
    assert not signs({check.name: check for check in checks_of(everything, 1)})


def test_a_zero_gradient_on_some_image_is_a_sign() -> None:
    assert [gradient(3, flat).verdict for flat in (0, 1, 3)] == ["ok", "sign", "sign"]


def test_what_an_attack_does_not_have_is_not_checked(problem: Problem) -> None:
    assert audited(problem, attacks=("fgsm",))["random starts"].verdict == "not checked"
    assert audited(problem, restarts=0)["random starts"].verdict == "not checked"


def test_logits_that_are_no_numbers_are_an_error(problem: Problem) -> None:
    with pytest.raises(EngineError, match="1 step: the logits are no numbers"):
        audited(problem, Linear(float("inf")))


@pytest.mark.parametrize("attack, lacks", [("ddn", "budget"), ("square", "gradient")])
def test_an_attack_that_cannot_be_compared_is_refused(attack: str, lacks: str) -> None:
    with pytest.raises(ConfigurationError, match=f"--attack {attack} has no {lacks}") as refused:
        Audit(config(attacks=(attack,)))
    assert "pgd" in refused.value.hint and "square" not in refused.value.hint


def test_images_without_a_source_pixel_are_told_of() -> None:
    with pytest.raises(DataError, match="nothing to attack"):
        Audit(config(tasks=("train:road",))).run(silent)


def test_an_image_is_let_go_before_the_next_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an audit of many images takes the memory of one."""
    made: list[tuple[weakref.ref[Any], ...]] = []
    alive: list[int] = []

    def watched(job: Job, loaded: Sequence[Loaded], seeds: tuple[int, ...]) -> Problem:
        given = make_problem(job, loaded, seeds)
        made.append((weakref.ref(given), weakref.ref(loaded[0].clean)))
        return given

    def tick(stage: str, done: int, total: int) -> None:
        alive.extend(sum(each() is not None for each in kind) for kind in zip(*made, strict=True))

    monkeypatch.setattr(audit, "make_problem", watched)
    record = Audit(config(attacks=("fgsm",), tasks=("untargeted",), limit=3, restarts=0)).run(tick)
    assert record.networks[0].images == 3 and len(made) == 2 * 3, "read once for its gradient, once for the attacks"
    assert set(alive) == {1}


class Hidden(nn.Module):
    """A network in a network: its logits times a number, with or without their gradient."""

    def __init__(self, network: nn.Module, scale: float = 1.0, gradient: bool = True) -> None:
        super().__init__()
        self.network, self.scale, self.gradient = network, scale, gradient

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.scale * self.network(images)
        return logits if self.gradient else logits.detach()


def whole(hidden: Callable[[nn.Module], nn.Module], tell: Callable[[str], None] = print, **changes: Any) -> AuditRecord:
    """The audit of the bundled network on a scene, after something was done to it."""
    auditor = Audit(config(**changes))
    (model,) = auditor.setup.models
    model.network = hidden(model.network)
    return auditor.run(silent, tell)


def test_a_network_whose_answer_has_no_gradient_is_noticed_at_once() -> None:
    (network,) = whole(lambda network: Hidden(network, gradient=False)).networks
    assert [(check.name, check.verdict) for check in network.checks] == [("gradient", "sign")]


@pytest.mark.long
def test_logits_that_saturate_as_a_whole_hide_nothing_since_they_are_scaled_back() -> None:
    told: list[str] = []
    steep = whole(lambda network: Hidden(network, scale=1000), told.append, size=(128, 256), steps=20, restarts=0)
    assert steep.signs == 0
    assert any("multiply them by 0.001" in line for line in told)


@pytest.mark.long
def test_an_int8_file_hides_nothing() -> None:
    """Straight-through roundings lead as well as the float network's gradient does."""
    auditor = Audit(config(size=(128, 256), steps=8, restarts=0))
    (model,), (subject,) = auditor.setup.models, auditor.subjects
    train = open_dataset("synthetic", None, "train", (128, 256))
    file = to_int8(export_fp32(model, 128, 256), [train[index].image for index in range(3)], CalibrationSpec())
    int8 = Deployed(DeployedFile(model.spec.name, "int8", ""), model, GraphSegmenter(file), (128, 256))
    problems = [replace(each, networks=(int8,)) for each in auditor.problems(subject)]
    found = {check.name: check for check in checks_of(measured(auditor.runs(subject), problems, lambda: None), 1)}
    assert signs(found) == set()
    won, searched = (each.value for each in found["search without a gradient"].found)
    assert won > 0.2 > 2 * searched
