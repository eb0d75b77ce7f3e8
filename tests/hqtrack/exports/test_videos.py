"""YouTube-VIS and DAVIS."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as run_lengths

from hqtrack.errors import InputError
from hqtrack.exports.stored import open_run
from hqtrack.exports.videos import davis_palette, write_davis, youtube_vis
from hqtrack.runs.objects import Numbered, Place
from tests.helpers.followed import followed


# pycocotools is older than numpy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_youtube_vis_has_a_track_per_object(folder):
    content = json.loads("".join(youtube_vis(open_run(folder))))
    (video,) = content["videos"]
    assert (video["length"], video["width"], video["height"]) == (4, 20, 12)
    assert video["file_names"] == ["1.png", "3.png", "5.png", "7.png"]
    assert [each["name"] for each in content["categories"]] == ["the cat", "500", "never"]
    cat, other, never = content["annotations"]
    assert cat["areas"] == [1, 3, None, 7]
    assert cat["bboxes"][3] == [0, 2, 7, 1]
    assert other["bboxes"] == [None, None, [4, 6, 3, 2], [4, 6, 3, 2]]
    assert never["segmentations"] == [None] * 4
    np.testing.assert_array_equal(run_lengths.decode(cat["segmentations"][3]), followed(7).masks[0])


def test_davis_has_indexed_pngs_with_labels_from_one(folder, tmp_path):
    write_davis(open_run(folder), tmp_path / "davis")
    annotations = tmp_path / "davis" / "Annotations" / "a run"
    assert sorted(path.name for path in annotations.iterdir()) == [
        "1.png",
        "3.png",
        "5.png",
        "7.png",
    ]
    with Image.open(annotations / "7.png") as picture:
        assert picture.mode == "P"
        assert picture.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        labels = np.asarray(picture)
    cat, other = followed(7).masks
    np.testing.assert_array_equal(labels, cat + 2 * other.astype(int))
    meta = json.loads((tmp_path / "davis" / "meta.json").read_text())["videos"]["a run"]["objects"]
    assert meta["1"] == {"category": "the cat", "frames": ["1", "3", "7"]}
    assert meta["3"]["frames"] == []


def test_davis_names_the_frames_of_a_video_from_zero(folder, tmp_path):
    journal = folder / "frames.jsonl"
    text = journal.read_text()
    for number in (1, 3, 5, 7):
        text = text.replace(f'"{number}.png"', f'"{number:08d}"')
    journal.write_text(text)
    write_davis(open_run(folder), tmp_path / "davis")
    names = sorted(path.name for path in (tmp_path / "davis" / "Annotations" / "a run").iterdir())
    assert names == ["00000.png", "00001.png", "00002.png", "00003.png"]


def test_davis_has_no_room_for_an_object_that_would_be_void(folder, tmp_path):
    run = replace(
        open_run(folder), places=tuple(Place(Numbered(n, ""), None) for n in range(1, 256))
    )
    with pytest.raises(InputError, match="254 objects, not 255"):
        write_davis(run, tmp_path / "davis")


def test_the_palette_is_that_of_pascal_voc():
    colours = np.reshape(davis_palette(), (256, 3)).tolist()
    assert colours[:4] == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[8] == [64, 0, 0]
    assert colours[255] == [224, 224, 192]
