"""The page in a real browser: the Chromium of the system, started once for all these tests."""

import re
import shutil

import pytest

from neurodyn.cli import main
from neurodyn.comparison.compare import run_comparison
from neurodyn.report import write_page
from tests.report.runs import HOSTILE, add

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this system")

TINY = [
    "--config=sequential-digits",
    "--trainer.max_epochs=2",
    "--data.limit=60",
    "--data.validation=20",
    "--model.network.widths=[5,6]",
]
PHONE, DESK = 390, 1200


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "runs"
    run_comparison(TINY, ["lnm", "planar"], 1, folder)
    last = [{"date": "2999-01-01", "command": [HOSTILE]}]
    matrix = [[1] * 10] * 10
    home = add(folder, "hostile", 0, 1.0, label=HOSTILE, confusion=matrix, starts=last)
    (home / "families.json").write_text('{"body.1": [{"families": {"<b>": 1.0}}]}')
    assert main(["report", str(folder)]) == 0
    return folder


@pytest.fixture
def opened(browser):
    """Opens a page; at the end it must not have complained, nor asked for anything."""
    complaints, asked = [], []
    contexts = []

    def open_page(path):
        view = {"width": DESK, "height": 900}
        context = browser.new_context(viewport=view, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.resolve().as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
    assert len(asked) == len(contexts), asked


def paths(page, key="0-0"):
    return page.locator(f'path[data-frames="{key}"]').get_attribute("d")


def numbers(path):
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_the_controls_move_what_they_should(opened, folder):
    page = opened(folder / "report.html")
    page.select_option('[data-chooses="dynamics"]', "0")
    last = paths(page)
    assert page.inner_text("#at") == "2"
    page.fill("#epoch", "0")
    assert page.inner_text("#at") == "0"
    assert paths(page) != last
    before = page.locator('[data-group="dynamics"]:not([hidden]) path.before').first
    drawn, moved = numbers(before.get_attribute("d")), numbers(paths(page))
    assert moved == pytest.approx(drawn, abs=0.11), "at epoch 0 the neurons are where they started"
    page.fill("#epoch", "2")
    assert paths(page) == last

    page.select_option('[data-chooses="dynamics"]', "1")
    panels = page.locator('[data-group="dynamics"]')
    assert [panel.is_visible() for panel in panels.all()] == [False, True, False]
    views = panels.nth(1).locator('[data-group="view"]')
    assert [view.is_visible() for view in views.all()] == [True, False] * 2
    page.select_option('[data-chooses="view"]', "1")
    assert [view.is_visible() for view in views.all()] == [False, True] * 2
    dots = paths(page, "1-0-1")
    page.fill("#epoch", "0")
    assert paths(page, "1-0-1") != dots
    page.select_option('[data-chooses="energy"]', "1")
    assert page.locator('[data-group="energy"][data-choice="1"]').is_visible()


def test_samples_can_be_chosen(opened, folder):
    page = opened(folder / "report.html")
    view = page.locator("#sample-view")
    first = view.inner_html()
    assert "answer" in view.inner_text()
    titles = page.locator("#sample-view h3")
    assert [title.partition(",")[0] for title in titles.all_inner_texts()] == [
        "input",
        "layer 1",
        "layer 2",
    ]
    page.select_option('[data-chooses="sample"]', "1")
    second = view.inner_html()
    assert second != first
    run = page.locator('[data-chooses="sample-run"]')
    other = "1" if run.input_value() == "0" else "0"
    run.select_option(other)
    assert view.inner_html() != second
    page.select_option('[data-chooses="sample-layer"]', "2")
    assert titles.all_inner_texts()[1].startswith("layer 2, 6 neurons")
    assert titles.count() == 2


def test_values_are_told_where_one_points(opened, folder):
    page = opened(folder / "report.html")
    page.locator("#curves").scroll_into_view_if_needed()
    box = page.locator("#curves").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + box["height"] / 2)
    told = page.inner_text("#readout")
    assert told.startswith("epoch 2:")
    assert "lnm" in told


def test_names_from_a_folder_do_not_run(opened, folder):
    page = opened(folder / "report.html")
    page.select_option('[data-chooses="dynamics"]', "2")
    page.fill("#epoch", "0")
    assert page.evaluate("window.hacked") is None
    assert HOSTILE[:20] in page.inner_text("table")


def test_it_fits_every_screen_and_paper(opened, folder):
    page = opened(folder / "report.html")
    small = """[...document.querySelectorAll('svg.plot text')].filter((t) =>
        t.checkVisibility() && t.getBoundingClientRect().height &&
        parseFloat(getComputedStyle(t).fontSize) *
        Math.hypot(t.getScreenCTM().a, t.getScreenCTM().b) < 9.5).length"""
    background = "getComputedStyle(document.body).backgroundColor"
    for width in (PHONE, DESK):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.evaluate(small) == 0, "text that is too small to read"
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert (page.evaluate(background) == "rgb(255, 255, 255)") == (scheme == "light")
    page.emulate_media(color_scheme="dark", media="print")
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.locator("table").first.is_visible()


def test_a_run_without_anything_opens(opened, tmp_path):
    home = tmp_path / "lif" / "seed-0"
    home.mkdir(parents=True)
    (home / "starts.json").write_text("[]")
    page = opened(write_page(tmp_path))
    assert "No run has been tested" in page.inner_text("main")
