"""Tiny datasets in the layouts that training reads."""

import json

import cv2
import numpy as np
from PIL import Image as PillowImage

from hqtrack.video import write_labels

SIZE = (48, 64)


def scene(number=0, objects=1, size=SIZE):
    """A blue-green image with one red square per object, and their label map."""
    image = np.full((*size, 3), (20, 120, 160), np.uint8)
    labels = np.zeros(size, np.int32)
    for k in range(objects):
        part = np.s_[8 : 8 + size[0] // 3, 4 + 20 * k + number : 4 + 20 * k + number + 14]
        image[part] = (250 - 60 * k, 10, 10)
        labels[part] = k + 1
    return image, labels


def save(image_path, mask_path, number=0, objects=1, write=write_labels):
    image, labels = scene(number, objects)
    for path in (image_path, mask_path):
        path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(image_path), image[..., ::-1])
    write(mask_path, labels)


def write_grey(path, labels):
    PillowImage.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).save(path)


def write_equal_channels(path, labels):
    grey = np.where(labels > 0, 255, 0).astype(np.uint8)
    PillowImage.fromarray(np.stack([grey] * 3, axis=-1)).save(path)


def davis_2017(folder, train=("bear", "bus"), validation=("dog",)):
    for name in (*train, *validation):
        for n in range(3):
            stem = f"480p/{name}/{n:05d}"
            save(
                folder / f"JPEGImages/{stem}.jpg", folder / f"Annotations/{stem}.png", n, objects=2
            )
    lists = folder / "ImageSets/2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(f"{name}\n" for name in train))
    (lists / "val.txt").write_text("".join(f"{name}\n" for name in validation))
    return folder


def davis_2016(folder):
    lines = []
    for name, write in (("bear", write_grey), ("bus", write_equal_channels), ("dog", write_grey)):
        for n in range(3):
            stem = f"480p/{name}/{n:05d}"
            image, mask = f"JPEGImages/{stem}.jpg", f"Annotations/{stem}.png"
            save(folder / image, folder / mask, n, write=write)
            lines += [f"/{image} /{mask}\n"] * (name != "dog")
    lists = folder / "ImageSets/480p"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("".join(lines))
    return folder


def youtube_vos(folder, frames=11, every=5):
    names = ("0043f083b5", "0044fa5fba")
    for name in names:
        for n in range(frames):
            image = folder / f"train/JPEGImages/{name}/{n:05d}.jpg"
            mask = folder / f"train/Annotations/{name}/{n:05d}.png"
            save(image, mask, n)
            if n % every:
                mask.unlink()
    meta = {"videos": {name: {"objects": {"1": {"category": "sign"}}} for name in names}}
    (folder / "train/meta.json").write_text(json.dumps(meta))
    return folder


def sequences(folder, names=("one", "two"), frames=4):
    for name in names:
        for n in range(frames):
            stem = f"{n + 1:08d}"
            save(folder / name / f"color/{stem}.jpg", folder / name / f"masks/{stem}.png", n)
    return folder


def stills(folder, names=("images", "masks"), count=3, write=write_labels, objects=2):
    for n in range(count):
        stem = f"{n:03d}"
        save(
            folder / names[0] / f"{stem}.jpg", folder / names[1] / f"{stem}.png", n, objects, write
        )
    return folder


def coco(folder, subset="train2017"):
    """Three images: a polygon, run lengths with a crowd beside, and nothing."""
    square = {"segmentation": [[4, 8, 17, 8, 17, 23, 4, 23]], "area": 195, "iscrowd": 0}
    inner = {"segmentation": [[6, 10, 9, 10, 9, 13, 6, 13]], "area": 9, "iscrowd": 0}
    column = np.zeros(SIZE, bool)
    column[:, 5:8] = True
    changes = np.flatnonzero(np.diff(column.ravel(order="F"))) + 1
    counts = np.diff([0, *changes, column.size]).tolist()
    runs = {"segmentation": {"size": list(SIZE), "counts": counts}, "area": 144, "iscrowd": 0}
    crowd = {**runs, "iscrowd": 1}
    annotations = [
        {"image_id": image, **entry}
        for image, entry in ((1, inner), (1, square), (2, runs), (2, crowd))
    ]
    images = []
    (folder / subset).mkdir(parents=True)
    for number in (1, 2, 3):
        name = f"{number:012d}.jpg"
        cv2.imwrite(str(folder / subset / name), scene()[0])
        images.append({"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
    (folder / "annotations").mkdir()
    content = {"images": images, "annotations": annotations}
    (folder / f"annotations/instances_{subset}.json").write_text(json.dumps(content))
    return folder
