"""Instance masks in COCO's format: a JSON file of annotations and a folder of images."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import is_hidden
from training.data.sources import Outlined


class Instances(NamedTuple):
    """Images with at least one instance, and the reasons for skipped ones."""

    stills: list[Outlined]
    skipped: list[str]


def fits(path: Path) -> bool:
    """Whether the path is a JSON file, or a folder with annotations of instances."""
    return path.suffix == ".json" if path.is_file() else bool(_candidates(path))


def read(path: Path) -> Instances:
    """Read an annotations file, or that of a folder, without crowd regions.

    Raises InputError if the file is incomplete, if images are missing, or if the folder has several
    such files.
    """
    annotations = path if path.is_file() else _choose(path)
    content = load(annotations, "images", "annotations")
    try:
        return _collect(annotations, content["images"], content["annotations"])
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{annotations} is not in COCO's format ({type(error).__name__}: {error}): an image "
            "has id, file_name, height and width, an annotation image_id and segmentation"
        ) from error


def _collect(
    source: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]
) -> Instances:
    instances: dict[Any, list[tuple[float, Any]]] = defaultdict(list)
    crowds = 0
    for entry in annotations:
        outline = entry.get("segmentation")
        if entry.get("iscrowd") or not outline:
            crowds += 1
            continue
        instances[entry["image_id"]].append((entry.get("area", 0.0), outline))
    named = [entry for entry in images if entry["id"] in instances]
    if not named:
        raise InputError(f"{source} has no instance with a segmentation: give another file")
    folder = _images(source, [entry["file_name"] for entry in named])
    stills = []
    for entry in named:
        largest_first = sorted(instances[entry["id"]], key=lambda pair: -pair[0])
        outlines = tuple(outline for _, outline in largest_first)
        size = (entry["height"], entry["width"])
        stills.append(Outlined(folder / entry["file_name"], size, outlines))
    left_out = (
        (crowds, "crowds or boxes without outline"),
        (len(images) - len(named), "images without an instance"),
    )
    return Instances(stills, [f"{count} {what}" for count, what in left_out if count])


def load(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON file; raises InputError if it lacks one of these keys."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise InputError(f"cannot read {path} ({error}): copy it again") from error
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise InputError(f"{path} has no {', '.join(missing)}: give another file")
    return content


def _candidates(folder: Path) -> list[Path]:
    places = ("annotations/instances*.json", "annotations.json", "_annotations.coco.json")
    found = (path for place in places for path in folder.glob(place))
    return sorted(path for path in found if not is_hidden(path))


def _choose(folder: Path) -> Path:
    """The only annotations file of a folder, or the only one for training."""
    found = _candidates(folder)
    if not found:
        raise MissingFileError(f"there is no annotations/instances_*.json in {folder}")
    training = [path for path in found if "train" in path.stem] or found
    if len(training) > 1:
        raise InputError(
            f"{folder} has {', '.join(path.name for path in training)}: give the path of one"
        )
    return training[0]


def _images(annotations: Path, names: list[str]) -> Path:
    """The folder that has all these images."""
    subset = annotations.stem.removeprefix("instances_")
    here, above = annotations.parent, annotations.parent.parent
    places = [above / subset, above / "images" / subset, above / "images", here / "images", here]
    for folder in places:
        if (folder / names[0]).is_file():
            missing = [name for name in names if not (folder / name).is_file()]
            if missing:
                raise MissingFileError(
                    f"{folder} lacks {len(missing)} of the {len(names)} images of {annotations}, "
                    f"the first {missing[0]}: the dataset is incomplete; copy it again"
                )
            return folder
    raise MissingFileError(
        f"{names[0]} of {annotations} is in none of {', '.join(map(str, places))}: put it there"
    )
