"""Several groups against the full aggregation, unused channels, confidence."""

import pytest
import torch

from hqtrack.decoding import (
    FEW,
    aggregate,
    confidences,
    decode_labels,
    favour_objects,
    object_probabilities,
)
from vmos.ops import resize

SIZE = (23, 31)


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def groups(count, channels=4, scale=3.0):
    return [scale * torch.randn(1, channels, 5, 7) for _ in range(count)]


def certain(label, channels=4, size=(5, 7)):
    """Logits of a group that sees nothing but this label."""
    logits = torch.full((1, channels, *size), -50.0)
    logits[:, label] = 50.0
    return logits


def test_aggregation_of_two_groups():
    a = torch.tensor([0.5, 0.3, 0.2]).reshape(1, 3, 1, 1)
    b = torch.tensor([0.4, 0.6, 0.0]).reshape(1, 3, 1, 1)
    joined = aggregate([a, b])[0, :, 0, 0]
    expected = torch.tensor([0.2, 0.3, 0.2, 0.6, 1e-5])
    torch.testing.assert_close(joined, expected.logit())


def test_one_group_is_enlarged_and_decided():
    logits = torch.full((1, 3, 2, 2), -9.0)
    logits[0, 0, 0, 0] = logits[0, 1, 0, 1] = logits[0, 2, 1] = 9.0
    assert decode_labels([logits], (2, 2)).tolist() == [[0, 1], [2, 2]]
    assert decode_labels([logits], (4, 4))[0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("channels", [2, 3, FEW, FEW + 1])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_few_channels_one_by_one_equal_an_argmax_over_all(channels, layout):
    """Also where channels are equal: then the first wins."""
    (logits,) = groups(1, channels)
    logits[:, -1, :3] = logits[:, 0, :3]
    expected = resize(logits, SIZE).argmax(dim=1)[0]
    labels = decode_labels([logits.contiguous(memory_format=layout)], SIZE)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, expected)
    assert len(labels.unique()) == channels


@pytest.mark.parametrize("count", [2, 3, 7])
@pytest.mark.parametrize("scale", [0.3, 3.0, 30.0])
def test_groups_one_at_a_time_equal_an_argmax_over_all(count, scale):
    logits = groups(count, scale=scale)
    logits[-1] = logits[-1][:, :2]
    expected = aggregate([resize(part, SIZE).softmax(dim=1) for part in logits]).argmax(dim=1)[0]
    labels = decode_labels(logits, SIZE)
    assert labels.shape == SIZE
    assert labels.dtype == torch.int64
    assert torch.equal(labels, expected)
    assert len(labels.unique()) > 1


def test_the_background_needs_all_groups():
    assert not decode_labels([certain(0), certain(0)], SIZE).any()
    assert (decode_labels([certain(0), certain(2)], SIZE) == 5).all()
    assert (decode_labels([certain(1), certain(0)], SIZE) == 1).all()


def test_of_two_certain_groups_the_first_wins():
    assert (decode_labels([certain(3), certain(1)], SIZE) == 3).all()


def test_a_tie_with_the_background_is_background():
    undecided = torch.tensor([0.0, 0.0, -1e10]).reshape(1, 3, 1, 1)
    sure = torch.tensor([50.0, -50.0, -1e10]).reshape(1, 3, 1, 1)
    assert decode_labels([undecided, sure], (1, 1)).item() == 0


def test_probabilities_are_those_of_the_objects_in_order():
    a, b = groups(2)
    alone = object_probabilities([a[:, :3]])
    assert alone.shape == (2, 5, 7)
    torch.testing.assert_close(alone, a[:, :3].softmax(dim=1)[0, 1:])
    both = object_probabilities([a, b[:, :3]])
    assert both.shape == (5, 5, 7)
    assert both.dtype == torch.float32
    assert (both >= 0).all()
    assert (both.sum(dim=0) <= 1 + 1e-5).all()
    picked = object_probabilities([certain(0), certain(2)])
    assert picked.argmax(dim=0).unique().tolist() == [4]
    assert (picked[4] > 0.99).all()


def test_probabilities_of_half_precision_are_taken_in_float32():
    logits = groups(1)[0].bfloat16()
    expected = logits.float().softmax(dim=1)[0, 1:]
    torch.testing.assert_close(object_probabilities([logits]), expected, atol=0, rtol=0)


def halves(*values):
    """Labels [2,4], object 0 on the left; its probability left and right, object 1 elsewhere."""
    left, right = values
    labels = torch.tensor([[1, 1, 0, 0]] * 2)
    return torch.tensor([[[left, left, right, right]] * 2, [[0.0] * 4] * 2]), labels


@pytest.mark.parametrize(
    ("inside", "outside", "confidence"),
    [
        pytest.param(1.0, 0.0, 1.0, id="certain"),
        pytest.param(0.6, 0.0, 0.6, id="doubt inside"),
        pytest.param(1.0, 0.5, 1 / 1.5, id="suspicion elsewhere"),
        pytest.param(0.5, 0.5, 0.5 / 1.5, id="no idea"),
        pytest.param(0.0, 0.0, 0.0, id="no belief"),
    ],
)
def test_confidence_is_the_iou_of_probability_and_mask(inside, outside, confidence):
    scores = confidences(*halves(inside, outside))
    assert scores.dtype == torch.float32
    assert scores.tolist() == pytest.approx([confidence, 0.0])


def test_an_object_without_a_pixel_has_no_confidence():
    probabilities, _ = halves(0.4, 0.4)
    assert confidences(probabilities, torch.zeros(2, 4, dtype=torch.long)).tolist() == [0, 0]


def test_confidence_falls_with_doubt():
    scores = [confidences(*halves(1 - doubt, doubt))[0].item() for doubt in (0.0, 0.1, 0.2, 0.4)]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == 4


def test_labels_of_any_size_are_compared_at_that_of_the_probabilities():
    probabilities, labels = halves(0.7, 0.1)
    large = labels.repeat_interleave(10, dim=0).repeat_interleave(10, dim=1)
    torch.testing.assert_close(
        confidences(probabilities, large), confidences(probabilities, labels)
    )


def test_a_bias_makes_objects_larger():
    logits = torch.tensor([0.0, 0.0, 0.0, 0.2, 1.0, 2.0]).view(1, 2, 1, 3).flip(1)
    before = decode_labels([logits], (1, 3))
    assert before.tolist() == [[0, 0, 0]]
    after = decode_labels([favour_objects(logits, 1.5)], (1, 3))
    assert after.tolist() == [[1, 1, 0]]
    assert favour_objects(logits, 0.0) is logits
