"""``segeval demo``."""

from pathlib import Path
from typing import Annotated

from segeval.commands.options import Option, Quiet
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError
from segeval.files.sets import CraftConfig

DEMO = CraftConfig(
    dataset="synthetic",
    models=("espnet-synthetic", "fast-scnn-synthetic"),
    attacks=("fgsm", "tanh"),
    limit=3,
    steps=20,
)
CALIBRATION = 16
"""Images that int8 is calibrated on: half of the default, in half the time."""


def demo(
    out: Annotated[Path, Option("--out", help="Folder for the results.")] = Path("segeval-demo"),
    quiet: Quiet = False,
) -> None:
    """Run the whole chain on synthetic scenes with bundled networks.

    It crafts, deploys, replays and evaluates in minutes.

    \b
    segeval demo
    """
    from segeval.commands.craft import show_plan
    from segeval.deploy import deploy, replay
    from segeval.evaluate import conclusion, evaluate, survival_in_terminal
    from segeval.files.folders import require_no_kind
    from segeval.generate.crafting.craft import Crafter
    from segeval_runner.environment import usable_cores
    from segeval_runner.ownership import is_vacant

    require_no_kind(out)
    if not is_vacant(out) and not (out / "set").exists():
        raise ConfigurationError(
            f"{out} contains files that were not made by segeval demo", "choose a new folder with --out"
        )
    adversarial, bundle, replayed, report = (out / name for name in ("set", "bundle", "replay", "report"))
    crafter = Crafter(DEMO, adversarial)
    if not quiet:
        show_plan(crafter.setup.plan(), DEMO)
    with progress(quiet) as tick:
        crafter.run(adversarial.exists(), tick, usable_cores(), say)
        deploy(adversarial, bundle, calibration_images=CALIBRATION, progress=tick, tell=say)
        replay(bundle, replayed, tick)
        found = evaluate(adversarial, [replayed], report, progress=tick)
    for table in survival_in_terminal(found):
        results.print(table)
    results.print(conclusion(found))
    say(f"report: {report / 'report.html'}")
