"""Crafting over its floor: the bare forward and backward passes that the same attack makes, and nothing else."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from onnx import ModelProto
from torch import Tensor, nn

from segeval.datasets import open_dataset
from segeval.errors import counted
from segeval.files.sets import CraftConfig, Scope
from segeval.generate.attacks.problem import Problem
from segeval.generate.attacks.specs import Trajectory, resolve
from segeval.generate.crafting.driver import run_attack
from segeval.generate.numerics import prepare_torch, use_one_thread
from segeval.goals import Goal
from segeval.graphs.calibration import CalibrationSpec
from segeval.graphs.differentiable import GraphSegmenter
from segeval.graphs.export import export_fp32
from segeval.graphs.quantize import to_int8
from segeval.metrics import AttackMeter
from segeval.models import Network, Segmenter, load_model
from segeval.models.soundness import predict
from segeval.registry import ATTACKS

from .networks import ESPNET, FAST_SCNN
from .record import Measured
from .timing import interleaved

SECTION = "crafting"
SIZE = (256, 512)
TARGETS = {
    (ESPNET, "sign"): 1.03,
    (ESPNET, "tanh"): 1.06,
    (FAST_SCNN, "sign"): 1.08,
    (FAST_SCNN, "tanh"): 1.10,
}
JOINT = 1.05
SIGN = ("fgsm", "pgd", "segpgd", "cospgd")
QUICK = ("fgsm", "pgd", "tanh")
CALIBRATION = 4
"""Images that int8 files are calibrated on."""


class Batch:
    """Images under attack, and everything that `run_attack` asks for.

    Attributes:
        problem: the attack problem.
        passes: forward and backward passes per network that the attack makes.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        victim: Segmenter,
        trajectory: Trajectory,
        images: int,
        steps: int,
        size: tuple[int, int] = SIZE,
        device: str = "cpu",
    ) -> None:
        scenes = open_dataset("synthetic", None, "test", size)
        examples = [scenes[number] for number in range(images)]
        labels = [predict(victim, each.image) for each in examples]
        counts = np.bincount(labels[0].ravel(), minlength=2)
        goal = Goal((int(counts.argmax()),), int(counts.argsort()[-2]))
        self.trajectory, self.steps, self.networks = trajectory, steps, networks
        self.clean = [each.image for each in examples]
        self.meters = [
            AttackMeter(goal.phi(own), goal, each.labels, own) for own, each in zip(labels, examples, strict=True)
        ]
        self.problem = Problem(
            clean=torch.from_numpy(np.stack(self.clean)).to(device).permute(0, 3, 1, 2).contiguous().float() / 255,
            predicted=torch.from_numpy(np.stack(labels)).to(device).long(),
            phi=torch.from_numpy(np.stack([meter.phi for meter in self.meters])).to(device),
            goal=goal,
            scope=trajectory.specs[0].scope,
            networks=cast("tuple[Network, ...]", tuple(networks)),
            seeds=tuple(range(images)),
            steps=steps,
            dithered=trajectory.specs[0].dithered,
        )
        self.desired = torch.where(self.problem.phi, goal.target or 0, self.problem.predicted)
        self.passes = self.counted()

    def run(self) -> None:
        """Attack them."""
        spec = self.trajectory.specs[0]
        names = [str(number) for number in range(len(self.problem.networks))]
        limits = [[None]] * len(self.clean)
        attack = self.trajectory.attack
        run_attack(attack, [spec], self.problem, names, self.meters, self.clean, limits, lambda step: None)

    def counted(self) -> list[tuple[int, int]]:
        """Forward and backward passes per network of one run."""
        forward, backward = [0] * len(self.problem.networks), [0] * len(self.problem.networks)

        def count(number: int, module: object, given: object, logits: Tensor) -> None:
            forward[number] += 1
            if logits.requires_grad:
                logits.register_hook(lambda gradient: count_back(number))  # type: ignore[no-untyped-call]

        def count_back(number: int) -> None:
            backward[number] += 1

        with ExitStack() as hooks:
            for number, network in enumerate(self.networks):
                hook = network.register_forward_hook(partial(count, number))
                hooks.callback(hook.remove)
            self.run()
        return list(zip(forward, backward, strict=True))

    def floor(self) -> None:
        """The passes alone: a network, a cross entropy, and the gradient to the image."""
        for network, (forward, backward) in zip(self.problem.networks, self.passes, strict=True):
            for number in range(max(forward, backward)):
                if number < min(forward, backward):
                    images = self.problem.clean.clone().requires_grad_()
                    loss = F.cross_entropy(network(images), self.desired)
                    torch.autograd.grad(loss, images, retain_graph=number + 1 == forward < backward)
                elif number < forward:
                    with torch.no_grad():
                        network(self.problem.clean)
                else:
                    torch.autograd.grad(loss, images, retain_graph=number + 1 < backward)


def trajectories(attacks: Sequence[str], steps: int, scopes: tuple[Scope, ...]) -> list[Trajectory]:
    """Attacks in some scopes."""
    return resolve(CraftConfig("synthetic", (ESPNET,), attacks=tuple(attacks), scopes=scopes, steps=steps))


def measure(quick: bool) -> Iterator[Measured]:
    """Every network with every attack, by one and eight images, jointly, and on an int8 file."""
    prepare_torch()
    use_one_thread()
    steps, rounds, more = (5, 3, 1) if quick else (10, 3, 2)
    networks = {name: load_model(name) for name in (ESPNET, FAST_SCNN)}
    few = trajectories(QUICK, steps, ("full",))
    for name, network in networks.items():
        every = trajectories(tuple(ATTACKS), steps, ("full",)) + trajectories(QUICK, steps, ("local",))
        for trajectory in few if quick else every:
            yield measured(name, Batch([network], network, trajectory, 1, steps), rounds, more)
        eight = 3 if quick else 5
        for trajectory in trajectories(QUICK[:1] if quick else QUICK, eight, ("full",)):
            yield measured(name, Batch([network], network, trajectory, 8, eight), 1 if quick else rounds, more)
    for trajectory in few[:1] if quick else few:
        both = Batch(list(networks.values()), networks[ESPNET], trajectory, 1, steps)
        yield measured("joint", both, rounds, more)
    for name, network in networks.items():
        graph = GraphSegmenter(int8_of(network))
        yield measured(f"{name} as int8 graph", Batch([graph], network, few[0], 1, steps), rounds, more)


def int8_of(network: Segmenter) -> ModelProto:
    """The int8 file of a network."""
    scenes = [open_dataset("synthetic", None, "train", SIZE)[number].image for number in range(CALIBRATION)]
    return to_int8(export_fp32(network, *SIZE), scenes, CalibrationSpec())


def measured(network: str, batch: Batch, rounds: int, more: int) -> Measured:
    """A step of an attack beside its floor; where there is a target, in `more` times as many rounds."""
    spec = batch.trajectory.specs[0]
    family = "tanh" if spec.attack == "tanh" else "sign" if spec.attack in SIGN else ""
    target = JOINT if network == "joint" else TARGETS.get((network, family))
    found = interleaved(batch.run, batch.floor, rounds if target is None else more * rounds)
    images = len(batch.clean)
    return Measured(
        section=SECTION,
        case=f"{spec.label} on {network}, {counted(images, 'image')}, per step",
        ours=found.ours / batch.steps,
        floor=found.floor / batch.steps,
        ratio=found.ratio,
        wall=found.wall,
        target=target,
    )
