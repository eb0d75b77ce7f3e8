"""The page of ``hqtrack inspect``: one file about a record that needs no server and no network."""

import base64
import html
import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from hqtrack.errors import InputError, MissingFileError
from hqtrack.files import replacing
from hqtrack.records.record import (
    Heading,
    Origin,
    RecordedFrame,
    RecordedObject,
    picture_path,
    read_heading,
    recorded_frames,
)
from hqtrack.video.overlay import object_colours

_PROGRAM = ("page_masks.js", "page_curves.js", "page.js")
_LAYERS = ("coarse", "refined", "chosen", "truth")
_MEASURES = ("region", "boundary", "iou", "confidence", "area")


def find_record(folder: Path) -> Path:
    """The record in ``folder``, or in its folder ``record``, where ``hqtrack run`` writes it.

    Raises MissingFileError if there is none; the message names the records one level below.
    """
    for candidate in (folder, folder / "record"):
        if (candidate / "record.jsonl").is_file():
            return candidate
    below = sorted(str(path.parent) for path in folder.glob("*/record.jsonl"))
    if below:
        raise MissingFileError(f"{folder} contains several records, give one: {', '.join(below)}")
    read_heading(folder)
    return folder


def write_page(record: Path, output: Path) -> None:
    """Write the page atomically: an old page stays until the new one is complete.

    Frames are read and written one by one. Raises InputError if the record is broken, has no frame
    or lacks a picture, or if the page cannot be written.
    """
    with replacing(output) as part:
        try:
            file = part.open("w", encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot write {output} ({error.strerror}): give another --output"
            ) from error
        with file:
            file.writelines(page(record))


def page(record: Path) -> Iterator[str]:
    """The page in parts: the visible page, the numbers of all frames, then the frames one by one.

    In this order a browser can show the first frame before it has read the others.
    """
    heading = read_heading(record)
    overview = _overview(record, heading)
    template = _asset("page.html")
    for mark, text in {
        "title": html.escape(heading.title),
        "style": _asset("page.css"),
        "record": _json(overview),
        "program": "".join(map(_asset, _PROGRAM)),
    }.items():
        before, _, template = template.partition(f"{{{{{mark}}}}}")
        yield before + text
    before, _, after = template.partition("{{frames}}")
    yield before
    for index, frame in enumerate(recorded_frames(record)):
        content = _json(_frame_content(record, heading, frame, overview["layers"]))
        yield f'<script type="application/json" id="frame-{index}">{content}</script>\n'
    yield after


def _overview(record: Path, heading: Heading) -> dict[str, Any]:
    """Everything except pictures and masks; frames are given by their index, from 0."""
    histories = {number: _History() for number in heading.objects}
    frames, memory = [], []
    size, begin = (0, 0), None
    layers: set[str] = set()
    for index, frame in enumerate(recorded_frames(record)):
        frames.append([frame.number, frame.name])
        size = frame.size
        if begin is None and frame.objects:
            begin = index
        memory.append(
            [
                [[begin + n for n in long_term], begin + short_term]
                for long_term, short_term in frame.memory
            ]
            if begin is not None
            else []
        )
        for found in frame.objects:
            histories[found.number].add(index, found)
            layers.update(layer for layer in _LAYERS if getattr(found, layer) is not None)
    if not frames:
        raise InputError(f"{record} contains no frame yet: record at least one")
    if "refined" not in layers:
        layers.discard("coarse")  # it is the same as the chosen one
    colours = object_colours(heading.objects)
    return {
        "tracker": heading.tracker,
        "size": size,
        "layers": [layer for layer in _LAYERS if layer in layers],
        "origins": list(Origin),
        "frames": frames,
        "memory": memory,
        "objects": [
            {"name": name, "colour": colour.tolist(), **histories[number].content(len(frames))}
            for (number, name), colour in zip(heading.objects.items(), colours, strict=True)
        ],
    }


class _History:
    """The numbers of one object over all frames."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[Any, ...]] = {}

    def add(self, index: int, found: RecordedObject) -> None:
        values = (getattr(found, measure) for measure in _MEASURES)
        self._found[index] = (list(Origin).index(found.origin), *values)

    def content(self, frames: int) -> dict[str, list[Any]]:
        """A list over all frames for each number, null on a frame without the object."""
        nothing = (None,) * (1 + len(_MEASURES))
        rows = [self._found.get(index, nothing) for index in range(frames)]
        columns = zip(("origin", *_MEASURES), zip(*rows, strict=True), strict=True)
        return {name: list(column) for name, column in columns}


def _frame_content(
    record: Path, heading: Heading, frame: RecordedFrame, layers: list[str]
) -> dict[str, Any]:
    """The picture, each different mask once, and the index of the mask per layer and object."""
    path = picture_path(record, frame.number)
    try:
        picture = base64.b64encode(path.read_bytes()).decode("ascii")
    except FileNotFoundError:
        raise MissingFileError(f"the record lacks {path}: record again") from None
    found = {recorded.number: recorded for recorded in frame.objects}
    places: dict[str, int] = {}
    content: dict[str, Any] = {"picture": f"data:image/jpeg;base64,{picture}"}
    for layer in layers:
        masks = (getattr(found.get(number), layer, None) for number in heading.objects)
        content[layer] = [
            None if mask is None else places.setdefault(mask, len(places)) for mask in masks
        ]
    content["masks"] = list(places)
    return content


def _json(content: object) -> str:
    """JSON for a script element: nothing in it looks like the end of the element."""
    text = json.dumps(content, separators=(",", ":"))
    return text.replace("</", "<\\/").replace("<!", "\\u003c!")


def _asset(name: str) -> str:
    return resources.files("hqtrack.records").joinpath(name).read_text(encoding="utf-8")
