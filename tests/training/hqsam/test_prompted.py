"""Views with prompts, and what is held out."""

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from hqtrack.errors import InputError
from hqtrack.video import write_labels
from hqtrack.video.images import write_image
from training.data.datasets import open_datasets
from training.hqsam.prompted import PromptedObjects, Source, is_held_out, split_stills

SIDE = 64


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    """Thirty pictures with a bright square each; void in a corner."""
    folder = tmp_path_factory.mktemp("stills")
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for n in range(30):
        labels = np.zeros((90, 120), np.uint8)
        labels[20 + n : 50 + n, 30 + n : 70 + n] = 1
        labels[:10, :10] = 255
        image = np.random.default_rng(n).integers(0, 80, (90, 120, 3)).astype(np.uint8)
        image[labels == 1] += 150
        write_image(folder / "images" / f"p{n + 10}.png", image)
        PillowImage.fromarray(labels).save(folder / "masks" / f"p{n + 10}.png")
    (dataset,) = open_datasets([folder])
    return dataset


def test_one_in_thirteen_is_held_out_by_its_name(stills):
    kept, held_out = split_stills(stills)
    assert len(kept) + len(held_out) == 30
    assert [still.image.stem for still in held_out] == ["p35"]
    assert all(map(is_held_out, held_out))
    assert not any(map(is_held_out, kept))


def test_samples_depend_on_their_number_only(stills):
    sources = [Source(stills.stills, 1.0)]
    one, other = (PromptedObjects(sources, SIDE, 3) for _ in range(2))
    for mine, theirs in zip(one[5], other[5], strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0, equal_nan=True)
    assert not torch.equal(one[5].pixels, one[6].pixels)
    assert not torch.equal(one[5].pixels, PromptedObjects(sources, SIDE, 4)[5].pixels)


def test_a_sample_has_its_object_and_prompts_for_it(stills):
    objects = PromptedObjects([Source(stills.stills, 1.0)], SIDE, 0)
    kinds = set()
    for n in range(40):
        sample = objects[n]
        assert sample.pixels.shape == (3, SIDE, SIDE)
        inside = sample.target > 127
        assert inside.any()
        for prompt in range(2):
            has_box = not sample.boxes[prompt].isnan().any()
            clicks = int((sample.labels[prompt] >= 0).sum())
            kinds.add((prompt, has_box, bool(sample.given[prompt]), clicks > 0))
            assert has_box or sample.given[prompt] or clicks
            for (x, y), label in zip(sample.points[prompt], sample.labels[prompt], strict=True):
                if label >= 0:
                    assert inside[int(y), int(x)] == bool(label)
    assert {(0, True, False, False), (0, True, True, False), (0, False, True, False)} <= kinds
    assert {(1, False, False, True), (1, True, False, True)} <= kinds


def test_void_is_not_known(stills):
    objects = PromptedObjects([Source(stills.stills, 1.0)], SIDE, 0)
    assert any(not objects[n].known.all() for n in range(20))
    assert not any((objects[n].target[~objects[n].known] > 127).any() for n in range(20))


def test_pictures_without_an_object_are_no_data(stills, tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    write_image(tmp_path / "images" / "p.png", np.zeros((20, 20, 3), np.uint8))
    write_labels(tmp_path / "masks" / "p.png", np.zeros((20, 20), np.uint8))
    (dataset,) = open_datasets([tmp_path])
    with pytest.raises(InputError, match="have no object of 100 pixels"):
        PromptedObjects([Source(dataset.stills, 1.0)], SIDE, 0)[0]
