"""Scores of a tracker on a video with masks on some frames."""

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.tracker import Tracked
from training.data.layouts import read_sequences
from training.data.sources import VOID
from training.vmos.held_out import follow

SIZE = (24, 32)


class Whole:
    """Finds every object everywhere in the left half."""

    def initialize(self, image, masks):
        self.count = len(masks)
        self.frames = 0

    def track(self, image):
        self.frames += 1
        masks = np.zeros((self.count, *image.shape[:2]), bool)
        masks[:, :, : image.shape[1] // 2] = True
        return Tracked(masks, np.ones(self.count, np.float32))


def write(folder, maps):
    """A video; None is a frame without a mask."""
    for name in ("color", "masks"):
        (folder / "one" / name).mkdir(parents=True)
    for number, labels in enumerate(maps, start=1):
        stem = f"{number:08d}"
        cv2.imwrite(str(folder / f"one/color/{stem}.jpg"), np.zeros((*SIZE, 3), np.uint8))
        if labels is not None:
            picture = PillowImage.fromarray(labels.astype(np.uint8))
            picture.putpalette(list(range(256)) * 3)
            picture.save(folder / f"one/masks/{stem}.png")
    return read_sequences(folder).videos[0]


def half(label=1, columns=16):
    labels = np.zeros(SIZE, np.int32)
    labels[:, :columns] = label
    return labels


def test_only_frames_with_a_mask_count(tmp_path):
    tracker = Whole()
    video = write(tmp_path, [None, half(), None, half(columns=8), None])
    assert pytest.approx(0.5) == follow(tracker, video).J
    assert tracker.frames == 3


def test_the_last_frame_of_a_whole_video_is_left_out(tmp_path):
    video = write(tmp_path, [half(), half(), half(columns=8)])
    assert follow(Whole(), video) == (1.0, 1.0)


def test_void_pixels_and_later_objects_do_not_count(tmp_path):
    second = half(columns=8)
    second[:, 8:16], second[:, 20:] = VOID, 2
    video = write(tmp_path, [half(), second, None])
    assert pytest.approx(1.0) == follow(Whole(), video).J


def test_at_most_so_many_frames(tmp_path):
    tracker = Whole()
    video = write(tmp_path, [half(), None, half(columns=8), None, half()])
    assert pytest.approx(0.5) == follow(tracker, video, most=2).J
    assert tracker.frames == 2
    assert np.isnan(follow(tracker, video, most=1).J)
