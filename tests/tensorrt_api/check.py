"""Holds the runner's TensorRT backend to the real API of every version: `make check-tensorrt-api`.

For each release: its bindings are installed into an environment with its Python, their libraries are replaced by stubs,
every name that the backend uses is looked up, and the backend is driven through doubles made from the real classes.
With --write, the table in docs/tensorrt.md is written; without, it is compared. Exits with 1 if anything is missing.
"""

import json
import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.tensorrt_api.contract import declared
from tests.tensorrt_api.releases import RELEASES, ROOT, CheckError, Release, bindings, environment, run

PAGE = ROOT / "docs/tensorrt.md"
BEGIN, END = "<!-- contract: written by `make check-tensorrt-api` -->\n", "<!-- end of contract -->\n"
SOURCES = "jetson/segeval_runner/backends/tensorrt"
OF_RTX = {"ahead.py", "ahead_builder.py", "ahead_process.py", "listing.py"}
"""What TensorRT for RTX alone uses; tests/tensorrt_build run it on the real library."""


def drive(release: Release, folder: Path) -> dict[str, Any]:
    """What the check found inside one release. Raises CheckError if it found faults there."""
    python, found = bindings(release)
    result = folder / f"{release.version}.json"
    paths = os.pathsep.join(map(str, (found, ROOT / "jetson")))
    coverage = ["-m", "coverage", "run", "--branch", f"--data-file={folder / release.version}.coverage"]
    command = [str(python), "-W", "error", *coverage, f"--include=*/{SOURCES}/*", "-m", "tests.tensorrt_api.inside"]
    settings = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, str(result), release.module], cwd=ROOT, env=settings, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise CheckError(f"TensorRT {release.version} with Python {release.python}:\n{done.stderr.strip()}")
    record: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return record


def coverage_of(folder: Path) -> tuple[str, list[str]]:
    """Which share of the backend's lines some release executed, and the lines that none did."""
    python = str(environment(RELEASES[-1].python))
    data, report = f"--data-file={folder / 'all'}", folder / "coverage.json"
    parts = [str(part) for part in folder.glob("*.coverage")]
    run([python, "-m", "coverage", "combine", data, *parts], "coverage")
    run([python, "-m", "coverage", "json", data, "-o", str(report)], "coverage")
    found = json.loads(report.read_text(encoding="utf-8"))
    totals, files = found["totals"], found["files"]
    names = {Path(name).name: file["missing_lines"] for name, file in files.items()}
    on_disk = {path.name for path in (ROOT / SOURCES).glob("*.py")}
    missing = [f"{name}: no test executes line {line}" for name, lines in names.items() for line in lines]
    missing += [f"{name}: no test executes it" for name in sorted(on_disk - names.keys() - OF_RTX)]
    text = f"{totals['covered_lines']} of {totals['num_statements']} lines of the backend were executed"
    return f"{text}, {totals['covered_branches']} of {totals['num_branches']} branches taken.", missing


def leaves() -> list[str]:
    """The names that can be used: no classes, which are there if what they hold is."""
    names = declared()
    classes = {name.rpartition(".")[0] for name in names}
    return [name for name in names if name not in classes and (name[0].islower() or name[0] == "_" or "." in name)]


def table(records: list[dict[str, Any]]) -> list[str]:
    """The names used on every version in a sentence, the others as version × name, in Markdown."""
    everywhere = [name for name in leaves() if all(name in each["used"] for each in records)]
    lines = textwrap.wrap("Used on all: " + ", ".join(f"`{name}`" for name in everywhere) + ".", 150)
    lines += ["", "| name | " + " | ".join(record["version"] for record in records) + " |"]
    lines.append("|---|" + ":---:|" * len(records))
    for name in [name for name in leaves() if name not in everywhere]:
        cells = ["used" if name in each["used"] else "there" if name in each["has"] else "–" for each in records]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return lines


def unused(records: list[dict[str, Any]]) -> list[str]:
    """Declared and used on no release, one line each."""
    used = {name for record in records for name in record["used"]}
    return [f"{name} stands in the stub, and the backend does not use it" for name in leaves() if name not in used]


def text_of(records: list[dict[str, Any]], coverage: str) -> str:
    """What belongs between the marks of the page."""
    ran = [f"{each['version']} with Python {each['python'].rpartition('.')[0]}" for each in records]
    tests = records[0]["tests"]
    head = f"Bindings {', '.join(ran)}; {tests} tests of the backend on each. {coverage}"
    return "\n".join([BEGIN, head, "", *table(records), "", END])


def page_with(page: str, text: str) -> str:
    """The page with this text between its marks."""
    before, begun, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise CheckError(f"{PAGE} lacks the marks {BEGIN.strip()} and {END.strip()}")
    return before + text + after


def check(write: bool) -> list[str]:
    """Every fault, one line each."""
    with TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        list(pool.map(environment, sorted({release.python for release in RELEASES})))
        records = list(pool.map(lambda release: drive(release, folder), RELEASES))
        coverage, faults = coverage_of(folder)
    text = text_of(records, coverage)
    print("\n".join(text.splitlines()[1:-1]))
    page = PAGE.read_text(encoding="utf-8")
    if write:
        PAGE.write_text(page_with(page, text), encoding="utf-8")
    elif page_with(page, text) != page:
        faults.append(f"{PAGE} is out of date: .venv/bin/python -m tests.tensorrt_api.check --write")
    return faults + unused(records)


def main() -> int:
    started = time.monotonic()
    try:
        faults = check("--write" in sys.argv[1:])
    except CheckError as error:
        faults = [str(error)]
    for fault in faults:
        print(fault, file=sys.stderr)
    said = f"{len(faults)} faults" if faults else "the backend keeps to every version's API"
    print(f"check-tensorrt-api: {said} ({time.monotonic() - started:.0f} s)")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
