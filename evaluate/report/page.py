"""The HTML report: one file that needs no network."""

import base64
import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from segeval.console import visible
from segeval.errors import counted
from segeval.files.encoding import encode
from segeval.files.engine_records import Calibration

from ..device import device_wording as benchmark_words
from ..device.device_records import BenchmarkReport
from ..device.section import device_section
from ..measure.adaptive import adaptive_tables
from ..measure.clean import same_truth
from ..measure.comparisons import decidable
from ..measure.corruption_tables import corruption_tables
from ..measure.decisive import failed, failed_here, told_survival
from ..measure.estimate_records import Estimate
from ..measure.report_records import Comparison, SurvivalReport
from ..measure.report_rows import ReportRows
from ..measure.row_key import within_model
from ..measure.sweep import attributions, calibration_matrices
from ..measure.transfer import transfer
from ..measure.within_noise import floor_cell, floor_percent, noise_floor
from .downloads import Download
from .gallery import NO_GALLERY, Case, Gallery, Room
from .overview import overview
from .palette import LegendEntry, hexadecimal
from .panels import FATES
from .sections import model_sections
from .under_attack_section import under_attack_section
from .wording import (
    all_victims,
    as_desktop_words,
    attack_name,
    attacked_files,
    decimals,
    p_value,
    percent,
    points,
    quantity_name,
    signed,
    stated_perturbation,
    with_interval,
    without_gap,
)

TEMPLATES = Path(__file__).parent / "templates"
BUDGET = 2_900_000
"""Bytes of a page. Numbers and charts come first, then the files embedded in it; pictures get what these leave."""
MOST_COMPARISONS = 40
"""Rows of the table of comparisons; the rest is in comparisons.csv."""
MOST_HOPELESS = 10
"""Of those that cannot be significant."""


def small_interval(estimate: Estimate) -> str:
    """``0.31–0.45``, or nothing where there is no interval."""
    return "" if estimate.low is None else f"{decimals(estimate.low)}–{decimals(estimate.high)}"


def fixed(value: float | None, digits: int = 2) -> str:
    """A number with so many decimals; a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def against(value: float | None, reference: float | None) -> str:
    """How far a share lies from another, in points of 100."""
    return points(None if value is None or reference is None else value - reference)


def calibrated(calibration: Calibration) -> str:
    """``calibrated by percentile 99.99 on 32 images``."""
    detail = "" if calibration.percentile is None else f" {calibration.percentile:g}"
    return f"calibrated by {calibration.method}{detail} on {counted(len(calibration.images), 'image')}"


def unbroken(sentence: str, names: Collection[str]) -> Markup:
    """A sentence in which these names are not broken into two lines."""
    pattern = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    marked = (
        Markup("<span class=name>{}</span>").format(shown(part)) if part in names else escape(shown(part))
        for part in re.split(f"({pattern})", sentence)
    )
    return Markup("").join(marked)


def most_significant(comparisons: Sequence[Comparison], most: int = MOST_COMPARISONS) -> list[Comparison]:
    """Comparisons with a difference, the surest first, and of these the largest; not more than `most`."""
    known = [pair for pair in comparisons if pair.paired.difference is not None]
    known.sort(key=lambda pair: (1.0 if pair.p_holm is None else pair.p_holm, -abs(pair.paired.difference or 0.0)))
    return known[:most]


def script() -> tuple[Markup, str]:
    """The page's one script, and the source expression that lets a browser run it and no other."""
    text = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"'sha256-{digest}'"


def shown(value: Any) -> Any:
    """A value as a page has it: in names and sentences, control characters and changes of direction are escaped."""
    return visible(value, "\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def environment(names: Collection[str] = (), folders: Sequence[Path] = (TEMPLATES,)) -> Environment:
    """The templates' surroundings.

    Args:
        names: not to be broken into two lines.
        folders: of the templates.
    """
    made = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        attack_name=attack_name,
        all_victims=all_victims,
        as_desktop_words=as_desktop_words,
        attack_failed=failed,
        failed_here=failed_here,
        told_survival=told_survival,
        percent=percent,
        decimals=decimals,
        with_interval=with_interval,
        small_interval=small_interval,
        fixed=fixed,
        signed=signed,
        points=points,
        without_gap=without_gap,
        against=against,
        same_truth=same_truth,
        p_value=p_value,
        quantity_name=quantity_name,
        noise_floor=noise_floor,
        floor_percent=floor_percent,
        floor_cell=floor_cell,
        within_model=within_model,
        perturbation=stated_perturbation,
        calibration=calibrated,
        counted=counted,
        unbroken=partial(unbroken, names=names),
    )
    return made


class Page:
    """A report as a page; its charts are drawn once. benchmark: if any."""

    def __init__(self, report: SurvivalReport, benchmark: BenchmarkReport | None = None) -> None:
        text, allowed = script()
        rows = ReportRows.of(report)
        tellable = decidable(report.comparisons)
        self._environment = environment({name for row in report.survival for name in (row.attack, row.model)})
        self._parts: dict[str, Any] = {
            "report": report,
            "sections": model_sections(report),
            "overview": overview(rows),
            "engines": {engine.label: engine for engine in report.engines},
            "shipping": rows.as_shipped.engines,
            "attacked": under_attack_section(report),
            "adaptive": adaptive_tables(rows, report.comparisons, report.set),
            "attacked_files": attacked_files(report.set.config),
            "on_files": rows.on_files,
            "seen_rounded": {attack.whole_levels or attack.dithered for attack in report.set.attacks},
            "transfer": transfer(rows),
            "matrices": calibration_matrices(rows),
            "attributions": attributions(rows),
            "corruptions": corruption_tables(rows),
            "decidable": most_significant(tellable),
            "hopeless": most_significant([pair for pair in report.comparisons if pair not in tellable], MOST_HOPELESS),
            "fates": [LegendEntry(name, hexadecimal(colour)) for name, colour in FATES],
            "configuration": encode(report.set.config, indent=2).decode(),
            "attacks": [(attack.label, encode(attack, indent=2).decode()) for attack in report.set.attacks],
            "tasks": [task.name for task in report.set.tasks],
            "device": None if benchmark is None else device_section(benchmark),
            "words": benchmark_words,
            "script": text,
            "script_hash": Markup(allowed),
        }

    def render(self, gallery: Gallery, downloads: Sequence[Download]) -> bytes:
        """UTF-8 HTML.

        Args:
            gallery: with its pictures.
            downloads: the files beside it.
        """
        template = self._environment.get_template("report.html.j2")
        return template.render(self._parts, gallery=gallery, downloads=downloads).encode()

    def left(self, gallery: Gallery) -> int:
        """Bytes of the budget that are left with this gallery and without files. Negative if it is exceeded."""
        return BUDGET - len(self.render(gallery, ()))

    def room(self, files: int) -> Room:
        """For a gallery.

        Args:
            files: bytes kept free for those that are embedded.
        """
        return Room(self.left(NO_GALLERY) - files, self._case_size)

    def _case_size(self, case: Case) -> int:
        """Bytes that a case takes in the page without its pictures."""
        return self._gallery_size((case,)) - self._gallery_size(())

    def _gallery_size(self, cases: tuple[Case, ...]) -> int:
        template = self._environment.get_template("gallery.html.j2")
        return len(template.render(self._parts, gallery=replace(NO_GALLERY, cases=cases)).encode())
