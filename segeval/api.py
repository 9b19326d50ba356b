"""The chain from Python, for notebooks: each step returns its folder as an object that shows itself.

from segeval.api import craft, deploy, evaluate, replay

adversarial = craft("runs/set", "synthetic", ["fast-scnn-synthetic"], limit=4)
bundle = deploy(adversarial, "runs/bundle", precisions=["fp32", "int8"])
report = evaluate(adversarial, replay(bundle, "runs/replay"), "runs/report")
report.to_pandas()
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from segeval.errors import ConfigurationError, MissingPrerequisiteError, counted
from segeval.files.bundles import BundleFolder, BundleManifest
from segeval.files.set_folder import SetFolder
from segeval.files.sets import AdversarialSet, CraftConfig
from segeval.places import dataset_root, with_home
from segeval.progress import Progress, silent
from segeval.python_calls import called_from_python
from segeval.registry import attacks_of

if TYPE_CHECKING:
    import pandas

    from segeval.evaluate import SurvivalReport
    from segeval.evaluate.compare import RunComparison
    from segeval.files.replays import Replay
    from segeval.precision import Precision

DEFAULT_ENGINE = "int8"
"""The deployed file that attacks are made on if none is named."""


@dataclass(frozen=True)
class CraftedSet:
    """An adversarial set. path: its folder."""

    path: Path

    @property
    def manifest(self) -> AdversarialSet:
        """What it was made from."""
        return SetFolder(self.path).complete_manifest()

    def to_pandas(self) -> "pandas.DataFrame":
        """A row per sample and network: success, the size of the change in 8-bit levels."""
        rows = [
            {
                "image": sample.image,
                "task": sample.task,
                "attack": sample.attack,
                "victims": "+".join(sample.victims),
                "model": model,
                "success": counts.success,
                "mean": sample.norms.mean,
                "mean_phi": sample.norms.mean_phi,
                "l2": sample.norms.l2,
                "linf": sample.norms.linf,
            }
            for sample in SetFolder(self.path).samples()
            for model, counts in sample.counts.items()
        ]
        return frame(rows)

    def _repr_html_(self) -> str:
        manifest = self.manifest
        attacks = ", ".join(spec.label for spec in manifest.attacks)
        return shown(self.path, f"{counted(manifest.sample_count, 'adversarial image')}, {attacks}")


@dataclass(frozen=True)
class Bundle:
    """Deployed networks. path: the bundle's folder."""

    path: Path

    @property
    def manifest(self) -> BundleManifest:
        """Its engines and their parity with PyTorch."""
        return BundleFolder(self.path).manifest()

    def _repr_html_(self) -> str:
        return shown(self.path, ", ".join(engine.name for engine in self.manifest.engines))


@dataclass(frozen=True)
class Replayed:
    """Label maps and latencies of a bundle. path: the replay's folder. record: what was run."""

    path: Path
    record: "Replay" = field(repr=False)

    def _repr_html_(self) -> str:
        return shown(self.path, ", ".join(engine.name for engine in self.record.engines))


@dataclass(frozen=True)
class Report:
    """How much survived. path: the report's folder. record: every number of it."""

    path: Path
    record: "SurvivalReport" = field(repr=False)

    def to_pandas(self) -> "pandas.DataFrame":
        """A row per network, attack, task and engine: docs/survival.md explains the columns."""
        found: pandas.DataFrame = pandas_here().read_csv(self.path / "survival.csv")
        return found

    def _repr_html_(self) -> str:
        lines = "<br>".join(map(escape, self.record.verdict))
        page = shown(self.path / "report.html", "") + f"<p>{lines}</p>"
        with suppress(MissingPrerequisiteError):  # without pandas there is no table
            page += str(self.to_pandas().to_html(max_rows=20))
        return page


@dataclass(frozen=True)
class Compared:
    """What changed between two reports. record: every difference, B minus A."""

    record: "RunComparison"

    def to_pandas(self) -> "pandas.DataFrame":
        """A row per difference, significant ones first, with the columns of compare.csv."""
        from segeval.evaluate.compare import change_line

        return frame([change_line(change) for change in self.record.changes])

    def _repr_html_(self) -> str:
        return "".join(f"<p>{escape(line)}</p>" for line in (self.record.finding, *self.record.notes))


@called_from_python("segeval.files.sets", "CraftConfig")
def craft(
    out: str | Path,
    dataset: str,
    models: Sequence[str],
    attacks: Sequence[str] = ("standard",),
    *,
    resume: bool = False,
    workers: int = 1,
    progress: Progress = silent,
    **options: Any,
) -> CraftedSet:
    """Craft adversarial images, as `segeval craft` does.

    Args:
        out: folder of the set.
        dataset: a name from `segeval ls datasets`.
        models: networks or model cards.
        attacks: attacks or suites.
        resume: go on with an unfinished set.
        workers: processes.
        progress: called with the stage, what is done of it and its total.
        **options: fields of `CraftConfig`: limit, steps, tasks, scopes, split, size …; `settings` may be a mapping, as
            in ``{"pgd.budget": 4}``, and `bundle` what `deploy` returned.

    Raises:
        SegevalError: for what does not fit.
    """
    from segeval.generate.crafting.craft import Crafter

    config = crafting_config(dataset, models, attacks_of(listed("attacks", attacks)), **options)
    Crafter(config, Path(out)).run(resume, progress, workers)
    return CraftedSet(Path(out))


def crafting_config(dataset: str, models: Sequence[str], attacks: Sequence[str], **options: Any) -> CraftConfig:
    """A configuration as records keep it: with tuples and absolute folders, its split and its deployed files said.

    The functions here and the commands make theirs by it, so that one continues what the other began.

    Args:
        dataset: a name from `segeval ls datasets`.
        models: networks or model cards.
        attacks: no suites.
        **options: further fields of `CraftConfig`.

    Raises:
        ConfigurationError: for a dataset or a value that is not possible; TypeError for an option that does not exist.
    """
    from segeval.datasets import default_split

    given = dict(options)
    if isinstance(given.get("settings"), Mapping):
        given["settings"] = settings_as_typed(given["settings"])
    root, bundle = dataset_root(given.get("data_root")), given.get("bundle")
    given["split"] = given.get("split") or default_split(dataset)
    given["data_root"] = str(root) if root else None
    given["bundle"] = str(folder_of(bundle).absolute()) if bundle else None
    on_files = set(given.get("on", ())) - {"fp32"}
    given["engines"] = tuple(dict.fromkeys(given.get("engines") or ([DEFAULT_ENGINE] if on_files else ())))
    return sensible(CraftConfig(dataset, tuple(listed("models", models)), tuple(attacks), **given))


def settings_as_typed(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Attack parameters as `--set` takes them, so that Python and the command line make the same set."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    return tuple(f"{key}={text}" for key, text in texts.items())


LEAST = {"limit": 1, "steps": 1, "batch_size": 1, "seed": 0, "stop_at": 0}
"""The smallest value of options that are numbers."""


def sensible(config: CraftConfig) -> CraftConfig:
    """A configuration with values of the types that its record has, or else nobody could read the set.

    Raises ConfigurationError naming the option that is wrong.
    """
    import msgspec

    try:
        made = msgspec.convert(msgspec.to_builtins(config), CraftConfig)
    except (msgspec.ValidationError, TypeError, OverflowError) as error:
        told = str(error).replace("`$.", "`")
        raise ConfigurationError(
            f"an option of craft is not possible: {told}", "options are the fields of segeval.files.sets.CraftConfig"
        ) from error
    for name, least in LEAST.items():
        value = getattr(made, name)
        if value is not None and not value >= least:
            raise ConfigurationError(f"{name} is {value}, and must be at least {least}")
    if made.stop_at is not None and made.stop_at > 1:
        raise ConfigurationError(f"stop_at is {made.stop_at}, and is a rate of success, at most 1")
    return made


def listed(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """Several names. Raises ConfigurationError for a single text, whose letters would be taken for names."""
    if isinstance(values, str):
        raise ConfigurationError(f"{name} is one text, and must be a list", f"write {name}=[{values!r}]")
    return values


@called_from_python("segeval.deploy", "deploy")
def deploy(
    adversarial: CraftedSet | str | Path,
    out: str | Path,
    target: str = "cpu",
    precisions: "Sequence[Precision] | None" = None,
    *,
    allow: Sequence[str] = (),
    weights: Mapping[str, str | Path] = MappingProxyType({}),
    data_root: str | Path | None = None,
    **options: Any,
) -> Bundle:
    """Write a bundle, as `segeval deploy` does.

    Args:
        adversarial: the set.
        out: folder of the bundle.
        target: a name from `segeval ls targets`.
        precisions: None for those of the target.
        allow: code of your own network or dataset that may run, as `--allow` names it.
        weights: files that the set does not carry and that are not where they were, by its networks' names.
        data_root: of the set's dataset, if it is not where it was.
        **options: further arguments of `segeval.deploy.deploy`: calibrations, corruptions, batch, progress …
    """
    from segeval.deploy import deploy as write_bundle
    from segeval.deploy.given import Given

    if precisions is not None:
        listed("precisions", precisions)
    files = {name: with_home(file) for name, file in weights.items()}
    given = Given(files, dataset_root(data_root), frozenset(listed("allow", allow)))
    write_bundle(folder_of(adversarial), Path(out), target, precisions, given=given, **options)
    return Bundle(Path(out))


@called_from_python("segeval.deploy", "replay")
def replay(bundle: Bundle | str | Path, out: str | Path, progress: Progress = silent, **options: Any) -> Replayed:
    """Run a bundle on this machine, as `segeval replay` does.

    Args:
        bundle: to run.
        out: folder of the replay.
        progress: called with the stage, what is done of it and its total.
        **options: further arguments of `segeval.deploy.replay`: backend, engines, warmup, threads, prebuilt, shard.
    """
    from segeval.deploy import replay as run_bundle

    return Replayed(Path(out), run_bundle(folder_of(bundle), Path(out), progress, **options))


@called_from_python("segeval.evaluate", "evaluate")
def evaluate(
    adversarial: CraftedSet | str | Path,
    replays: "Replayed | str | Path | Sequence[Replayed | str | Path]",
    out: str | Path,
    seed: int = 0,
    progress: Progress = silent,
    workers: int | None = 1,
    benches: Sequence[str | Path] = (),
    label_maps: bool = False,
    gates: Sequence[str] = (),
) -> Report:
    """Measure what survived and write the report, as `segeval evaluate` does.

    Args:
        adversarial: the set.
        replays: of it, one or several.
        out: folder of the report.
        seed: of the intervals.
        progress: called with the stage, what is done of it and its total.
        workers: processes that count, None for one per core unless the set is small; a script that has more than one
            calls this below `if __name__ == "__main__":`.
        benches: folders of benchmarks to add.
        label_maps: also write the label maps as PNG.
        gates: conditions, as in ``int8.success < 0.5`` (docs/command-line.md).

    Raises:
        GateMissedError: for a gate that failed, once the report is written; SegevalError for what does not fit.
    """
    from segeval.evaluate import check_gates, parse_gate, require_gates_held, require_known_gates
    from segeval.evaluate import evaluate as measure

    conditions = list(map(parse_gate, listed("gates", gates)))
    several = [replays] if isinstance(replays, Replayed | str | Path) else list(replays)
    folders = [folder_of(each) for each in several]
    added = [folder_of(each) for each in listed("benches", benches)]
    require_known_gates(conditions, folder_of(adversarial), folders)
    record = measure(folder_of(adversarial), folders, Path(out), seed, progress, added, label_maps, workers)
    require_gates_held(check_gates(record, conditions))
    return Report(Path(out), record)


@called_from_python("segeval.evaluate.compare", "compare_runs")
def compare(
    run_a: Report | str | Path,
    run_b: Report | str | Path,
    out: str | Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
    gates: Sequence[str] = (),
) -> Compared:
    """Measure what changed between two reports, as `segeval compare` does.

    Args:
        run_a: a report.
        run_b: the report to compare with it; differences are B minus A.
        out: folder for compare.json, compare.csv and compare.md, None to write nothing.
        seed: of the tests.
        progress: called with the stage, what is done of it and its total.
        gates: conditions, as in ``int8.success.change < 0.05`` (docs/command-line.md).

    Raises:
        GateMissedError: for a gate that failed, once all is written; SegevalError for what does not fit.
    """
    from segeval.evaluate import check_changes, parse_change_gate, read_report, require_gates_held
    from segeval.evaluate.compare import compare_runs, write
    from segeval.evaluate.compare.compare_records import KEPT
    from segeval.evaluate.report.report_folder import require_place

    conditions = list(map(parse_change_gate, listed("gates", gates)))
    a, b = folder_of(run_a), folder_of(run_b)
    if out is not None:
        require_place(Path(out), KEPT)
    comparison = compare_runs(a, b, seed, progress)
    if out is not None:
        write(comparison, Path(out))
    require_gates_held(check_changes(read_report(a), read_report(b), comparison, conditions))
    return Compared(comparison)


def folder_of(result: "CraftedSet | Bundle | Replayed | Report | str | Path") -> Path:
    """The folder of a result, or a folder itself."""
    return Path(result) if isinstance(result, str | Path) else result.path


def pandas_here() -> Any:
    """The module pandas. Raises MissingPrerequisiteError."""
    try:
        import pandas
    except ModuleNotFoundError as error:
        raise MissingPrerequisiteError("pandas is not installed", "pip install pandas") from error
    return pandas


def frame(rows: Sequence[dict[str, Any]]) -> "pandas.DataFrame":
    """Rows as a data frame. Raises MissingPrerequisiteError."""
    found: pandas.DataFrame = pandas_here().DataFrame(rows)
    return found


def shown(path: Path, what: str) -> str:
    """A line of HTML with a link."""
    return f'<p><a href="{escape(path.as_posix())}">{escape(str(path))}</a> {escape(what)}</p>'
