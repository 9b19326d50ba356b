"""The report in a real browser: it asks nobody for anything, shows everything, and is not fooled by names."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver import Chrome

from segeval.classes import CAMVID
from segeval.evaluate import SurvivalReport, evaluate, examples

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

HOSTILE = ("<img src=x onerror=alert(1)>", "</style><script>alert(2)</script>", "$x^2$ & {{ 7*7 }} \"'")
OUTPUTS = ("<b>Sky</b>", *CAMVID.names[1:], '"><svg onload=alert(3)>')


@dataclass
class Page:
    """The opened report of a world full of hostile names, and what happened while it was opened."""

    browser: Chrome
    report: SurvivalReport
    requests: list[str]
    console: list[dict[str, Any]]

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")


@pytest.fixture(scope="module")
def page(browser: Chrome, build_at: Callable[..., "World"], tmp_path_factory: pytest.TempPathFactory) -> Page:
    root = tmp_path_factory.mktemp("hostile")
    world = build_at(root, names=HOSTILE, outputs=OUTPUTS)
    report = evaluate(world.set_root, [world.replay_root], root / "out")
    browser.get("about:blank")
    browser.get_log("performance")  # type: ignore[no-untyped-call]
    browser.get((root / "out" / "report.html").as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    requests = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return Page(browser, report, requests, browser.get_log("browser"))  # type: ignore[no-untyped-call]


def test_no_request_leaves(page: Page) -> None:
    assert len([url for url in page.requests if url.startswith("file:")]) == 1
    assert {url.partition(":")[0] for url in page.requests} == {"file", "data"}


def test_nothing_is_complained_about(page: Page) -> None:
    assert page.console == []


def test_every_picture_renders(page: Page) -> None:
    pictures = page.ask("[...document.images].map(i => [i.complete, i.naturalWidth, i.naturalHeight, i.alt])")
    assert len(pictures) == 8 * len(page.report.examples) == 48
    assert all(done and (width, height) == (64, 48) and alt for done, width, height, alt in pictures)
    charts = page.ask(
        "[...document.querySelectorAll('svg.chart')].map(s => [s.clientWidth, s.clientHeight,"
        "s.querySelectorAll('path').length, s.getAttribute('aria-label'), s.textContent])"
    )
    assert len(charts) == 2
    for width, height, paths, label, text in charts:
        assert width > 500 and height > 200 and paths > 20 and label
        assert "fgsm-full" in text and "tanh-local" in text


def test_charts_follow_the_theme(page: Page) -> None:
    colour = "getComputedStyle(document.querySelector('svg.chart text')).fill"
    seen = set()
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        assert page.ask(colour) == page.ask("getComputedStyle(document.body).color")
        seen.add(page.ask(colour))
    assert len(seen) == 2


def test_tables_have_captions_and_headings(page: Page) -> None:
    tables = page.ask(
        "[...document.querySelectorAll('table')].map(t => [t.caption?.textContent, t.tBodies.length,"
        "[...t.tHead.rows[0].cells].every(c => c.matches('th[scope=col]') && c.textContent),"
        "[...t.tBodies].every(b => [...b.rows].every(r => r.cells[0].matches('th[scope=row], th[scope=rowgroup]')))])"
    )
    assert [bodies for _, bodies, _, _ in tables] == [2, 4, 1]  # survival, survival by task, clean
    assert all(caption is not None and columns and rows for caption, _, columns, rows in tables)
    assert page.ask("document.documentElement.lang") == "en"


def test_ids_are_unique_and_every_link_leads_somewhere(page: Page) -> None:
    ids = page.ask("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.ask("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert targets and all(target.startswith("#") and target[1:] in ids for target in targets)


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_narrow_window_does_not_overflow(page: Page, width: int) -> None:
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert page.ask("document.documentElement.scrollWidth") == page.ask("innerWidth") == width
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_tables_fit_on_paper(page: Page) -> None:
    width = 686  # A4 without its margins, in CSS pixels
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert page.ask("document.documentElement.scrollWidth") <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_names_are_text(page: Page) -> None:
    assert page.ask("document.scripts.length") == 0
    assert page.ask("document.querySelectorAll('[onerror], [onload], img[src=x]').length") == 0
    text = page.ask("document.body.innerText")
    for name in (*HOSTILE, OUTPUTS[0], OUTPUTS[-1]):
        assert name in text


def test_report_stays_small_by_showing_fewer_examples(
    shared: tuple["World", SurvivalReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, full = shared
    monkeypatch.setattr(examples, "BUDGET", 100_000)
    less = evaluate(world.set_root, [world.replay_root], tmp_path)
    assert 0 < len(less.examples) < len(full.examples) == 6
    assert less.examples == full.examples[: len(less.examples)]
    assert (tmp_path / "report.html").stat().st_size < 100_000 + 200_000
