"""The server of a project in a process of its own, and its page in a browser."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

IDLE = "!document.body.dataset.busy && state && state.job === null"


class Server:
    """``hqtrack app`` in the folder of a video, with the light tracker; a context manager."""

    def __init__(self, video):
        words = ["app", video.name, "--preset", "light", "--no-browser"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hqtrack", *map(str, words)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=video.parent,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
        )
        self.address = re.search(r"http://\S+", self.process.stdout.readline())[0]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()

    def kill(self):
        """End it without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()

    def memory(self):
        """MiB of its own now; files that are mapped, like torch's, do not count."""
        return own_memory(self.process.pid)


def own_memory(pid):
    """MiB that a process has for itself alone."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) // 1024


def page_memory(profile):
    """MiB of the largest renderer among the processes of a browser, by its profile."""
    largest = 0
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = place.read_bytes().split(b"\0")
            if b"--type=renderer" in words and any(str(profile).encode() in w for w in words):
                largest = max(largest, own_memory(place.parent.name))
    return largest


def wait_long(browser, condition, seconds=900):
    """Wait until a JavaScript expression is true, for much longer than ``Browser.wait``."""
    end = time.monotonic() + seconds
    while not browser.value(f"Boolean({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(condition)
        time.sleep(0.2)


def milliseconds(browser, action):
    """How long an asynchronous JavaScript expression takes in the page."""
    return browser.value(
        f"(async () => {{ const begin = performance.now(); await {action};"
        " return performance.now() - begin; })()"
    )
