"""The command line: names the commands and turns errors into messages and exit codes.

Exit codes: 0 fine, 1 a gate was missed, 2 usage, configuration or missing prerequisite, 3 internal error,
130 interrupted, 141 nobody reads the output any more. Neither torch nor onnx is imported before a command needs it.
"""

import errno
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

import segeval
from segeval.commands.defaults import read_defaults
from segeval.commands.on_demand import OnDemandGroup
from segeval.console import say, show_error
from segeval.errors import ConfigurationError, MissingPrerequisiteError, SegevalError, StorageError, install
from segeval.places import with_home
from segeval.torchrun import leads, started_by_torchrun
from segeval_runner.interruption import after_imports, came, forget_waiting

USAGE, INTERNAL, INTERRUPTED, BROKEN_PIPE = 2, 3, 130, 141

IN_GROUPS = ("craft", "fit")
"""Commands whose work several processes of torchrun share."""

app = typer.Typer(
    name="segeval",
    cls=OnDemandGroup,
    help="Measure how much of an adversarial attack on a segmentation network survives deployment.",
    epilog="Order of the commands: craft → deploy → replay → evaluate. Start with: segeval demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print what is installed, of which revision, and stop."""
    if wanted:
        from segeval.files.provenance import revision

        typer.echo(f"segeval {segeval.__version__} ({revision() or 'no git checkout'})")
        typer.echo("How much of an adversarial attack on a segmentation network survives deployment?")
        typer.echo("The package segeval-embedded; the project called segeval on PyPI is another one.")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            envvar="SEGEVAL_CONFIG",
            help="TOML file with default options, one table per command: [craft] limit = 20",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Measure how much of an adversarial attack on a segmentation network survives deployment."""
    command = context.invoked_subcommand
    if started_by_torchrun() and command not in IN_GROUPS:
        what = f"segeval {command} is started once, torchrun starts it several times"
        raise ConfigurationError(what, f"start it without torchrun, which is for segeval {' and '.join(IN_GROUPS)}")
    if config is not None:
        context.default_map = read_defaults(with_home(config), command_line.commands)


command_line: Any = typer.main.get_command(app)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    came.clear()
    try:
        given = list(arguments) if arguments is not None else None
        result = command_line.main(given, prog_name="segeval", standalone_mode=False)
        if result == INTERRUPTED:  # Typer's answer to Ctrl-C
            return told(interrupted)
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, typer.Abort):
        return told(interrupted)
    except SystemExit as left:
        if left.code == 1:  # how Rich and Typer leave when the pipe they write to was closed
            return broken_pipe()
        raise
    except Exception as error:
        return told(interrupted if came else partial(failed, error))


def told(tell: Callable[[], int]) -> int:
    """What `tell`, which says why the command ends badly, gives; of the processes of torchrun one says it."""
    if not started_by_torchrun():
        return tell()
    from segeval.generate.group import telling_once

    return telling_once(tell)


def failed(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    if isinstance(error, SegevalError):
        show_error(error.typed or error)
        return error.exit_code
    if isinstance(error, OSError):
        return operating_system_error(error)
    if isinstance(error, ModuleNotFoundError):
        return missing_module(error)
    return usage_or_internal(error)


STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that take the way of Ctrl-C: of `timeout`, a cancelled build, a closed terminal."""


ENDING = (signal.SIGINT, *STOPS)
interrupt = after_imports(signal.default_int_handler)


def stop_like_ctrl_c() -> None:
    """Let these signals interrupt as Ctrl-C does, unless they are ignored, as under nohup."""
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def interrupted() -> int:
    """Ctrl-C; a second one must not turn the message into a traceback."""
    for number in ENDING:
        if number == signal.SIGINT or signal.getsignal(number) is interrupt:
            signal.signal(number, signal.SIG_IGN)
    # Python remembers a Ctrl-C that met an exec(), as of a dataclass that is being made, and would end by SIGINT.
    exec("")
    say(
        "interrupted; finished work is saved. Run the same command again, with --resume for craft, train and reproduce."
    )
    return INTERRUPTED


def broken_pipe() -> int:
    """End silently when the output is no longer read, as in ``segeval ls | head -1``."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def operating_system_error(error: OSError) -> int:
    """Explain errors of the operating system that a user can fix; treat the rest as internal errors."""
    if isinstance(error, BrokenPipeError):
        return broken_pipe()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" of {error.filename}" if error.filename else ""
        show_error(StorageError(f"no space left on the disk{where}", "free some space and run it again"))
        return USAGE
    if error.filename:
        show_error(
            StorageError(f"cannot use {error.filename}: {error.strerror}", "check that path and its permissions")
        )
        return USAGE
    return internal()


def missing_module(error: ModuleNotFoundError) -> int:
    """A package of an extra that is not installed."""
    extras = {"onnxruntime": "cpu", "tensorrt": "jetson", "pycuda": "jetson"}
    name = (error.name or "").split(".")[0]
    if name in extras:
        show_error(MissingPrerequisiteError(f"the package {name} is not installed", install(extras[name])))
        return USAGE
    return internal()


def usage_or_internal(error: Exception) -> int:
    """The command line library's own errors know how to show themselves; anything else is a bug."""
    show = getattr(error, "show", None)
    if callable(show) and hasattr(error, "exit_code"):
        show()
        return int(error.exit_code)
    return internal()


def internal() -> int:
    """Report an unexpected error with its traceback."""
    say(traceback.format_exc().rstrip())
    say("internal error; please report it with the lines above, unless your own plug-in caused it")
    return INTERNAL


WAITING = "3000"
"""How often a waiting thread of PyTorch spins before it sleeps; the default of GNU's OpenMP is 300,000."""


def wait_shortly() -> None:
    """Let PyTorch's waiting threads sleep soon, unless the user has set how they wait.

    PyTorch on Linux uses GNU's OpenMP, which reads this when it is loaded. With one of two cores busy, a forward pass
    of ESPNet took 1.3 s before and 0.1 s after.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", WAITING)


def main() -> None:
    """Entry point of the console script."""
    stop_like_ctrl_c()
    wait_shortly()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without the character → is no reason to fail
    if not leads():  # another process of torchrun says all there is to say
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    code = run()
    for number in ENDING:  # all is done and said; Python takes a while to end
        signal.signal(number, signal.SIG_IGN)
    forget_waiting()
    sys.exit(code)
