"""Datasets as they lie on disk: what is found in them, and what is wrong with them."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image as PillowImage

from hqtrack.errors import InputError, MissingFileError
from hqtrack.video import write_labels
from tests.helpers import layouts
from training.data.datasets import inspect_dataset, open_dataset, open_datasets
from training.data.sources import VOID, AnnotatedVideo, read_objects

MADE = {
    "davis": layouts.davis_2017,
    "youtube-vos": layouts.youtube_vos,
    "sequences": layouts.sequences,
    "stills": layouts.stills,
    "coco": layouts.coco,
}


def read_all(dataset):
    return [annotated.read() for annotated in dataset.images]


def names(dataset):
    return [video.name for video in dataset.videos]


@pytest.mark.parametrize("layout", MADE)
def test_every_layout_is_recognised_and_read_where_it_is_named(tmp_path, layout):
    folder = MADE[layout](tmp_path / "data")
    recognised, named = open_dataset(folder), open_dataset(folder, layout)
    assert recognised.layout == layout
    assert recognised == named
    assert read_all(recognised)


@pytest.mark.parametrize("layout", MADE)
def test_what_operating_systems_leave_belongs_to_no_dataset(tmp_path, layout):
    folder = MADE[layout](tmp_path / "data")
    expected = open_dataset(folder)
    for path in list(folder.rglob("*")):
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
    for place in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        (place / ".DS_Store").touch()
    shutil.copytree(folder, folder / "__MACOSX", ignore=shutil.ignore_patterns("__MACOSX"))
    for name in ("JPEGImages", "JPEGImages/480p", "train/Annotations"):
        if (folder / name).is_dir():
            (folder / name / "__MACOSX").mkdir()
    assert open_dataset(folder) == expected


def test_davis_2017_has_the_objects_of_its_training_sequences(tmp_path):
    dataset = open_dataset(layouts.davis_2017(tmp_path))
    assert names(dataset) == ["bear", "bus"]
    image, labels = dataset.videos[1].frames[2].read()
    expected_image, expected = layouts.scene(2, objects=2)
    assert np.array_equal(labels, expected)
    assert np.abs(image.astype(int) - expected_image).mean() < 10


def test_davis_2016_lists_files_and_has_masks_of_black_and_white(tmp_path):
    dataset = open_dataset(layouts.davis_2016(tmp_path))
    assert names(dataset) == ["bear", "bus"]
    for video in dataset.videos:
        assert np.array_equal(video.frames[1].read()[1], layouts.scene(1)[1])


def test_davis_without_its_lists_is_refused_where_it_has_validation_sequences(tmp_path):
    folder = layouts.davis_2017(tmp_path)
    shutil.rmtree(folder / "ImageSets")
    with pytest.raises(InputError, match=r"must not use \(dog.*ImageSets/2017/train.txt"):
        open_dataset(folder)
    shutil.rmtree(folder / "JPEGImages/480p/dog")
    assert names(open_dataset(folder)) == ["bear", "bus"]


def test_a_list_of_training_sequences_cannot_name_a_validation_sequence(tmp_path):
    folder = layouts.davis_2017(tmp_path, train=("bear", "dog"), validation=())
    with pytest.raises(InputError, match="dog"):
        open_dataset(folder)


def test_validation_sequences_are_refused_in_every_layout(tmp_path):
    with pytest.raises(InputError, match="blackswan"):
        open_dataset(layouts.sequences(tmp_path, ("one", "blackswan")))


def test_youtube_vos_has_the_annotated_frames(tmp_path):
    dataset = open_dataset(layouts.youtube_vos(tmp_path))
    for video in dataset.videos:
        assert [frame.image.name for frame in video.frames] == [
            "00000.jpg",
            "00005.jpg",
            "00010.jpg",
        ]
        assert video.spacing == 5
    assert np.array_equal(dataset.videos[0].frames[1].read()[1], layouts.scene(5)[1])


def test_videos_with_one_annotated_frame_are_left_out(tmp_path):
    folder = layouts.youtube_vos(tmp_path)
    for number in (5, 10):
        (folder / f"train/Annotations/0043f083b5/{number:05d}.png").unlink()
    dataset = open_dataset(folder)
    assert names(dataset) == ["0044fa5fba"]
    assert dataset.skipped == ("1 videos with one annotated frame",)
    shutil.rmtree(folder)
    with pytest.raises(InputError, match=r"nothing to train on.*2 videos with one"):
        open_dataset(layouts.youtube_vos(tmp_path, every=20))


def test_videos_in_the_list_of_youtube_vos_have_to_be_there(tmp_path):
    folder = layouts.youtube_vos(tmp_path)
    shutil.rmtree(folder / "train/Annotations/0044fa5fba")
    with pytest.raises(MissingFileError, match="0044fa5fba"):
        open_dataset(folder)


@pytest.mark.parametrize("folders", [("images", "masks"), ("im", "gt"), ("", "")])
def test_stills_lie_in_two_folders_or_one(tmp_path, folders):
    dataset = open_dataset(layouts.stills(tmp_path, folders))
    assert len(dataset.stills) == 3
    assert np.array_equal(dataset.stills[2].read()[1], layouts.scene(2, objects=2)[1])


def test_coco_instances_cover_larger_ones_and_crowds_are_left_out(tmp_path):
    dataset = open_dataset(layouts.coco(tmp_path))
    assert dataset.skipped == (
        "1 crowds or boxes without outline",
        "1 images without an instance",
    )
    first, second = (still.read()[1] for still in dataset.stills)
    assert np.unique(first).tolist() == [0, 1, 2]
    assert (first[9:22, 5:16] > 0).all()
    assert (first[11:13, 7:9] == 2).all()
    columns = np.zeros(layouts.SIZE, bool)
    columns[:, 5:8] = True
    assert np.array_equal(second > 0, columns)


def test_of_several_coco_files_the_one_for_training_is_taken_or_the_one_given(tmp_path):
    folder = layouts.coco(tmp_path)
    annotations = folder / "annotations"
    shutil.copy(annotations / "instances_train2017.json", annotations / "instances_val2017.json")
    shutil.copytree(folder / "train2017", folder / "val2017")
    assert open_dataset(folder).stills[0].image.parent.name == "train2017"
    given = open_dataset(annotations / "instances_val2017.json")
    assert given.stills[0].image.parent.name == "val2017"
    (annotations / "instances_train2017.json").rename(annotations / "instances_test2017.json")
    with pytest.raises(InputError, match="give the path of one"):
        open_dataset(folder)


def test_places_have_shares_and_layouts(tmp_path):
    one = layouts.sequences(tmp_path / "a:one")
    two = layouts.stills(tmp_path / "b=two")
    first, second = open_datasets([f"{one}=2.5", f"stills:{two}=1"])
    assert (first.share, first.layout) == (2.5, "sequences")
    assert (second.share, second.layout) == (1.0, "stills")
    for share in ("0", "-1", "inf", "two"):
        with pytest.raises(InputError, match="positive number"):
            open_datasets([f"{one}={share}"])


def test_a_folder_of_data_has_videos_and_stills(tmp_path):
    layouts.sequences(tmp_path / "davis_train")
    layouts.stills(tmp_path / "stills")
    layouts.sequences(tmp_path / "sequences", ("dog",))
    videos, stills = open_datasets([tmp_path])
    assert names(videos) == ["one", "two"]
    assert len(stills.stills) == 3


@pytest.mark.parametrize(
    ("mode", "values", "expected"),
    [
        ("P", [0, 1, 7], [0, 1, 7]),
        ("P", [0, 1, 255], [0, 1, VOID]),
        ("P", [0, 255, 255], [0, 1, 1]),
        ("L", [0, 1, 2], [0, 1, 2]),
        ("L", [0, 90, 255], [0, 90, VOID]),
        ("L", [0, 255, 255], [0, 1, 1]),
        ("1", [0, 1, 1], [0, 1, 1]),
        ("RGB", [0, 0, 255], [0, 0, 1]),
        ("LA", [0, 1, 3], [0, 1, 3]),
        ("I;16", [0, 255, 700], [0, 701, 700]),
    ],
)
def test_numbers_or_black_and_white(tmp_path, mode, values, expected):
    if mode == "1":
        picture = PillowImage.fromarray(np.array([values], bool))
    elif mode == "I;16":
        picture = PillowImage.fromarray(np.array([values], np.uint16))
    else:
        picture = PillowImage.fromarray(np.array([values], np.uint8))
        if mode == "P":
            picture.putpalette(list(range(256)) * 3)
        picture = picture.convert(mode)
    picture.save(tmp_path / "mask.png")
    assert read_objects(tmp_path / "mask.png").tolist() == [expected]


def test_a_photo_is_no_mask(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    PillowImage.fromarray(photo).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match="is a photo"):
        read_objects(tmp_path / "mask.png")


@pytest.mark.parametrize(("lack", "name"), [("mask", "masks/001.png"), ("image", "images/001.jpg")])
def test_an_image_or_a_mask_alone_is_refused(tmp_path, lack, name):
    folder = layouts.stills(tmp_path)
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"001.* has no {lack}, as 1 of"):
        open_dataset(folder)


def test_every_frame_of_davis_has_a_mask(tmp_path):
    folder = layouts.davis_2017(tmp_path)
    (folder / "Annotations/480p/bus/00001.png").unlink()
    with pytest.raises(InputError, match=r"bus/00001.jpg has no mask"):
        open_dataset(folder)


def test_a_mask_of_youtube_vos_has_an_image(tmp_path):
    folder = layouts.youtube_vos(tmp_path)
    (folder / "train/JPEGImages/0043f083b5/00005.jpg").unlink()
    with pytest.raises(InputError, match=r"0043f083b5/00005.png has no image"):
        open_dataset(folder)


def test_images_of_coco_have_to_be_there(tmp_path):
    folder = layouts.coco(tmp_path)
    (folder / "train2017/000000000002.jpg").unlink()
    with pytest.raises(MissingFileError, match="lacks 1 of the 2 images"):
        open_dataset(folder)
    shutil.rmtree(folder / "train2017")
    with pytest.raises(MissingFileError, match="put it there"):
        open_dataset(folder)


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"images": [',
        '{"images": []}',
        "[]",
        '{"images": [], "annotations": [{}]}',
        '{"images": [{}], "annotations": [{"image_id": 1, "segmentation": [[1, 2]]}]}',
    ],
)
def test_annotations_that_are_not_complete_are_refused(tmp_path, content):
    folder = layouts.coco(tmp_path)
    (folder / "annotations/instances_train2017.json").write_text(content)
    with pytest.raises(InputError, match=r"instances_train2017.json"):
        open_dataset(folder)


@pytest.mark.parametrize("outline", [[1, 2, 3], [["a", "b"]], {"size": [48, 64]}, "text"])
def test_an_instance_with_a_broken_outline_is_told_with_its_image(tmp_path, outline):
    folder = layouts.coco(tmp_path)
    path = folder / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = outline
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"000000000001.jpg has no usable segmentation"):
        open_dataset(folder).stills[0].read()


def test_coco_without_instances_is_refused(tmp_path):
    folder = layouts.coco(tmp_path)
    path = folder / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "annotations": content["annotations"][-1:]}))
    with pytest.raises(InputError, match="no instance"):
        open_dataset(folder)


def test_a_folder_that_is_missing_empty_or_something_else_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match="no dataset"):
        open_dataset(tmp_path / "missing")
    with pytest.raises(InputError, match="known layouts: davis"):
        open_dataset(tmp_path)
    (tmp_path / "JPEGImages/480p").mkdir(parents=True)
    with pytest.raises(InputError, match="is empty"):
        open_dataset(tmp_path)
    with pytest.raises(InputError):
        open_dataset(layouts.stills(tmp_path / "stills"), "davis")


def test_a_report_counts(tmp_path):
    dataset = open_dataset(layouts.davis_2017(tmp_path))
    report = inspect_dataset(dataset, objects=1)
    assert (report.videos, report.frames, report.stills, report.looked_at) == (2, 6, 0, 6)
    assert report.objects == (2, 2)
    assert (report.heights, report.widths) == ((48, 48), (64, 64))
    assert report.crowded == 6
    assert report.problems == ()
    assert "2 videos, 6 frames; 6 checked, 64 x 48 pixels, 2 objects" in str(report)
    assert "6 with more objects than the model supports" in str(report)
    assert inspect_dataset(dataset, objects=2, most=4).looked_at == 4
    assert inspect_dataset(dataset, objects=2).crowded == 0


def test_a_report_names_the_files_that_cannot_be_used(tmp_path):
    folder = layouts.stills(tmp_path, count=6)
    image, mask = folder / "images/001.jpg", folder / "masks/002.png"
    for path in (image, mask):
        path.write_bytes(path.read_bytes()[:-30])
    write_labels(folder / "masks/003.png", np.zeros((48, 50), np.int32))
    write_labels(folder / "masks/004.png", np.zeros(layouts.SIZE, np.int32))
    report = inspect_dataset(open_dataset(folder), objects=10)
    assert (report.stills, report.looked_at, report.empty) == (6, 3, 1)
    assert str(image) in report.problems[0]
    assert str(mask) in report.problems[1]
    assert "003.jpg is 64x48" in report.problems[2]
    assert "003.png is 50x48" in report.problems[2]
    assert "1 without an object" in str(report)


def test_a_report_without_any_object_is_a_problem(tmp_path):
    folder = layouts.stills(tmp_path, objects=0)
    report = inspect_dataset(open_dataset(folder), objects=10)
    assert report.empty == 3
    assert "no image" in report.problems[0]


def test_frames_of_a_sequence_may_lack_a_mask(tmp_path):
    folder = layouts.sequences(tmp_path, ("one",), frames=5)
    for number in (2, 4):
        (folder / f"one/masks/{number:08d}.png").unlink()
    dataset = open_dataset(folder)
    (video,) = dataset.videos
    assert (len(video.frames), video.annotated) == (5, [0, 2, 4])
    assert len(dataset.images) == 3
    image, labels = video.frames[1].read()
    assert labels.shape == image.shape[:2]
    assert (labels == VOID).all()
    assert inspect_dataset(dataset, 10).frames == 3


def test_a_mask_of_a_sequence_needs_its_image(tmp_path):
    folder = layouts.sequences(tmp_path, ("one",))
    (folder / "one/color/00000002.jpg").unlink()
    with pytest.raises(InputError, match="has no image"):
        open_dataset(folder)


def test_void_is_no_object(tmp_path):
    folder = layouts.sequences(tmp_path, ("one",))
    for path in (folder / "one/masks").iterdir():
        picture = PillowImage.open(path)
        labels = np.array(picture)
        labels[:4] = VOID
        marked = PillowImage.fromarray(labels)
        marked.putpalette(list(range(256)) * 3)
        marked.save(path)
    dataset = open_dataset(folder)
    assert (dataset.images[0].read()[1][:4] == VOID).all()
    assert inspect_dataset(dataset, 10).objects == (1, 1)


@pytest.mark.parametrize(
    ("name", "scene"),
    [("cars_a", "cars"), ("cars_b", "cars"), ("cars", "cars"), ("a_b_c", "a_b_c"), ("b", "b")],
)
def test_the_scene_of_a_video(name, scene):
    assert AnnotatedVideo(name, ()).scene == scene
