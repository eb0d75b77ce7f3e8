"""Training clips: functions of seed and number, never of a reserved seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hqtrack import synthetic
from hqtrack.errors import InputError
from tests.helpers import layouts
from training.data.datasets import open_dataset, open_datasets
from training.data.sources import VOID
from training.vmos.clips import SMALLEST, ClipConfig, Clips

SIZE = 65


def supply(shared, seed=0, config=None):
    """Real video, stills and generated sequences, as in training."""
    datasets = open_datasets([shared / "data"])
    config = config or ClipConfig(size=SIZE, frames=3, objects=4)
    return Clips(config, datasets, seed)


def generated(seed=0, objects=10):
    config = ClipConfig(size=SIZE, frames=3, video=0.0, generated=1.0, objects=objects)
    return Clips(config, [], seed)


def from_video(*datasets, **changes):
    return Clips(ClipConfig(size=33, frames=3, video=1.0, **changes), datasets, 0)


def check(clip, objects, frames=3, width=SIZE):
    assert clip.frames.shape == (frames, SIZE, width, 3)
    assert clip.frames.dtype == torch.uint8
    assert clip.labels.shape == (frames, SIZE, width)
    assert clip.labels.dtype == torch.uint8
    assert clip.colour.shape == (3, 4)
    first = set(clip.labels[0].unique().tolist())
    assert len(first - {0, VOID}) > 0
    assert set(clip.labels.unique().tolist()) - {VOID} <= first <= {*range(objects + 1), VOID}


def test_a_clip_depends_on_seed_and_number_only(shared):
    """Asked in another order, of another instance, it is the same; else it is another."""
    forth, back = supply(shared), supply(shared)
    numbers = range(8)
    clips = [forth[n] for n in numbers]
    again = [back[n] for n in reversed(numbers)][::-1]
    for clip, same in zip(clips, again, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(clip, same, strict=True))
    assert len({clip.frames.float().sum().item() for clip in clips}) == len(clips)
    assert len({clip.colour.sum().item() for clip in clips}) == len(clips)
    assert {bool(clip.flip) for clip in clips} == {False, True}
    assert not torch.equal(supply(shared, seed=1)[0].frames, clips[0].frames)


@pytest.mark.parametrize(("video", "share"), [(1.0, 0.0), (0.0, 0.0), (0.0, 1.0)])
def test_every_kind_of_clip(shared, video, share):
    config = ClipConfig(size=SIZE, frames=4, video=video, generated=share, objects=2)
    clips = supply(shared, config=config)
    for number in range(6):
        clip = clips[number]
        check(clip, objects=2, frames=4)
        assert not torch.equal(clip.frames[0], clip.frames[-1])


def test_generated_clips_need_no_data():
    check(generated()[0], objects=10)


def test_identities_are_spread_over_all_channels():
    clips = generated(objects=10)
    seen = {label for n in range(20) for label in clips[n].labels.unique().tolist()}
    assert seen == set(range(11))


@pytest.mark.parametrize("make", [layouts.davis_2017, layouts.youtube_vos, layouts.sequences])
def test_masks_stay_on_their_objects(tmp_path, make):
    """The objects of these videos are red, everything else is blue."""
    clips = from_video(open_dataset(make(tmp_path)))
    for number in range(5):
        frames, labels, *_ = clips[number]
        red = frames[..., 0].int() > frames[..., 2].int()
        assert (red == (labels > 0)).float().mean() > 0.93


def test_clips_from_video_grow_and_shrink(tmp_path):
    """The object of these videos keeps its size; how much it seems to change is what was asked."""
    dataset = open_dataset(layouts.sequences(tmp_path))

    def growth(zoom):
        """Logarithms of how much wider objects are on the last frame."""
        clips = from_video(dataset, zoom=zoom)
        labels = [clips[number].labels for number in range(60)]
        areas = np.array([[(each[t] > 0).sum() for t in (0, -1)] for each in labels])
        first, last = areas[(areas > 0).all(axis=1)].T
        return np.log(last / first) / 2

    assert growth(0.0).std() < 0.1
    assert 0.2 < growth(0.3).std() < 0.45


def test_mosaics_show_the_objects_of_four_clips(shared):
    """Each quarter has objects of its own, and void stays void."""
    clips = supply(shared, config=ClipConfig(size=SIZE, frames=3, video=1.0, mosaic=1.0))
    half, counts = (SIZE + 1) // 2, []
    for number in range(6):
        clip = clips[number]
        check(clip, 10)
        parts = [
            set(clip.labels[:, rows, columns].unique().tolist()) - {0, VOID}
            for rows in (slice(half), slice(half, None))
            for columns in (slice(half), slice(half, None))
        ]
        assert sum(map(len, parts)) == len(set().union(*parts))
        counts.append(sum(map(bool, parts)))
    assert max(counts) == 4


@pytest.mark.parametrize(
    "shares",
    [{"video": 1.0}, {"video": 1.0, "mosaic": 1.0}, {"video": 0.0}, {"video": 0.0, "generated": 1}],
    ids=["video", "mosaic", "stills", "generated"],
)
def test_clips_may_be_wide(shared, shares):
    config = ClipConfig(size=SIZE, width=113, frames=3, objects=4, **shares)
    clips = supply(shared, config=config)
    for number in range(4):
        check(clips[number], 4, width=113)


def test_a_wide_clip_shows_the_whole_frame(tmp_path):
    """A crop as high as the frame, of its aspect, has no black margin but that of the motion."""
    dataset = open_dataset(layouts.sequences(tmp_path))
    height, width = dataset.videos[0].frames[0].read()[1].shape

    clips = from_video(dataset, widest=1.0, width=33 * width // height)
    black = [(clips[number].frames == 0).all(-1).float().mean() for number in range(20)]

    assert width > height
    assert np.mean(black) < 0.1


def test_wider_crops_show_smaller_objects(tmp_path):
    dataset = open_dataset(layouts.sequences(tmp_path))

    def area(widest):
        clips = from_video(dataset, widest=widest)
        return np.mean([(clips[number].labels > 0).float().mean() for number in range(30)])

    assert area(2.0) < 0.7 * area(0.6)


@pytest.mark.parametrize("make", [layouts.stills, layouts.coco])
def test_clips_of_stills_alone(tmp_path, make):
    config = ClipConfig(size=SIZE, frames=3, video=0.0, generated=0.0)
    clips = Clips(config, [open_dataset(make(tmp_path))], 0)
    for number in range(3):
        check(clips[number], objects=10)


class Watched:
    """A frame that notes its index when it is read."""

    def __init__(self, frame, index, noted):
        self.frame, self.index, self.noted = frame, index, noted
        self.mask = frame.mask

    def read(self):
        self.noted.append(self.index)
        return self.frame.read()


def watch(dataset):
    """The dataset with its first video alone, and the indices of the frames that are read."""
    noted = []
    video = dataset.videos[0]
    frames = tuple(Watched(frame, index, noted) for index, frame in enumerate(video.frames))
    return replace(dataset, videos=(replace(video, frames=frames),)), noted


def test_datasets_are_drawn_from_by_their_shares(tmp_path):
    often, of_often = watch(open_dataset(layouts.sequences(tmp_path / "often")))
    seldom, of_seldom = watch(open_dataset(layouts.sequences(tmp_path / "seldom")))
    clips = from_video(replace(often, share=3.0), replace(seldom, share=1.0))
    for number in range(100):
        clips[number]
    assert 0.65 < len(of_often) / (len(of_often) + len(of_seldom)) < 0.85


def test_gaps_are_counted_in_frames_of_the_video(tmp_path):
    """With a mask on every fifth frame, a gap of at most ten is one or two annotated frames."""
    dataset, noted = watch(open_dataset(layouts.youtube_vos(tmp_path, frames=31)))
    clips = from_video(dataset, max_gap=10)
    for number in range(30):
        clips[number]
    steps = np.abs(np.diff(np.reshape(noted, (-1, 3)))).ravel()
    assert set(steps.tolist()) == {1, 2}


def test_of_too_many_objects_some_are_drawn():
    """Every object of a scene with five has its turn in a model that holds two."""
    labels = np.zeros((1, 40, 50), np.int32)
    for k in range(5):
        labels[0, :, 10 * k : 10 * k + 10] = k + 1
    clips = generated(objects=2)
    kept = np.zeros(5, int)
    for seed in range(40):
        assigned = clips._assign(np.random.default_rng(seed), labels)
        assert set(np.unique(assigned)) == {0, 1, 2}
        kept += assigned[0, 0, ::10] > 0
    assert kept.sum() == 80
    assert (kept > 5).all()


def test_objects_that_hardly_show_are_background():
    labels = np.zeros((2, 20, 20), np.int32)
    labels[0].ravel()[: SMALLEST - 1] = 1
    labels[1] = 1
    assert not generated()._assign(np.random.default_rng(0), labels).any()


def test_images_without_an_object_are_passed_over(tmp_path):
    folder = layouts.stills(tmp_path / "some", count=1, objects=0)
    layouts.save(folder / "images/009.jpg", folder / "masks/009.png")
    config = ClipConfig(size=SIZE, frames=2, video=0.0, generated=0.0)
    clips = Clips(config, [open_dataset(folder)], 0)
    for number in range(5):
        check(clips[number], objects=10, frames=2)
    empty = open_dataset(layouts.stills(tmp_path / "none", objects=0))
    with pytest.raises(InputError, match="in a row have no object"):
        Clips(config, [empty], 0)[0]


def test_a_damaged_file_is_named_when_it_is_read(tmp_path):
    folder = layouts.stills(tmp_path, count=1)
    mask = folder / "masks/000.png"
    mask.write_bytes(mask.read_bytes()[:-60])
    clips = Clips(ClipConfig(video=0.0, generated=0.0), [open_dataset(folder)], 0)
    with pytest.raises(InputError, match=str(mask)):
        clips[0]


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"video": 0.5, "generated": 1.0}, "0.5 of the clips comes from video"),
        ({"video": 0.0, "generated": 0.5}, "come from stills"),
        ({"video": 1.5}, "numbers from 0 to 1"),
        ({"video": 0.0, "generated": 1.0, "objects": 300}, "1 to 254"),
    ],
)
def test_shares_have_to_come_from_somewhere(shares, message):
    with pytest.raises(InputError, match=message):
        Clips(ClipConfig(**shares), [], 0)


def test_reserved_seeds_of_the_generator_are_never_used(monkeypatch):
    """With nearly all seeds reserved, only the few others are drawn."""
    seeds = []
    generate = synthetic.generate

    def noted(seed, **arguments):
        seeds.append(seed)
        return generate(seed, **arguments)

    monkeypatch.setattr(synthetic, "generate", noted)
    clips = generated()
    for number in range(10):
        clips[number]
    assert len(set(seeds)) == 10
    assert max(seeds) < synthetic.RESERVED_SEED <= min(synthetic.DEMO_SEEDS)
    seeds.clear()
    monkeypatch.setattr(synthetic, "RESERVED_SEED", 3)
    for number in range(10):
        clips[number]
    assert set(seeds) == {0, 1, 2}


def test_clips_of_a_video_with_few_masks(tmp_path):
    """The first frame has the object; a frame without a mask is void but for what is pasted."""
    folder = layouts.sequences(tmp_path, ("one",), frames=7)
    for number in (2, 3, 5, 6):
        (folder / f"one/masks/{number:08d}.png").unlink()
    clips = from_video(open_dataset(folder), max_gap=2, widest=0.9)
    drawn = [clips[number].labels for number in range(20)]
    assert all(((labels[0] > 0) & (labels[0] != VOID)).any() for labels in drawn)
    assert all((labels[-1] != VOID).any() for labels in drawn)
    assert any((labels[1] == VOID).all() for labels in drawn)


def test_void_stays_void(tmp_path):
    labels = np.zeros((2, 10, 10), np.int32)
    labels[:, :8, :8], labels[:, 9] = 3, VOID
    assigned = generated(objects=2)._assign(np.random.default_rng(0), labels)
    assert (assigned[:, 9] == VOID).all()
    assert set(np.unique(assigned[:, :9])) in ({0, 1}, {0, 2})
