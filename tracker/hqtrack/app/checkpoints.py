"""States of a tracker to go back to, so that a correction does not begin at the first frame."""

from hqtrack.runs.follower import Saved

_MOST = 4
"""Each is as large as the tracker's memory of the video."""


def keep(frames: list[int], most: int = _MOST) -> list[int]:
    """Which of these frames, ascending, to keep when there are more than ``most``.

    The last one stays; of the others goes the one whose neighbours are nearest to each other.
    """
    frames = list(frames)
    while len(frames) > most:
        neighbours = zip([0, *frames[:-2]], frames[1:], strict=True)
        gaps = [(after - before, place) for place, (before, after) in enumerate(neighbours)]
        frames.pop(min(gaps)[1])
    return frames


class Checkpoints:
    """The states of one tracker in one video."""

    def __init__(self) -> None:
        self._saved: dict[int, Saved] = {}

    def add(self, saved: Saved | None) -> None:
        """Keep a state, perhaps in place of another one."""
        if saved is not None:
            self._saved[saved.frame] = saved
            kept = keep(sorted(self._saved))
            self._saved = {frame: self._saved[frame] for frame in kept}

    def cut(self, frame: int) -> None:
        """Forget the states after frame ``frame`` and later: they know masks that have changed."""
        self._saved = {number: one for number, one in self._saved.items() if number < frame}

    def last(self, frame: int) -> Saved | None:
        """The last state that is not after frame ``frame``; None if there is none."""
        frames = [number for number in self._saved if number <= frame]
        return self._saved[max(frames)] if frames else None
