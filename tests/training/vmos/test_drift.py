"""Simulated labels of a drifting tracker."""

import torch

from training.vmos.drift import MARGIN, damaged, stale, unknown


def labels():
    """Two objects of [2,64,64]: the first in both halves, the second in one."""
    maps = torch.zeros(2, 64, 64, dtype=torch.int64)
    maps[:, 8:40, 8:40] = 1
    maps[1, 44:60, 20:60] = 2
    return maps


def frames(seed=0):
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def draw(seed):
    return damaged(labels(), frames(), torch.Generator().manual_seed(seed))


def test_stale_labels_stay_where_nothing_else_is():
    before = torch.full((2, 64, 64), 3)
    kept = stale(labels(), before)
    assert torch.equal(kept[labels() == 0], before[labels() == 0])
    assert torch.equal(kept[labels() > 0], labels()[labels() > 0])


def test_damaged_labels_lose_parts_or_spill():
    """Never both at once, and both happen; an object never becomes another one."""
    lost, spilled = 0, 0
    for seed in range(20):
        after = draw(seed)
        shrunk = (after == 0) & (labels() > 0)
        grown = (after > 0) & (labels() == 0)
        assert not (shrunk.any() and grown.any())
        both = (after > 0) & (labels() > 0)
        assert torch.equal(after[both], labels()[both])
        lost, spilled = lost + shrunk.any().item(), spilled + grown.any().item()
    assert lost >= 4
    assert spilled >= 4


def test_damage_is_moderate():
    shares = [
        ((draw(seed) != labels()) & (labels() > 0)).sum() / (labels() > 0).sum()
        for seed in range(40)
    ]
    assert 0.03 < torch.stack(shares).mean() < 0.3


def test_what_is_lost_is_alike_in_colour():
    """Of an object in two colours, place aside, one of them goes."""
    picture = torch.zeros(2, 3, 64, 64)
    picture[:, :, 8:40, 8:24] = 3.0
    picture[:, :, 8:40, 24:40] = -3.0
    differences = []
    for seed in range(40):
        gone = (damaged(labels(), picture, torch.Generator().manual_seed(seed)) == 0)[0, 8:40]
        left, right = gone[:, 8:24].float().mean(), gone[:, 24:40].float().mean()
        differences.append((left - right).abs())
    assert torch.stack(differences).max() > 0.9


def test_damage_does_not_depend_on_the_share_of_the_batch():
    """As clips are spread over processes: what is drawn is drawn for all."""
    whole = draw(3)
    for index in range(2):
        one = damaged(
            labels()[index : index + 1],
            frames()[index : index + 1],
            torch.Generator().manual_seed(3),
        )
        assert torch.equal(one[0], whole[index])


def test_nothing_comes_of_nothing():
    empty = torch.zeros(1, 16, 16, dtype=torch.int64)
    assert not damaged(empty, frames()[:1, :, :16, :16], torch.Generator()).any()


def test_one_object_becomes_unknown_with_a_margin():
    """The others stay, and each object is chosen at times."""
    chosen = set()
    for seed in range(20):
        after = unknown(labels(), 9, torch.Generator().manual_seed(seed))
        for clip, before in zip(after, labels(), strict=True):
            assert set(before[clip == 9].unique().tolist()) <= {0, 1, 2}
            (gone,) = set(before.unique().tolist()) - set(clip.unique().tolist())
            chosen.add(gone)
            assert torch.equal(clip[clip != 9], before[clip != 9])
            rows = (clip == 9).any(dim=1).nonzero().flatten()
            own = (before == gone).any(dim=1).nonzero().flatten()
            assert rows[0] == own[0] - MARGIN
    assert chosen == {1, 2}


def test_without_objects_nothing_becomes_unknown():
    empty = torch.zeros(1, 8, 8, dtype=torch.int64)
    assert torch.equal(unknown(empty, 9, torch.Generator()), empty)
