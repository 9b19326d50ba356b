"""The section on the device in a real browser."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver import Chrome

from segeval.evaluate import evaluate

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

ENGINE = "espnet-camvid.int8"
HOSTILE = "<img src=x onerror=alert(1)>.int8"
FLAGS = (("</style><script>alert(2)</script>", '"><svg onload=alert(3)>'), ("{{ 7*7 }}", "$x^2$ & <b>bold</b>"))
CPU = "<script>alert(4)</script> processor"


@dataclass
class Page:
    """The opened report, and what happened while it was opened."""

    browser: Chrome
    requests: list[str]
    console: list[dict[str, Any]]

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")


@pytest.fixture(scope="module")
def page(
    browser: Chrome,
    build_at: Callable[..., "World"],
    write_bench: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Page:
    root = tmp_path_factory.mktemp("device")
    world = build_at(root)
    here = write_bench(root / "here", world, watts=7.5, preset="publishable", calls=2000)
    scenarios = ("latency", "offline", "throughput")
    there = write_bench(
        root / "there", world, engines=[ENGINE, HOSTILE], flags=FLAGS, cpu=CPU, on_gpu=True, scenarios=scenarios
    )
    evaluate(world.set_root, [world.replay_root], root / "out", benches=[here, there])
    browser.get("about:blank")
    browser.get_log("performance")  # type: ignore[no-untyped-call]
    browser.get((root / "out" / "report.html").as_uri())
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    requests = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    return Page(browser, requests, browser.get_log("browser"))  # type: ignore[no-untyped-call]


def test_nothing_is_asked_for_and_nothing_complained_about(page: Page) -> None:
    assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
    assert page.console == []


def test_hostile_names_are_text(page: Page) -> None:
    assert page.ask("document.scripts.length") == 1, "the gallery's alone"
    assert page.ask("document.querySelectorAll('[onerror], [onload], img[src=x]').length") == 0
    assert page.ask("document.querySelectorAll('#device b, #device i').length") == 0
    page.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
    text = page.ask("document.querySelector('#device').innerText")
    for said in (HOSTILE, CPU, *(part for flag in FLAGS for part in flag)):
        assert said in text
    charts = page.ask("[...document.querySelectorAll('#device svg.chart')].map(s => s.textContent)")
    assert HOSTILE in charts[1]


def test_every_engine_has_its_accuracy_and_speed(page: Page) -> None:
    lines = page.ask(
        "[...document.querySelectorAll('#device table')[0].rows].map(r => [...r.cells].map(c => c.innerText.trim()))"
    )
    heads, body = lines[0], lines[1:]
    assert len(heads) == 11
    groups = [line[0] for line in body if len(line) == 1]
    assert [group.split()[:2] for group in groups] == [["Benchmark", "1"], ["Benchmark", "2"], ["Replayed", "only"]]
    engines = [line for line in body if len(line) > 1]
    assert [line[0].split("\n")[0] for line in engines] == [
        "espnet-camvid.fp32", ENGINE, ENGINE, HOSTILE, "espnet-camvid.fp16"
    ]  # fmt: skip
    known, other, hostile, unmeasured = engines[1], engines[2], engines[3], engines[4]
    assert len(known) == 11 and "8.50 W" in known[9] and "serial" in known[9]
    assert float(known[1].split()[0]) > 0 and float(known[3]) > 0, "success, then mIoU"
    assert known[7].split()[1] == "≤"
    assert other[1].startswith("not replayed with this engine") and other[6] == "not available"
    assert hostile[1] == "not replayed"
    assert unmeasured[5] == "not benchmarked"


def test_conditions_and_doubts_are_told(page: Page) -> None:
    page.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
    text = page.ask("document.querySelector('#device').innerText")
    for said in (
        "ONNX Runtime on a CPU computes fp16 and int8 files in fp32",
        "Power and energy are not available: no power rails",
        "Power: module-rail power (VDD_IN). Of benchmark 1.",
        "power and energy not available: no power rails",
        "gpu <i> 61.5 °C",
        "MAXN",
        "gpu 918–918 MHz",
        "p99: 200 calls, 662 are needed",
        "publishable: at least 10 s",
    ):
        assert said in text
    runs = page.ask(
        "[...document.querySelectorAll('#device table')[1].tBodies[0].rows].map(r => r.lastElementChild.innerText)"
    )
    assert set(runs) == {"yes"}
    assert "4 of 10 runs are publishable" in text


def test_what_a_call_is_made_of_is_told_where_it_is_known(page: Page) -> None:
    (table,) = page.ask(
        "[...document.querySelectorAll('#device table')].filter(t => t.caption.textContent.includes('made of'))"
        ".map(t => [...t.tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText.trim())))"
    )
    assert [line[0] for line in table] == [ENGINE, HOSTILE]
    for number, line in enumerate(table):
        assert float(line[2]) == 30.0 + number and float(line[3]) == 2.0 + number
        assert f"{40.0 + number:.2f} to compute" in line[4] and "doubts: " in line[4]
        assert line[5].startswith("4.50, of it 1.50 ArgMax") and "/conv <i> 3.00" in line[5]
        assert line[6] == "12.3"
    lines = page.ask("[...document.querySelectorAll('#device table')[0].rows].map(r => r.innerText)")
    (ahead,) = [line for line in lines if line.startswith(HOSTILE)]
    for said in ("a call ahead; ", "single stream ", "serial "):
        assert said in ahead


def test_links_tables_and_ids_are_in_order(page: Page) -> None:
    ids = page.ask("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))
    targets = page.ask("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert "#device" in targets and "#doubts-2" in targets
    assert all(target[1:] in ids for target in targets if not target.startswith("data:"))
    tables = page.ask(
        "[...document.querySelectorAll('#device table')].map(t => [t.caption?.textContent,"
        "[...t.tBodies].every(b => [...b.rows].every(r => r.cells[0].matches('th[scope=row], th[scope=rowgroup]')))])"
    )
    assert len(tables) == 4 and all(caption and rows for caption, rows in tables)


def test_the_distributions_are_drawn_in_both_themes(page: Page) -> None:
    charts = page.ask(
        "[...document.querySelectorAll('#device svg.chart')].map(s => [s.clientWidth, s.clientHeight, s.textContent])"
    )
    assert len(charts) == 2
    for width, height, text in charts:
        assert width > 500 and height > 200 and "latency of a call, ms" in text and ENGINE in text
    colours = set()
    for theme in ("light", "dark"):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        colours.add(page.ask("getComputedStyle(document.querySelector('#device svg.chart text')).fill"))
    assert len(colours) == 2


@pytest.mark.parametrize(("width", "media"), [(320, ""), (768, ""), (686, "print")])
def test_it_fits_on_a_phone_and_on_paper(page: Page, width: int, media: str) -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": not media}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    try:
        page.ask("document.querySelectorAll('details').forEach(d => { d.open = true })")
        assert page.ask("document.documentElement.scrollWidth") <= width
    finally:
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
