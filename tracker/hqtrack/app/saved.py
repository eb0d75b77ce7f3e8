"""The file of a project in its folder."""

import json
from pathlib import Path

from hqtrack.app.project import History, Project, from_json, to_json
from hqtrack.errors import InputError, one_line
from hqtrack.files import replacing

_FILE = "project.json"


def video_of(folder: Path) -> str | None:
    """The address of the video of the project in a folder; None if there is no project."""
    try:
        return str(json.loads((folder / _FILE).read_bytes())["video"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def load(folder: Path, video: str) -> tuple[History, Project] | None:
    """The project of a video, and the one with which its finished frames were made.

    None if the folder has no project. Raises InputError if it has that of another video, or if the
    file is damaged.
    """
    path = folder / _FILE
    try:
        content = json.loads(path.read_bytes())
        history, made_with = from_json(content["history"]), from_json(content["made_with"])
        other = content["video"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(
            f"{path} is damaged ({one_line(error)}): move it away, or give another --output"
        ) from error
    if other != video:
        raise InputError(
            f"{folder} is the project of {other}: give that video, or another --output"
        )
    return history, made_with.present


def save(folder: Path, video: str, history: History, made_with: Project) -> None:
    """Save a project atomically; raises InputError if it cannot be written."""
    content = {
        "video": video,
        "history": to_json(history),
        "made_with": to_json(History((made_with,))),
    }
    try:
        with replacing(folder / _FILE) as part:
            part.write_text(json.dumps(content), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot save to {folder} ({error.strerror}): the change is undone"
        ) from error
