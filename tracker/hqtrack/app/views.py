"""What the page shows of a project, as JSON."""

from typing import Any

from hqtrack.app.project import Project
from hqtrack.runs.journal import FrameRecord
from hqtrack.video.overlay import object_colours


def objects_view(project: Project) -> list[dict[str, Any]]:
    """The objects: number, name, colour, whether they are hidden, the frames with given masks."""
    colours = object_colours([item.number for item in project.items] or [1])
    return [
        {
            "number": item.number,
            "name": item.name,
            "hidden": item.hidden,
            "colour": colour.tolist(),
            "given": [given.frame for given in item.given],
        }
        for item, colour in zip(project.items, colours, strict=False)
    ]


def masks_view(project: Project, frame: int, record: FrameRecord | None) -> list[dict[str, Any]]:
    """The masks on a frame: what was given, else what was tracked, with clicks and confidence.

    record: the frame as it was tracked, if it was.
    """
    found = {} if record is None else {each.number: each for each in record.objects}
    views: list[dict[str, Any]] = []
    view: dict[str, Any]
    for item in project.items:
        given, seen = item.on(frame), found.get(item.number)
        if given is not None:
            view = {"mask": given.mask, "box": given.box, "clicks": list(given.clicks)}
            views.append({"number": item.number, "given": True, "confidence": None, **view})
        elif seen is not None:
            view = {"mask": seen.counts, "box": None, "clicks": []}
            confidence = seen.confidence
            views.append({"number": item.number, "given": False, "confidence": confidence, **view})
    return views
