"""The folder of a run: label maps, the journal, and the files made from the journal.

====================  ===================================================================
file                  what
====================  ===================================================================
masks/NAME.png        label map of a frame, indexed, 16-bit from 255 on
frames.jsonl          the journal: a description of the run, then a line per finished frame
masks.json            all masks as run lengths, a COCO data set
summary.json          per object frames seen, mean area, mean confidence; see hqtrack.runs.summary
overlay.mp4           masks and object numbers on the frames, if requested
====================  ===================================================================

A frame is finished when its line is complete. The label map gets its name after that, and what it
lacks is made again from the line. So a run can be killed at any time, it resumes after the last
finished frame, and each label map belongs to a line.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hqtrack.errors import InputError
from hqtrack.files import (
    Journal,
    first_line,
    journal_lines,
    locked,
    open_regular,
    part_of,
    replacing,
)
from hqtrack.masks import masks_to_labels
from hqtrack.records.record import delete_record
from hqtrack.runs.follower import Followed
from hqtrack.runs.identity import Identity, image_digest
from hqtrack.runs.journal import (
    JOURNAL,
    OF_THE_INPUT,
    FrameRecord,
    ObjectRecord,
    RunDescription,
    changes,
    described,
    label_maps,
    parse_record,
    records,
    stored_records,
)
from hqtrack.runs.objects import first_change
from hqtrack.types import Masks
from hqtrack.video.mask_files import write_labels
from hqtrack.video.run_lengths import encode_mask

SUMMARY, COCO, OVERLAY, RECORD = "summary.json", "masks.json", "overlay.mp4", "record"
"""The names of what a run writes beside the journal and the label maps."""

_LOCK = ".lock"

_PNG = b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x00IEND\xaeB`\x82"
"""The first and the last bytes of every complete PNG file."""


class Results:
    """Saves finished frames in a folder; a context manager, for one process at a time."""

    def __init__(self, folder: Path, description: RunDescription, restart: bool = False) -> None:
        """Resume an equal run, or start a new one; with ``restart``, delete an earlier one first.

        If objects or corrections on later frames were added to the run, its frames before them are
        kept, and those from there on are deleted.

        If only the input differs, ``input_change`` says how: whoever knows the frames decides with
        ``adopt_input`` that the finished ones are the same. Raises InputError if the folder
        contains another run, belongs to a run in another process or is not writable.
        """
        self.folder = folder
        self.last = 0
        """Number of the last finished frame, 0 before the first."""
        self.count = 0
        """How many frames are finished."""
        self.input_change = ""
        """How the input differs from that of the finished frames; empty if it does not."""
        self._path = folder / JOURNAL
        self._masks = folder / "masks"
        self._heading = {"run": json.loads(json.dumps(asdict(description)))}
        with contextlib.ExitStack() as stack:
            try:
                self._masks.mkdir(parents=True, exist_ok=True)
                stack.enter_context(locked(folder / _LOCK))
                if restart:
                    self._delete()
                elif not self._path.exists():
                    self._refuse_foreign("[!.]*", own=set())
                self._journal = self._open()
                stack.callback(self._close)
                self._restore_label_maps()
            except OSError as error:
                raise InputError(
                    f"cannot write to {folder} ({error.strerror}): give another --output"
                ) from error
            self._stack = stack.pop_all()

    def write(self, followed: Followed, seconds: float) -> None:
        """Save a frame; ``seconds`` is the time of tracking it."""
        frame, masks = followed.frame, followed.masks
        numbers = [target.number for target in followed.targets]
        areas = [int(np.count_nonzero(mask)) for mask in masks]
        counts = [
            encode_mask(mask) if area else None for mask, area in zip(masks, areas, strict=True)
        ]
        objects = tuple(
            ObjectRecord(number, area, round(float(confidence), 4), count)
            for number, area, confidence, count in zip(
                numbers, areas, followed.confidence, counts, strict=True
            )
        )
        height, width = frame.image.shape[:2]
        record = FrameRecord(
            frame.number,
            frame.name,
            (height, width),
            round(seconds, 4),
            objects,
            image_digest(frame.image),
            frame.damaged,
        )
        path = self._labels_path(frame.stem)
        with replacing(path) as part:
            write_labels(part, _labels(masks, numbers))
            self._journal.append(record)
        self.last = frame.number
        self.count += 1

    def records(self) -> Iterator[FrameRecord]:
        """The finished frames in order, read one by one."""
        for record, _ in records(self._path):
            yield record

    def adopt_input(self) -> None:
        """Note the present input in the journal: its first frames are the finished ones."""
        self._journal.close()
        with replacing(self._path) as part:
            journal = Journal(part)
            journal.append(self._heading)
            for line in islice(journal_lines(self._path), 1, None):
                journal.append(line.value)
            journal.close()
        self._journal = Journal(self._path, self._path.stat().st_size)
        self.input_change = ""

    def write_json(self, name: str, parts: Iterable[str]) -> None:
        """Write a file of these parts atomically: an old file stays until the new is complete."""
        with (
            replacing(self.folder / name) as part,
            part.open("w", encoding="utf-8") as file,
        ):
            file.writelines(parts)

    def is_finished(self) -> bool:
        """Whether the summary says of the finished frames that they are all, and is intact."""
        try:
            content = json.loads((self.folder / SUMMARY).read_bytes())
            return content["complete"] is True and content["frames"] == self.count
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            return False

    def has_whole(self, name: str) -> bool:
        """Whether there is a file of ``write_json`` that ends as JSON does."""
        path = self.folder / name
        try:
            with open_regular(path) as file:
                file.seek(-2, os.SEEK_END)
                return file.read() == b"}\n"
        except OSError:
            return False

    def __enter__(self) -> "Results":
        """The results themselves."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the journal and release the folder."""
        self._stack.close()

    def _close(self) -> None:
        self._journal.close()

    def _labels_path(self, stem: str) -> Path:
        return self._masks / f"{stem}.png"

    def _refuse_foreign(self, pattern: str, own: set[Path]) -> None:
        """Raise InputError if a new run would write over, or beside, files that no run wrote."""
        foreign = [path for path in self._masks.glob(pattern) if path not in own]
        others = [self.folder / name for name in (SUMMARY, COCO, OVERLAY, RECORD)]
        foreign += [path for path in others if path.exists() and path not in own]
        if foreign:
            raise InputError(
                f"{foreign[0].parent} contains files that are not from a run "
                f"({foreign[0].name}): give another --output, or move them away"
            )

    def _delete(self) -> None:
        """Delete what an earlier run has written: the files that its journal names."""
        line = first_line(self._path)
        own = set(label_maps(self._path, self._masks))
        if line is not None:
            described(self._path, line)
            own |= {self.folder / name for name in (SUMMARY, COCO, OVERLAY, RECORD)}
        self._refuse_foreign("[!.]*.png", own)
        delete_record(self.folder / RECORD)
        own |= {part_of(path) for path in own} | {self._path}
        for path in own - {self.folder / RECORD}:
            path.unlink(missing_ok=True)

    def _open(self) -> Journal:
        """The journal, cut after its last good line, for appending."""
        line, end = first_line(self._path), 0
        before = None if line is None else self._go_back(described(self._path, line))
        for record, line_end in records(self._path):
            self.last = record.number
            self.count += 1
            end = line_end
        size = self._path.stat().st_size if before else 0
        started = before is not None and any(label_maps(self._path, self._masks))
        if before is not None and (self.count or started):
            self._compare(before)
            if size > end:
                _note(f"{self._path} is damaged after frame {self.last}: what follows it is lost")
        journal = Journal(self._path, end)
        if not self.count:
            journal.append(self._heading)
        return journal

    def _go_back(self, before: dict[str, Any]) -> dict[str, Any]:
        """Delete the frames that change with what is given now; returns the heading of the others.

        Changes nothing, and returns ``before``, if anything else differs.
        """
        now = self._heading["run"]
        frame = first_change(before["objects"], now["objects"])
        added = before["first_masks"] == "given"
        added = added and before.get("weights", {}).items() <= now["weights"].items()
        free = {"objects", *OF_THE_INPUT, *(("first_masks", "weights") if added else ())}
        if frame is None or any(before.get(name) != now[name] for name in now.keys() - free):
            return before
        heading = now | {name: before[name] for name in OF_THE_INPUT}
        dropped = _cut(self.folder, heading, frame)
        if dropped:
            _note(
                f"other masks are given from frame {frame} on: {dropped} finished frames from "
                "there on are tracked again"
            )
        return heading

    def _compare(self, before: dict[str, Any]) -> None:
        """Note how the input differs; raises InputError if anything else does."""
        now = self._heading["run"]
        if not now.keys() <= before.keys():
            raise InputError(
                f"{self.folder} has the results of an earlier version, which did not note "
                f"{', '.join(sorted(now.keys() - before.keys()))}: give another --output, or "
                "--restart to replace them"
            )
        changed = changes(before, now)
        if changed:
            raise InputError(
                f"{self.folder} contains another run ({'; '.join(changed)}): give another "
                "--output, or --restart to replace it"
            )
        self.input_change = Identity(**now["input"]).changes(before["input"])
        if now["video"] != before["video"] and (self.input_change or not now["input"]["files"]):
            self.input_change = f"it was {before['video']}"

    def _restore_label_maps(self) -> None:
        """Write damaged or missing label maps again, from the journal."""
        restored = 0
        for record in self.records():
            path = self._labels_path(record.stem)
            if not _is_whole_png(path):
                with replacing(path) as part:
                    numbers = [found.number for found in record.objects]
                    write_labels(part, _labels(record.masks(), numbers))
                restored += 1
        if restored:
            _note(f"wrote {restored} missing or damaged label maps in {self._masks} again")


def revise(folder: Path, description: RunDescription, frame: int) -> None:
    """Keep the finished frames of a run before ``frame``, as those of another description.

    The caller knows that the frames before are the same with the objects of the other description.
    Raises InputError, and changes nothing, if it differs by more than objects and input, or if
    another process writes to the folder; OSError if the folder cannot be written.
    """
    line = first_line(folder / JOURNAL)
    if line is None or next(stored_records(folder), None) is None:
        return
    with locked(folder / _LOCK):
        before, now = json.loads(line)["run"], json.loads(json.dumps(asdict(description)))
        # weights that only made first masks do not matter any more
        used = {name: before.get("weights", {}).get(name) for name in now["weights"]}
        changed = changes(before | {"weights": used}, now, {"objects", "first_masks"})
        if changed:
            raise InputError(
                f"the frames in {folder} were tracked otherwise ({'; '.join(changed)}): open it "
                "with the same options, or give another --output"
            )
        given = {name: now[name] for name in ("objects", "first_masks", "weights")}
        _cut(folder, before | given, frame)


def _cut(folder: Path, heading: dict[str, Any], frame: int) -> int:
    """Give a journal another heading, and delete its frames from ``frame`` on; returns how many."""
    dropped = []
    with replacing(folder / JOURNAL) as part, Journal(part) as journal:
        journal.append({"run": heading})
        for line in islice(journal_lines(folder / JOURNAL), 1, None):
            record = parse_record(line.value)
            if record is not None and record.number < frame:
                journal.append(line.value)
            elif record is not None:
                dropped.append(folder / "masks" / f"{record.stem}.png")
    for path in (*dropped, *(folder / name for name in (SUMMARY, COCO, OVERLAY))):
        path.unlink(missing_ok=True)
    return len(dropped)


def _labels(masks: Masks, numbers: Sequence[int]) -> Any:
    """The label map [H,W] of objects with these numbers."""
    return np.array([0, *numbers])[masks_to_labels(masks)]


def _is_whole_png(path: Path) -> bool:
    """Whether the file begins and ends as a PNG does; a write that broke off leaves another."""
    head, tail = _PNG
    try:
        with open_regular(path) as file:
            begins = file.read(len(head)) == head
            file.seek(-len(tail), os.SEEK_END)
            return begins and file.read() == tail
    except OSError:
        return False


def _note(text: str) -> None:
    print(f"hqtrack: {text}", file=sys.stderr)
