"""The gallery in a real browser: clicked through, on a phone, on paper and without its script."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from segeval.classes import CAMVID
from segeval.evaluate import SurvivalReport, evaluate
from segeval.evaluate.report.palette import class_colours

if TYPE_CHECKING:
    from tests.evaluate.conftest import World

HOSTILE = ("<img src=x onerror=alert(1)>", "</style><script>alert(2)</script>", "'\"];alert(3);//")
MODELS = ("espnet-camvid", "fast-scnn")
TWO_FRAMES = "requestAnimationFrame(() => requestAnimationFrame(arguments[0]))"


@dataclass
class Page:
    """The opened report of a world with two models and hostile names."""

    browser: Chrome
    file: Path
    world: "World"
    report: SurvivalReport

    def ask(self, script: str) -> Any:
        return self.browser.execute_script(f"return {script}")

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements("css selector", selector)

    def first(self, selector: str) -> WebElement:
        return self.browser.find_element("css selector", selector)

    def choose(self, name: str, text: str) -> None:
        Select(self.first(f".filters [name={name}]")).select_by_visible_text(text)

    def shown(self, attribute: str) -> list[str]:
        """An attribute of every case that is shown, in order."""
        return list(self.ask(f"[...document.querySelectorAll('.case:not([hidden])')].map(c => c.dataset.{attribute})"))

    def show_all(self) -> None:
        while (more := self.first("#gallery .more")).is_displayed():
            self.browser.execute_script("arguments[0].click()", more)

    def facts(self, name: str) -> list[str]:
        lines = ".case:not([hidden]) .facts:not([hidden])"
        return list(self.ask(f"[...document.querySelectorAll('{lines}')].map(f => f.dataset.{name})"))

    def to(self, selector: str) -> WebElement:
        element = self.first(selector)
        for _ in range(4):  # cases on the way get their real height when they come into view
            self.browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})", element)
            self.browser.execute_async_script(TWO_FRAMES)
        return element


@pytest.fixture(scope="module")
def opened(browser: Chrome, build_at: Callable[..., "World"], tmp_path_factory: pytest.TempPathFactory) -> Page:
    root = tmp_path_factory.mktemp("gallery")
    world = build_at(root, names=HOSTILE, models=MODELS, precisions=("fp32", "int8"))
    report = evaluate(world.set_root, [world.replay_root], root / "out")
    return Page(browser, root / "out" / "report.html", world, report)


@pytest.fixture
def page(opened: Page) -> Iterator[Page]:
    """Opened anew; nothing may have been complained about at the end."""
    opened.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    opened.browser.get(opened.file.as_uri())
    yield opened
    assert opened.browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_a_few_cases_are_shown_at_first_and_more_on_request(page: Page) -> None:
    assert len(page.report.examples) == 24
    assert len(page.shown("image")) == 6
    assert page.first(".told").text == "6 of 24 shown"
    assert page.first("#gallery .more").text == "Show 6 more"
    page.to("#gallery .more").click()
    assert len(page.shown("image")) == 12
    focused = page.ask("[...document.querySelectorAll('.case:not([hidden])')].indexOf(document.activeElement)")
    assert focused == 6  # so that a keyboard goes on where it was
    page.show_all()
    assert len(page.shown("image")) == 24 and not page.first("#gallery .more").is_displayed()


@pytest.mark.parametrize(
    ("name", "value"), [("model", "fast-scnn"), ("attack", "tanh-local"), ("task", "vehicle-to-building")]
)
def test_filters_leave_what_was_chosen(page: Page, name: str, value: str) -> None:
    page.choose(name, value)
    page.show_all()
    assert page.shown(name) == [value] * 12
    assert page.first(".told").text == "12 of 12 shown"


def test_filters_combine_and_come_back(page: Page) -> None:
    page.choose("model", "fast-scnn")
    page.choose("task", "vehicle-to-road")
    page.choose("attack", "fgsm-full")
    assert sorted(page.shown("image")) == sorted(HOSTILE)
    for name in ("model", "task", "attack"):
        page.choose(name, "all")
    assert page.first(".told").text == "6 of 24 shown"


def test_the_given_order_has_the_least_and_the_best_of_every_attack_first(page: Page) -> None:
    page.show_all()
    tags = page.ask("[...document.querySelectorAll('.case')].map(c => c.querySelector('.tag')?.textContent ?? '')")
    assert tags == ["survived least", "survived best"] * 8 + [""] * 8


def test_orders(page: Page) -> None:
    given = page.shown("image")
    for order, key, reverse in (("survived least", "survival", False), ("survived best", "survival", True)):
        page.choose("order", order)
        page.show_all()
        values = [float(value) for value in page.facts(key)]
        assert values == sorted(values, reverse=reverse) and len(set(values)) > 12
    page.choose("order", "success on the engine")
    page.show_all()
    values = [float(value) for value in page.facts("success")]
    assert values == sorted(values, reverse=True)
    page.choose("order", "image")
    page.show_all()
    assert page.shown("image") == sorted(HOSTILE * 8)
    page.choose("order", "worst and best first")
    assert page.shown("image")[:6] == given


def pixels(page: Page, element: WebElement) -> NDArray[np.uint8]:
    """The picture that an element shows."""
    name = page.browser.execute_script("return getComputedStyle(arguments[0]).backgroundImage", element)
    data = base64.b64decode(re.fullmatch(r'url\("data:image/webp;base64,(.+)"\)', name)[1])  # type: ignore[index]
    with Image.open(io.BytesIO(data)) as image:
        return np.array(image.convert("RGB"))


@pytest.mark.parametrize("engine", ["fp32", "int8"])
def test_label_maps_are_those_of_the_chosen_engine(page: Page, engine: str) -> None:
    page.choose("engine", engine)
    assert page.facts("engine") == [engine] * 6
    colours = class_colours(CAMVID)
    checked = 0
    for card in page.all(".case:not([hidden])"):
        image, task, attack, model = (card.get_attribute(f"data-{key}") for key in ("image", "task", "attack", "model"))
        maps = page.world.maps[f"{image}/{task}/{attack}/{model}", f"{model}.{engine}"]
        sides = [side.find_element("css selector", ".picture") for side in card.find_elements("css selector", ".side")]
        shown = [pixels(page, side) for side in sides[3:]]
        expected = (maps.engine_clean, maps.engine_adversarial, maps.desktop_clean, maps.desktop_adversarial)
        for picture, labels in zip(shown, expected, strict=True):
            assert (picture == colours[labels]).all()
            checked += 1
        captions = page.browser.execute_script(
            "return [...arguments[0].querySelectorAll('.engine')].map(e => e.textContent)", card
        )
        assert captions == [engine] * 3
    assert checked == 24


def at(page: Page, pair: str) -> float:
    value = page.browser.execute_script(
        "return arguments[0].style.getPropertyValue('--at')", page.first(f"{pair} .sides")
    )
    return float(value.rstrip("%"))


PHOTO, SEEN = ".case .pair.three", ".case .pair:not(.three)"


@pytest.mark.parametrize("pair", [PHOTO, SEEN])
def test_sliders_obey_the_keyboard(page: Page, pair: str) -> None:
    slider = page.to(f"{pair} input")
    clip = f"getComputedStyle(document.querySelector('{pair} .second.usual .picture')).clipPath"
    assert at(page, pair) == 50
    slider.send_keys(Keys.ARROW_RIGHT)
    assert at(page, pair) == 51 and page.ask(clip) == "inset(0px 0px 0px 51%)"
    slider.send_keys(Keys.HOME)
    assert at(page, pair) == 0
    slider.send_keys(Keys.END)
    assert at(page, pair) == 100
    first = slider.get_attribute("data-left")
    assert first and (slider.get_attribute("aria-valuetext") or "").startswith(f"100 % {first}, 0 % ")


def test_sliders_obey_the_mouse_on_the_picture(page: Page) -> None:
    picture = page.to(f"{PHOTO} .first .picture")
    width = picture.rect["width"]
    chain = ActionChains(page.browser).move_to_element(picture).click_and_hold()
    chain.move_by_offset(round(-width / 4), 0).perform()
    assert at(page, PHOTO) == pytest.approx(25, abs=1)
    ActionChains(page.browser).release().move_by_offset(round(width / 4), 0).perform()
    assert at(page, PHOTO) == pytest.approx(25, abs=1)  # let go
    assert at(page, SEEN) == 50
    assert page.first(f"{PHOTO} input").get_attribute("value") == "25"


def test_the_amplified_change_and_what_the_desktop_sees_are_a_press_away(page: Page) -> None:
    for pair, usual, other, does, back in (
        (PHOTO, ".second.usual", ".second.other", "Show the change × 32", "Show the attacked image"),
        (SEEN, ".engine-clean", ".first.other", "Show what the desktop sees", "Show what the engine sees"),
    ):
        button = page.to(f"{pair} button")
        before, after = page.first(f"{pair} {usual}"), page.first(f"{pair} {other}")
        assert (before.is_displayed(), after.is_displayed()) == (True, False)
        button.send_keys(Keys.SPACE)
        assert (before.is_displayed(), after.is_displayed()) == (False, True)
        assert button.text == back
        button.click()
        assert (before.is_displayed(), after.is_displayed()) == (True, False)
        assert button.text == does, "a button says what it does"


def test_names_stay_text_whatever_is_clicked(page: Page) -> None:
    page.choose("order", "image")
    page.show_all()
    assert page.ask("document.scripts.length") == 1
    assert page.ask("document.querySelectorAll('[onerror], [onload], img').length") == 0
    headings = set(page.ask("[...document.querySelectorAll('.case h3')].map(h => h.firstChild.textContent.trim())"))
    assert headings == set(HOSTILE)


def test_a_picture_is_embedded_once(page: Page) -> None:
    pictures = re.findall(r"data:image/webp;base64,([^)]*)", page.file.read_text())
    assert len(pictures) == len(set(pictures))
    clean = {
        page.browser.execute_script("return arguments[0].className", side)
        for side in page.all(".case .pair.three .first .picture")
    }
    assert len(clean) == len(HOSTILE)


CONTROLS = """return [...document.querySelectorAll('#gallery select, #gallery input, #gallery button')]
  .filter(e => e.checkVisibility())
  .map(e => [e.tagName, e.ariaLabel || e.labels?.[0]?.textContent.trim() || e.textContent.trim(),
             e.getBoundingClientRect().height, e.getBoundingClientRect().width])"""


def test_on_a_phone_everything_has_a_name_and_room_for_a_finger(page: Page) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        controls = page.browser.execute_script(CONTROLS)
        assert {tag for tag, *_ in controls} == {"SELECT", "INPUT", "BUTTON"}
        for tag, name, height, width in controls:
            assert name and height >= 44 and width >= 44, (tag, name, height, width)
        page.show_all()
        assert page.ask("document.documentElement.scrollWidth") == 360
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


LUMINANCE = """
const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
const rgb = colour => { canvas.fillStyle = '#000'; canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3); };
const light = colour => rgb(colour).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const behind = e => { while (e && getComputedStyle(e).backgroundColor === 'rgba(0, 0, 0, 0)') e = e.parentElement;
  return getComputedStyle(e || document.body).backgroundColor; };
const found = [];
for (const e of document.querySelectorAll('body *')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !e.checkVisibility() || e.closest('svg')) continue;
  const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
  found.push([(a + .05) / (b + .05), e.tagName + '.' + e.className]);
}
return found;"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_in_both_themes(page: Page, theme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": theme}]
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    contrasts = page.browser.execute_script(LUMINANCE)
    assert len(contrasts) > 200
    assert min(contrasts)[0] >= 4.5, min(contrasts)  # WCAG 2.2, level AA


def test_without_its_script_every_picture_is_there(page: Page) -> None:
    page.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.browser.get(page.file.as_uri())
        assert not page.first(".filters").is_displayed() and not page.first(".controls").is_displayed()
        cards = page.all(".case")
        assert len(cards) == 24 and all(card.is_displayed() for card in cards)
        pictures_begin = page.first(".case .fate")  # pictures far away are not laid out
        page.browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", pictures_begin)
        pictures = cards[0].find_elements("css selector", "[role=img]")
        assert len(pictures) == 8 and all(picture.is_displayed() for picture in pictures)
        places = {(picture.rect["x"], picture.rect["y"]) for picture in pictures}
        assert len(places) == 8  # beside each other
    finally:
        page.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_the_first_cases_are_printed_as_pairs(page: Page) -> None:
    page.show_all()
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    printed = [card for card in page.all(".case") if card.is_displayed()]
    assert len(printed) == 6
    pictures = printed[0].find_elements("css selector", "[role=img]")
    assert len({(p.rect["x"], p.rect["y"]) for p in pictures if p.is_displayed()}) == 8
    assert not page.first(".filters").is_displayed() and not page.first(".controls").is_displayed()
    clip = "getComputedStyle(document.querySelector('.second .picture')).clipPath"
    assert page.ask(clip) == "none"
