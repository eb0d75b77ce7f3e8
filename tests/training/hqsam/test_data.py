"""HQSeg-44K and plain stills: what is found, and what is wrong with them."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from hqtrack.errors import InputError, MissingFileError
from tests.helpers import layouts
from training.hqsam.data import Objects, open_stills, read_objects

SETS = {
    "DIS5K-TR": ("DIS5K/DIS-TR/im", "DIS5K/DIS-TR/gt"),
    "ThinObject5K-TR": (
        "thin_object_detection/ThinObject5K/images_train",
        "thin_object_detection/ThinObject5K/masks_train",
    ),
    "FSS-1000": ("cascade_psp/fss_all", "cascade_psp/fss_all"),
    "COIFT": ("thin_object_detection/COIFT/images", "thin_object_detection/COIFT/masks"),
}


def hqseg(folder, count=2):
    for images, masks in SETS.values():
        for n in range(count):
            image, mask = folder / images / f"{n}.jpg", folder / masks / f"{n}.png"
            write = layouts.write_equal_channels if "fss" in images else layouts.write_grey
            layouts.save(image, mask, n, write=write)
    return folder


@pytest.mark.parametrize("validation", [False, True])
def test_the_sets_of_hqseg_that_are_there(tmp_path, validation):
    found = open_stills([hqseg(tmp_path)], validation)
    names = ["COIFT"] if validation else list(SETS)[:3]
    assert [dataset.name for dataset in found] == names
    for dataset in found:
        assert len(dataset.images) == 2
        image, labels, numbers = read_objects(dataset.images[0])
        assert numbers == [1]
        assert (image[labels == 1, 0] > 100).all()


def test_soft_masks_count_from_the_middle(tmp_path):
    hqseg(tmp_path)
    path = tmp_path / SETS["DIS5K-TR"][1] / "0.png"
    grey = np.zeros(layouts.SIZE, np.uint8)
    grey[:10], grey[10:20] = 127, 128
    cv2.imwrite(str(path), grey)
    _, labels, _ = read_objects(open_stills([tmp_path])[0].images[0])
    assert labels[:10].max() == 0
    assert labels[10:20].min() == 1


def test_label_maps_and_hqseg_together(tmp_path):
    stills = layouts.stills(tmp_path / "stills")
    found = open_stills([hqseg(tmp_path / "hqseg"), stills])
    assert [dataset.layout for dataset in found] == ["HQSeg-44K"] * 3 + ["stills"]


def break_by(change):
    """What `change` does to the paths of image and mask number 1 of DIS5K."""

    def do(folder):
        hqseg(folder)
        images, masks = (folder / place for place in SETS["DIS5K-TR"])
        change(images / "1.jpg", masks / "1.png")

    return do


def resize(image, mask):
    cv2.imwrite(str(mask), np.full((10, 12), 255, np.uint8))


def blank(image, mask):
    cv2.imwrite(str(mask), np.zeros(layouts.SIZE, np.uint8))


def truncate(image, mask):
    mask.write_bytes(mask.read_bytes()[:40])


def leave_no_folder(image, mask):
    for path in mask.parent.iterdir():
        path.unlink()
    mask.parent.rmdir()


def leave_no_image(image, mask):
    for path in image.parent.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda image, mask: mask.unlink(),
            r"gt has no mask for 1\.jpg, as for 1 of 2.*incomplete",
        ),
        (leave_no_folder, "no folder .*gt"),
        (leave_no_image, "no images in .*im"),
        (resize, r"1\.png is 12x10, its image 64x48"),
        (blank, r"the mask of .*1\.jpg has no object"),
        (truncate, r"cannot read .*1\.png"),
    ],
    ids=["missing mask", "missing folder", "empty folder", "size", "no object", "truncated"],
)
def test_bad_input(tmp_path, change, message):
    break_by(change)(tmp_path)
    with pytest.raises(InputError, match=message):
        list(map(read_objects, open_stills([tmp_path])[0].images))


def test_no_folder_and_no_training_sets(tmp_path):
    with pytest.raises(MissingFileError, match="no dataset"):
        open_stills([tmp_path / "nowhere"])
    (tmp_path / "DIS5K").mkdir()
    with pytest.raises(InputError, match="has none of DIS5K/DIS-TR/im"):
        open_stills([tmp_path])


@pytest.fixture
def objects(tmp_path):
    for n, size in enumerate([(30, 40), (20, 64), (44, 33)]):
        image, labels = layouts.scene(objects=2, size=size)
        for folder, write in (("images", cv2.imwrite), ("masks", cv2.imwrite)):
            (tmp_path / folder).mkdir(exist_ok=True)
            picture = image[..., ::-1] if folder == "images" else labels.astype(np.uint8)
            assert write(str(tmp_path / folder / f"{n}.png"), picture)
    return Objects(open_stills([tmp_path])[0].images, seed=5)


def test_every_epoch_has_every_image_once_in_another_order(objects):
    epochs = [
        [tuple(objects[number].sizes.tolist()) for number in range(3 * n, 3 * n + 3)]
        for n in range(8)
    ]
    assert {frozenset(epoch) for epoch in epochs} == {frozenset([(30, 40), (20, 64), (44, 33)])}
    assert len(set(map(tuple, epochs))) > 1


def test_a_sample_depends_on_its_number_alone(objects):
    later = objects[7]
    again = Objects(objects.stills, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(again[7], later, strict=True))


def test_samples_of_different_sizes_become_a_batch(objects):
    batch = default_collate(objects.__getitems__([0, 1, 2]))
    assert batch.images.shape == (3, 3, 44, 64)
    for n in range(3):
        height, width = batch.sizes[n].tolist()
        single = objects[n]
        assert torch.equal(batch.images[n, :, :height, :width], single.images)
        assert torch.equal(batch.mattes[n, :height, :width], single.mattes)
        assert single.images[0][single.mattes > 0].min() > 100
