"""What enters memory: unknown objects, and background that reference frames forget."""

import numpy as np
import pytest
import torch

from hqtrack import decoding, memory_writer
from hqtrack.masks import masks_to_labels
from hqtrack.memory_writer import MARGIN, forget
from hqtrack.rules import MemoryRules
from hqtrack.segmenter import VideoObjectSegmenter
from tests.helpers.tiny_segmenter import CONFIG, HEIGHT, WIDTH, rectangles, video
from tests.helpers.tiny_vmos import tiny_vmos


@pytest.fixture(scope="module")
def model():
    """Three objects per group."""
    return tiny_vmos()


def test_what_is_not_known_is_unknown_with_a_margin():
    """The margin takes from the background only, never from another object."""
    labels = torch.zeros(1, 20, 30, dtype=torch.int64)
    labels[0, 8:12, 8:12] = 1
    labels[0, 8:12, 14:20] = 2
    after = forget(labels, np.array([False, True]), 9)
    assert torch.equal(after == 2, labels == 2)
    assert not (after == 1).any()
    rows, columns = (after[0] == 9).nonzero(as_tuple=True)
    assert (rows.min(), rows.max()) == (8 - MARGIN, 11 + MARGIN)
    assert columns.min() == 8 - MARGIN
    assert torch.equal(forget(labels, np.array([True, True]), 9), labels)


def test_doubted_objects_enter_memory_without_identity(model, monkeypatch):
    """Only those of the group in doubt; the reference frame is always trusted."""
    written = []
    memorize = model.memorize
    monkeypatch.setattr(
        model, "memorize", lambda states, labels: written.append(labels) or memorize(states, labels)
    )
    images = video(3)
    doubt = MemoryRules(min_confidence=1.1, min_known=1.1)
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=doubt)
    segmenter.add_reference(images[0], rectangles(4))
    segmenter.step(images[1])
    unknown = model.config.objects + 1
    assert [set(labels.unique().tolist()) <= {0, unknown} for labels in written] == [True, True]
    assert any((labels == unknown).any() for labels in written)


def test_how_long_an_object_has_been_doubted_counts_from_when_it_was_trusted(model, monkeypatch):
    """Objects that are given or corrected are trusted, what is tracked here never is."""
    asked = []

    def known(confidence, doubted, rules):
        asked.append(doubted.tolist())
        return np.ones(len(confidence), np.bool_)

    monkeypatch.setattr(memory_writer, "known", known)
    images = video(5)
    doubt = MemoryRules(min_confidence=1.1, min_known=1.1)
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=doubt)
    segmenter.add_reference(images[0], rectangles(2))
    for image in images[1:3]:
        segmenter.step(image)
    segmenter.add_objects(images[2], rectangles(3)[2:])
    segmenter.step(images[3])
    segmenter.correct(images[3], rectangles(1), [0])
    segmenter.step(images[4])
    assert asked == [[0, 0], [1, 1], [2, 2], [2, 2, 0], [3, 3, 1], [0, 3, 1], [1, 4, 2]]


@pytest.fixture
def references(monkeypatch, model):
    """The labels of all reference frames written into memory, in order."""
    labels = []
    reference = model.reference
    monkeypatch.setattr(
        model,
        "reference",
        lambda features, given: labels.append(given) or reference(features, given),
    )
    return labels


def test_reference_frames_forget_what_looks_like_an_object_far_away(model, monkeypatch, references):
    """In the group of the object only, once, and not in a state that was saved before."""
    objects = np.zeros((4, HEIGHT, WIDTH), np.bool_)
    for index in range(4):
        objects[index, 8 * index : 8 * index + 5, :5] = True
    labels = masks_to_labels(objects)
    labels[-3:, -3:] = 1
    monkeypatch.setattr(decoding, "decode_labels", lambda *_: torch.from_numpy(labels))
    images = video(4)
    rules = MemoryRules(max_speed=0.5, forget_around=0.5)
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=rules)
    segmenter.add_reference(images[0], objects)
    saved, unknown = segmenter.save(), model.config.objects + 1
    assert [(given == unknown).any() for given in references] == [False, False]
    segmenter.step(images[1])
    assert len(references) == 3
    rows, columns = (references[2][0] == unknown).nonzero(as_tuple=True)
    assert rows.min() > references[2].shape[1] / 2
    assert columns.min() > references[2].shape[2] / 2
    assert torch.equal(references[2].where(references[2] != unknown, 0), references[0])
    segmenter.step(images[2])
    assert len(references) == 3
    segmenter.restore(saved)
    segmenter.step(images[1])
    assert len(references) == 4


@pytest.mark.parametrize(
    "rules", [MemoryRules(max_speed=0.5), MemoryRules(forget_around=0.5)], ids=["keep", "no parts"]
)
def test_reference_frames_forget_nothing_unless_told_so(model, monkeypatch, references, rules):
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    labels[:5, :5], labels[-3:, -3:] = 1, 1
    monkeypatch.setattr(decoding, "decode_labels", lambda *_: torch.from_numpy(labels))
    images = video(2)
    near = labels.copy()
    near[-3:, -3:] = 0
    segmenter = VideoObjectSegmenter(model, CONFIG, rules=rules)
    segmenter.add_reference(images[0], near[None] == 1)
    segmenter.step(images[1])
    assert len(references) == 1
