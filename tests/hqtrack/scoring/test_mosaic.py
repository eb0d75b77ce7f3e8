"""Layout and schedule of mosaics, and what their frames show."""

from dataclasses import dataclass

import numpy as np
import pytest

from hqtrack.errors import InputError
from hqtrack.scoring.annotated import AnnotatedFrame
from hqtrack.scoring.mosaic import Grid, Mosaic, Tile, blank_schedule, deal, lay_out, make_mosaics


@dataclass(frozen=True)
class Coloured:
    """Frames of one colour; object n is the n-th column from the left on, one pixel wider."""

    name: str
    colour: int
    frames: int = 20
    objects: tuple[int, ...] = (1,)
    size: tuple[int, int] = (16, 16)

    def __len__(self):
        return self.frames

    def read(self):
        for index in range(self.frames):
            masks = np.zeros((len(self.objects), *self.size), bool)
            for n, mask in enumerate(masks):
                mask[:, n : n + 2] = True
            image = np.full((*self.size, 3), self.colour + index, np.uint8)
            yield AnnotatedFrame(str(index), image, masks)


@pytest.mark.parametrize(
    ("grid", "size", "tiles"),
    [
        (Grid(1, 1), (20, 30), [(0, 0, 20, 30)]),
        (Grid(2, 1), (20, 33), [(0, 0, 20, 16), (0, 16, 20, 33)]),
        (Grid(1, 2), (33, 20), [(0, 0, 16, 20), (16, 0, 33, 20)]),
        (
            Grid(2, 2),
            (40, 60),
            [(0, 0, 20, 30), (0, 30, 20, 60), (20, 0, 40, 30), (20, 30, 40, 60)],
        ),
    ],
)
def test_lay_out(grid, size, tiles):
    assert lay_out(grid, size) == [Tile(*tile) for tile in tiles]


def test_tiles_cover_the_frame_once():
    covered = np.zeros((480, 854), int)
    for tile in lay_out(Grid(4, 3), covered.shape):
        covered[tile.area] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize("size", [(31, 100), (100, 31)])
def test_tiles_that_are_too_small_are_refused(size):
    with pytest.raises(InputError, match="2x2 tiles do not fit"):
        lay_out(Grid(2, 2), size)


@pytest.mark.parametrize(
    ("sequences", "tiles", "dealt"),
    [
        (1, 4, [(0, 0, 0, 0)]),
        (4, 4, [(0, 1, 2, 3)]),
        (2, 4, [(0, 1, 0, 1)]),
        (3, 2, [(0, 1), (2, 0), (1, 2)]),
        (6, 4, [(0, 1, 2, 3), (4, 5, 0, 1), (2, 3, 4, 5)]),
    ],
)
def test_deal(sequences, tiles, dealt):
    assert deal(sequences, tiles) == dealt


@pytest.mark.parametrize(("sequences", "tiles"), [(7, 4), (7, 12), (20, 12), (30, 4)])
def test_every_sequence_is_dealt_equally_often(sequences, tiles):
    used = np.bincount(np.ravel(deal(sequences, tiles)), minlength=sequences)
    assert len(set(used.tolist())) == 1


@pytest.mark.parametrize("frames", [15, 16, 40, 90, 300])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_tile_is_blank_once_and_comes_back(frames, seed):
    blank = blank_schedule(seed, 12, frames)
    assert blank.shape == (frames, 12)
    assert (np.diff(blank.astype(int), axis=0) == 1).sum(axis=0).tolist() == [1] * 12
    lengths = blank.sum(axis=0)
    assert lengths.min() >= max(frames // 4, 11)
    assert lengths.max() <= max(frames // 3, 11)
    margin = max(frames // 8, 2)
    assert not blank[:margin].any()
    assert not blank[-margin:].any()


def test_the_schedule_is_that_of_the_seed():
    np.testing.assert_array_equal(blank_schedule(3, 4, 40), blank_schedule(3, 4, 40))
    assert not np.array_equal(blank_schedule(3, 4, 40), blank_schedule(4, 4, 40))


def test_too_few_frames_to_go_blank():
    with pytest.raises(InputError, match=r"14 frames are too few.*at least 15"):
        blank_schedule(0, 4, 14)


def test_a_frame_shows_each_sequence_in_its_tile_until_the_shortest_ends():
    shown = (Coloured("a", 10, objects=(3, 9)), Coloured("b", 100, frames=18))
    mosaic = Mosaic("m", shown, Grid(1, 2), (32, 20))
    assert mosaic.objects == (1, 2, 3)
    frames = list(mosaic.read())
    assert len(frames) == len(mosaic) == 18
    assert [frame.name for frame in frames[:2]] == ["00000001", "00000002"]
    for index, frame in enumerate(frames):
        assert (frame.image[:16] == 10 + index).all()
        assert (frame.image[16:] == 100 + index).all()
        assert not frame.masks[:2, 16:].any()
        assert not frame.masks[2, :16].any()
    # 20 columns from 16: the two columns of the first object become columns 0 and 1, or 2
    assert frames[0].masks[0, :16, 0].all()
    assert not frames[0].masks[0, :, 3:].any()


def test_images_are_averaged_and_masks_are_sampled_where_tiles_are_smaller():
    @dataclass(frozen=True)
    class Striped(Coloured):
        def read(self):
            for frame in super().read():
                frame.image[:, ::2] = 200
                yield frame

    mosaic = Mosaic("m", (Striped("a", 100, size=(32, 32)),), Grid(1, 1), (16, 16))
    frame = next(mosaic.read())
    assert (frame.image == 150).all()
    assert frame.masks[0].sum(axis=1).tolist() == [1] * 16


def test_a_sequence_that_is_shown_again_is_mirrored():
    mosaic = Mosaic("m", (Coloured("a", 10),) * 3, Grid(3, 1), (16, 48))
    one, two, three = next(mosaic.read()).masks[:, 0]
    assert np.flatnonzero(one).tolist() == [0, 1]
    assert np.flatnonzero(two).tolist() == [30, 31]
    assert np.flatnonzero(three).tolist() == [32, 33]


def test_a_blank_tile_is_grey_without_objects_while_its_sequence_goes_on():
    shown = (Coloured("a", 10, objects=(1, 2)), Coloured("b", 150))
    plain = list(Mosaic("m", shown, Grid(2, 1), (16, 32)).read())
    blank = list(Mosaic("m", shown, Grid(2, 1), (16, 32), blank_seed=5).read())
    for before, after, hidden in zip(plain, blank, blank_schedule(5, 2, 20), strict=True):
        for tile, objects, gone in zip(
            (slice(16), slice(16, 32)), ((0, 1), (2,)), hidden, strict=True
        ):
            if gone:
                assert (after.image[:, tile] == 127).all()
                assert not after.masks[list(objects)].any()
            else:
                np.testing.assert_array_equal(after.image[:, tile], before.image[:, tile])
                np.testing.assert_array_equal(
                    after.masks[list(objects)], before.masks[list(objects)]
                )


@dataclass(frozen=True)
class Rimmed(Coloured):
    """The last column is void."""

    def read(self):
        void = np.zeros(self.size, bool)
        void[:, -1] = True
        for frame in super().read():
            yield frame._replace(void=void)


def test_void_takes_its_place_in_the_tile():
    shown = (Coloured("a", 10), Rimmed("b", 90), Rimmed("b", 90))
    frame = next(Mosaic("m", shown, Grid(3, 1), (16, 48)).read())
    assert np.unique(np.argwhere(frame.void)[:, 1]).tolist() == [31, 32]
    plain = (Coloured("a", 10), Coloured("b", 10))
    assert next(Mosaic("m", plain, Grid(2, 1), (16, 32)).read()).void is None


def test_an_object_that_vanishes_in_its_tile_is_named():
    shown = (Coloured("fine", 10), Coloured("wide", 10, size=(16, 600)))
    with pytest.raises(InputError, match="an object of wide is too small for a tile of 2x1"):
        next(Mosaic("m", shown, Grid(2, 1), (16, 32)).read())


def test_mosaics_have_names_and_schedules_of_their_own():
    shown = [Coloured(name, 10) for name in "abc"]
    mosaics = make_mosaics(shown, Grid(2, 1), (16, 32), blank_seed=4)
    assert [mosaic.name for mosaic in mosaics] == [f"2x1_blank_0{n}" for n in (1, 2, 3)]
    assert [mosaic.blank_seed for mosaic in mosaics] == [4, 5, 6]
    names = [[sequence.name for sequence in mosaic.sequences] for mosaic in mosaics]
    assert names == [["a", "b"], ["c", "a"], ["b", "c"]]
