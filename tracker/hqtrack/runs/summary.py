"""The summary of a run, per object."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.table import Table

from hqtrack.progress import speed_text
from hqtrack.runs.journal import FrameRecord, ObjectRecord
from hqtrack.runs.targets import Target


@dataclass
class ObjectSummary:
    """An object in a run: the number of frames on which it was seen, and sums over these frames."""

    target: Target
    first_frame: int
    frames: int = 0
    seen: int = 0
    area: int = 0
    confidence: float = 0.0

    @property
    def mean_area(self) -> float:
        """Mean area in pixels over the frames on which it was seen; 0 if it never was."""
        return self.area / max(self.seen, 1)

    @property
    def mean_confidence(self) -> float:
        """Mean in [0, 1] over the frames on which it was seen; 0 if it never was."""
        return self.confidence / max(self.seen, 1)


@dataclass
class Summary:
    """A run so far; ``seconds`` is the time of tracking, without reading and writing.

    ``damaged``: the numbers of the frames that are damaged in the video.
    """

    objects: list[ObjectSummary]
    frames: int = 0
    seconds: float = 0.0
    damaged: list[int] = field(default_factory=list)

    @property
    def fps(self) -> float:
        """Frames tracked per second; 0 before the first."""
        return self.frames / self.seconds if self.seconds else 0.0

    def numbers(self) -> dict[str, Any]:
        """The content of summary.json."""
        objects = [
            {
                "number": summary.target.number,
                "name": summary.target.name,
                "first_frame": summary.first_frame,
                "frames": summary.frames,
                "frames_seen": summary.seen,
                "mean_area": round(summary.mean_area, 1),
                "mean_confidence": round(summary.mean_confidence, 4),
            }
            for summary in self.objects
        ]
        return {
            "frames": self.frames,
            "fps": float(f"{self.fps:.4g}"),
            "damaged_frames": self.damaged,
            "objects": objects,
        }

    def table(self) -> Table:
        """The table to print."""
        table = Table("object", title=speed_text(self.fps), min_width=30)
        for name in ("seen", "area", "confidence"):
            table.add_column(name, justify="right")
        for summary in self.objects:
            table.add_row(
                summary.target.name,
                f"{summary.seen}/{summary.frames}",
                f"{summary.mean_area:.0f}",
                f"{summary.mean_confidence:.2f}",
            )
        return table


def summarize(targets: Sequence[Target], records: Iterable[FrameRecord]) -> Summary:
    """The summary of the finished frames and of the targets that have started; reads them once."""
    objects: dict[int, ObjectSummary] = {}
    by_number = {target.number: target for target in targets}
    summary = Summary([])
    for record in records:
        summary.frames += 1
        summary.seconds += record.seconds
        if record.damaged:
            summary.damaged.append(record.number)
        for found in record.objects:
            if found.number not in objects:
                target = by_number[found.number]
                objects[found.number] = ObjectSummary(target, record.number)
            _count(objects[found.number], found)
    summary.objects = [objects[number] for number in by_number if number in objects]
    return summary


def _count(summary: ObjectSummary, found: ObjectRecord) -> None:
    summary.frames += 1
    if found.area:
        summary.seen += 1
        summary.area += found.area
        summary.confidence += found.confidence
