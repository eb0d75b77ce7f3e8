"""What is trusted and what is reported, as tables."""

import math

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.presets import RULE_NAMES
from hqtrack.rules import (
    PLUS,
    PUBLISHED,
    RULES,
    WINDOW,
    MemoryRules,
    add_frame,
    add_objects,
    find_rules,
    known,
    no_past,
    present,
    rules_name,
    trusted,
)


def numbers(*values):
    return np.array(values, np.float32)


def past(confidence, area=100, frames=WINDOW):
    """One object that looked the same for so many frames."""
    found = no_past(1)
    for _ in range(frames):
        found = add_frame(found, numbers(confidence), numbers(area))
    return found


DOUBT = MemoryRules(min_confidence=0.8, usual=0.9, max_jump=1.5)


@pytest.mark.parametrize(
    ("before", "confidence", "area", "rules", "trust"),
    [
        pytest.param(no_past(1), 0.0, 1, MemoryRules(), True, id="published trusts what it sees"),
        pytest.param(no_past(1), 0.9, 0, MemoryRules(), False, id="nothing to see"),
        pytest.param(no_past(1), 0.79, 9, DOUBT, False, id="new and not certain"),
        pytest.param(no_past(1), 0.8, 9, DOUBT, True, id="new and certain"),
        pytest.param(past(0.5), 0.46, 100, DOUBT, True, id="as uncertain as ever"),
        pytest.param(past(0.5), 0.44, 100, DOUBT, False, id="less certain than ever"),
        pytest.param(past(0.95), 0.81, 100, DOUBT, True, id="certain enough"),
        pytest.param(past(0.9), 0.9, 149, DOUBT, True, id="grows slowly"),
        pytest.param(past(0.9), 0.9, 151, DOUBT, False, id="grows suddenly"),
        pytest.param(past(0.9), 0.9, 66, DOUBT, False, id="shrinks suddenly"),
        pytest.param(past(0.9), 0.9, 67, DOUBT, True, id="shrinks slowly"),
        pytest.param(past(0.0), 0.0, 100, MemoryRules(), True, id="never certain, published"),
        pytest.param(past(0.5), 0.6, 100, MemoryRules(min_confidence=0.7), False, id="fixed"),
    ],
)
def test_trust(before, confidence, area, rules, trust):
    assert trusted(before, numbers(confidence), numbers(area), rules).tolist() == [trust]


def test_an_object_is_compared_with_its_last_frames_only():
    """After half of them a new size is the usual one."""
    before = past(0.9)
    for _ in range(WINDOW // 2):
        assert not trusted(before, numbers(0.9), numbers(300), DOUBT).any()
        before = add_frame(before, numbers(0.9), numbers(300))
    assert trusted(before, numbers(0.9), numbers(300), DOUBT).all()


def test_an_object_that_was_away_is_compared_with_what_it_was():
    before = past(0.9)
    for _ in range(5 * WINDOW):
        before = add_frame(before, numbers(0.1), numbers(0))
    assert trusted(before, numbers(0.85), numbers(100), DOUBT).all()
    assert not trusted(before, numbers(0.85), numbers(20), DOUBT).any()


def test_objects_join_with_the_area_that_was_given():
    joined = add_objects(past(0.9), numbers(50, 60))
    assert joined.area.shape == joined.confidence.shape == (3, WINDOW)
    areas = trusted(joined, numbers(0.9, 0.9, 0.9), numbers(100, 100, 60), DOUBT)
    assert areas.tolist() == [True, False, True]


def test_objects_are_judged_one_by_one():
    both = add_objects(past(0.9), numbers(10))
    assert trusted(both, numbers(0.2, 0.9), numbers(100, 10), DOUBT).tolist() == [False, True]


@pytest.mark.parametrize(
    ("confidence", "doubted", "sure"),
    [
        pytest.param(0.59, 0, True, id="trusted"),
        pytest.param(0.59, 1, False, id="neither trusted nor certain"),
        pytest.param(0.61, 1, True, id="certain enough"),
        pytest.param(np.nan, 1, True, id="given"),
        pytest.param(0.3, WINDOW, False, id="still not trusted"),
        pytest.param(0.5, WINDOW + 1, True, id="never trusted, or just back"),
        pytest.param(0.3, WINDOW + 1, False, id="back with little confidence"),
        pytest.param(np.nan, WINDOW + 1, True, id="given long ago"),
    ],
)
def test_what_is_doubted_for_some_frames_is_unknown(confidence, doubted, sure):
    rules = MemoryRules(min_known=0.6, min_known_later=0.4)
    found = known(numbers(confidence), np.array([doubted]), rules)
    assert found.tolist() == [sure]
    assert known(numbers(confidence), np.array([doubted]), PUBLISHED.memory).all()


def test_without_confidence_an_object_is_not_there():
    masks = np.ones((2, 3, 3), np.bool_)
    shown = present(masks, numbers(0.1, 0.5), MemoryRules(min_presence=0.2))
    assert shown.any(axis=(1, 2)).tolist() == [False, True]
    assert masks.all()
    assert present(masks, numbers(0.0, 0.5), PUBLISHED.memory) is masks


def test_names():
    assert tuple(RULES) == RULE_NAMES
    assert find_rules("published") is PUBLISHED
    assert rules_name(PLUS) == "plus"
    assert rules_name(PUBLISHED.with_min_iou(0.3)) == "custom"
    with pytest.raises(InputError, match="published or plus"):
        find_rules("best")


def test_published_changes_nothing():
    """All doubts are off."""
    rules = PUBLISHED.memory
    assert (rules.min_confidence, rules.max_jump, rules.hold) == (0.0, math.inf, 0)
    assert (rules.min_known, rules.min_known_later) == (0.0, 0.0)
    assert (rules.wait, rules.changes_masks) == (False, False)


@pytest.mark.parametrize("rules", [MemoryRules(max_speed=0.5), MemoryRules(min_presence=0.1)])
def test_rules_that_change_masks_say_so(rules):
    assert rules.changes_masks
