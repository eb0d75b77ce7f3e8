"""Applies what a person does in the page to a project: a table of actions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hqtrack.app.painting import paint
from hqtrack.app.project import Box, Click, Given, Project, Stroke
from hqtrack.app.prompter import Prompter
from hqtrack.errors import InputError
from hqtrack.masks import mask_boxes
from hqtrack.types import Image
from hqtrack.video.run_lengths import decode_mask, encode_mask

_MOST_POINTS = 20_000

_NEAR = 0.5
"""How far from the box of a mask a click may be, in its longest sides, to belong to that mask."""


@dataclass(frozen=True)
class Canvas:
    """What an action on a frame needs to know of it.

    image: the frame [H,W,3]. tracked: the mask [H,W] of an object that was tracked to this frame,
    by its number; empty where there is none.
    """

    image: Callable[[], Image]
    tracked: Callable[[int], NDArray[np.bool_]]
    prompter: Prompter
    size: tuple[int, int]
    frames: int


def apply(project: Project, action: Mapping[str, Any], canvas: Canvas) -> Project:
    """The project after an action, a JSON object with its ``kind`` and its arguments.

    Raises InputError if the action, or one of its arguments, cannot be used.
    """
    kind = action.get("kind")
    if kind in _ON_OBJECTS:
        return _ON_OBJECTS[kind](project, action)
    if kind not in _ON_FRAMES:
        raise InputError(f"there is no action {kind!r}")
    number, frame = _whole(action, "number"), _whole(action, "frame")
    if not 1 <= frame <= canvas.frames:
        raise InputError(f"there is no frame {frame}: the video has {canvas.frames}")
    before = project.item(number).on(frame)
    return project.give(number, _ON_FRAMES[kind](before, number, frame, action, canvas))


def give_mask(
    project: Project, number: int, frame: int, mask: NDArray[np.bool_], canvas: Canvas
) -> Project:
    """The project with a mask [H,W] that was read from a file; raises InputError if it is wrong."""
    if mask.shape != canvas.size:
        height, width = canvas.size
        raise InputError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} and the video is {width}x{height}: draw "
            "the mask on the frame at its full size"
        )
    if not mask.any():
        raise InputError("the mask file marks no object")
    text = encode_mask(mask)
    return project.give(number, Given(frame, text, text))


def _box(before: Given | None, number: int, frame: int, action: Any, canvas: Canvas) -> Given:
    left, top, right, bottom = (
        _number(action, name) for name in ("left", "top", "right", "bottom")
    )
    height, width = canvas.size
    box = (max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1))
    if box[0] > box[2] or box[1] > box[3]:
        raise InputError("the box is outside the frame: draw it on the picture")
    return _segmented(Given(frame, "", "", box), canvas)


def _click(before: Given | None, number: int, frame: int, action: Any, canvas: Canvas) -> Given:
    x, y = _number(action, "x"), _number(action, "y")
    height, width = canvas.size
    if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
        raise InputError("the click is outside the frame: click on the picture")
    click = Click(x, y, bool(action.get("inside", True)))
    given = before or Given(frame, "", "")
    if given.box is None and not given.clicks:
        mask = decode_mask(before.mask, *canvas.size) if before else canvas.tracked(number)
        given = replace(given, box=_box_to_correct(mask, click))
    clicks = (*given.clicks, click)
    if given.box is None and not any(each.inside for each in clicks):
        raise InputError("click on the object first, and then on what does not belong to it")
    return _segmented(replace(given, clicks=clicks), canvas)


def _stroke(before: Given | None, number: int, frame: int, action: Any, canvas: Canvas) -> Given:
    points, radius = action.get("points"), _number(action, "radius")
    if not isinstance(points, list) or not 1 <= len(points) <= _MOST_POINTS:
        raise InputError(f"a stroke has 1 to {_MOST_POINTS} points")
    if not 0 <= radius <= max(canvas.size):
        raise InputError(f"a brush of radius {radius:g} is larger than the frame")
    try:
        pairs = tuple((float(x), float(y)) for x, y in points)
    except (TypeError, ValueError):
        raise InputError("a point of a stroke is a pair of numbers") from None
    if not all(abs(value) < 1e5 for pair in pairs for value in pair):
        raise InputError("a point of a stroke is far outside the frame")
    given = before
    if given is None:
        base = encode_mask(canvas.tracked(number))
        given = Given(frame, base, base)
    stroke = Stroke(pairs, radius, bool(action.get("erase")))
    return _painted(replace(given, strokes=(*given.strokes, stroke)), canvas)


def _gone(before: Given | None, number: int, frame: int, action: Any, canvas: Canvas) -> Given:
    nothing = encode_mask(np.zeros(canvas.size, np.bool_))
    return Given(frame, nothing, nothing)


def _segmented(given: Given, canvas: Canvas) -> Given:
    """The mask of box and clicks, and the strokes again on it."""
    mask = canvas.prompter.segment(canvas.image(), given.box, given.clicks)
    if not mask.any():
        raise InputError(f"{canvas.prompter.name} finds nothing there: try another place, or paint")
    return _painted(replace(given, base=encode_mask(mask)), canvas)


def _painted(given: Given, canvas: Canvas) -> Given:
    mask = paint(decode_mask(given.base, *canvas.size), given.strokes)
    return replace(given, mask=encode_mask(mask))


def _box_to_correct(mask: NDArray[np.bool_], click: Click) -> Box | None:
    """The box around a mask that goes with the first click on it; None without a mask.

    It grows to a click on the object near it. A click on the object far away says that it is
    elsewhere: then there is none, either.
    """
    left, top, right, bottom = mask_boxes(mask[None])[0].tolist()
    if math.isnan(left):
        return None
    if not click.inside:
        return left, top, right, bottom
    away = max(left - click.x, click.x - right, top - click.y, click.y - bottom)
    if away > _NEAR * max(right - left + 1, bottom - top + 1):
        return None
    return min(left, click.x), min(top, click.y), max(right, click.x), max(bottom, click.y)


def _number(action: Mapping[str, Any], name: str) -> float:
    value = action.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is a number, not {value!r}")
    return float(value)


def _whole(action: Mapping[str, Any], name: str) -> int:
    value = action.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is a whole number, not {value!r}")
    return value


def _text(action: Mapping[str, Any], name: str) -> str:
    value = action.get(name, "")
    if not isinstance(value, str):
        raise InputError(f"{name} is a text, not {value!r}")
    return value


_ON_OBJECTS: dict[Any, Callable[[Project, Mapping[str, Any]], Project]] = {
    "add": lambda project, action: project.add(_text(action, "name").strip()),
    "rename": lambda project, action: project.rename(
        _whole(action, "number"), _text(action, "name")
    ),
    "hide": lambda project, action: project.hide(
        _whole(action, "number"), bool(action.get("hidden"))
    ),
    "delete": lambda project, action: project.delete(_whole(action, "number")),
    "take_back": lambda project, action: project.take_back(
        _whole(action, "number"), _whole(action, "frame")
    ),
}

_ON_FRAMES = {"box": _box, "click": _click, "stroke": _stroke, "gone": _gone}
