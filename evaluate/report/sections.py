"""What the report says about each model, put together from its rows. Only of engines as they ship."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from segeval.files.sets import AttackSpec

from ..measure.attack_lines import rows_by_attack
from ..measure.decisive import failed
from ..measure.report_records import BreakdownRow, CleanRow, Curve, SurvivalReport, SurvivalRow
from ..measure.report_rows import ReportRows, coarsest_engine
from ..measure.row_key import within_model
from .breakdown_figure import breakdown_figure
from .figures import colours_of, curves_figure, survival_figure
from .overview import shown_as_on_desktop
from .wording import attack_name


@dataclass(frozen=True)
class AttackGroup:
    """The rows of one attack on one model, and of them the one with the most images for the desktop's values."""

    rows: tuple[SurvivalRow, ...]
    reference: SurvivalRow

    @property
    def same(self) -> tuple[str, ...]:
        """The fp32 and fp16 engines that show what the desktop shows, without the model's name."""
        return shown_as_on_desktop(self.rows)

    @property
    def changed(self) -> tuple[SurvivalRow, ...]:
        """The rows of all other engines."""
        return tuple(row for row in self.rows if within_model(row.engine, row.model) not in self.same)

    @property
    def title(self) -> str:
        """The attack, and whom it was made for if that is not the model alone that it was shown to."""
        return attack_name(self.reference.key)


@dataclass(frozen=True)
class ModelSection:
    """What the report says about one model.

    Attributes:
        groups, task_groups: of attacks made on the network.
        file_groups: of those made on deployed files, of which no survival is told.
        *_chart: SVG elements, or empty.
        file_curves_chart: of attacks made on deployed files, on these.
        broken_down: label of the engine of the breakdown chart.
        same: engines that are not in the chart of survival, since they show what the desktop shows.
    """

    name: str
    groups: tuple[AttackGroup, ...]
    task_groups: tuple[AttackGroup, ...]
    file_groups: tuple[AttackGroup, ...]
    clean: tuple[CleanRow, ...]
    survival_chart: Markup
    curves_chart: Markup
    file_curves_chart: Markup
    breakdown_chart: Markup
    broken_down: str
    same: tuple[str, ...]


def model_sections(report: SurvivalReport) -> list[ModelSection]:
    """One section per model that has rows."""
    models = dict.fromkeys(row.model for row in report.survival)
    return [model_section(report, model, number) for number, model in enumerate(models, start=1)]


def model_section(report: SurvivalReport, model: str, number: int) -> ModelSection:
    """Tables and charts of one model.

    Args:
        report: the survival report.
        model: name of the network.
        number: of the section, for ids that are unique in the page.
    """
    about = ReportRows.of(report).about(model)
    shipping = about.as_shipped
    network = shipping.on_network
    together = network.together
    on_files = [row for row in shipping.together if row.attack in about.on_files]
    curves = curves_of(report.curves, shipping.own)
    on_torch, on_deployed = ([curve for curve in curves if bool(curve.file) == deployed] for deployed in (False, True))
    coarsest = coarsest_engine(about.engines)
    engine = coarsest.label if coarsest else ""
    alone = [row for row in report.breakdown if row.key.alone and row.attack not in about.on_files]
    failing = {row.attack for row in network.own if row.engine == engine and failed(row)}
    breakdown = [row for row in alone if (row.model, row.engine) == (model, engine) and row.attack not in failing]
    same = shown_as_on_desktop(network.own)
    changed = [row for row in network.own if within_model(row.engine, model) not in same and not failed(row)]
    # Drawn by our figures from numbers and escaped names; the only markup that is not the templates' own.
    return ModelSection(
        name=model,
        groups=attack_groups(together),
        task_groups=attack_groups([row for row in network.survival if row not in together]),
        file_groups=attack_groups(on_files),
        clean=clean_rows(about),
        survival_chart=survival_chart(changed, report.set.attacks, model, number),
        curves_chart=curves_chart(on_torch, report.set.attacks, model, f"curves-{number}"),
        file_curves_chart=curves_chart(on_deployed, report.set.attacks, model, f"file-curves-{number}"),
        breakdown_chart=breakdown_chart(breakdown, report.set.attacks, model, engine, number),
        broken_down=engine,
        same=same,
    )


def attack_groups(rows: Sequence[SurvivalRow]) -> tuple[AttackGroup, ...]:
    """Consecutive rows that differ in their engine only."""
    groups = (tuple(found.values()) for found in rows_by_attack(rows).values())
    return tuple(AttackGroup(group, max(group, key=lambda row: row.images)) for group in groups)


def clean_rows(rows: ReportRows) -> tuple[CleanRow, ...]:
    """The desktop, then the engines of a model that ship, or all if none does."""
    shipping = rows.as_shipped.clean
    return shipping if len(shipping) > 1 else rows.clean


def curves_of(curves: Iterable[Curve], rows: Iterable[SurvivalRow]) -> list[Curve]:
    """The curves of the attacks that these rows are about."""
    keys = {row.key.over_engines() for row in rows}
    return [curve for curve in curves if curve.key in keys]


def survival_chart(rows: Sequence[SurvivalRow], attacks: Sequence[AttackSpec], model: str, number: int) -> Markup:
    """Success against survival, by precision.

    Args:
        rows: of attacks made for the model.
        attacks: of the set.
        model: name of the network.
        number: of the section.
    """
    if not rows:
        return Markup("")
    description = (
        f"Success on the engine against survival of every attack made for {model}, by precision; see survival.csv"
    )
    return Markup(survival_figure(rows, colours_of(attacks), f"survival-{number}", description))


def curves_chart(curves: Sequence[Curve], attacks: Sequence[AttackSpec], model: str, name: str) -> Markup:
    """The metrics of attacks over their steps. name: prefix of the ids inside."""
    if not curves:
        return Markup("")
    scopes = {attack.label: attack.scope for attack in attacks}
    description = (
        f"Success, accuracy, ratio and perturbation of every attack made for {model} over its steps; see curves.csv"
    )
    return Markup(curves_figure(curves, scopes, colours_of(attacks), name, description))


def breakdown_chart(
    rows: Sequence[BreakdownRow], attacks: Sequence[AttackSpec], model: str, engine: str, number: int
) -> Markup:
    """Survival by the properties of a pixel, of the attacks that were made for this model alone."""
    description = f"Survival of every attack made for {model} alone on {engine}, by margin, border, size and class"
    return Markup(breakdown_figure(rows, attacks, colours_of(attacks), f"breakdown-{number}", description))
