"""The owner of an open project: its state, its files, the tracking in the background."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hqtrack.app import edits, saved
from hqtrack.app.adopted import adopt, agree
from hqtrack.app.background import Background, Job
from hqtrack.app.follow import Setup, command_of, plan_of
from hqtrack.app.frames import Frames
from hqtrack.app.project import History, Project, stale_from
from hqtrack.app.prompter import Prompter
from hqtrack.app.tracked import Tracked
from hqtrack.app.views import masks_view, objects_view
from hqtrack.errors import InputError
from hqtrack.exports.export import export
from hqtrack.exports.masks import object_mask
from hqtrack.exports.stored import open_run
from hqtrack.files import locked
from hqtrack.runs.objects import Place
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.results import revise
from hqtrack.tracker import Tracker
from hqtrack.types import Image
from hqtrack.video.images import encode_jpeg
from hqtrack.video.sources import Source

_LONGEST_EDGE = 1600
_BETWEEN = 0.1
"""Seconds between two messages about tracked frames."""

Listener = Callable[[str, dict[str, Any]], None]


class Conflict(InputError):
    """Somebody else, in another tab, has changed the project meanwhile."""


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
        """Open the project or the run in ``folder``, or start a project.

        ``build`` loads the tracker of a plan. Raises InputError if the folder has the project of
        another video or is damaged, or if the source cannot be used.
        """
        self.folder = folder
        self.frames = Frames(source)
        self.prompter = prompter
        self.error = ""
        self._source = source
        self._setup = setup
        self._background = Background(build, self._advanced, self._ended)
        self._lock = threading.RLock()
        self._segmenting = threading.Lock()
        self._listeners: list[Listener] = []
        self.revision = 0
        self._serial = 0
        self._last_told = 0.0
        first = self.frames.image(1)
        self.size: tuple[int, int] = (first.shape[0], first.shape[1])
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot write to {folder} ({error.strerror})") from error
        self._folder_lock = locked(folder / ".app.lock")
        self.tracked = Tracked(folder)
        self._history, self._made_with = self._opened()

    def _opened(self) -> tuple[History, Project]:
        """What the folder has: a project, a run that becomes one, or nothing yet."""
        found = saved.load(self.folder, self._source.address)
        run = adopt(self.folder, self._source.address)
        if run is None:
            return found or (History(), Project())
        if found is None:
            self.error = _missing(run.unknown)
            return History((run.project,)), run.project
        history, made_with = found
        if any(
            agree(run.project, project, self.tracked.last, self.size)
            for project in (made_with, history.present)
        ):
            return history, made_with
        self.error = "the run was made anew outside of the application; undo brings your masks back"
        return history.push(run.project), run.project

    def __enter__(self) -> "Studio":
        """The project itself, with its folder locked; raises InputError if it is open elsewhere."""
        self._folder_lock.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the tracking, and release the folder."""
        self.stop()
        self.wait()
        self._folder_lock.__exit__(None, None, None)

    # ---- what there is

    def state(self) -> dict[str, Any]:
        """All that a page shows but pictures, masks and curves; ``serial`` counts the states."""
        with self._lock:
            self._serial += 1
            project = self._history.present
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
                "prompter": self.prompter.name,
                "objects": objects_view(project),
                "can_undo": self._history.at > 0,
                "can_redo": self._history.at < len(self._history.states) - 1,
                "tracked": self.tracked.last,
                "stale": self._stale(),
                "job": None if self._background.job is None else self._background.job.content(),
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
            return {
                "frame": number,
                "stale": stale is not None and number >= stale,
                "objects": masks_view(self._history.present, number, record),
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
            self._background.check_idle()
            history = step(self._history)
            saved.save(self.folder, self._source.address, history, self._made_with)
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
            self._background.check_idle()
            if to is not None and not 1 <= to <= self.frames.count:
                raise InputError(f"there is no frame {to}: the video has {self.frames.count}")
            plan = plan_of(self.folder, self._source, self._setup, self._history.present, self.size)
            self.error = ""
            last = self.frames.count
            self._background.begin(plan, to or last, last, lambda: self._make_valid(plan))
        self._tell("state", self.state())
        return self.state()

    def _make_valid(self, plan: RunPlan) -> None:
        """Forget the finished frames that changed masks make invalid."""
        description = plan.description  # this takes a while, and other requests need the lock
        with self._lock:
            project, stale = self._history.present, self._stale()
            revise(self.folder, description, stale or self.tracked.last + 1)
            if stale is not None:
                self._background.forget(stale)
            saved.save(self.folder, self._source.address, self._history, project)
            self._made_with = project
            self.tracked.reload()
        self._tell("state", self.state())

    def stop(self) -> None:
        """Stop after the present frame."""
        self._background.stop()

    def wait(self) -> None:
        """Wait until nothing is tracked."""
        self._background.wait()

    def _advanced(self, job: Job) -> None:
        with self._lock:
            self.tracked.refresh()
        if time.monotonic() - self._last_told > _BETWEEN:
            self._last_told = time.monotonic()
            self._tell("progress", job.content() | {"tracked": self.tracked.last})

    def _ended(self, error: str) -> None:
        with self._lock:
            self.tracked.reload()
            self._background.job, self.error = None, error
        self._tell("state", self.state())

    def _stale(self) -> int | None:
        """The first finished frame that is not valid any more; None if all are."""
        first = stale_from(self._made_with, self._history.present)
        return first if first is not None and first <= self.tracked.last else None

    # ---- what goes out

    def export(self, formats: Sequence[str]) -> list[str]:
        """Export the finished frames; returns the paths. See ``hqtrack.exports``."""
        with self._lock:
            self._background.check_idle()
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


def _missing(places: Sequence[Place]) -> str:
    """Which masks of a run have to be given again; empty if none."""
    names = ", ".join(f"{place.object.name} on frame {place.frame}" for place in places)
    return f"not tracked to there yet, so mark again: {names}" if places else ""
