"""Times and memory of the application with large videos."""

import random
import shutil
import statistics

import av
import cv2
import numpy as np

from hqtrack.synthetic import generate
from tests.helpers.browser import Browser
from tests.story.opened import IDLE, Server, milliseconds, page_memory, wait_long

SIZE = (1080, 1920)
STEPS, JUMPS, CLICKS, TRACKED = 25, 8, 4, 5


def measure(folder, frames):
    """Print the times and the memory for a video of so many frames."""
    video = folder / f"{frames}.mp4"
    _write(video, frames)
    profile = folder / f"profile{frames}"
    with Server(video) as server, Browser(profile) as browser:
        browser.visit(server.address)
        wait_long(browser, "document.body.dataset.shown === '1'")
        _tell(f"{frames} frames, open", server, browser)
        steps = [milliseconds(browser, "show(view.frame + 1)") for _ in range(STEPS)]
        print(f"key to next frame: {_middle(steps)}")
        chance = random.Random(1)
        jumps = [milliseconds(browser, f"show({chance.randint(1, frames)})") for _ in range(JUMPS)]
        print(f"to any frame: {_middle(jumps)}")
        _tell("looked at", server, browser)
        browser.value("show(1)")
        browser.wait("document.body.dataset.shown === '1'")
        browser.value("change('add')")
        first, *clicks = [
            milliseconds(browser, f"draw('click', [[{900 + 20 * n}, 500]], 0)")
            for n in range(CLICKS + 1)
        ]
        print(f"click to mask: first {first:.0f} ms, then {_middle(clicks)}")
        box = milliseconds(browser, "draw('box', [[600, 300], [1200, 800]], 0)")
        print(f"box to mask: {box:.0f} ms")
        _tell("marked", server, browser)
        browser.value(f"document.getElementById('to').value = {TRACKED}")
        browser.click("#track")
        browser.wait("state.job !== null")
        wait_long(browser, IDLE)
        _tell(f"{TRACKED} frames tracked", server, browser)
        shutil.rmtree(profile, ignore_errors=True)


def _tell(what, server, browser):
    print(f"{what}: server {server.memory()} MiB, page {page_memory(browser)} MiB", flush=True)


def _middle(times):
    return f"{statistics.median(times):.0f} ms (longest {max(times):.0f} ms)"


def _write(path, frames):
    """Generated frames, forwards and backwards."""
    images = generate(seed=1_000_001, frames=20, objects=2, size=(270, 480)).images
    pictures = [
        av.VideoFrame.from_ndarray(cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_CUBIC))
        for image in np.concatenate([images, images[::-1]])
    ]
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(frames):
            picture = pictures[number % len(pictures)]
            picture.pts = number
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
