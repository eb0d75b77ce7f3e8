"""A session as a script: what a client does, and what a tracker process has to make of it.

A script is data, so that it can be printed, reduced and kept as a case. ``expect`` computes what
has to happen by rules of its own, in plain Python: none of it is shared with the program.
"""

import re
from typing import NamedTuple

WIDTH, HEIGHT = 30, 20
GOOD_IMAGES = ("a.png", "b.png", "größe.png", "with space.png")
BAD_IMAGES = ("missing.png", "text.png", "empty.png", "cut.png", "folder", "fifo", "huge.png",
              "zero")  # fmt: skip
FAULTS = ("exception", "memory", "exit", "nan", "count", "kill", "bar", "print")
HARMLESS = ("", "bar", "print")

Step = tuple[str, object]


class Script(NamedTuple):
    """What a client does.

    ``way``: how the process is started: "fork", "socket", "real" or "resident". ``fault``: what
    goes wrong in the tracker when it tracks for the second time. ``eager``: all is sent before the
    first answer is read. ``merged``: standard error goes the way of the answers, as it does under
    the toolkit. ``chunk``: how many bytes are sent at a time, 0 for all. ``hostile``: what others
    send to the socket of the resident process before.
    """

    steps: tuple[Step, ...]
    way: str = "fork"
    fault: str = ""
    eager: bool = False
    merged: bool = False
    chunk: int = 0
    hostile: tuple[str, ...] = ()


class Object(NamedTuple):
    """An object in an answer: the pixels that are its own, and its confidence."""

    pixels: frozenset[int]
    confidence: float


class Expected(NamedTuple):
    """What has to come: the answers to each frame, the exit status, and whether the client is told
    a reason for the end. ``ended``: the process ends before the script does.
    """

    answers: list[list[Object]]
    status: int
    reason: bool
    ended: bool = True


class _Video:
    """The objects of a session, as FirstMask follows them."""

    def __init__(self) -> None:
        self.objects: list[Object] = []
        self.given: list[frozenset[int] | None] = []
        self.running = self.reset = False
        self.tracked = 0

    def frame(self, image: str) -> list[Object] | None:
        """The answer to a frame; None where it ends the session."""
        new, self.given = self.given, []
        begins = self.reset or not self.running
        if (begins and not new) or image not in GOOD_IMAGES:
            return None
        masks = [mask for mask in new if mask is not None]
        if len(masks) < len(new):
            return None
        if begins:
            self.objects, self.running, self.reset = [], True, False
        elif any(thing.confidence for thing in self.objects):
            self.tracked += 1
        covered = frozenset().union(*masks)
        if not begins:
            self.objects = [Object(one - covered, sure) for one, sure in self.objects]
        self.objects += [Object(mask, 1.0 if mask else 0.0) for mask in masks]
        return list(self.objects)


def expect(script: Script) -> Expected:
    """What has to come of a script."""
    video = _Video()
    answers: list[list[Object]] = []
    deaf = False
    for kind, value in script.steps:
        if kind == "objects":
            assert isinstance(value, tuple)
            video.given += [pixels_of(text) for text in value]
        elif kind == "reset":
            video.given, video.reset = [], True
        elif kind == "frame":
            before = video.tracked
            answer = video.frame(str(value))
            if answer is None:
                return Expected(answers, 1, not deaf)
            if video.tracked > before and video.tracked == 2 and script.fault not in HARMLESS:
                status = {"exit": 7, "kill": -9}.get(script.fault, 1)
                return Expected(answers, status, not deaf and status != -9)
            if deaf:
                return Expected(answers, 0, False)
            answers.append(answer)
        elif kind == "bad":
            return Expected(answers, 1, not deaf)
        elif kind == "deaf":
            deaf = True
        elif kind == "signal":
            assert isinstance(value, int)
            return Expected(answers, 128 + value, not deaf)
        elif kind in ("quit", "close", "half"):
            return Expected(answers, 0, False)
    return Expected(answers, 0, False, ended=False)


def pixels_of(text: str) -> frozenset[int] | None:
    """The pixels that a region covers in a frame; None where it is no mask."""
    if not re.fullmatch(r"mask:-?[0-9]+(,-?[0-9]+){3,}", text):
        return None
    x, y, width, height, *runs = map(int, text[5:].split(","))
    if width < 0 or height < 0 or width * height > 89_478_485 or max(abs(x), abs(y)) >= 1 << 31:
        return None
    if any(run < 0 for run in runs) or sum(runs) > width * height:
        return None
    found = set()
    position = 0
    for index, run in enumerate(runs):
        if index % 2:
            for pixel in range(position, position + run):
                row, column = y + pixel // width, x + pixel % width
                if 0 <= row < HEIGHT and 0 <= column < WIDTH:
                    found.add(row * WIDTH + column)
        position += run
    return frozenset(found)


def bytes_of(step: Step, folder: str) -> bytes:
    """What a step sends; images are in the folder."""
    kind, value = step
    if kind == "objects":
        assert isinstance(value, tuple)
        return b"".join(f'@@TRAX:initialize "{text}" \n'.encode() for text in value)
    if kind == "reset":
        return b"@@TRAX:initialize \n"
    if kind == "frame":
        path = "/dev/zero" if value == "zero" else f"{folder}/{value}"
        return f'@@TRAX:frame "file://{path}" \n'.encode()
    if kind == "quit":
        return b"@@TRAX:quit \n"
    if kind in ("bad", "noise", "half"):
        return str(value).encode("latin-1")
    return b""
