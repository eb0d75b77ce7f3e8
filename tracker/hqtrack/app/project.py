"""What a person has decided about a video: objects, and the masks given for them.

Everything here is a value: each change gives a new ``Project``, and ``History`` keeps the earlier
ones for undo and redo.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, TypeAlias

from hqtrack.errors import InputError

_LONGEST_NAME = 60
_MOST_STATES = 50

Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right, bottom: inclusive pixel indices."""


class Click(NamedTuple):
    """A pixel that is on the object, or is not."""

    x: float
    y: float
    inside: bool


class Stroke(NamedTuple):
    """A line of a round brush through these pixels (x, y), which adds to a mask or erases."""

    points: tuple[tuple[float, float], ...]
    radius: float
    erase: bool


@dataclass(frozen=True)
class Given:
    """A mask that a person gave on a frame, and how.

    frame: counted from 1. mask: the result, as COCO's run lengths. base: the mask on which the
    strokes are painted: what box and clicks made, a file, or the tracked mask.
    """

    frame: int
    mask: str
    base: str
    box: Box | None = None
    clicks: tuple[Click, ...] = ()
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True)
class Item:
    """An object: its number, the label in the masks; its name; its given masks by their frames.

    The first given mask starts the object, the others correct it.
    """

    number: int
    name: str
    hidden: bool = False
    given: tuple[Given, ...] = ()

    def on(self, frame: int) -> Given | None:
        """What was given on a frame."""
        return next((given for given in self.given if given.frame == frame), None)


@dataclass(frozen=True)
class Project:
    """The objects, in the order in which they were added."""

    items: tuple[Item, ...] = ()

    def item(self, number: int) -> Item:
        """The object of this number; raises InputError if there is none."""
        for item in self.items:
            if item.number == number:
                return item
        raise InputError(f"there is no object {number}: it was deleted, or never added")

    def add(self, name: str = "") -> "Project":
        """With one more object, which has the next number and this name, or its number as name."""
        number = max((item.number for item in self.items), default=0) + 1
        item = Item(number, str(number))
        return Project.of([*self.items, replace(item, name=name) if name else item])

    def rename(self, number: int, name: str) -> "Project":
        """With another name for an object."""
        return self._with(replace(self.item(number), name=name.strip()))

    def hide(self, number: int, hidden: bool) -> "Project":
        """With an object that is drawn or not; it is tracked in any case."""
        return self._with(replace(self.item(number), hidden=hidden))

    def delete(self, number: int) -> "Project":
        """Without an object."""
        gone = self.item(number)
        return Project(tuple(item for item in self.items if item is not gone))

    def give(self, number: int, given: Given) -> "Project":
        """With a mask for an object on a frame, in place of one that was given there before."""
        item = self.item(number)
        others = [each for each in item.given if each.frame != given.frame]
        return self._with(
            replace(item, given=tuple(sorted([*others, given], key=lambda each: each.frame)))
        )

    def take_back(self, number: int, frame: int) -> "Project":
        """Without what was given for an object on a frame."""
        item = self.item(number)
        return self._with(
            replace(item, given=tuple(each for each in item.given if each.frame != frame))
        )

    def _with(self, item: Item) -> "Project":
        return Project.of(item if each.number == item.number else each for each in self.items)

    @staticmethod
    def of(items: Iterable[Item]) -> "Project":
        """A project of these objects.

        Raises InputError if a name cannot be used; the command line has the same rules.
        """
        project = Project(tuple(items))
        names = [item.name for item in project.items]
        for item in project.items:
            if not item.name or len(item.name) > _LONGEST_NAME or set(item.name) & set("@=\n\r"):
                raise InputError(
                    f"{item.name!r} is no name: give up to {_LONGEST_NAME} letters, without @ or ="
                )
            if item.name.isdecimal() and item.name != str(item.number):
                raise InputError(f"object {item.number} cannot have the name {item.name}: a number")
            if names.count(item.name) > 1:
                raise InputError(f"there is another object {item.name}: give different names")
        return project


def stale_from(before: Project, after: Project) -> int | None:
    """The first frame whose masks may differ when ``after`` is tracked instead of ``before``.

    None if nothing changes; names and what is drawn do not matter.
    """
    differing = _masks(before) ^ _masks(after)
    return min((frame for frame, _, _ in differing), default=None)


def _masks(project: Project) -> set[tuple[int, int, str]]:
    return {
        (given.frame, item.number, given.mask) for item in project.items for given in item.given
    }


@dataclass(frozen=True)
class History:
    """The states of a project, of which the one at place ``at`` is the present one."""

    states: tuple[Project, ...] = (Project(),)
    at: int = 0

    @property
    def present(self) -> Project:
        """The present state."""
        return self.states[self.at]

    def push(self, project: Project) -> "History":
        """With a new present state; what was undone is forgotten, and so are the oldest states."""
        if project == self.present:
            return self
        states = (*self.states[: self.at + 1], project)[-_MOST_STATES:]
        return History(states, len(states) - 1)

    def undo(self) -> "History":
        """The state before, if there is one."""
        return replace(self, at=max(self.at - 1, 0))

    def redo(self) -> "History":
        """The state that was undone, if there is one."""
        return replace(self, at=min(self.at + 1, len(self.states) - 1))


def to_json(history: History) -> dict[str, Any]:
    """The content of a file, for ``from_json``."""
    return asdict(history)


def from_json(content: Any) -> History:
    """The history in the content of a file; raises InputError if it is none."""
    try:
        states = tuple(Project.of(map(_item, state["items"])) for state in content["states"])
        at = int(content["at"])
        if not 0 <= at < len(states):
            raise ValueError(at)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise InputError(f"the project is damaged ({error})") from error
    return History(states, at)


def _item(value: Any) -> Item:
    given = tuple(sorted(map(_given, value["given"]), key=lambda each: each.frame))
    return Item(int(value["number"]), str(value["name"]), bool(value["hidden"]), given)


def _given(value: Any) -> Given:
    box = None if value["box"] is None else tuple(map(float, value["box"]))
    if box is not None and len(box) != 4:
        raise ValueError(box)
    return Given(
        int(value["frame"]),
        str(value["mask"]),
        str(value["base"]),
        box,
        tuple(Click(float(x), float(y), bool(inside)) for x, y, inside in value["clicks"]),
        tuple(
            Stroke(tuple((float(x), float(y)) for x, y in points), float(radius), bool(erase))
            for points, radius, erase in value["strokes"]
        ),
    )
