"""A headless Chromium, driven through chromedriver in the words of the W3C's WebDriver."""

import base64
import json
import re
import shutil
import subprocess
import urllib.request

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_STARTED = re.compile(r"started successfully on port (\d+)")
_KEYS = {
    "Left": "\ue012",
    "Up": "\ue013",
    "Right": "\ue014",
    "Down": "\ue015",
    "Home": "\ue011",
    "End": "\ue010",
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
}
_SIZE = (1280, 720)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def programs():
    """The paths of Chromium and of its driver; None for what is not installed."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    return browser, shutil.which("chromedriver")


class Browser:
    """A context manager; by default it waits up to nine seconds for what is to come."""

    def __init__(self, profile, flags=()):
        browser, driver = programs()
        self._driver = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = next(match[1] for line in self._driver.stdout if (match := _STARTED.search(line)))
        # what the environment says about proxies is not for this machine's own ports
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._address = f"http://127.0.0.1:{port}/session"
        options = {"binary": browser, "args": [*_FLAGS, f"--user-data-dir={profile}", *flags]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 600_000},
        }
        try:
            session = self._call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        except OSError:
            self._stop()
            raise
        self._address += f"/{session['sessionId']}"
        self._fit(*_SIZE)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._call("DELETE", "")
        self._stop()

    @property
    def pid(self):
        """The process of the driver, of which all of the browser descend."""
        return self._driver.pid

    def _fit(self, width, height):
        """Give the page this size; the window around it is higher."""
        outer = self._call("POST", "/window/rect", {"width": width, "height": height})["height"]
        frame = outer - self.value("innerHeight")
        self._call("POST", "/window/rect", {"width": width, "height": height + frame})

    def _stop(self):
        self._driver.terminate()
        self._driver.communicate()

    def open(self, path, fragment=""):
        """Open a file as people do, by its path."""
        self._call("POST", "/url", {"url": "about:blank"})
        self._call("POST", "/url", {"url": path.as_uri() + fragment})

    def visit(self, address):
        """Open an address."""
        self._call("POST", "/url", {"url": address})

    def drag(self, *places):
        """Press the mouse at the first of these places (x, y) of the page, and let go at the last.

        A single place is a click.
        """
        down, up = ({"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp"))
        moves = [{"type": "pointerMove", "x": x, "y": y, "duration": 20} for x, y in places]
        actions = [moves[0], down, *moves[1:], up]
        kind = {"pointerType": "mouse"}
        source = {"type": "pointer", "id": "mouse", "parameters": kind, "actions": actions}
        self._call("POST", "/actions", {"actions": [source]})

    def resize(self, width, height):
        """Give the page another size."""
        self._fit(width, height)

    def command(self, name, **parameters):
        """A command of Chromium's own protocol for developers."""
        content = {"cmd": name, "params": parameters}
        return self._call("POST", "/goog/cdp/execute", content)

    def phone(self, width, height):
        """Show the page as on a phone with so many pixels; a window cannot be so narrow."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2,
            mobile=True,
        )

    def no_phone(self):
        """Undo ``phone``."""
        self.command("Emulation.clearDeviceMetricsOverride")

    def prefer(self, scheme):
        """Ask pages for light or dark colours."""
        wanted = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", features=wanted)

    def value(self, expression):
        """What a JavaScript expression is, once it is settled."""
        return self._call("POST", "/execute/sync", {"script": f"return {expression}", "args": []})

    def wait(self, condition, seconds=9):
        """Wait until a JavaScript expression is true; raises AssertionError if it stays false."""
        poll = (
            "const done = arguments[0], begin = performance.now();"
            f"(function look() {{ const met = ({condition});"
            f" met || performance.now() - begin > {1000 * seconds} ? done(Boolean(met)) :"
            " requestAnimationFrame(look); })()"
        )
        if not self._call("POST", "/execute/async", {"script": poll, "args": []}):
            raise AssertionError(f"did not come: {condition}")

    def press(self, *keys):
        """Press these keys one after the other: characters, or names of ``_KEYS``."""
        characters = [_KEYS.get(key, key) for key in keys]
        strokes = [
            {"type": kind, "value": character}
            for character in characters
            for kind in ("keyDown", "keyUp")
        ]
        source = {"type": "key", "id": "keyboard", "actions": strokes}
        self._call("POST", "/actions", {"actions": [source]})

    def click(self, selector):
        """Click on the middle of an element, which has to be visible."""
        query = {"using": "css selector", "value": selector}
        element = self._call("POST", "/element", query)[_ELEMENT]
        self._call("POST", f"/element/{element}/click", {})

    def messages(self):
        """What came to the console since this was asked last."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def _call(self, method, path, content=None):
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._address + path, data, method=method)
        with self._opener.open(request, timeout=600) as reply:
            return json.load(reply)["value"]
