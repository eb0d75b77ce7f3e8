"""The first masks of a run as files, before anything is tracked."""

import sys
from pathlib import Path

import numpy as np

from hqtrack.errors import InputError
from hqtrack.files import replacing
from hqtrack.runs.first_masks import first_masks
from hqtrack.runs.plan import RunPlan
from hqtrack.runs.prompt_checks import check_prompts, separate
from hqtrack.video.images import write_image
from hqtrack.video.mask_files import write_labels
from hqtrack.video.overlay import draw_masks


def preview(plan: RunPlan) -> tuple[Path, Path]:
    """Write the masks of the objects on the first frame, next to the folder of the run.

    Returns a label map, which ``--mask`` takes, and a picture of the frame with the masks. Earlier
    previews are replaced. Raises InputError if a prompt or the frame cannot be used, if no object
    starts on the first frame, and if the files cannot be written.
    """
    frame = next(plan.source.read(plan.start, plan.every), None)
    if frame is None:
        raise InputError(f"{plan.source.address} has no frame {plan.start}")
    height, width = frame.image.shape[:2]
    warnings = check_prompts(plan.targets, width, height)
    targets = [target for target in plan.targets if target.frame in (None, frame.number)]
    if not targets:
        raise InputError(f"no object starts on frame {frame.number}: give its number as --start")
    masks, told = separate(targets, first_masks(frame.image, targets, plan.prompted))
    for line in (*warnings, *told):
        print(f"hqtrack: {line}", file=sys.stderr)
    numbers = [target.number for target in targets]
    labels = np.zeros((height, width), np.int32)
    for number, mask in zip(numbers, masks, strict=True):
        labels[mask] = number
    files = tuple(plan.folder.with_name(f"{plan.folder.name}.preview{end}") for end in _ENDINGS)
    try:
        plan.folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(files[0]) as part:
            write_labels(part, labels)
        with replacing(files[1]) as part:
            write_image(part, draw_masks(frame.image, masks, numbers))
    except OSError as error:
        raise InputError(
            f"cannot write {files[0]} ({error.strerror}): give another --output"
        ) from error
    return files[0], files[1]


_ENDINGS = (".png", ".jpg")
