"""The owner of an open project: its state, its files, the tracking in the background."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.app import edits
from hqtrack.app.checkpoints import Checkpoints
from hqtrack.app.follow import Setup, Stopped, command_of, plan_of, track
from hqtrack.app.frames import Frames
from hqtrack.app.project import History, Project, from_json, stale_from, to_json
from hqtrack.app.prompter import Prompter
from hqtrack.app.tracked import Tracked
from hqtrack.errors import InputError, one_line
from hqtrack.exports.export import export
from hqtrack.exports.masks import object_mask
from hqtrack.exports.stored import open_run
from hqtrack.files import locked, replacing
from hqtrack.runs.objects import describe_objects
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import revise
from hqtrack.tracker import Tracker
from hqtrack.types import Image
from hqtrack.video.images import encode_jpeg
from hqtrack.video.overlay import object_colours
from hqtrack.video.sources import Source

_FILE = "project.json"
_LONGEST_EDGE = 1600
_BETWEEN = 0.1
"""Seconds between two messages about tracked frames."""

Listener = Callable[[str, dict[str, Any]], None]


def video_of(folder: Path) -> str | None:
    """The address of the video of the project in a folder; None if there is no project."""
    try:
        return str(json.loads((folder / _FILE).read_bytes())["video"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


class Conflict(InputError):
    """Somebody else, in another tab, has changed the project meanwhile."""


@dataclass
class _Job:
    """The tracking that runs. begun: the time in seconds, and the frame after replaying."""

    to: int
    frame: int = 0
    replaying: bool = True
    begun: tuple[float, int] | None = None
    stop: bool = False

    def content(self) -> dict[str, Any]:
        left = None
        if self.begun is not None and self.frame > self.begun[1]:
            pace = (time.monotonic() - self.begun[0]) / (self.frame - self.begun[1])
            left = round(pace * (self.to - self.frame), 1)
        return {
            "frame": self.frame,
            "to": self.to,
            "replaying": self.replaying,
            "seconds_left": left,
        }


class Studio:
    """An open project; for several threads. Use it as a context manager: it locks the folder.

    All changes go through ``change``, which saves each of them before it returns. ``revision``
    counts them, so that two tabs cannot overwrite each other.
    """

    def __init__(
        self,
        folder: Path,
        source: Source,
        setup: Setup,
        prompter: Prompter,
        build: Callable[[RunPlan], Tracker] = RunPlan.build_tracker,
    ) -> None:
        """Open the project in ``folder``, or start one. ``build`` loads the tracker of a plan.

        Raises InputError if the folder has the project of another video or is damaged, or if the
        source cannot be used.
        """
        self.folder = folder
        self.frames = Frames(source)
        self.prompter = prompter
        self.error = ""
        self._source = source
        self._setup = setup
        self._build = build
        self._lock = threading.RLock()
        self._segmenting = threading.Lock()
        self._listeners: list[Listener] = []
        self._job: _Job | None = None
        self._thread: threading.Thread | None = None
        self.revision = 0
        self._serial = 0
        self._checkpoints = Checkpoints()
        self._tracker: Tracker | None = None
        first = self.frames.image(1)
        self.size: tuple[int, int] = (first.shape[0], first.shape[1])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {folder} ({error.strerror})") from error
        self._folder_lock = locked(folder / ".app.lock")
        self._history, self._made_with = self._load()
        self.tracked = Tracked(folder)

    def __enter__(self) -> "Studio":
        """The project itself, with its folder locked; raises InputError if it is open elsewhere."""
        self._folder_lock.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the tracking, and release the folder."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self._folder_lock.__exit__(None, None, None)

    # ---- what there is

    def state(self) -> dict[str, Any]:
        """All that a page shows but pictures, masks and curves; ``serial`` counts the states."""
        with self._lock:
            self._serial += 1
            project = self._history.present
            colours = object_colours([item.number for item in project.items] or [1])
            return {
                "serial": self._serial,
                "revision": self.revision,
                "video": {
                    "name": self._source.name,
                    "frames": self.frames.count,
                    "size": self.size,
                    "rate": float(self._source.rate),
                },
                "folder": str(self.folder),
                "tracker": str(self._setup.choice),
                "prompter": {
                    "name": self.prompter.name,
                    "takes_clicks": self.prompter.takes_clicks,
                },
                "objects": [
                    {
                        "number": item.number,
                        "name": item.name,
                        "hidden": item.hidden,
                        "colour": colour.tolist(),
                        "given": [given.frame for given in item.given],
                    }
                    for item, colour in zip(project.items, colours, strict=False)
                ],
                "can_undo": self._history.at > 0,
                "can_redo": self._history.at < len(self._history.states) - 1,
                "tracked": self.tracked.last,
                "stale": self._stale(),
                "job": None if self._job is None else self._job.content(),
                "error": self.error,
            }

    def picture(self, number: int) -> bytes:
        """A frame as JPEG, at most 1600 pixels wide or high."""
        image = self.frames.image(number)
        scale = _LONGEST_EDGE / max(image.shape[:2])
        if scale < 1:
            size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        return encode_jpeg(image, 88)

    def masks(self, number: int) -> dict[str, Any]:
        """The masks on a frame: what was given, else what was tracked and is still valid."""
        with self._lock:
            record = self.tracked.record(number)
            stale = self._stale()
            found = {} if record is None else {each.number: each for each in record.objects}
            objects = []
            for item in self._history.present.items:
                given, seen = item.on(number), found.get(item.number)
                mask = given.mask if given else seen.counts if seen else None
                if given is None and seen is None:
                    continue
                objects.append(
                    {
                        "number": item.number,
                        "mask": mask,
                        "given": given is not None,
                        "clicks": [] if given is None else list(given.clicks),
                        "box": None if given is None else given.box,
                        "confidence": None if given or not seen else seen.confidence,
                    }
                )
            return {
                "frame": number,
                "stale": stale is not None and number >= stale,
                "objects": objects,
            }

    def curves(self) -> dict[str, Any]:
        """Confidence and area over the finished frames, and the doubtful places."""
        with self._lock:
            given = {
                item.number: {each.frame for each in item.given}
                for item in self._history.present.items
            }
            return self.tracked.curves(given)

    # ---- changes

    def change(self, revision: int, action: Mapping[str, Any]) -> dict[str, Any]:
        """Apply an action of the page, see ``hqtrack.app.edits``; returns the new state.

        Raises Conflict if ``revision`` is not the present one.
        """
        kind = action.get("kind")
        if kind in ("undo", "redo"):
            return self._push(revision, lambda history: getattr(history, str(kind))())
        with self._segmenting:  # one at a time, and the state can be read meanwhile
            self._check(revision)
            project = edits.apply(self._history.present, action, self._canvas(action))
            return self._push(revision, lambda history: history.push(project))

    def give_mask(
        self, revision: int, number: int, frame: int, mask: NDArray[np.bool_]
    ) -> dict[str, Any]:
        """Give a mask from a file; see ``change``."""
        canvas = self._canvas({"frame": frame})
        project = edits.give_mask(self._history.present, number, frame, mask, canvas)
        return self._push(revision, lambda history: history.push(project))

    def _push(self, revision: int, step: Callable[[History], History]) -> dict[str, Any]:
        with self._lock:
            self._check(revision)
            if self._job is not None:
                raise InputError("the video is being tracked: stop it first")
            history = step(self._history)
            self._save(history, self._made_with)
            self._history = history
            self.revision += 1
        self._tell("state", self.state())
        return self.state()

    def _check(self, revision: int) -> None:
        if revision != self.revision:
            raise Conflict("the project was changed in another tab; here is what it is now")

    def _canvas(self, action: Mapping[str, Any]) -> edits.Canvas:
        frame = action.get("frame")

        def image() -> Image:
            return self.frames.image(int(frame or 0))

        def tracked(number: int) -> NDArray[np.bool_]:
            with self._lock:
                record, stale = self.tracked.record(int(frame or 0)), self._stale()
            if record is None or (stale is not None and record.number >= stale):
                return np.zeros(self.size, np.bool_)
            return object_mask(record, number)

        return edits.Canvas(image, tracked, self.prompter, self.size, self.frames.count)

    # ---- tracking

    def start(self, to: int | None) -> dict[str, Any]:
        """Track on in the background, to a frame or to the end; returns the state.

        Frames that changed masks make invalid are tracked again. Raises InputError if there is
        nothing to track, or if it is being tracked already.
        """
        with self._lock:
            if self._job is not None:
                raise InputError("the video is being tracked already")
            if to is not None and not 1 <= to <= self.frames.count:
                raise InputError(f"there is no frame {to}: the video has {self.frames.count}")
            project = self._history.present
            plan = plan_of(self.folder, self._source, self._setup, project, self.size)
            stale = self._stale()
            revise(self.folder, describe_objects(plan.targets), stale or self.tracked.last + 1)
            if stale is not None:
                self._checkpoints.cut(stale)
            self._save(self._history, project)
            self._made_with = project
            self.tracked.reload()
            self.error = ""
            self._job = _Job(to or self.frames.count)
            self._thread = threading.Thread(target=self._run, args=(plan, self._job))
            self._thread.start()
        self._tell("state", self.state())
        return self.state()

    def stop(self) -> None:
        """Stop after the present frame."""
        with self._lock:
            if self._job is not None:
                self._job.stop = True

    def wait(self) -> None:
        """Wait until nothing is tracked."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self, plan: RunPlan, job: _Job) -> None:
        last_told = 0.0

        def told(frame: int, replayed: bool) -> None:
            nonlocal last_told
            with self._lock:
                job.frame, job.replaying = frame, replayed
                if job.begun is None and not replayed:
                    job.begun = (time.monotonic(), frame)
                self.tracked.refresh()
            if time.monotonic() - last_told > _BETWEEN:
                last_told = time.monotonic()
                self._tell("progress", job.content() | {"tracked": self.tracked.last})
            if job.stop:
                raise Stopped

        error = ""
        try:
            build = partial(self._loaded, plan)
            track(plan, build, self._checkpoints, job.to, self.frames.count, told)
        except Stopped:
            pass
        except Exception as failure:  # whatever it is, the page has to say it
            error = one_line(failure)
        with self._lock:
            self.tracked.reload()
            self._job, self.error = None, error
        self._tell("state", self.state())

    def _loaded(self, plan: RunPlan) -> Tracker:
        """The tracker, which is loaded once; the checkpoints are states of it."""
        if self._tracker is None:
            self._tracker = self._build(plan)
        return self._tracker

    def _stale(self) -> int | None:
        """The first finished frame that is not valid any more; None if all are."""
        first = stale_from(self._made_with, self._history.present)
        return first if first is not None and first <= self.tracked.last else None

    # ---- what goes out

    def export(self, formats: Sequence[str]) -> list[str]:
        """Export the finished frames; returns the paths. See ``hqtrack.exports``."""
        with self._lock:
            if self._job is not None:
                raise InputError("the video is being tracked: stop it first")
            if self._stale() is not None:
                raise InputError("masks have changed since: track on first")
            run = open_run(self.folder)
        written = export(run, formats, self.folder / "export", lambda: self._source)
        return [str(path) for path in written]

    def command(self) -> list[str]:
        """The command of ``hqtrack run`` that makes the same masks."""
        plan = plan_of(self.folder, self._source, self._setup, self._history.present, self.size)
        return command_of(plan)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with each event, a name and its content; returns how to end that."""
        with self._lock:
            self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def _tell(self, name: str, content: dict[str, Any]) -> None:
        for listener in list(self._listeners):
            listener(name, content)

    # ---- the file

    def _load(self) -> tuple[History, Project]:
        path = self.folder / _FILE
        try:
            content = json.loads(path.read_bytes())
            history, made_with = from_json(content["history"]), from_json(content["made_with"])
            video = content["video"]
        except FileNotFoundError:
            if (self.folder / "frames.jsonl").exists():
                raise InputError(
                    f"{self.folder} has a run that was not made in the application: give another "
                    "--output"
                ) from None
            return History(), Project()
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} is damaged ({one_line(error)}): move it away, or give another --output"
            ) from error
        if video != self._source.address:
            raise InputError(
                f"{self.folder} is the project of {video}: give that video, or another --output"
            )
        return history, made_with.present

    def _save(self, history: History, made_with: Project) -> None:
        """Save the project atomically; raises InputError if it cannot be written."""
        content = {
            "video": self._source.address,
            "history": to_json(history),
            "made_with": to_json(History((made_with,))),
        }
        try:
            with replacing(self.folder / _FILE) as part:
                part.write_text(json.dumps(content), encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot save to {self.folder} ({error.strerror}): the change is undone"
            ) from error
