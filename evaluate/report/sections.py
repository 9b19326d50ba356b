"""What the report says about each model, put together from its rows. Only of engines as they ship."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from segeval.precision import PRECISION_ORDER

from ..measure.engines import ships
from ..measure.report_records import CleanRow, SurvivalReport, SurvivalRow
from ..measure.report_rows import headline, overall
from .breakdown_figure import breakdown_figure
from .figures import curves_figure, survival_figure
from .wording import attack_name


@dataclass(frozen=True)
class AttackGroup:
    """The rows of one attack on one model, and of them the one with the most images for the desktop's values."""

    rows: tuple[SurvivalRow, ...]
    reference: SurvivalRow

    @property
    def title(self) -> str:
        """The attack, and whom it was made for if that is not the model alone that it was shown to."""
        return attack_name(self.reference.attack, self.reference.victims, self.reference.model)


@dataclass(frozen=True)
class ModelSection:
    """What the report says about one model. *_chart: SVG elements, or empty.

    broken_down: label of the engine of the breakdown chart.
    """

    name: str
    groups: tuple[AttackGroup, ...]
    task_groups: tuple[AttackGroup, ...]
    clean: tuple[CleanRow, ...]
    survival_chart: Markup
    curves_chart: Markup
    breakdown_chart: Markup
    broken_down: str


def model_sections(report: SurvivalReport) -> list[ModelSection]:
    """One section per model that has rows."""
    models = dict.fromkeys(row.model for row in report.survival)
    return [model_section(report, model, number) for number, model in enumerate(models, start=1)]


def model_section(report: SurvivalReport, model: str, number: int) -> ModelSection:
    """Tables and charts of one model. number: of the section, for ids that are unique in the page."""
    rows = [row for row in report.survival if row.model == model and row.ships]
    together = [row for row in overall(report.survival) if row.model == model]
    own = [row for row in together if model in row.victims]
    engine = coarsest_engine(report, model)
    # Drawn by our figures from numbers and escaped names; the only markup that is not the templates' own.
    return ModelSection(
        name=model,
        groups=attack_groups(together),
        task_groups=attack_groups([row for row in rows if row not in together]),
        clean=clean_rows(report, model),
        survival_chart=survival_chart(own, model, number),
        curves_chart=curves_chart(report, own, model, number),
        breakdown_chart=breakdown_chart(report, model, engine, number),
        broken_down=engine,
    )


def attack_groups(rows: Sequence[SurvivalRow]) -> tuple[AttackGroup, ...]:
    """Consecutive rows that differ in their engine only."""
    groups: dict[object, list[SurvivalRow]] = {}
    for row in rows:
        groups.setdefault((row.victims, row.attack, row.task), []).append(row)
    return tuple(AttackGroup(tuple(rows), max(rows, key=lambda row: row.images)) for rows in groups.values())


def coarsest_engine(report: SurvivalReport, model: str) -> str:
    """Label of the first engine of the coarsest precision that ships; empty if none does."""
    engines = [engine for engine in report.engines if engine.model == model and ships(engine)]
    return min(engines, key=lambda engine: PRECISION_ORDER.index(engine.precision)).label if engines else ""


def clean_rows(report: SurvivalReport, model: str) -> tuple[CleanRow, ...]:
    """The desktop, then the engines that ship, or all if none does."""
    other = {engine.label for engine in report.engines if engine.model == model and not ships(engine)}
    own = tuple(row for row in report.clean if row.model == model)
    shipping = tuple(row for row in own if row.engine not in other)
    return shipping if len(shipping) > 1 else own


def headline_rows(report: SurvivalReport) -> tuple[SurvivalRow, ...]:
    """The attack of the verdict on every engine that ships."""
    first = headline(report.survival)
    if first is None:
        return ()
    key = (first.model, first.victims, first.attack, first.task)
    return tuple(r for r in report.survival if r.ships and (r.model, r.victims, r.attack, r.task) == key)


def survival_chart(rows: Sequence[SurvivalRow], model: str, number: int) -> Markup:
    """Success against survival, by precision. rows: of attacks made for the model."""
    if not rows:
        return Markup("")
    description = (
        f"Success on the engine against survival of every attack made for {model}, by precision; see survival.csv"
    )
    return Markup(survival_figure(rows, f"survival-{number}", description))


def curves_chart(report: SurvivalReport, rows: Sequence[SurvivalRow], model: str, number: int) -> Markup:
    """The metrics of the attacks of these rows over their steps."""
    keys = {(row.victims, row.attack, row.task) for row in rows}
    curves = [c for c in report.curves if c.model == model and (c.victims, c.attack, c.task) in keys]
    if not curves:
        return Markup("")
    scopes = {attack.label: attack.scope for attack in report.set.attacks}
    description = (
        f"Success, accuracy, ratio and perturbation of every attack made for {model} over its steps; see curves.csv"
    )
    return Markup(curves_figure(curves, scopes, f"curves-{number}", description))


def breakdown_chart(report: SurvivalReport, model: str, engine: str, number: int) -> Markup:
    """Survival by the properties of a pixel, of the attacks that were made for this model alone."""
    rows = [row for row in report.breakdown if (row.model, row.victims, row.engine) == (model, (model,), engine)]
    description = f"Survival of every attack made for {model} alone on {engine}, by margin, border, size and class"
    return Markup(breakdown_figure(rows, report.set.attacks, f"breakdown-{number}", description))
