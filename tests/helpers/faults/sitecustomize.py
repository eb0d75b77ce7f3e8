"""Makes FirstMask misbehave, in whatever process of the tracker it runs.

HQTRACK_FAULT says how; a slow tracker takes HQTRACK_FAULT_SECONDS for a frame. HQTRACK_FAULT_MARK
names a file with a number: in so many more videos nothing happens, then the file is removed and, on
the third frame, the fault occurs. Python imports this when it starts.
"""

import ctypes
import os
import signal
import sys
import time
from pathlib import Path

from hqtrack.baseline import FirstMask

FAULT = os.environ.get("HQTRACK_FAULT", "")
MARK = Path(os.environ.get("HQTRACK_FAULT_MARK", "/nowhere"))


def print_bar(stream):
    for percent in range(0, 101, 10):
        print(f"\r{percent}% done", end="", file=stream, flush=True)


def occur():
    match FAULT:
        case "exception":
            raise RuntimeError("a bug of the tracker")
        case "memory":
            raise MemoryError("no room for another tensor")
        case "exit":
            sys.exit(7)
        case "abrupt":
            os._exit(7)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "kill parent":
            os.kill(os.getppid(), signal.SIGKILL)
        case "hang":
            time.sleep(3600)
        case "crash":
            ctypes.string_at(0)
        case "print":
            print("something", flush=True)
        case "unended":
            print("something", end="", flush=True)
        case "unended error":
            print("something", end="", file=sys.stderr, flush=True)
        case "bar":
            print_bar(sys.stderr)
        case "bar on stdout":
            print_bar(sys.stdout)
        case "native":
            os.write(1, b"from native code")


class Fault:
    armed = False
    frame = 0


def initialize(self, image, masks, honest=FirstMask.initialize):
    Fault.frame = 0
    if MARK.exists():
        left = int(MARK.read_text())
        Fault.armed = left == 0
        if left:
            MARK.write_text(str(left - 1))
        else:
            MARK.unlink()
    return honest(self, image, masks)


def track(self, image, honest=FirstMask.track):
    Fault.frame += 1
    if FAULT == "slow":
        time.sleep(float(os.environ.get("HQTRACK_FAULT_SECONDS", "0.1")))
    if Fault.armed and Fault.frame == 2:
        Fault.armed = False
        occur()
    answer = honest(self, image)
    if FAULT == "noise":
        answer.masks[0, :, ::2] = True
    return answer


def begin(self, honest=FirstMask.__init__):
    with MARK.with_suffix(".loads").open("a") as file:
        file.write(f"{os.getpid()}\n")
    honest(self)


if FAULT:
    FirstMask.__init__ = begin
    FirstMask.initialize = initialize
    FirstMask.track = track
