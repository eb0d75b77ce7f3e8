"""The finished frames of a project: numbers of all of them in memory, masks from the journal."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hqtrack.app.doubts import find_doubts
from hqtrack.files import journal_lines
from hqtrack.runs.journal import FrameRecord, parse_record


class Seen(NamedTuple):
    """An object on a finished frame: confidence in [0, 1], area in pixels."""

    confidence: float
    area: int


class Tracked:
    """Reads the journal of a run while it grows. Frames count from 1 and have no gaps."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "frames.jsonl"
        self.reload()

    def reload(self) -> None:
        """Read the journal from its beginning: it was cut."""
        self._places: list[int] = []
        self._seen: list[dict[int, Seen]] = []
        self._end = 0
        self.refresh()

    def refresh(self) -> None:
        """Read what was added to the journal."""
        for line in journal_lines(self._path, self._end):
            record = parse_record(line.value)
            if record is not None:
                if record.number != self.last + 1:
                    return
                self._places.append(self._end)
                self._seen.append({o.number: Seen(o.confidence, o.area) for o in record.objects})
            elif self._end:
                return
            self._end = line.end

    @property
    def last(self) -> int:
        """The number of the last finished frame, 0 before the first."""
        return len(self._places)

    def record(self, number: int) -> FrameRecord | None:
        """A finished frame with its masks; None if it is not finished."""
        if not 1 <= number <= self.last:
            return None
        line = next(journal_lines(self._path, self._places[number - 1]), None)
        return None if line is None else parse_record(line.value)

    def seen(self, number: int) -> dict[int, Seen]:
        """The numbers of the objects on a finished frame."""
        return self._seen[number - 1]

    def curves(self, given: dict[int, set[int]]) -> dict[str, Any]:
        """Confidence and area of each object over all finished frames, and its doubtful places.

        given: for each object the frames on which a person gave the mask. A value is None on a
        frame on which the object has not started.
        """
        numbers = sorted({number for seen in self._seen for number in seen})
        curves: dict[str, Any] = {str(number): self._curve(number) for number in numbers}
        doubts = [doubt for number in numbers for doubt in self._doubts(number, given)]
        return {"last": self.last, "objects": curves, "doubts": sorted(doubts, key=_frame_of)}

    def _curve(self, number: int) -> dict[str, list[Any]]:
        found = [seen.get(number) for seen in self._seen]
        return {
            "confidence": [None if each is None else each.confidence for each in found],
            "area": [None if each is None else each.area for each in found],
        }

    def _doubts(self, number: int, given: dict[int, set[int]]) -> Iterator[dict[str, Any]]:
        frames = [f for f, seen in enumerate(self._seen, start=1) if number in seen]
        found = [self._seen[frame - 1][number] for frame in frames]
        by_hand = [frame in given.get(number, ()) for frame in frames]
        for place, reason in find_doubts(
            [each.confidence for each in found], [each.area for each in found], by_hand
        ):
            yield {"frame": frames[place], "number": number, "reason": str(reason)}


def _frame_of(doubt: dict[str, Any]) -> int:
    frame: int = doubt["frame"]
    return frame
