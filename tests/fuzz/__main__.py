"""``python -m tests.fuzz``: random sessions with the TraX process until something is wrong.

Each session is a script made from a seed. A failure is reduced to a short script, which is printed
as a line for ``tests/fuzz/cases.py``.
"""

import argparse
import collections
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import cv2

import hqtrack.vot.session  # noqa: F401  (what every child would load)
from hqtrack import version
from hqtrack.video import read_image
from tests.fuzz.cases import CASES
from tests.fuzz.generate import random_script
from tests.fuzz.images import make_images
from tests.fuzz.script import GOOD_IMAGES, Script
from tests.fuzz.session import Wrong, check
from tests.helpers.residents import processes

WAYS = {"fork": 0.80, "socket": 0.12, "resident": 0.07, "real": 0.01}


def main() -> int:
    """Run sessions; 0 if all went as they have to, 1 after a failure."""
    args = _arguments()
    # a shell ignores some in the background, and children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    cv2.setNumThreads(0)  # a child has none of the threads of its parent
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4))
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="fuzz") as folder:
        images, sockets = Path(folder, "images"), Path(folder, "sockets")
        make_images(images)
        sockets.mkdir()
        # what loads on first use loads here, and not again in every child
        version()
        read_image(images / GOOD_IMAGES[0])
        try:
            return _run(args, seed, images, sockets)
        finally:
            for process in processes(sockets):
                os.kill(process, signal.SIGKILL)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000, help="how many at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long at most")
    parser.add_argument("--seed", type=int, help="of the first session; the next one's is higher")
    parser.add_argument("--way", choices=WAYS, help="start all processes this way")
    parser.add_argument("--calm", action="store_true", help="only sessions that go well")
    parser.add_argument("--cases", action="store_true", help="run the cases that were kept, too")
    return parser.parse_args()


def _run(args: argparse.Namespace, seed: int, images: Path, sockets: Path) -> int:
    ways = {args.way: 1.0} if args.way else WAYS
    began = time.monotonic()
    counts: collections.Counter[str] = collections.Counter()
    descriptors = len(os.listdir("/proc/self/fd"))
    todo = [(0, case) for case in CASES] if args.cases else []
    number = 0
    while todo or (number < args.sessions and time.monotonic() - began < args.seconds):
        if todo:
            own, script = todo.pop(0)
        else:
            own = seed + number
            script = random_script(random.Random(own), ways, args.calm)
            number += 1
        try:
            check(script, images, sockets)
            _check_leaks(descriptors)
        except Wrong as wrong:
            print(f"session {own}: {wrong}\n{script}\nreducing", flush=True)
            print(f"reduced:\n    {_reduced(script, wrong, images, sockets)!r},")
            return 1
        counts[script.way] += 1
        if counts.total() % 500 == 0:
            print(f"{counts.total()} sessions, next seed {seed + number}", flush=True)
        if args.way == "resident" and counts["resident"] in (20, 200):
            _print_sizes(counts["resident"], sockets)
    seconds = time.monotonic() - began
    print(f"{counts.total()} sessions in {seconds:.0f} s, nothing wrong: {dict(counts)}")
    return 0


def _check_leaks(descriptors: int) -> None:
    """Raise Wrong if a session left a descriptor or a child of ours."""
    if (now := len(os.listdir("/proc/self/fd"))) != descriptors:
        raise Wrong(f"descriptors: {now} instead of {descriptors}")
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    raise Wrong("processes: a child is left")


def _print_sizes(count: int, sockets: Path) -> None:
    for process in processes(sockets, "hqtrack.vot.resident"):
        status = Path(f"/proc/{process}/status").read_text()
        memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        files = len(os.listdir(f"/proc/{process}/fd"))
        threads = len(os.listdir(f"/proc/{process}/task"))
        print(
            f"after {count} sessions the resident process {process} has {memory} KiB, "
            f"{files} descriptors, {threads} threads"
        )


def _reduced(script: Script, wrong: Wrong, images: Path, sockets: Path) -> Script:
    """A script that fails in the same way, from which no step can be left out."""
    kind = str(wrong).split(":")[0]

    def fails(candidate: Script) -> bool:
        try:
            check(candidate, images, sockets)
        except Wrong as other:
            return str(other).startswith(kind)
        return False

    for simpler in ({"hostile": ()}, {"chunk": 0}, {"eager": False}, {"merged": False},
                    {"fault": ""}, {"way": "fork"}):  # fmt: skip
        if fails(candidate := script._replace(**simpler)):
            script = candidate
    shorter = True
    while shorter:
        shorter = False
        for index in range(len(script.steps)):
            steps = script.steps[:index] + script.steps[index + 1 :]
            if fails(candidate := script._replace(steps=steps)):
                script, shorter = candidate, True
                break
    return script


if __name__ == "__main__":
    sys.exit(main())
