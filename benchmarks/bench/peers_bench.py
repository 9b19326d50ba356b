"""Attacks of adv-lib and torchattacks on the same work: the same network, image, labels and number of gradients.

They are in an environment of their own (`make peers`), which is left out where it is not.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from segeval.generate.numerics import prepare_torch, use_one_thread
from segeval.models import load_model

from .crafting_bench import Batch, trajectories
from .networks import FAST_SCNN
from .record import Measured
from .timing import interleaved

PYTHON = Path(__file__).parents[2] / ".venv-peers" / "bin" / "python"
PAIRS = (
    ("pgd", "torchattacks", "PGD"),
    ("dag", "adv-lib", "dag"),
    ("alma-prox", "adv-lib", "alma-prox"),
    ("pdpgd", "adv-lib", "pdpgd-l2"),
)
"""Our attack, and a peer's of the same name."""


def measure(quick: bool) -> Iterator[Measured]:
    """Every pair, in the environment that has the peers."""
    if find_spec("adv_lib") and find_spec("torchattacks"):
        yield from measured(quick)
    elif PYTHON.exists():
        command = [str(PYTHON), "-m", __spec__.name, *(["--quick"] * quick)]
        told = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=PYTHON.parents[2], text=True).stdout
        for line in told.splitlines():
            yield Measured(**json.loads(line))
    else:
        print("peers: left out, `make peers` installs them", file=sys.stderr)


def measured(quick: bool) -> Iterator[Measured]:
    """Every pair, here; the peer takes the place of the floor."""
    from benchmarks.peers import adv_lib_peers, torchattacks_peers

    prepare_torch()
    use_one_thread()
    network, steps = load_model(FAST_SCNN), 5 if quick else 10
    known = {"adv-lib": adv_lib_peers.peers(), "torchattacks": torchattacks_peers.peers()}
    for own, library, name in PAIRS:
        (trajectory,) = trajectories([own], steps, ("full",))
        batch = Batch([network], network, trajectory, 1, steps)
        peer, problem = known[library][name], batch.problem

        def theirs() -> object:
            return peer(network, problem.clean, batch.desired, problem.phi, steps)  # noqa: B023 - called in the loop

        found = interleaved(batch.run, theirs, 3 if quick else 7)
        case = f"{own}, by {library}'s {name}, per step"
        yield Measured("peers", case, found.ours / steps, found.floor / steps, found.ratio, wall=found.wall)


if __name__ == "__main__":
    for each in measure("--quick" in sys.argv):
        print(json.dumps(asdict(each)))
