"""Which frames are remembered and read, as tables; what is stored of them."""

import pytest
import torch

from hqtrack.memory import MemoryBank, frames_to_keep, groups_that_refer
from vmos.attention import LayerMemory

TOKENS = 3


def memory(value, layers=2):
    """Every token of every layer tells which frame it is from."""
    return tuple(
        LayerMemory(
            torch.full((1, TOKENS + layer, 2), float(value)),
            torch.full((1, TOKENS + layer, 4), -float(value)),
        )
        for layer in range(layers)
    )


def stored(bank):
    """The frames whose tokens are in long-term memory, in order, checked for every layer."""
    frames = bank.long_term[0].key[0, ::TOKENS, 0].tolist()
    for number, layer in enumerate(bank.long_term):
        expected = torch.tensor(frames).repeat_interleave(TOKENS + number)
        assert torch.equal(layer.key, expected[None, :, None].expand(1, -1, 2))
        assert torch.equal(layer.value, -expected[None, :, None].expand(1, -1, 4))
    return [int(frame) for frame in frames]


def run(bank, first, last):
    for frame in range(first, last + 1):
        bank.add(frame, memory(frame))


@pytest.mark.parametrize(
    ("frames", "references", "new", "size", "kept"),
    [
        pytest.param([], set(), 0, 2, [], id="first"),
        pytest.param([0], {0}, 5, 3, [0], id="room"),
        pytest.param([0, 5], {0}, 10, 3, [0, 5], id="just room"),
        pytest.param([0, 5, 10], {0}, 15, 3, [0, 10], id="oldest that is no reference"),
        pytest.param([0, 5, 10], {0}, 10, 3, [0, 5], id="same frame again"),
        pytest.param([0, 5, 10], {0, 10}, 10, 3, [0, 5], id="same reference again"),
        pytest.param([0, 5, 10], {0, 5}, 15, 3, [0, 5], id="later references stay, too"),
        pytest.param([0, 5, 10], {5}, 15, 3, [5, 10], id="no reference at the start"),
        pytest.param([0, 5, 10], {0, 5, 10}, 15, 3, [0, 5, 10], id="references beyond size"),
        pytest.param([0, 5, 10, 12], {0, 5, 10}, 15, 3, [0, 5, 10], id="beyond size and one"),
        pytest.param([0, 5, 10, 15, 20], {0}, 25, 2, [0], id="several at once"),
    ],
)
def test_frames_to_keep(frames, references, new, size, kept):
    before = list(frames), set(references)
    assert frames_to_keep(frames, references, new, size) == kept
    assert (frames, references) == before


@pytest.mark.parametrize(
    ("objects", "added", "referred", "refer"),
    [
        pytest.param(0, 1, set(), [True], id="start"),
        pytest.param(0, 7, set(), [True, True, True], id="start of three groups"),
        pytest.param(2, 1, set(), [True], id="fills a group"),
        pytest.param(3, 1, set(), [False, True], id="opens a group beside a full one"),
        pytest.param(2, 2, set(), [True, True], id="fills one and opens one"),
        pytest.param(4, 1, set(), [False, True], id="joins the last group only"),
        pytest.param(4, 5, set(), [False, True, True], id="joins one, opens one"),
        pytest.param(3, 1, {0}, [True, True], id="the frame was a reference already"),
        pytest.param(7, 1, {0}, [True, False, True], id="for one of two groups"),
    ],
)
def test_groups_that_refer(objects, added, referred, refer):
    """Groups of three objects: True where the frame becomes a reference, else it is memorized."""
    assert groups_that_refer(objects, added, 3, referred) == refer


@pytest.mark.parametrize(
    ("gap", "size", "lag", "last", "long_term", "short_term"),
    [
        (50, 6, 4, 3, [0], 0),
        (50, 6, 4, 4, [0], 1),
        (50, 6, 4, 49, [0], 46),
        (50, 6, 4, 50, [0, 50], 47),
        (50, 6, 4, 419, [0, 200, 250, 300, 350, 400], 416),
        (3, 3, 1, 1, [0], 1),
        (3, 3, 1, 3, [0, 3], 3),
        (3, 3, 1, 11, [0, 6, 9], 11),
        (1, 2, 2, 9, [0, 9], 8),
    ],
)
def test_schedule(gap, size, lag, last, long_term, short_term):
    """What is read after frame `last` was written."""
    bank = MemoryBank(gap, size, lag)
    bank.add_reference(0, memory(0))
    run(bank, 1, last)
    assert bank.frames == stored(bank) == long_term
    assert bank.short_term.frame == short_term
    assert bank.short_term.memory[0].key.unique().tolist() == [short_term]


def test_a_new_bank_reads_its_reference():
    bank = MemoryBank(50, 6, 4)
    bank.add_reference(7, memory(7))
    assert stored(bank) == [7]
    assert bank.short_term.frame == 7


def test_a_later_reference_stays_and_restarts_short_term_memory():
    bank = MemoryBank(gap=2, size=3, lag=3)
    bank.add_reference(0, memory(0))
    run(bank, 1, 4)
    bank.add_reference(5, memory(5))
    assert stored(bank) == [0, 4, 5]
    assert bank.short_term.frame == 5
    run(bank, 6, 7)
    assert bank.short_term.frame == 5
    assert stored(bank) == [0, 5, 7]
    run(bank, 8, 20)
    assert bank.short_term.frame == 18
    assert stored(bank) == [0, 5, 19]


def test_the_gap_counts_from_the_last_entry_a_reference_included():
    bank = MemoryBank(gap=4, size=9, lag=1)
    bank.add_reference(0, memory(0))
    run(bank, 1, 5)
    bank.add_reference(6, memory(6))
    run(bank, 7, 14)
    assert stored(bank) == [0, 4, 6, 10, 14]


def test_references_beyond_the_size_all_stay():
    bank = MemoryBank(gap=1, size=2, lag=1)
    for frame in (0, 3, 6):
        bank.add_reference(frame, memory(frame))
        run(bank, frame + 1, frame + 2)
    assert stored(bank) == [0, 3, 6, 8]
    run(bank, 9, 12)
    assert stored(bank) == [0, 3, 6, 12]


def test_the_same_frame_again_replaces_what_was_kept():
    bank = MemoryBank(gap=2, size=4, lag=2)
    bank.add_reference(0, memory(0))
    run(bank, 1, 2)
    bank.add(2, memory(99))
    assert bank.frames == [0, 2]
    assert stored(bank) == [0, 99]
    assert bank.short_term.frame == 1
    run(bank, 3, 3)
    assert bank.short_term.memory[0].key.unique().tolist() == [99]


def test_the_same_frame_again_does_not_enter_long_term_memory_early():
    bank = MemoryBank(gap=3, size=4, lag=2)
    bank.add_reference(0, memory(0))
    run(bank, 1, 1)
    bank.add(1, memory(99))
    assert stored(bank) == [0]


def test_a_tracked_frame_may_become_a_reference():
    bank = MemoryBank(gap=2, size=2, lag=2)
    bank.add_reference(0, memory(0))
    run(bank, 1, 2)
    bank.add_reference(2, memory(99))
    assert stored(bank) == [0, 99]
    run(bank, 3, 9)
    assert bank.frames == [0, 2, 8]


def test_written_memory_is_not_changed_later():
    bank = MemoryBank(gap=1, size=3, lag=1)
    reference = memory(0)
    bank.add_reference(0, reference)
    run(bank, 1, 1)
    read = bank.long_term
    run(bank, 2, 5)
    assert read[0].key[0, :, 0].tolist() == [0] * TOKENS + [1] * TOKENS
    assert not reference[0].key.any()


def test_what_is_not_trusted_waits():
    """The next trusted frame enters long-term memory, whenever it comes."""
    bank = MemoryBank(gap=2, size=3, lag=1, wait=True)
    bank.add_reference(0, memory(0))
    for frame in range(1, 6):
        bank.add(frame, memory(frame), trusted=False)
    assert stored(bank) == [0]
    bank.add(6, memory(6))
    assert stored(bank) == [0, 6]


def test_short_term_memory_is_held_for_a_while():
    bank = MemoryBank(gap=50, size=3, lag=1, hold=3)
    bank.add_reference(0, memory(0))
    read = []
    for frame, trusted in enumerate([True, False, False, False, False, False, True, False], 1):
        bank.add(frame, memory(frame), trusted)
        read.append(bank.short_term.frame)
    assert read == [1, 1, 1, 1, 5, 6, 7, 7]


def test_without_rules_trust_changes_nothing():
    bank, other = (MemoryBank(gap=2, size=3, lag=2) for _ in range(2))
    for each, trusted in ((bank, True), (other, False)):
        each.add_reference(0, memory(0))
        for frame in range(1, 9):
            each.add(frame, memory(frame), trusted)
    assert stored(bank) == stored(other)
    assert bank.short_term.frame == other.short_term.frame


def test_a_reference_frame_is_rewritten_where_it_is():
    """The order of frames, what is due next and other frames stay as they are."""
    bank = MemoryBank(gap=2, size=4, lag=3, sharpness=2.0)
    bank.add_reference(0, memory(1))
    run(bank, 1, 2)
    copied = bank.copy()
    bank.rewrite(0, memory(7))
    assert bank.frames_read == copied.frames_read == ((0, 2), 0)
    for each, key in ((bank, 7.0), (copied, 1.0)):
        assert each.short_term.memory[1].key.unique().tolist() == [key]
        assert each.long_term[1].key[0, :: TOKENS + 1, 0].tolist() == [2 * key, 4]
        assert each.long_term[1].value[0, :: TOKENS + 1, 0].tolist() == [-key, -2]
    run(bank, 3, 4)
    assert bank.frames_read == ((0, 2, 4), 2)
    bank.rewrite(0, memory(8))
    assert bank.short_term.memory[0].key.unique().tolist() == [2]


def test_keys_of_long_term_memory_alone_are_sharpened():
    """Once, however long a frame stays."""
    bank = MemoryBank(gap=1, size=3, lag=1, sharpness=1.5)
    bank.add_reference(0, memory(2))
    assert bank.short_term.memory[0].key.unique().tolist() == [2]
    bank.add(1, memory(4))
    bank.add(2, memory(6))
    assert bank.long_term[1].key[0, :: TOKENS + 1, 0].tolist() == [3, 6, 9]
    assert bank.long_term[1].value[0, :: TOKENS + 1, 0].tolist() == [-2, -4, -6]
