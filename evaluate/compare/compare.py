"""`segeval compare`: two reports in, what changed between them out."""

from pathlib import Path

from segeval.errors import ConfigurationError
from segeval.files.encoding import encode_sealed
from segeval.files.storage import write_atomic
from segeval.progress import Progress

from ..measure.paired import permutations_for
from ..report.renewal import make_above, renewed
from ..report.report_csv import csv_bytes
from ..report.report_folder import require_place
from .changes import clean_changes, measure, questions, tests_of
from .compare_conditions import told_of_conditions
from .compare_csv import change_line, markdown
from .compare_findings import finding, notes
from .compare_matching import match
from .compare_records import FILE, KEPT, RunComparison
from .runs import OpenRun, names_of, open_run, summary

HINT = "compare reports of one set, or of sets with the same images, networks, attacks and tasks"


def compare_runs(a: Path, b: Path, seed: int, progress: Progress) -> RunComparison:
    """Compare two reports of segeval evaluate image by image, B minus A; engines of which a part is int8 are left out.

    Raises DataError, FormatError for a folder that is no report, IntegrityError for one that is of two evaluations or
    was changed, ConfigurationError for reports without a common
    engine or sample.
    """
    first, second = open_run(a), open_run(b)
    name_a, name_b = names_of(a, b)
    matched = match(first.report.engines, second.report.engines)
    pairs = [pair for pair in matched.pairs if not any(engine.is_partial for engine in pair)]
    asked = list(questions(first, second, pairs))
    if not asked:
        raise ConfigurationError(f"{a} and {b} have nothing in common: {reason(first, second)}", HINT)
    changes = measure(asked, seed, progress)
    same_set = first.report.set.sha256 == second.report.set.sha256
    return RunComparison(
        a=summary(name_a, first, second, matched.only_a),
        b=summary(name_b, second, first, matched.only_b),
        same_set=same_set,
        finding=finding(changes),
        notes=notes(first, second, same_set, changes),
        changes=tuple(changes),
        clean=tuple(clean_changes(first, second, pairs)),
        permutations=permutations_for(tests_of(asked)),
        seed=seed,
        conditions=told_of_conditions(first, second, pairs),
    )


def reason(a: OpenRun, b: OpenRun) -> str:
    """Why no sample of A has a partner in B."""
    for what, mine, theirs in (
        ("image", a.images, b.images),
        ("attack", a.attacks, b.attacks),
        ("task", a.tasks, b.tasks),
    ):
        if not mine & theirs:
            return f"no {what} is in both, as {min(mine)} and {min(theirs)}"
    return "no engine ran the same attack on the same image in both"


def write(comparison: RunComparison, out: Path) -> None:
    """Write compare.json, compare.csv and compare.md, all of them or none. Raises StorageError, ConfigurationError."""
    require_place(out, KEPT)
    make_above(out)
    with renewed(out, KEPT) as folder:
        write_atomic(folder / FILE, encode_sealed(comparison, indent=2) + b"\n")
        write_atomic(folder / "compare.csv", csv_bytes(map(change_line, comparison.changes)))
        write_atomic(folder / "compare.md", markdown(comparison).encode())
