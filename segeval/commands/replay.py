"""``segeval replay``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segeval.commands.beside import say_how_to_evaluate
from segeval.commands.hosts import (
    REMOTE_DIR,
    REMOTE_PYTHON,
    Hosts,
    RemoteDir,
    RemotePython,
    SshConfig,
    checked,
    replay_on_hosts,
    stop_on_hosts,
)
from segeval.commands.options import (
    AsJson,
    Backend,
    BundleArgument,
    Engines,
    Option,
    Out,
    Prebuilt,
    Quiet,
    Threads,
)
from segeval.commands.text_tables import latency_rows, table
from segeval.console import progress, results, say
from segeval.errors import ConfigurationError

if TYPE_CHECKING:
    from segeval.files.replays import Replay


def replay(
    bundle: BundleArgument,
    out: Out,
    backend: Backend = "",
    engine: Engines = [],
    warmup: Annotated[int, Option("--warmup", min=0, help="Calls before the first measurement.")] = 3,
    threads: Threads = 0,
    prebuilt: Prebuilt = False,
    shard: Annotated[
        str,
        Option(
            "--shard", metavar="I/N", help="Run only part I of N of the images; `segeval evaluate` joins the parts."
        ),
    ] = "",
    host: Hosts = [],
    remote_dir: RemoteDir = REMOTE_DIR,
    remote_python: RemotePython = REMOTE_PYTHON,
    ssh_config: SshConfig = None,
    stop: Annotated[bool, Option("--stop", help="Stop what an earlier command left running on each --host.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Run a bundle here or on devices, with the runner inside it. Resumes an interrupted replay.

    \b
    segeval replay runs/bundle --out runs/replay

    \b
    segeval replay runs/jetson-bundle --out runs/here --backend onnxruntime

    \b
    segeval replay runs/jetson-bundle --out runs/orin --host jetson@192.168.1.20

    \b
    segeval replay runs/bundle --out runs/replay-1 --shard 1/2
    """
    require_shard(shard, host)
    if as_json and (host or stop):
        raise ConfigurationError("--json prints a replay on this machine", "leave out --json, or --host")
    if host or stop:
        from segeval.deploy.ssh import RunOptions

        remote = checked(host, remote_dir, remote_python, ssh_config)
        if stop:
            stop_on_hosts(bundle, out, host, remote)
        else:
            replay_on_hosts(
                bundle, out, host, remote, RunOptions(backend, engine, warmup, threads, prebuilt, shard), quiet
            )
        return
    from segeval.api import replay as run_bundle

    with progress(quiet) as tick:
        replayed = run_bundle(
            bundle,
            out,
            tick,
            backend=backend,
            engines=engine,
            warmup=warmup,
            threads=threads,
            prebuilt=prebuilt,
            shard=shard,
        )
    done = replayed.record
    if as_json:
        typer.echo((out / "replay.json").read_bytes(), nl=False)
    else:
        show_latencies(done)
    if not engine:
        say_what_cannot_run_here(bundle, done)
    if done.record.shard:
        say(f"this is shard {done.record.shard}: give segeval evaluate all of them, in any order")
    say_how_to_evaluate(bundle, [out], out)


def require_shard(shard: str, hosts: list[str]) -> None:
    """Raise ConfigurationError for a shard that cannot be, or that several devices would all run."""
    from segeval_runner.parts import parse

    try:
        parse(shard)
    except ValueError as error:
        raise ConfigurationError(
            f"--shard {error}", "for example --shard 1/2 here and --shard 2/2 elsewhere"
        ) from error
    if shard and len(hosts) > 1:
        raise ConfigurationError("--shard gives every --host the same part", "run it once per host, with --shard of it")


def say_what_cannot_run_here(bundle: Path, done: "Replay") -> None:
    """Print which engines of a bundle the backend skipped, and why."""
    from segeval.files.bundles import BundleFolder

    begun = {engine.name for engine in done.engines}
    for engine in BundleFolder(bundle).manifest().engines:
        if engine.own is not None and engine.name not in begun:
            built = engine.own.format == "tensorrt"
            refused = "TensorRT for RTX refused it during deploy"
            why = "it is a TensorRT engine; use --backend tensorrt on its device" if built else refused
            say(f"not run: {engine.name}; {why}")


def show_latencies(done: "Replay") -> None:
    """Latency percentiles per engine; dashes for one that was begun and has no result yet."""
    headings = ("engine", "runs on", "computes in", "p50 ms", "p90 ms")
    results.print(table(headings, latency_rows(done), "Latency of one call", words=3))
