"""Rounds: a command that is ended by signals again and again, and continued, until it is through.

Afterwards its result is the one of a run that nothing disturbed, nothing is left behind, and nothing runs any more.
"""

import random
import shutil
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from tests.soak.commands import COMMANDS, Command
from tests.soak.findings import Finding
from tests.soak.processes import HUP, INT, KILL, TERM, Ended, Running, Strike, left_running
from tests.soak.trees import difference, leftovers
from tests.soak.world import World

Tell = Callable[[Sequence[Finding]], None]
SIGNALS = (KILL, TERM, INT, HUP)
INTERRUPTED, REFUSED = 130, 2
LATEST = 1.05
"""Latest moment of a strike: two rounds at a time take longer than one run alone."""
TRIES = 6
"""Runs without a strike until a command has to be through."""
EVERY_SO_OFTEN = 6
"""One round of so many starts the command twice at once."""


@dataclass(frozen=True)
class Round:
    """signals: that reached a process.   restarts: how often it was continued.   equal: to the undisturbed result."""

    command: str
    seed: int
    signals: int
    restarts: int
    equal: bool
    findings: tuple[Finding, ...]


def planned(command: str, seed: int) -> list[Strike]:
    """The strikes of a round; the same for the same seed."""
    dice = random.Random(f"{command}/{seed}")
    return [strike(dice) for _ in range(dice.randrange(2, 6))]


def strike(dice: random.Random) -> Strike:
    """Somewhere in the run, one in eight while it starts; one in five is several signals in quick succession."""
    moment = dice.uniform(0, 0.1) if dice.random() < 0.125 else dice.uniform(0, LATEST)
    number = dice.randrange(2, 4) if dice.random() < 0.2 else 1
    signals = tuple(dice.choice(SIGNALS) for _ in range(number))
    gaps = (0.0, *(dice.uniform(0, 0.15) for _ in signals[1:]))
    return Strike(moment, signals, gaps, group=dice.random() < 0.5, at_once=dice.random() < 0.5)


class Disturbed:
    """One round in a folder of its own. duration: seconds that the command takes undisturbed."""

    def __init__(self, world: World, command: Command, seed: int, duration: float) -> None:
        self.world = world
        self.command = command
        self.seed = seed
        self.duration = duration
        self.folder = world.root / "rounds" / f"{command.name}-{seed}"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.mark = str(self.folder)
        self.logs = world.root / "logs" / f"{command.name}-{seed}"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.findings: list[Finding] = []
        self.runs = self.signals = 0

    @property
    def out(self) -> Path:
        """Where the command writes."""
        return self.folder / "out"

    def begun(self) -> Running:
        """The command, begun or continued."""
        self.runs += 1
        words = self.command.words(self.world, self.out)
        variables = self.command.environment(self.world, self.out)
        return Running(words, variables, self.mark, self.logs / f"{self.runs}.txt")

    def find(self, moment: object, what: str) -> None:
        """Note what went wrong."""
        self.findings.append(Finding(self.command.name, self.seed, str(moment), what))

    def through(self, strikes: Sequence[Strike]) -> Round:
        """Strike and continue until the command is through, then look at what it left."""
        for each in strikes:
            ended = self.begun().struck(each, self.duration)
            self.judge(each, ended)
            if ended.code == 0:
                break
            if not each.at_once:
                self.ended_all(each)
        else:
            self.finish()
        return self.result()

    def twice(self, dice: random.Random) -> Round:
        """Start it twice at once, kill the first of them or not, and run it once more."""
        struck = strike(dice) if dice.random() < 0.5 else None
        first = self.begun()
        first.waited(dice.uniform(0, 0.6) * self.duration)
        second = self.begun()
        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(lambda run, with_: run.struck(with_, self.duration), (first, second), (struck, None)))
        if ends[0].sent:
            self.judge(struck, ends[0])
        elif ends[0].code not in (0, REFUSED) or "Traceback" in ends[0].said:
            self.find("the first of two at once", told(ends[0]))
        if ends[1].code not in (0, REFUSED) or "Traceback" in ends[1].said:
            self.find("the second of two at once", told(ends[1]))
        if not ends[0].sent and all(end.code for end in ends):
            self.find("two at once", f"both were refused: {told(ends[0])}; {told(ends[1])}")
        self.finish()
        return self.result()

    def finish(self) -> None:
        """Run it undisturbed until it is through; only another process at work may put it off."""
        for _ in range(TRIES):
            ended = self.begun().struck(None, self.duration)
            if ended.code == 0:
                self.judge(None, ended)
                return
            if not (ended.code == REFUSED and "another process" in ended.said):
                self.find(f"run {self.runs}, undisturbed", told(ended))
                return
            self.ended_all(None)
        self.find("in the end", f"refused {TRIES} times: {told(ended)}")

    def judge(self, strike: Strike | None, ended: Ended) -> None:
        """Hold an exit code and what was said to what is documented."""
        self.signals += len(ended.sent)
        early = not any(ended.loaded)
        if ended.code not in allowed(ended):
            self.find(strike, told(ended))
        elif "Traceback" in ended.said and not (early and INT in ended.sent):
            self.find(strike, f"a traceback: {told(ended)}")

    def ended_all(self, moment: object) -> None:
        """Wait until nothing of it runs any more."""
        for line in left_running(self.mark):
            self.find(moment, f"still running afterwards: {line[:200]}")

    def result(self) -> Round:
        """Look at what is there now."""
        self.ended_all("in the end")
        expected = self.world.result(self.command.name)
        for name in leftovers(self.folder, expected.parent):
            self.find("in the end", f"left behind: {name}")
        equal = False
        try:
            differs = difference(self.command.read(self.out), self.command.read(expected))
            equal = not differs
            if differs:
                self.find("in the end", f"differs from the undisturbed run: {differs}")
        except Exception as error:
            self.find("in the end", f"cannot be read: {type(error).__name__}: {error}")
        if not self.findings:
            shutil.rmtree(self.folder)
            shutil.rmtree(self.logs)
        return Round(self.command.name, self.seed, self.signals, self.runs - 1, equal, tuple(self.findings))


def allowed(ended: Ended) -> set[int]:
    """Exit codes that the signals which a run got may lead to. 0: it was through already."""
    if not ended.sent:
        # A run that did not come to its strike; one that was continued at once may meet the one before.
        return {0, REFUSED} if "another process" in ended.said else {0}
    codes = {0} | ({-KILL} if KILL in ended.sent else set()) | ({INTERRUPTED} if set(ended.sent) - {KILL} else set())
    for number, loaded in zip(ended.sent, ended.loaded, strict=True):
        if not loaded:  # Python's own ends
            codes |= {-number, 1} if number == INT else {-number}
    if "another process" in ended.said:
        codes.add(REFUSED)
    return codes


def told(ended: Ended) -> str:
    """How a run ended, with the last line that it said."""
    lines = [line for line in ended.said.splitlines() if line.strip()]
    name = signal.Signals(-ended.code).name if ended.code < 0 else f"exit code {ended.code}"
    if ended.code == 999:
        name = "did not end"
    return f"{name} after {ended.seconds:.1f} s, {' / '.join(lines[-2:])[-300:]!r}"


def disturbed(world: World, command: str, seed: int, duration: float) -> Round:
    """One round."""
    each = Disturbed(world, COMMANDS[command], seed, duration)
    if seed % EVERY_SO_OFTEN == EVERY_SO_OFTEN - 1:
        return each.twice(random.Random(f"{command}/{seed}/twice"))
    return each.through(planned(command, seed))


class Rounds:
    """Rounds of every command until each has had its share of the signals, two at a time."""

    def __init__(self, world: World, durations: dict[str, float], signals: int, tell: Tell) -> None:
        self.world = world
        self.durations = durations
        self.tell = tell
        self.share = -(-signals // len(durations))
        self.seeds = dict.fromkeys(durations, 0)
        self.begun = dict.fromkeys(durations, 0)
        self.done: list[Round] = []
        self.lock = Lock()

    def next(self) -> tuple[str, int] | None:
        """The command that has had the least so far, and the seed of its next round; None if all have had enough."""
        with self.lock:
            name = min(self.begun, key=lambda each: self.begun[each])
            if self.begun[name] >= self.share:
                return None
            self.begun[name] += 1  # until it is known
            self.seeds[name] += 1
            return name, self.seeds[name] - 1

    def work(self) -> None:
        """Rounds, one after the other."""
        while (chosen := self.next()) is not None:
            name, seed = chosen
            found = disturbed(self.world, name, seed, self.durations[name])
            with self.lock:
                self.begun[name] += found.signals - 1
                self.done.append(found)
            self.tell(found.findings)

    def run(self) -> list[Round]:
        """All of them."""
        with ThreadPoolExecutor(2) as pool:
            for each in [pool.submit(self.work) for _ in range(2)]:
                each.result()
        return self.done


def undisturbed(world: World, command: Command) -> float:
    """Make the result that all others are compared with; the seconds it took. Raises RuntimeError if it fails."""
    out = world.result(command.name)
    out.parent.mkdir(parents=True)
    log = world.root / f"{command.name}.txt"
    run = Running(command.words(world, out), command.environment(world, out), world.marker, log)
    ended = run.struck(None, 0)
    left = left_running(world.marker)
    if ended.code != 0 or left:
        raise RuntimeError(f"{command.name} fails without any signal: {told(ended)}, still running: {left}")
    return ended.seconds


def needed(names: Sequence[str]) -> list[Command]:
    """Commands and all that they work on, in the order in which they can be made."""
    wanted = {each for name in names for each in (name, *COMMANDS[name].needs)}
    return [command for command in COMMANDS.values() if command.name in wanted]
