"""The command line: names the commands, reads defaults, and turns errors into messages and exit codes.

Exit codes: 0 fine, 1 a gate was missed, 2 usage, configuration or missing prerequisite, 3 internal error,
130 interrupted. Neither torch nor onnx is imported before a command needs it.
"""

import errno
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

import segeval
from segeval.commands.craft import craft
from segeval.commands.demo import demo
from segeval.commands.deploy import deploy
from segeval.commands.doctor import doctor
from segeval.commands.evaluate import evaluate
from segeval.commands.listing import ls
from segeval.commands.replay import replay
from segeval.commands.score import score
from segeval.commands.train import train
from segeval.console import messages, say, show_error
from segeval.errors import ConfigurationError, MissingPrerequisiteError, SegevalError, StorageError

USAGE, INTERNAL, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    name="segeval",
    help="How much of an adversarial attack on a segmentation network survives deployment?",
    epilog="The way of the data: craft → deploy → replay → evaluate. Start with: segeval demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "SEGEVAL", "help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"segeval {segeval.__version__}")
        raise typer.Exit


@app.callback()
def main_options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="TOML file with defaults, one table per command: [craft] limit = 20"
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """How much of an adversarial attack on a segmentation network survives deployment?"""
    if config is not None:
        context.default_map = read_defaults(config)


def read_defaults(path: Path) -> dict[str, Any]:
    """Defaults per command from a TOML file. Raises ConfigurationError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", "check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from error


for function in (demo, craft, deploy, replay, evaluate, train, score, ls, doctor):
    app.command()(function)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code."""
    try:
        result = app(list(arguments) if arguments is not None else None, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except SegevalError as error:
        show_error(error)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        say("interrupted; what is finished is saved. Run the same command again, craft and train with --resume.")
        return INTERRUPTED
    except OSError as error:
        return operating_system_error(error)
    except ModuleNotFoundError as error:
        return missing_module(error)
    except Exception as error:
        return usage_or_internal(error)


def operating_system_error(error: OSError) -> int:
    """A pipe that nobody reads is fine; a full disk is explained; the rest is internal."""
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return 0
    if error.errno == errno.ENOSPC:
        show_error(
            StorageError(f"no space left on the disk: {error.filename or ''}", "free some space and run it again")
        )
        return USAGE
    return internal()


def missing_module(error: ModuleNotFoundError) -> int:
    """A package of an extra that is not installed."""
    extras = {"onnxruntime": "cpu", "tensorrt": "jetson", "pycuda": "jetson"}
    name = (error.name or "").split(".")[0]
    if name in extras:
        add = f"pip install 'segeval-embedded[{extras[name]}]'"
        show_error(MissingPrerequisiteError(f"the package {name} is not installed", add))
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
    """An error nobody expected."""
    messages.print_exception(width=120)
    say("this is a bug in segeval; please report it with the lines above")
    return INTERNAL


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run())
