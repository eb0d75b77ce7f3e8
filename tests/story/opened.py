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


def page_memory(browser):
    """MiB of the largest renderer of a browser."""
    parents, renderers = {}, []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            pid, words = int(place.name), (place / "cmdline").read_bytes()
            parents[pid] = int((place / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"--type=renderer" in words:
                renderers.append(pid)

    def is_ours(pid):
        while pid in parents and pid != browser.pid:
            pid = parents[pid]
        return pid == browser.pid

    return max(map(own_memory, filter(is_ours, renderers)), default=0)


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
