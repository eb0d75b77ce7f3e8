"""The page of ``hqtrack inspect`` in a real browser."""

import pytest

from hqtrack.records.page import write_page
from hqtrack.video.overlay import object_colours
from tests.helpers.browser import Browser, programs
from tests.helpers.recorded import make_record

NOTHING = "\N{EN DASH}"

pytestmark = pytest.mark.skipif(
    None in programs(), reason="needs chromium and chromedriver (apt install chromium-driver)"
)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_page(make_record(folder / "record"), folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(running, page):
    """The page, just opened; whatever a test does with it, the console stays silent."""
    running.messages()
    running.open(page)
    running.wait("document.body.dataset.shown === '1'")
    yield running
    assert running.messages() == []


def shown(browser, number):
    browser.wait(f"document.body.dataset.shown === '{number}'")
    return browser.value("document.getElementById('position').textContent")


def cells(browser, row):
    row = f"document.querySelectorAll('#objects tbody tr')[{row}]"
    return browser.value(f"Array.from({row}.cells, (cell) => cell.textContent)")


def pixel(browser, layer, x, y):
    canvas = f"document.querySelector('canvas[data-layer={layer}]')"
    copy = f"""(() => {{
        const copy = new OffscreenCanvas(1, 1).getContext("2d", {{ willReadFrequently: true }});
        copy.drawImage({canvas}, -{x}, -{y});
        return Array.from(copy.getImageData(0, 0, 1, 1).data);
    }})()"""
    return browser.value(copy)


def test_it_opens_on_the_first_frame(browser):
    assert browser.value("document.title") == "two squares · HQTrack"
    assert shown(browser, 1) == "frame 1 of 8"
    layers = "Array.from(document.querySelectorAll('#pictures b'), (title) => title.textContent)"
    assert browser.value(layers) == ["VMOS", "HQ-SAM", "Chosen", "Ground truth"]
    assert cells(browser, 0) == ["dog", "given", NOTHING, NOTHING, NOTHING, "0.50", "400"]
    assert cells(browser, 1) == [
        "</script><b>",
        NOTHING,
        NOTHING,
        NOTHING,
        NOTHING,
        NOTHING,
        NOTHING,
    ]


def test_keys_step_and_go_to_both_ends(browser):
    browser.press("Right", "Right", "Right")
    assert shown(browser, 4) == "frame 4 of 8"
    assert cells(browser, 0) == ["dog", "HQ-SAM", "0.63", "0.75", "0.82", "0.50", "400"]
    browser.press("Left")
    assert shown(browser, 3)
    browser.press("End")
    assert shown(browser, 8)
    browser.press("Home", "Left")
    assert shown(browser, 1)


def test_a_frame_in_the_address_is_opened(browser, page):
    browser.open(page, "#frame=6")
    assert shown(browser, 6) == "frame 6 of 8"


def test_the_scrubber_scrubs(browser):
    browser.click("#scrubber")
    middle = browser.value("Number(document.body.dataset.shown)")
    assert middle in (1, 4, 5)
    browser.value("document.getElementById('scrubber').focus()")
    browser.press("End")
    assert shown(browser, 8)
    assert browser.value("document.getElementById('scrubber').ariaValueText") == "frame 8 of 8"


def test_clicking_on_a_curve_goes_there(browser):
    browser.click("canvas[data-kind=region]")
    browser.wait("['4', '5'].includes(document.body.dataset.shown)")


def test_playing_goes_on_to_the_end_and_stops(browser):
    browser.press(" ")
    assert browser.value("document.getElementById('play').textContent") == "Stop"
    assert shown(browser, 8)
    browser.wait("document.getElementById('play').textContent === 'Play'")


def test_each_switch_of_source_is_listed_and_reached(browser):
    switches = "Array.from(document.querySelectorAll('#switches option'), (one) => one.textContent)"
    assert browser.value(switches) == [
        "frame 3 · dog: HQ-SAM → VMOS",
        "frame 4 · dog: VMOS → HQ-SAM",
        "frame 5 · dog: HQ-SAM → not seen",
        "frame 6 · dog: not seen → HQ-SAM",
        "frame 7 · dog: HQ-SAM → VMOS",
        "frame 8 · dog: VMOS → HQ-SAM",
    ]
    browser.click("#switches option:nth-child(3)")
    assert shown(browser, 5)
    assert cells(browser, 0) == ["dog", "not seen", "0.54", "0.75", NOTHING, "0.50", "0"]
    browser.value("document.activeElement.blur()")
    browser.press("]")
    assert shown(browser, 6)
    browser.press("[", "[")
    assert shown(browser, 4)


def test_the_worst_frames_are_listed_and_reached(browser):
    first = "document.querySelector('#worst option').textContent"
    assert browser.value(first) == "frame 8 · dog · 0.28"
    browser.click("#worst option")
    assert shown(browser, 8)


def test_memory_is_named_and_leads_to_its_frames(browser):
    browser.press("End")
    shown(browser, 8)
    text = "document.getElementById('memory').textContent"
    assert browser.value(text) == "Memory read: long-term 1 and short-term 7"
    browser.click("#memory a:last-child")
    assert shown(browser, 7)


def test_masks_are_painted_where_they_are(browser):
    browser.press("Right", "Right", "Right")
    shown(browser, 4)
    colour = object_colours([3])[0].tolist()
    assert pixel(browser, "coarse", 4, 20)[:3] == colour  # the outline, on its left column
    assert pixel(browser, "refined", 4, 20)[:3] == pixel(browser, "refined", 0, 0)[:3]
    assert pixel(browser, "refined", 6, 20)[:3] == colour
    background, inside = (pixel(browser, "chosen", x, 20)[1] for x in (0, 15))
    assert background < inside < colour[1]
    browser.click("#objects tbody tr:first-child input")
    assert pixel(browser, "coarse", 4, 20)[:3] == pixel(browser, "coarse", 0, 0)[:3]


def test_blended_is_one_picture(browser):
    browser.press("b")
    assert browser.value("document.querySelectorAll('#pictures canvas').length") == 1
    caption = browser.value("document.querySelector('figcaption').textContent")
    assert caption == "Chosen filled, VMOS line, HQ-SAM dashed, Ground truth black and white line"


def test_everything_to_operate_has_a_name(browser):
    unnamed = """Array.from(document.querySelectorAll('button, input, select, canvas'))
        .filter((one) => !(one.ariaLabel || one.labels?.length || one.textContent.trim()
            || one.getAttribute('aria-labelledby')))
        .map((one) => one.outerHTML)"""
    assert browser.value(unnamed) == []


def test_it_fits_a_small_screen(browser):
    assert browser.value("[innerWidth, innerHeight]") == [1280, 720]
    root = "document.documentElement"
    assert browser.value(f"{root}.scrollWidth <= {root}.clientWidth")
    assert browser.value("document.querySelector('main').getBoundingClientRect().bottom <= 720")
