"""Terminal output: progress with time left on stderr, results on stdout, errors with a remedy."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from segeval.errors import SegevalError
from segeval.progress import Progress as Tick
from segeval.progress import silent
from segeval_runner.strict import UNPRINTABLE

LINE_SECONDS = 10.0
"""How often a line is printed where there is no terminal to draw a bar on."""

PIPED_WIDTH = 120
"""Characters of a line where neither a terminal nor COLUMNS says it."""


def results_width() -> int | None:
    """Characters of a line of results; None for what a terminal or COLUMNS says."""
    told = os.environ.get("COLUMNS", "")
    return None if sys.stdout.isatty() or (told.isdigit() and int(told)) else PIPED_WIDTH


results = Console(width=results_width())
messages = Console(stderr=True, highlight=False)


def visible(text: str, keep: str = "") -> str:
    """A text from elsewhere in which control characters and changes of the writing direction are seen, not obeyed.

    Args:
        text: to be shown.
        keep: those of them that are left as they are.
    """
    return UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def say(text: str) -> None:
    """Print a message on stderr, without markup and with control characters escaped."""
    show(Text(visible(text, "\n\t")))


def show(text: Text) -> None:
    """Print on stderr without breaking lines: a command in a message can be copied, and a log can be searched."""
    messages.print(text, soft_wrap=True)


def show_error(error: SegevalError) -> None:
    """What was wrong, and what to do."""
    show(Text.assemble(("error: ", "bold red"), visible(error.what, "\n\t")))
    if error.hint:
        show(Text.assemble(("what to do: ", "bold"), visible(error.hint, "\n\t")))


class LineProgress:
    """Progress as lines, for logs."""

    def __init__(self) -> None:
        self.stage = ""
        self.started = self.printed = 0.0
        self.first = self.last = 0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Print the beginning and the end of a stage, and a line now and then between them."""
        now = time.monotonic()
        if stage != self.stage:
            self.stage, self.started, self.first, self.printed = stage, now, done, now
        elif done == self.last or (done < total and now - self.printed < LINE_SECONDS):
            return
        self.printed, self.last = now, done
        say(f"{stage}: {done}/{total}{self.left(done, total, now)}")

    def left(self, done: int, total: int, now: float) -> str:
        """Estimated time left, once there is something to estimate it from."""
        if done <= self.first or done >= total:
            return ""
        seconds = (now - self.started) / (done - self.first) * (total - done)
        return f", about {duration(seconds)} left"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes below two hours, else hours and minutes."""
    if seconds < 120:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class BarProgress:
    """Progress as one bar per stage, for terminals."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Move the stage's bar."""
        if stage not in self.tasks:
            self.tasks[stage] = self.bars.add_task(stage, total=total)
        told = f"{stage}: done" if done == total else stage
        self.bars.update(self.tasks[stage], completed=done, total=total, description=told)


@contextmanager
def progress(quiet: bool = False) -> Iterator[Tick]:
    """A callback that shows how far a command is: bars on a terminal, a line now and then elsewhere."""
    if quiet:
        yield silent
    elif not sys.stderr.isatty() or messages.is_dumb_terminal:  # Rich would draw bars into a log if FORCE_COLOR is set
        yield LineProgress()
    else:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        # Results printed meanwhile stay on stdout, unless that is the terminal on which the bars are.
        with Progress(*columns, console=messages, redirect_stdout=sys.stdout.isatty()) as bars:
            yield BarProgress(bars)
