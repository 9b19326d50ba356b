"""The report in a real browser: it asks nobody for anything, shows everything, and is not fooled by names."""

import base64
import gzip
import hashlib
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from segeval.classes import CAMVID
from segeval.evaluate import SurvivalReport, evaluate
from segeval_runner.digests import is_intact

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

HOSTILE = ("<img src=x onerror=alert(1)>", "</style><script>alert(2)</script>", "$x^2$ & {{ 7*7 }} \"'")
OUTPUTS = ("<b>Sky</b>", *CAMVID.names[1:], '"><svg onload=alert(3)>')


@dataclass
class Page:
    """The opened report of a world full of hostile names, and what happened while it was opened."""

    browser: Chrome
    file: Path
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
    return Page(browser, root / "out" / "report.html", report, requests, browser.get_log("browser"))  # type: ignore[no-untyped-call]


def test_no_request_leaves(page: Page) -> None:
    assert len([url for url in page.requests if url.startswith("file:")]) == 1
    assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}  # pictures far below wait


def test_nothing_is_complained_about(page: Page) -> None:
    assert page.console == []


PICTURES = """
const [done] = arguments;
const names = [...document.querySelectorAll('.picture')].map(p => getComputedStyle(p).backgroundImage);
Promise.all([...new Set(names)].map(async name => {
  const image = new Image();
  image.src = name.slice(5, -2);
  await image.decode();
  return [name.slice(0, 26), image.naturalWidth, image.naturalHeight];
})).then(done, error => done(String(error)));
"""


def test_every_picture_renders(page: Page) -> None:
    assert page.ask("document.querySelectorAll('.case').length") == len(page.report.examples) == 12
    pictures = page.ask("[...document.querySelectorAll('[role=img]')].map(p => p.getAttribute('aria-label'))")
    assert len(pictures) == 8 * 12 + 3 + 5 and all(pictures)  # those of the gallery, charts, the strip
    for begin, width, height in page.browser.execute_async_script(PICTURES):
        assert begin == 'url("data:image/webp;base64'[:26]
        assert (width, height) in ((64, 48), (32, 24))  # the change is half as large
    assert page.ask("document.images.length") == 0


def test_every_chart_renders(page: Page) -> None:
    charts = page.ask(
        "[...document.querySelectorAll('svg.chart')].map(s => [s.clientWidth, s.clientHeight,"
        "s.querySelectorAll('path').length, s.getAttribute('aria-label'), s.textContent])"
    )
    assert len(charts) == 3
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
    # first screen, survival, details, tasks, under attack, comparisons, clean
    assert [bodies for _, bodies, _, _ in tables] == [1, 2, 2, 4, 2, 1, 1]
    assert all(caption is not None and columns and rows for caption, _, columns, rows in tables)
    assert page.ask("document.documentElement.lang") == "en"


def test_ids_are_unique_and_every_link_leads_somewhere(page: Page) -> None:
    ids = page.ask("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.ask("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    inside = [target for target in targets if not target.startswith("data:")]
    assert inside and all(target.startswith("#") and target[1:] in ids for target in inside)


def test_headings_leave_no_level_out(page: Page) -> None:
    levels = page.ask("[...document.querySelectorAll('h1, h2, h3, h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= before + 1 for before, later in itertools.pairwise(levels))


def test_images_and_what_is_excluded_are_always_told(page: Page) -> None:
    tables = "#survival table:not(.dense)"
    heads = page.ask(f"[...document.querySelectorAll('{tables} thead')].map(h => h.rows[0].lastElementChild.innerText)")
    assert heads == ["Images", ""]  # the second is in a closed part of the page
    cells = page.ask(f"[...document.querySelectorAll('{tables} tbody td:last-child')].map(c => c.textContent)")
    assert {" ".join(cell.split()) for cell in cells} == {"", "3", "3 1 not attacked"}


def test_data_can_be_saved_as_the_files_beside(page: Page) -> None:
    links = page.ask("[...document.querySelectorAll('a[download]')].map(a => [a.download, a.href])")
    folder = page.file.parent
    beside = {path.name for path in folder.iterdir()} - {"report.html", "samples.jsonl", "samples.parquet"}
    assert {name.removesuffix(".gz") for name, _ in links} == beside >= {"report.json", "samples.csv", "survival.csv"}
    compressed = 0
    for name, uri in links:
        data = base64.b64decode(uri.partition(";base64,")[2], validate=True)
        if name.endswith(".gz"):
            compressed += 1
            data = gzip.decompress(data)
        saved = (folder / name.removesuffix(".gz")).read_bytes()
        if name.removesuffix(".gz") == "report.json":  # which has the hash of the page, as no copy in it can
            embedded, report = json.loads(data), json.loads(saved)
            assert embedded["files"].items() < report["files"].items() and is_intact(embedded) and is_intact(report)
            assert {**embedded, "files": {}, "digest": ""} == {**report, "files": {}, "digest": ""}
        else:
            assert data == saved, name
    assert 0 < compressed < len(links)


def test_a_click_saves_a_file(page: Page, tmp_path: Path) -> None:
    page.browser.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    link = page.browser.find_element("css selector", "a[download='clean.csv']")
    page.browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", link)
    link.click()
    saved = tmp_path / "clean.csv"
    WebDriverWait(page.browser, 20).until(lambda _: saved.is_file())
    assert saved.read_bytes() == (page.file.parent / "clean.csv").read_bytes()


FIRST_SCREEN = ".verdict, .strip .picture, .overview tbody tr"


def test_the_first_screen_holds_the_sentence_the_pictures_and_the_matrix(page: Page) -> None:
    size = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.ask("window.scrollTo({top: 0, behavior: 'instant'})")
        ends = page.ask(f"[...document.querySelectorAll('{FIRST_SCREEN}')].map(e => e.getBoundingClientRect().bottom)")
        assert len(ends) == 1 + 5 + 4 and max(ends) <= 900
        shown = page.ask("[...document.querySelectorAll('.shot > p')].map(p => p.textContent)")
        assert shown == ["Clean image", "Attacked image", "Desktop: clean", "Desktop: attacked", "int8: attacked"]
        wide = "[...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth)"
        assert page.ask(f"{wide}.map(e => e.ariaLabel)") == [], "nothing is cut"
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_on_a_phone_success_and_survival_stand_side_by_side(page: Page) -> None:
    size = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        cells = "[...document.querySelectorAll('#survival .survived')].filter(e => e.checkVisibility())"
        for success, survived in page.ask(
            f"{cells}.map(e => [e.previousElementSibling, e].map(c => c.getBoundingClientRect().toJSON()))"
        ):
            assert success["top"] == survived["top"] and 0 < success["left"] < survived["right"] < 390
        ends = page.ask("[...document.querySelectorAll('.overview td')].map(e => e.getBoundingClientRect().right)")
        assert max(ends) < 390
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_is_blank_until_it_is_scrolled_to(page: Page) -> None:
    style = "getComputedStyle(e).contentVisibility"
    assert set(page.ask(f"[...document.querySelectorAll('body *')].map(e => {style})")) == {"visible"}


def test_engines_that_show_what_the_desktop_shows_take_one_line(page: Page) -> None:
    heads = page.ask("[...document.querySelectorAll('.overview thead th')].map(e => e.textContent)")
    assert heads == ["Attack", "desktop", "int8", "fp16"], "fp32 is what the desktop shows; most changed comes first"
    assert "fp32 shows what the desktop shows." in page.ask("document.querySelector('.overview caption').textContent")
    rows = page.ask("[...document.querySelectorAll('#survival table:not(.dense) tbody th')].map(e => e.textContent)")
    assert "fp32" not in rows and {"fp16", "int8", "fp32 shows what the desktop shows."} <= {r.strip() for r in rows}


JARGON = ("coarsest", "Newly hit", "Where it comes from", "Without an attack")


def test_words_are_plain(page: Page) -> None:
    text = page.file.read_text(encoding="utf-8")
    assert not [word for word in JARGON if word in text]


@pytest.mark.parametrize("width", [320, 360, 390, 768])
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


def test_only_small_groups_of_lines_are_kept_on_one_sheet(page: Page) -> None:
    """A whole table that may not be broken moves to the next sheet, and leaves its caption behind."""
    style = "(selector, name) => [...document.querySelectorAll(selector)].map(e => getComputedStyle(e)[name])"
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert set(page.ask(f"({style})('#survival tbody', 'breakInside')")) == {"avoid"}
        assert set(page.ask(f"({style})('#comparisons tbody, #clean tbody', 'breakInside')")) == {"auto"}
        assert set(page.ask(f"({style})('tr', 'breakInside')")) == {"avoid"}
        assert set(page.ask(f"({style})('h2, .lead, caption, thead, tr.group', 'breakAfter')")) == {"avoid"}
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_names_are_text(page: Page) -> None:
    assert page.ask("document.scripts.length") == 1
    assert page.ask("document.querySelectorAll('[onerror], [onload], img[src=x]').length") == 0
    text = page.ask("document.body.textContent")
    for name in (*HOSTILE, OUTPUTS[0], OUTPUTS[-1]):
        assert name in text


def test_only_the_one_script_may_run(page: Page) -> None:
    policy = page.ask("document.querySelector('meta[http-equiv=Content-Security-Policy]').content")
    script = page.ask("document.scripts[0].textContent")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data:"
    assert rules["script-src"] == f"'sha256-{digest}'"
    added = "const s = document.createElement('script'); s.text = 'document.title = 1'; document.body.append(s)"
    page.browser.execute_script(added)
    assert page.ask("document.title") == "What survived deployment · segeval"
    complaints = page.browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert len(complaints) == 1 and "Content Security Policy" in complaints[0]["message"]


def test_motion_is_reduced_where_it_is_asked_for(page: Page) -> None:
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert page.ask(behaviour) == "smooth"
    features = [{"name": "prefers-reduced-motion", "value": "reduce"}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    assert page.ask(behaviour) == "auto"
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_report_stays_small_by_showing_fewer_cases(
    shared: tuple["World", SurvivalReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, full = shared
    most = (world.set_root.parent / "out" / "report.html").stat().st_size - 80_000
    monkeypatch.setattr("segeval.evaluate.report.page.BUDGET", most)
    less = evaluate(world.set_root, [world.replay_root], tmp_path)
    assert 0 < len(less.examples) < len(full.examples) == 12
    assert less.examples == full.examples[: len(less.examples)]
    html = (tmp_path / "report.html").read_text()
    assert f"{12 - len(less.examples)} did not fit into the page" in html
    assert most - 50_000 < len(html.encode()) <= most
    assert "too large to embed" not in html  # numbers come before pictures
