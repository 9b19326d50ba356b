"""Folders as what can be compared: the bytes of every file, or what is left of them without measured numbers."""

import json
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from segeval.files.benches import open_bench
from segeval.files.replays import Replay
from segeval_runner.digests import DIGEST

Tree = dict[str, object]

MEASURED_REPLAY = ("load_ms", "telemetry", "outside_cpu_ms")
"""Members of the engines of replay.json that are measured, and may differ. Of results.jsonl nothing but the keys in
their order counts, and what the label maps are that they lead to."""
MEASURED_EXPERIMENT = ("seconds",)
"""Member of experiment.json, kang2020.json and of the sets in it that is measured."""
CRAFTED = re.compile(rb"<caption><span><strong>Sets that were crafted.*?</table>", re.DOTALL)
"""The table of a reproduction's report that shows these."""


def files(root: Path) -> Tree:
    """Every file, folder and link below `root`, by its path."""
    found: Tree = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"a link to {path.readlink()}"
        elif path.is_dir():
            found[name + "/"] = "a folder"
        else:
            found[name] = sha256(path.read_bytes()).hexdigest()
    return found


def reproduction(root: Path) -> Tree:
    """The bytes of all but the seconds that parts took."""
    found, report = files(root), root / "report"
    record = read(report / "kang2020.json")
    record["sets"] = [without(row, *MEASURED_EXPERIMENT) for row in record["sets"]]
    record["files"] = without(record["files"], "report.html")  # which shows the seconds
    found["report/kang2020.json"] = without(record, *MEASURED_EXPERIMENT)
    found["report/report.html"] = sha256(CRAFTED.sub(b"", (report / "report.html").read_bytes())).hexdigest()
    found["experiment.json"] = without(read(root / "experiment.json"), *MEASURED_EXPERIMENT)
    return found


def replayed(root: Path) -> Tree:
    """Keys and label maps in their order, and what replay.json says without its times and telemetry."""
    record = read(root / "replay.json")
    record["engines"] = [without(engine, *MEASURED_REPLAY) for engine in record["engines"]]
    replay = Replay.open(root)
    found: Tree = {**dict.fromkeys(files(root), "there"), "replay.json": without(record)}
    found["bundle.json"] = files(root)["bundle.json"]
    for engine in replay.engines:
        results = replay.results(engine.name)
        found[f"{engine.name}: keys"] = results.keys
        for key in results.keys:
            found[f"{engine.name}: {key}"] = sha256(results.labels(key).tobytes()).hexdigest()
    return found


def benched(root: Path) -> Tree:
    """What was measured of what, and the names of all members; no measured number."""
    record, said = open_bench(root), read(root / "bench.json")
    for run in record.runs:
        run.latencies()  # raises unless they are as many as there were calls
    found: Tree = dict.fromkeys(files(root), "there")
    for name in ("bundle_sha256", "set_sha256", "preset", "rules", "environment", "schema"):
        found[name] = said[name]
    found["runs"] = [
        {name: run[name] for name in ("engine", "scenario", "model", "precision", "backend", "batch")}
        | {"has": shape(run)}
        for run in said["runs"]
    ]
    return found


def shape(run: Mapping[str, Any]) -> list[str]:
    """Names of the members of a run."""
    return sorted(run)


def read(path: Path) -> dict[str, Any]:
    """A JSON object."""
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


def without(record: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A JSON object without members, and without its digest, which is of these too."""
    return {name: value for name, value in record.items() if name not in (*names, DIGEST)}


def difference(found: Tree, expected: Tree) -> str:
    """The first few names that differ; empty if none does."""
    differing = [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]
    told = [f"{name} ({how(name, found, expected)})" for name in sorted(differing)]
    return ", ".join(told[:4]) + (f" and {len(told) - 4} more" if len(told) > 4 else "")


def how(name: str, found: Tree, expected: Tree) -> str:
    """Whether it is too much, missing or another."""
    return "too much" if name not in expected else "missing" if name not in found else "differs"


def leftovers(folder: Path, expected: Path) -> list[str]:
    """Hidden and unfinished files beside or in an output that a run without disturbance does not leave."""
    known = {path.relative_to(expected) for path in expected.rglob("*")}
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if (path.name.startswith(".") or ".part" in path.name) and path.relative_to(folder) not in known
    )


Reader = Callable[[Path], Tree]
