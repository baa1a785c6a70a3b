"""The report in a real browser: it draws, it answers, it stays on the screen, and it asks nobody for anything."""

import json
import re
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pegboard_visual.report import page
from pegboard_visual.report.run_folder import read
from tests import runs
from tests.plugins.pegboard_visual.pictured import hung

CHROMIUM, DRIVER = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
selenium = pytest.importorskip("selenium", reason="no selenium; it comes with the extra [test]")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="no Chromium with its driver; on Debian: apt-get install chromium chromium-driver"
)
EVIL = "<script>alert(1)</script>"
CLASSES = [EVIL, "cat", "dog", "</script><img src=x onerror=alert(2)>"]
PHONE, DESKTOP = 390, 1280


class Browser:
    """Headless Chromium that notes what its pages ask for and complain about."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
        ):
            options.add_argument(argument)
        options.binary_location = str(CHROMIUM)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))

    def open(self, file: Path, width: int = DESKTOP, scheme: str = "light") -> None:
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        )
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width == PHONE}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.requests(), self.complaints()  # of the page before
        self.driver.get(file.as_uri())

    def requests(self) -> list[str]:
        """Every address that was asked for since the last call, those inside the page left out."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [address for address in sent if not address.startswith("data:")]

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def press(self, element: Any, *keys: str) -> None:
        self.script(
            "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'}); arguments[0].focus()", element
        )
        element.send_keys(*keys)

    def point_at(self, element: Any, across: float = 0.5) -> None:
        """Move the pointer to a place within an element, ``across`` of its width."""
        from selenium.webdriver import ActionChains

        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        aside = round((across - 0.5) * element.size["width"])
        ActionChains(self.driver).move_to_element_with_offset(element, aside, 0).perform()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    started = Browser()
    yield started
    started.driver.quit()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with pictures of every kind after each of its epochs."""
    place = tmp_path_factory.mktemp("runs") / "one"
    hooks = {"report": {"type": "Report"}, "pictured": {"type": "Pictured", "size": 400, "classes": CLASSES}}
    groups = [{"match": "*.bias", "lr_mult": 2}]
    with hung():
        runs.train(place, hooks=hooks, train_for="4 epochs", optimizer={"type": "SGD", "lr": 0.01, "groups": groups})
    return place


@pytest.fixture
def opened(browser: Browser, folder: Path) -> Browser:
    browser.open(folder / "report.html")
    return browser


def assert_quiet(browser: Browser, file: Path) -> None:
    assert browser.complaints() == []
    assert browser.requests() == [file.as_uri()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_it_draws_everything_within_the_screen_without_a_complaint(
    browser: Browser, folder: Path, width: int, scheme: str
) -> None:
    file = folder / "report.html"
    browser.open(file, width, scheme)
    for name in ("curves", *page.KINDS, "others", "config", "environment", "repeat"):
        assert browser.one(f"#{name} h2").is_displayed(), name
    assert len(browser.all(".chart svg path")) >= 3 + 2 + 2
    assert browser.script("return document.documentElement.scrollWidth") == width
    paper = browser.script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", paper)[:3])) < 200) == (scheme == "dark")
    assert_quiet(browser, file)


@pytest.mark.parametrize(
    "spoiled", ["<img src='http://127.0.0.1:9/x.png'>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>"]
)
def test_a_page_that_asks_others_or_runs_foreign_code_would_be_caught(
    browser: Browser, folder: Path, tmp_path: Path, spoiled: str
) -> None:
    """The broken specimens; the page's own policy stops them, with a complaint."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    file = tmp_path / "spoiled.html"
    file.write_text(text.replace("</main>", f"{spoiled}</main>"), encoding="utf-8")
    browser.open(file)
    with pytest.raises(AssertionError):
        assert_quiet(browser, file)


def test_names_of_classes_are_text(opened: Browser) -> None:
    assert EVIL in [head.text for head in opened.all(".matrix .numbers tbody th")]
    assert opened.script("return document.querySelectorAll('script').length") == 2
    opened.press(opened.one(".confusion"), "\ue015")  # arrow down
    assert f"{EVIL} recognised" in opened.one(".readout").text


def recorded(folder: Path, name: str) -> list[float]:
    return [record[name] for record in runs.records(folder) if name in record]


def test_the_pointer_and_the_arrow_keys_read_values(opened: Browser, folder: Path) -> None:
    from selenium.webdriver import Keys

    [chart, *_] = opened.all(".chart svg")
    tip = opened.one(".chart .tip")
    assert not tip.is_displayed()
    opened.point_at(chart, 0.97)
    assert tip.is_displayed() and "epoch 4" in tip.text
    last = recorded(folder, "val/loss")[-1]
    assert f"validation\n{last:.4g}" in tip.text or f"{last:#.4g}" in tip.text
    opened.press(chart, Keys.END, Keys.HOME)
    first = recorded(folder, "loss")[0]
    assert f"{first:#.4g}" in tip.text
    assert "epoch 0.333" in opened.one(".chart [aria-live]").get_attribute("textContent")


def test_a_series_is_switched_off_and_on_and_the_scale_is_logarithmic(opened: Browser) -> None:
    def drawn() -> list[bool]:
        return [path.get_attribute("d") != "M0 0" for path in opened.all("[data-chart='0'] path")]

    def scale() -> list[str]:
        return [text.text for text in opened.all("[data-chart='2'] svg text")]

    assert drawn() == [True, True, True]
    button = opened.all("[data-chart='0'] .legend button")[-1]
    opened.press(button, "\ue006")  # enter
    assert drawn() == [True, True, False] and button.get_attribute("aria-pressed") == "false"
    opened.press(button, " ")
    assert drawn() == [True, True, True]
    before = scale()
    opened.press(opened.one("[data-chart='2'] .log-scale input"), " ")
    assert scale() != before
    assert opened.complaints() == []


def test_the_axis_counts_iterations_on_demand(opened: Browser) -> None:
    opened.press(opened.one("[name=axis]"), "\ue014")  # arrow right
    opened.point_at(opened.one(".chart svg"), 0.97)
    assert "iteration 12" in opened.one(".chart .tip").text


def test_sliders_go_back_in_time(opened: Browser, folder: Path) -> None:
    from selenium.webdriver import Keys

    matrices = json.loads(opened.script("return document.getElementById('data').textContent"))["confusion"]
    cells = [cell.text for cell in opened.all(".confusion tbody td")]
    slider = opened.one(".matrix .slider input")
    opened.press(slider, Keys.HOME)
    first = [count for row in matrices[0]["steps"][0]["counts"] for count in row]
    assert [int(cell.get_attribute("textContent")) for cell in opened.all(".confusion tbody td")] == first
    assert opened.one(".matrix output").text == slider.get_attribute("aria-valuetext") == "epoch 1"
    opened.press(slider, Keys.END)
    assert [cell.text for cell in opened.all(".confusion tbody td")] == cells

    def shown() -> list[str]:
        return [image.get_attribute("alt") for image in opened.all("#cam img") if image.is_displayed()]

    assert shown() == ["cam drawn <b>here</b>, epoch 4, iteration 12"]
    opened.press(opened.one("#cam .slider input"), Keys.HOME)
    assert shown() == ["cam drawn <b>here</b>, epoch 1, iteration 3"]


def test_histograms_and_embeddings_answer(opened: Browser) -> None:
    from selenium.webdriver import Keys

    assert len(opened.all("#histogram rect")) == 24
    select = opened.one("#histogram select")
    before = opened.one("#histogram svg").get_attribute("aria-label")
    opened.press(select, Keys.ARROW_DOWN)
    assert opened.one("#histogram svg").get_attribute("aria-label") != before
    opened.press(opened.one("#histogram svg"), Keys.ARROW_RIGHT)
    assert re.search(r"to .*: \d+ of \d+ values", opened.one("#histogram .readout").text)
    painted = "const c = document.querySelector('.embedding canvas'); return c.toDataURL()"
    everything = opened.script(painted)
    opened.press(opened.all(".embedding .legend button")[1], " ")
    assert opened.script(painted) != everything
    assert opened.complaints() == []


def test_a_table_is_sorted_by_any_column(opened: Browser) -> None:
    def column(number: int) -> list[str]:
        return [row.text for row in opened.all(f".matrix .sortable tbody tr > :nth-child({number})")]

    button = opened.all(".matrix .sortable th button")[3]  # recall
    opened.press(button, " ")
    falling = [float(text.split()[0]) for text in column(4)]
    assert falling == sorted(falling, reverse=True)
    opened.press(button, " ")
    assert [float(text.split()[0]) for text in column(4)] == sorted(falling)
    assert opened.all(".matrix .sortable th")[3].get_attribute("aria-sort") == "ascending"


def test_the_mistakes_are_sorted_by_how_sure_the_model_was_and_by_number(opened: Browser) -> None:
    """What reads "< 0.1 %" has its number, and samples are no text: 9 comes before 10."""
    for column, held in ((3, "data-value"), (0, "textContent")):
        button = opened.all("#mistakes .sortable th button")[column]
        for order in (True, False):
            opened.press(button, " ")
            cells = opened.all(f"#mistakes .sortable tbody tr > :nth-child({column + 1})")
            values = [float(cell.get_attribute(held).replace(",", "")) for cell in cells]
            assert len(set(values)) > 2 and values == sorted(values, reverse=order)


def test_a_picture_is_enlarged_and_put_away_by_keyboard(opened: Browser) -> None:
    from selenium.webdriver import Keys

    assert not opened.one("dialog").is_displayed()
    opened.press(next(button for button in opened.all("#samples .zoom") if button.is_displayed()), Keys.ENTER)
    assert opened.one("dialog img").is_displayed()
    opened.one("dialog button").send_keys(Keys.ESCAPE)
    assert not opened.one("dialog").is_displayed()


def test_the_config_is_searched(opened: Browser) -> None:
    opened.press(opened.one("#find"), "optimizer.lr")
    shown = [row.text for row in opened.all("#settings tbody tr") if row.is_displayed()]
    assert [row.split()[0] for row in shown] == ["optimizer.lr"]
    assert opened.one("#found").text.startswith("1 of ")


def test_everything_that_can_be_used_has_a_name(opened: Browser) -> None:
    """For screen readers: no control without a label, no picture without words, one first heading."""
    nameless = opened.script(
        "return [...document.querySelectorAll('button, input, select, svg, canvas, img, [tabindex]')].filter(e =>"
        " !(e.closest('dialog') || e.textContent.trim() || e.ariaLabel || e.alt || e.labels?.length))"
        ".map(e => e.outerHTML)"
    )
    assert nameless == []
    assert len(opened.all("h1")) == 1
    levels = [int(head.tag_name[1]) for head in opened.all("h1, h2, h3, h4")]
    assert all(after <= before + 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_several_runs_side_by_side(browser: Browser, folder: Path, tmp_path: Path, width: int) -> None:
    file = tmp_path / "both.html"
    page.compare([read(folder), read(folder)], file)
    browser.open(file, width)
    assert len(browser.all("[data-chart='0'] path")) == 6
    assert browser.script("return document.documentElement.scrollWidth") == width
    assert_quiet(browser, file)
