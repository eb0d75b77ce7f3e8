"""The story: steps in the page, and the same in Python."""

import json
import time

import cv2
import numpy as np
from PIL import Image as PillowImage

from hqtrack import build_refiner, build_tracker
from hqtrack.compute.threads import limit_threads
from hqtrack.masks import masks_to_labels
from hqtrack.synthetic import Scene, generate
from hqtrack.video import read_image, read_labels
from hqtrack.video.run_lengths import decode_mask
from hqtrack.video.sources import open_source
from tests.helpers.browser import Browser
from tests.helpers.pages import on_page
from tests.helpers.video_files import write_video
from tests.story.opened import IDLE, Server, wait_long

SEED, SIZE = 1_000_013, (288, 512)
SCENE = Scene(bystanders=0, look_alike=0, crossing=1)
WINDOW = (1180, 700)


class Wrong(Exception):
    """Something is not as it has to be."""


def tell(folder, sequence, frames, pictures):
    """Go through all steps; raises Wrong where something is not as it has to be."""
    video, truth = _video(folder, sequence, frames)
    project = folder / "tracked" / "film"
    with Browser(folder / "profile") as browser:
        browser.resize(*WINDOW)
        teller = _Teller(browser, truth, pictures)
        with Server(video) as server:
            browser.visit(server.address)
            teller.mark()
            teller.track_half_and_reload()
        teller.expect_lost()
        browser.visit("about:blank")
        browser.messages()  # it complains of the server that is gone
        with Server(video) as server:
            browser.visit(server.address)
            teller.go_on()
            teller.correct()
            teller.export(project)
            teller.look()
            if said := browser.messages():
                raise Wrong(f"the console says: {said}")
            browser.visit("about:blank")
    _compare(video, project)
    print("label maps and first masks equal those of the same steps in Python")


def _video(folder, sequence, frames):
    """A video of the frames, and the true label maps."""
    if sequence is None:
        images, truth = generate(SEED, frames, objects=2, size=SIZE, scene=SCENE)
    else:
        files = [sorted((sequence / name).iterdir())[:frames] for name in ("color", "masks")]
        images = np.array([read_image(path) for path in files[0]])
        truth = np.array([read_labels(path) for path in files[1]])
    height, width = (side // 2 * 2 for side in images.shape[1:3])
    video = write_video(folder / "film.mp4", images[:, :height, :width])
    return video, truth[:, :height, :width]


class _Teller:
    def __init__(self, browser, truth, pictures):
        self._browser, self._truth, self._pictures = browser, truth, pictures
        self._taken = 0
        self._numbers = [int(number) for number in np.unique(truth[0]) if number][:2]

    def mark(self):
        """A box for one object, clicks for another if there is one, and strokes refine it."""
        browser = self._browser
        wait_long(browser, "document.body.dataset.shown === '1'")
        self._add("first", 1)
        self._draw("b", *_corners(self._wanted(1, 1)))
        self._shoot("a box becomes a mask")
        if len(self._numbers) == 2:
            self._add("second", 2)
            self._draw("c", _deepest(self._wanted(1, 2)))
            self._shoot("a click, too")
        self._refine(1, len(self._numbers), clicks=2)
        self._shoot("further clicks and strokes refine it")

    def track_half_and_reload(self):
        """Track to about two thirds; reload while it runs, and stop."""
        browser, half = self._browser, len(self._truth) * 2 // 3
        browser.value(f"document.getElementById('to').value = {half}")
        browser.click("#track")
        wait_long(browser, "state.tracked >= 4 || (state.job && state.job.frame >= 4)")
        self._shoot("masks as they come")
        browser.visit(browser.value("location.origin + '/'"))
        wait_long(browser, "state && document.body.dataset.shown")
        if browser.value("state.objects.length") != len(self._numbers):
            raise Wrong("objects are lost after the page was loaded again")
        wait_long(browser, "(state.job && state.job.frame >= 7) || state.tracked >= 7")

    def expect_lost(self):
        """The server was killed while it tracked: the page says so."""
        wait_long(self._browser, "!document.getElementById('lost').hidden", 30)

    def go_on(self):
        """With another server, track on to the end; then to a doubtful place."""
        browser = self._browser
        wait_long(browser, "document.body.dataset.shown === '1'")
        before = browser.value("state.tracked")
        if before < 5:
            raise Wrong(f"{before} frames are left after the server was killed")
        print(f"{before} frames are there after the server was killed while it tracked")
        self._track()
        browser.press("Home", "d")
        wait_long(browser, "document.body.dataset.shown !== '1' || !curves.doubts.length")
        self._shoot("where a mask is doubtful")

    def correct(self):
        """Correct the worst object on its worst frame, and track on."""
        browser = self._browser
        frame, number = self._worst()
        browser.value(f"show({frame})")
        browser.wait(f"document.body.dataset.shown === '{frame}'")
        browser.value("document.activeElement.blur()")
        browser.press(str(number))
        self._shoot("a frame that went wrong")
        before = self._score()
        self._refine(frame, number, clicks=2)
        browser.wait("document.getElementById('pace').textContent.includes('tracked again')")
        self._shoot("the mask is corrected; what follows is to be tracked again")
        self._track()
        self._shoot("tracked on from there")
        print(f"J {before:.3f} before the correction on frame {frame}, {self._score():.3f} after")

    def export(self, project):
        """Export in all formats."""
        browser = self._browser
        browser.click("#open-export")
        browser.wait("document.querySelectorAll('#formats input').length === 8")
        browser.value("document.querySelectorAll('#formats input').forEach((box) => box.click())")
        browser.click("#do-export")
        wait_long(browser, "document.getElementById('written').textContent.startsWith('written')")
        self._shoot("all formats")
        browser.click("#close-export")
        written = sorted(path.name for path in (project / "export").iterdir())
        print(f"exported: {', '.join(written)}")

    def look(self):
        """On a phone, in the dark."""
        self._browser.prefer("dark")
        self._browser.phone(360, 740)
        wide = self._browser.value("document.documentElement.scrollWidth")
        if wide > 360:
            raise Wrong(f"the page is {wide} pixels wide on a phone with 360")
        self._shoot("on a phone, in the dark")
        self._browser.no_phone()

    def _track(self):
        browser = self._browser
        browser.value("document.getElementById('to').value = ''")
        browser.click("#track")
        browser.wait("state.job !== null || state.tracked === state.video.frames")
        wait_long(browser, IDLE)
        if error := browser.value("state.error"):
            raise Wrong(f"tracking ended with: {error}")
        time.sleep(0.5)  # the last picture comes

    def _draw(self, tool, *pixels):
        browser = self._browser
        browser.value("document.activeElement.blur()")
        browser.press(tool)
        revision = browser.value("state.revision")
        browser.drag(*on_page(browser, *pixels))
        wait_long(browser, f"state.revision > {revision} && {IDLE}", 60)

    def _add(self, name, count):
        self._browser.value(f"document.getElementById('name').value = '{name}'")
        self._browser.click("#add")
        self._browser.wait(f"state.objects.length === {count} && {IDLE}")

    def _wanted(self, frame, number):
        return self._truth[frame - 1] == self._numbers[number - 1]

    def _refine(self, frame, number, clicks):
        """Click where the mask is most wrong, then paint over the rest that is most wrong."""
        wanted = self._wanted(frame, number)
        for turn in range(clicks + 1):
            wrong = self._mask(frame, number) ^ wanted
            if not wrong.any():
                return
            place = _deepest(wrong)
            inside = wanted[place[1], place[0]]
            if turn < clicks:
                self._draw("c" if inside else "x", place)
            else:
                self._draw("p" if inside else "e", place)

    def _mask(self, frame, number):
        objects = self._browser.value(f"ask('/api/masks/{frame}')")["objects"]
        pixels = self._browser.value(
            "Array.from(decodeMask("
            + json.dumps(next(each["mask"] for each in objects if each["number"] == number))
            + ").pixels)"
        )
        height, width = self._truth[0].shape
        return np.array(pixels, bool).reshape(width, height).T

    def _scores(self):
        """J [F,N] of the frames."""
        scores = []
        for frame in range(1, len(self._truth) + 1):
            objects = self._browser.value(f"ask('/api/masks/{frame}')")["objects"]
            row = []
            for number in range(1, len(self._numbers) + 1):
                wanted = self._wanted(frame, number)
                seen = any(each["number"] == number and each["mask"] for each in objects)
                found = self._mask(frame, number) if seen else np.zeros_like(wanted)
                union = (found | wanted).sum()
                row.append((found & wanted).sum() / union if union else 1.0)
            scores.append(row)
        return np.array(scores)

    def _score(self):
        return self._scores().mean()

    def _worst(self):
        """The frame of an object, not among the last ones, that is worst and can be seen."""
        scores = self._scores()
        seen = [[(labels == number).sum() for number in self._numbers] for labels in self._truth]
        scores[np.array(seen) < 200] = 1
        scores[len(scores) * 4 // 5 :] = 1
        frame, place = np.unravel_index(scores.argmin(), scores.shape)
        return int(frame) + 1, int(place) + 1

    def _shoot(self, what):
        self._taken += 1
        print(f"{self._taken}. {what}", flush=True)
        if self._pictures is None:
            return
        self._pictures.mkdir(parents=True, exist_ok=True)
        path = self._pictures / f"app-{self._taken}.png"
        self._browser.screenshot(path)
        picture = PillowImage.open(path).convert("RGB")
        picture.thumbnail((940, 822))
        picture.save(path.with_suffix(".jpg"), quality=78)
        path.unlink()


def _corners(mask):
    """The first and the last pixel (x, y) of the box around a mask."""
    y, x = np.nonzero(mask)
    return (int(x.min()), int(y.min())), (int(x.max()), int(y.max()))


def _deepest(mask):
    """The pixel (x, y) of a mask that is farthest from its edge."""
    padded = np.pad(mask, 1).astype(np.uint8)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(distance.argmax(), distance.shape)
    return int(x), int(y)


def _compare(video, project):
    """The masks of the project are those of the same steps in Python; raises Wrong."""
    limit_threads()
    images = [frame.image for frame in open_source(video).read()]
    content = json.loads((project / "project.json").read_bytes())
    items = content["history"]["states"][content["history"]["at"]]["items"]
    _compare_first_masks(images, items)
    tracker, given = build_tracker("light"), _given(project, items)
    numbers = sorted({number for number, _ in given})
    for frame, image in enumerate(images, start=1):
        if frame == 1:
            masks = np.array([given[number, 1] for number in numbers])
            masks[0] &= ~masks[1:].any(axis=0)  # where two overlap, the later one wins
            tracker.initialize(image, masks)
        else:
            masks = tracker.track(image).masks.copy()
            for number in numbers:
                if (number, frame) in given:
                    tracker.correct(image, given[number, frame][None], [number - 1])
                    masks &= ~given[number, frame]
                    masks[number - 1] = given[number, frame]
        found = read_labels(project / "masks" / f"{frame:08d}.png")
        if (differ := int((masks_to_labels(masks) != found).sum())) != 0:
            raise Wrong(f"frame {frame} differs from Python in {differ} pixels")


def _given(project, items):
    """The given masks by number of the object and frame."""
    return {
        (item["number"], given["frame"]): read_labels(
            project / "given" / f"{item['number']:03d}_{given['frame']:08d}.png"
        )
        > 0
        for item in items
        for given in item["given"]
    }


def _compare_first_masks(images, items):
    """What box and clicks gave, before strokes, is what the refiner gives in Python."""
    refiner = build_refiner()
    for item in items:
        for given in item["given"]:
            image = images[given["frame"] - 1]
            points = [[click[:2] for click in given["clicks"]]] if given["clicks"] else None
            labels = [[int(click[2]) for click in given["clicks"]]] if points else None
            boxes = [given["box"]] if given["box"] else None
            found = refiner.segment(image, boxes, points, labels).masks[0, 0]
            if (found != decode_mask(given["base"], *image.shape[:2])).any():
                raise Wrong(f"the mask of {item['name']} on {given['frame']} differs from Python")
