"""Does things in child processes of its own and reports how they ended: killed somewhere, and with what peak memory.

Run as a script with a JSON list of orders on the command line; one child per order, forked so that PyTorch is
imported once. Prints a JSON list of outcomes.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from segeval.files.encoding import decode
from segeval.files.sets import CraftConfig
from segeval.generate.crafting.craft import Crafter
from segeval.generate.training.config import TrainConfig
from segeval.generate.training.train import train


def countdown(moment: int | None) -> Callable[..., None]:
    """A function that kills this process without warning when it is called for the `moment`-th time."""
    calls = 0

    def call(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    return call


def carry_out(order: dict[str, Any]) -> None:
    """Craft or train; die at a tick of progress, or at a write to disk, before the bytes have their name."""
    os.fsync = countdown(order.get("kill_at_write"))
    tick, out = countdown(order.get("kill_at_tick")), Path(order["out"])
    if "craft" in order:
        Crafter(decode(json.dumps(order["craft"]), CraftConfig, "order"), out).run(True, tick)
    else:
        config = decode(json.dumps(order["train"]), TrainConfig, "order")
        train(config, out, order["resume"], tick, countdown(order.get("kill_after_epoch")))


def main() -> None:
    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1)])  # imports half of PyTorch when first made: once here, not in every child
    outcomes = []
    for order in json.loads(sys.argv[1]):
        child = os.fork()
        if not child:
            carry_out(order)
            os._exit(0)
        _, status, usage = os.wait4(child, 0)
        outcomes.append({"status": os.waitstatus_to_exitcode(status), "peak_kilobytes": usage.ru_maxrss})
    print(json.dumps(outcomes))


main()
