"""The commands that are disturbed, each with how it is continued and how its result is compared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak import trees
from tests.soak.world import SIZE, World, words

FETCH = Path(__file__).with_name("fetch_here.py")
NETWORK = "espnet-synthetic"
TASK = ("--task", "building,vegetation:road")
"""One whose source classes the network sees in every image, as small as they are."""


@dataclass(frozen=True)
class Command:
    """start: arguments of Python that begin it, with its output in a folder.   read: the result, to be compared.

    resumes: what must lie in the output for `--resume` to be given; None where the command has no such option.
    environment: further variables.   needs: commands whose results it works on.
    """

    name: str
    start: Callable[[World, Path], Sequence[str]]
    read: trees.Reader
    resumes: str | None = None
    environment: Callable[[World, Path], Mapping[str, str]] = lambda world, out: {}
    needs: tuple[str, ...] = ()

    def words(self, world: World, out: Path) -> list[str]:
        """Arguments of Python that begin it, or continue what lies in `out`."""
        resume = self.resumes is not None and (out / self.resumes).exists()
        return [*self.start(world, out), *(["--resume"] if resume else [])]


def segeval(*given: object) -> Sequence[str]:
    """A command line of segeval."""
    return words("-m", "segeval", *given)


def data(world: World) -> Sequence[object]:
    """Options that name the dataset."""
    return ("--dataset", "folder", "--data-root", world.data)


def craft(world: World, out: Path) -> Sequence[str]:
    """Every image attacked in both ways, by two processes."""
    attacks = ("--attack", "fgsm", "--attack", "tanh", "--scope", "full", "--steps", 8)
    return segeval(
        "craft", "--out", out, *data(world), "--model", NETWORK, *TASK, *attacks, "--limit", 3, "--workers", 2
    )


def deploy(world: World, out: Path) -> Sequence[str]:
    """Three files for this machine, and the images behind a camera's JPEG, too."""
    options = ("--precision", "fp32,fp16,int8", "--corruption", "jpeg:75")
    return segeval("deploy", world.result("craft"), "--out", out, *options)


def replay(world: World, out: Path) -> Sequence[str]:
    """All of it."""
    return segeval("replay", world.result("deploy"), "--out", out, "--threads", 1)


def bench(world: World, out: Path) -> Sequence[str]:
    """Every scenario of two engines, for a moment."""
    short = ("--seconds", 0.3, "--calls", 8, "--images", 8, "--warmup", 1, "--warmup-seconds", 0, "--idle-seconds", 0.1)
    engines = ("--engine", f"{NETWORK}.fp32", "--engine", f"{NETWORK}.int8")
    return segeval("bench", world.result("deploy"), "--out", out, "--threads", 1, *short, *engines)


def train(world: World, out: Path) -> Sequence[str]:
    """Some epochs on six images."""
    size = ("--crop", f"{SIZE[0]}x{SIZE[1]}", "--batch-size", 2)
    return segeval("train", NETWORK, "--out", out, *data(world), *size, "--epochs", 6)


def evaluate(world: World, out: Path) -> Sequence[str]:
    """The report with the benchmark beside it."""
    inputs = (world.result("craft"), world.result("replay"), "--bench", world.result("bench"))
    return segeval("evaluate", *inputs, "--out", out)


def reproduce(world: World, out: Path) -> Sequence[str]:
    """Table 1 and the maps on one image."""
    small = ("--limit", 2, "--budget-limit", 1, "--steps", 2, "--part", "table1", "--part", "maps", "--workers", 1)
    return segeval("reproduce", "kang2020", *data(world), "--out", out, "--model", NETWORK, *TASK, *small)


def fetch(world: World, out: Path) -> Sequence[str]:
    """Forty files from a slow server."""
    return words(FETCH, world.files, "fetch", "soak", "--base", world.base)


COMMANDS = {
    command.name: command
    for command in (
        Command("craft", craft, trees.files, "set.json"),
        Command("deploy", deploy, trees.files, needs=("craft",)),
        Command("replay", replay, trees.replayed, needs=("craft", "deploy")),
        Command("bench", bench, trees.benched, needs=("craft", "deploy")),
        Command("train", train, trees.files, "train.json"),
        Command("evaluate", evaluate, trees.files, needs=("craft", "deploy", "replay", "bench")),
        Command("reproduce", reproduce, trees.reproduction, "experiment.json"),
        Command("fetch", fetch, trees.files, environment=lambda world, out: {"XDG_CACHE_HOME": str(out)}),
    )
}
