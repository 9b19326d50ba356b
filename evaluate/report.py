"""The HTML report: one file that asks nobody for anything."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from segeval.bundles import Calibration
from segeval.evaluate.benchmark import wording as benchmark_words
from segeval.evaluate.benchmark.page import device_section
from segeval.evaluate.benchmark.records import BenchmarkReport
from segeval.evaluate.examples import ExampleView, LegendEntry, hexadecimal
from segeval.evaluate.figures import curves_figure, survival_figure
from segeval.evaluate.panels import FATES
from segeval.evaluate.report_records import CleanRow, EngineSummary, Estimate, SurvivalReport, SurvivalRow
from segeval.evaluate.verdict import headline, overall
from segeval.evaluate.wording import decimals, percent, stated_perturbation, with_interval
from segeval.records import encode

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class AttackGroup:
    """The rows of one attack on one model, and of them the one with the most images for the desktop's values."""

    rows: tuple[SurvivalRow, ...]
    reference: SurvivalRow

    @property
    def title(self) -> str:
        """The attack, and whom it was made for if that is not the model it was shown to."""
        row = self.reference
        return row.attack if row.victims == (row.model,) else f"{row.attack} made for {' + '.join(row.victims)}"


@dataclass(frozen=True)
class ModelSection:
    """What the report says about one model. charts: SVG elements, or empty."""

    name: str
    groups: tuple[AttackGroup, ...]
    task_groups: tuple[AttackGroup, ...]
    clean: tuple[CleanRow, ...]
    survival_chart: Markup
    curves_chart: Markup


def attack_groups(rows: Sequence[SurvivalRow]) -> tuple[AttackGroup, ...]:
    """Consecutive rows that differ in their engine only."""
    groups: dict[object, list[SurvivalRow]] = {}
    for row in rows:
        groups.setdefault((row.victims, row.attack, row.task), []).append(row)
    return tuple(AttackGroup(tuple(rows), max(rows, key=lambda row: row.images)) for rows in groups.values())


def model_section(report: SurvivalReport, model: str, number: int) -> ModelSection:
    """Tables and charts of one model. number: of the section, for ids that are unique in the page."""
    rows = [row for row in report.survival if row.model == model]
    together = [row for row in overall(report.survival) if row.model == model]
    keys = {(row.victims, row.attack, row.task) for row in together}
    curves = [c for c in report.curves if c.model == model and (c.victims, c.attack, c.task) in keys]
    scopes = {attack.label: attack.scope for attack in report.set.attacks}
    curves_chart = ""
    if curves:
        description = (
            f"Success, accuracy, ratio and perturbation of every attack on {model} over its steps; see curves.csv"
        )
        curves_chart = curves_figure(curves, scopes, f"curves-{number}", description)
    description = f"Success on the engine against survival of every attack on {model}, by precision; see survival.csv"
    return ModelSection(
        name=model,
        groups=attack_groups(together),
        task_groups=attack_groups([row for row in rows if row not in together]),
        clean=tuple(row for row in report.clean if row.model == model),
        # Drawn by figures.py from numbers and escaped names; the only markup that is not the template's own.
        survival_chart=Markup(survival_figure(together, f"survival-{number}", description)),
        curves_chart=Markup(curves_chart),
    )


def headline_rows(report: SurvivalReport) -> tuple[SurvivalRow, ...]:
    """The attack of the verdict on every engine."""
    first = headline(report.survival)
    if first is None:
        return ()
    key = (first.model, first.victims, first.attack, first.task)
    return tuple(row for row in report.survival if (row.model, row.victims, row.attack, row.task) == key)


def small_interval(estimate: Estimate) -> str:
    """``0.31–0.45``, or nothing where there is no interval."""
    return "" if estimate.low is None else f"{decimals(estimate.low)}–{decimals(estimate.high)}"


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def signed(value: float | None, reference: float | None) -> str:
    """The difference of two shares in points of 100, with its sign."""
    return "–" if value is None or reference is None else f"{100 * (value - reference):+.1f}".replace("-", "−")


def calibrated(calibration: Calibration) -> str:
    """``calibrated by percentile 99.99 on 32 images``."""
    detail = "" if calibration.percentile is None else f" {calibration.percentile:g}"
    return f"calibrated by {calibration.method}{detail} on {len(calibration.images)} images"


def unbroken(sentence: str, names: Collection[str]) -> Markup:
    """A sentence in which these names are not broken into two lines."""
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    parts = re.split(f"({pattern})", sentence)
    marked = (Markup("<span class=name>{}</span>").format(part) if part in names else escape(part) for part in parts)
    return Markup("").join(marked)


def render(report: SurvivalReport, examples: Sequence[ExampleView], benchmark: BenchmarkReport | None = None) -> bytes:
    """The report as UTF-8 HTML. examples: with their pictures.   benchmark: None if there was none."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=percent,
        decimals=decimals,
        with_interval=with_interval,
        small_interval=small_interval,
        fixed=fixed,
        signed=signed,
        perturbation=stated_perturbation,
        calibration=calibrated,
        unbroken=partial(unbroken, names={name for row in report.survival for name in (row.attack, row.model)}),
    )
    models = list(dict.fromkeys(row.model for row in report.survival))
    engines: dict[str, EngineSummary] = {engine.label: engine for engine in report.engines}
    html = environment.get_template("report.html.j2").render(
        report=report,
        sections=[model_section(report, model, number) for number, model in enumerate(models, start=1)],
        headline=headline_rows(report),
        engines=engines,
        examples=examples,
        fates=[LegendEntry(name, hexadecimal(colour)) for name, colour in FATES],
        configuration=encode(report.set.config, indent=2).decode(),
        attacks=[(attack.label, encode(attack, indent=2).decode()) for attack in report.set.attacks],
        tasks=[task.name for task in report.set.tasks],
        device=None if benchmark is None else device_section(benchmark),
        words=benchmark_words,
    )
    return html.encode()
