"""The page of the application in a real browser, against a server in this process."""

import shlex

import numpy as np
import pytest

from hqtrack.video import read_labels
from hqtrack.video.overlay import object_colours
from hqtrack.video.run_lengths import decode_mask
from tests.helpers.browser import Browser, programs
from tests.helpers.pages import on_page
from tests.helpers.serving import TOKEN, serving
from tests.helpers.waiting import Waiting

pytest.importorskip("starlette", reason="needs the extra app (pip install 'hqtrack[app]')")

pytestmark = pytest.mark.skipif(
    None in programs(), reason="needs chromium and chromedriver (apt install chromium-driver)"
)

IDLE = "!document.body.dataset.busy && state.job === null"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def port(studio):
    with serving(studio) as port:
        yield port


@pytest.fixture
def browser(running, port):
    """The page, just opened; whatever a test does with it, the console stays silent."""
    running.resize(1280, 720)
    running.messages()
    running.visit(f"http://127.0.0.1:{port}/?token={TOKEN}")
    running.wait("document.body.dataset.shown === '1'")
    yield running
    assert running.messages() == []
    running.visit("about:blank")


def draw(browser, *pixels):
    revision = browser.value("state.revision")
    browser.drag(*on_page(browser, *pixels))
    browser.wait(f"state.revision > {revision} && {IDLE}")


def track(browser):
    browser.value("document.activeElement.blur()")
    browser.press("t")
    # a busy machine takes long to load what the tracker needs
    browser.wait("state.job !== null || state.tracked > 0", 300)
    browser.wait(IDLE, 300)


def pixel(browser, x, y):
    return browser.value(
        f"Array.from(document.getElementById('picture').getContext('2d')"
        f".getImageData({x}, {y}, 1, 1).data)"
    )[:3]


def text(browser, name):
    return browser.value(f"document.getElementById('{name}').textContent")


def test_from_a_box_to_corrected_masks_and_files(browser, studio):
    """Box, refine, track, find a doubtful place, correct, track on, export; equal to Python."""
    draw(browser, (4, 2), (7, 4), (9, 6))
    assert text(browser, "objects").startswith("1given on 1")
    colour = object_colours([1])[0].tolist()
    assert pixel(browser, 4, 2) == colour
    browser.press("c")
    draw(browser, (20, 10))
    browser.press("x")
    draw(browser, (5, 4))
    browser.wait("view.masks.objects[0].clicks.length === 2")
    given = studio.masks(1)["objects"][0]
    assert [list(click) for click in given["clicks"]] == [[20, 10, True], [5, 4, False]]
    track(browser)
    assert text(browser, "pace") == "6 of 6 frames are tracked"
    browser.wait("document.querySelectorAll('#doubts option').length === 1")
    browser.press("Home", "d")
    browser.wait("document.body.dataset.shown === '2'")
    browser.press("b", "Right")
    browser.wait("document.body.dataset.shown === '3'")
    draw(browser, (25, 12), (30, 16))
    assert text(browser, "pace") == "masks from frame 3 on are to be tracked again"
    track(browser)
    assert text(browser, "pace") == "6 of 6 frames are tracked"
    labels = read_labels(studio.folder / "masks" / "00000006.png")
    columns = np.flatnonzero((labels == 1).any(axis=0))
    assert (columns[0], columns[-1]) == (28, 33)
    browser.click("#open-export")
    browser.wait("document.querySelectorAll('#formats input').length === 8")
    browser.value("document.querySelectorAll('#formats input').forEach((box) => box.click())")
    browser.click("#do-export")
    browser.wait("document.getElementById('written').textContent.startsWith('written')")
    assert (studio.folder / "export" / "overlay.mp4").stat().st_size > 0
    browser.click("#close-export")


def test_reloaded_in_the_middle_nothing_is_lost(browser, port, studio):
    draw(browser, (4, 2), (9, 6))
    track(browser)
    browser.visit(f"http://127.0.0.1:{port}/")
    browser.wait("document.body.dataset.shown === '1'")
    assert text(browser, "pace") == "6 of 6 frames are tracked"
    assert text(browser, "objects").startswith("1given on 1")


def test_the_command_line_is_told(browser, studio):
    draw(browser, (4, 2), (9, 6))
    browser.click("#outside summary")
    browser.wait("document.getElementById('command').textContent")
    assert text(browser, "command") == shlex.join(studio.command())


def test_brush_eraser_undo_and_redo(browser, studio):
    browser.press("n")
    browser.wait("state.objects.length === 1")
    browser.value("document.getElementById('radius').value = 60")
    browser.press("p")
    draw(browser, (10, 10), (20, 10))
    area = "decodeMask(view.masks.objects[0].mask).pixels.reduce((sum, one) => sum + one, 0)"
    browser.wait("view.masks.objects.length === 1")
    painted = browser.value(area)
    assert painted >= 11
    browser.press("e")
    draw(browser, (18, 10), (24, 10))
    browser.wait(f"{area} < {painted}")
    browser.click("#undo")
    browser.wait(f"{area} === {painted}")
    browser.click("#redo")
    browser.wait(f"{area} < {painted}")


def test_objects_are_named_hidden_and_deleted(browser, studio):
    browser.value("document.getElementById('name').value = '</li><b>cat'")
    browser.click("#add")
    browser.wait("state.objects.length === 1")
    assert browser.value("document.querySelector('#objects .choose').textContent") == "</li><b>cat"
    browser.click("#objects li button:nth-of-type(2)")
    browser.wait("state.objects[0].hidden")
    browser.click("#objects li button:nth-of-type(4)")
    browser.wait("state.objects.length === 0")


def test_a_mistake_is_said(browser):
    browser.press("t")
    browser.wait("document.getElementById('message').textContent.includes('nothing to track yet')")
    [logged] = browser.messages()
    assert "400" in logged


def test_another_tab_changes_what_this_one_shows(browser, studio):
    studio.change(0, {"kind": "add", "name": "from elsewhere"})
    browser.wait("state.objects.length === 1 && state.revision === 1")
    browser.press("n")
    browser.wait("state.objects.length === 2")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (500, "dark"), (360, "dark")])
def test_it_fits_the_screen(browser, width, scheme):
    browser.prefer(scheme)
    browser.phone(width, 740)
    root = "document.documentElement"
    browser.wait(f"innerWidth === {width}")
    assert browser.value(f"{root}.scrollWidth <= {root}.clientWidth")
    channels = browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    assert (int(channels[0]) < 128) == (scheme == "dark")
    browser.no_phone()
    browser.prefer("light")


def test_everything_to_operate_has_a_name_for_a_screen_reader(browser):
    browser.press("n")
    browser.wait("state.objects.length === 1")
    found = browser.command("Accessibility.getFullAXTree")["nodes"]
    operable = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in found
        if not node["ignored"]
        and any(p["name"] == "focusable" and p["value"]["value"] for p in node["properties"])
    ]
    roles = {role for role, _ in operable}
    assert roles >= {"button", "radio", "slider", "checkbox", "application", "listbox"}
    assert [each for each in operable if not each[1]] == []


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(browser):
    browser.press("n")
    browser.wait("state.objects.length === 1 && !document.getElementById('undo').disabled")
    browser.value("document.activeElement.blur()")
    order = []
    for _ in range(30):
        browser.press("Tab")
        order.append(
            browser.value(
                "(({ id, name, dataset }) => id || name || dataset.key || dataset.step)"
                "(document.activeElement)"
            )
        )
    names = ("undo", "open-export", "tool", "radius", "gone", "file", "picture", "play", "scrubber")
    names += ("track", "to", "choose-1", "name", "next-doubt")
    places = [order.index(name) for name in names]
    assert places == sorted(places)


def test_objects_are_marked_by_the_keyboard(browser, studio):
    browser.value("document.getElementById('picture').focus()")
    browser.press("Enter")
    browser.wait("drawing.cursor !== null")
    assert text(browser, "pointed").startswith("x 20, y 12: arrow keys move")
    browser.press("Left", "Left", "Up", "Enter")
    assert text(browser, "pointed") == "x 18, y 11: first corner; Enter again at the other"
    browser.press("Right", "Right", "Right", "Down", "Down", "Enter")
    browser.wait(f"state.revision === 2 && {IDLE}")
    mask = decode_mask(studio.masks(1)["objects"][0]["mask"], *studio.size)
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (18, 21, 11, 13)
    assert browser.value("view.frame") == 1
    browser.press("Escape", "Right")
    browser.wait("document.body.dataset.shown === '2'")


def test_the_page_is_closed_while_tracking(running, opened):
    """Tracking goes on, and who comes back sees it."""
    tracker = Waiting()
    with opened(lambda plan: tracker) as studio, serving(studio) as port:
        running.visit(f"http://127.0.0.1:{port}/?token={TOKEN}")
        running.wait("document.body.dataset.shown === '1'")
        draw(running, (4, 2), (9, 6))
        running.value("document.activeElement.blur()")
        running.press("t")
        running.wait("state.job !== null")
        tracker.go.release()
        running.visit("about:blank")
        for _ in range(4):
            tracker.go.release()
        studio.wait()
        assert studio.state()["tracked"] == 6
        running.visit(f"http://127.0.0.1:{port}/")
        running.wait("document.body.dataset.shown === '1'")
        assert text(running, "pace") == "6 of 6 frames are tracked"
        running.visit("about:blank")


def test_a_server_that_is_gone_is_told_and_found_again(running, opened):
    with opened() as studio, serving(studio) as port:
        running.visit(f"http://127.0.0.1:{port}/?token={TOKEN}")
        running.wait("document.body.dataset.shown === '1'")
        assert running.value("document.getElementById('lost').hidden")
    running.wait("!document.getElementById('lost').hidden")
    assert "start hqtrack app again" in text(running, "lost")
    running.press("n")
    running.visit("about:blank")
    running.messages()  # it complains of the server that is gone
