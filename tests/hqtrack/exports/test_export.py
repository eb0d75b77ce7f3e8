"""What is written where, and what reads it."""

import json

import pytest
from pycocotools.coco import COCO

from hqtrack.errors import InputError
from hqtrack.exports.export import FORMATS, export
from hqtrack.exports.stored import open_run
from tests.helpers.followed import followed


def test_every_format_is_written_and_may_be_written_again(folder, tmp_path):
    run = open_run(folder)
    for _ in range(2):
        written = export(run, list(FORMATS), tmp_path / "out", run.open_video)
    assert written == [tmp_path / "out" / each.place for each in FORMATS.values()]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(
        each.place for each in FORMATS.values()
    )


def test_nothing_of_an_earlier_export_is_left(folder, tmp_path):
    run = open_run(folder)
    export(run, ["davis"], tmp_path, run.open_video)
    (tmp_path / "davis" / "stale").touch()
    export(run, ["davis"], tmp_path, run.open_video)
    assert not (tmp_path / "davis" / "stale").exists()


def test_what_is_no_export_stays(folder, tmp_path):
    run = open_run(folder)
    mine = tmp_path / "davis" / "mine"
    mine.parent.mkdir()
    mine.touch()
    with pytest.raises(InputError, match="davis was there before and is no export"):
        export(run, ["coco", "davis"], tmp_path, run.open_video)
    assert mine.exists()
    assert not (tmp_path / "coco.json").exists()
    with pytest.raises(InputError, match="no format gif: choose from davis, coco"):
        export(run, ["coco", "gif"], tmp_path, run.open_video)


def test_an_export_that_fails_leaves_the_one_before(folder, tmp_path, clip):
    run = open_run(folder)
    export(run, ["cutouts"], tmp_path, run.open_video)
    (clip / "7.png").unlink()
    with pytest.raises(InputError, match=r"has no frame 7\.png"):
        export(run, ["cutouts"], tmp_path, run.open_video)
    assert (tmp_path / "cutouts" / "500" / "7.png").exists()
    assert [path.name for path in tmp_path.glob("*cutouts*")] == ["cutouts"]


# pycocotools is older than numpy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_cocos_own_tools_read_it_with_tracks(folder, tmp_path):
    export(open_run(folder), ["coco"], tmp_path, pytest.fail)
    coco = COCO(tmp_path / "coco.json")
    one, two = coco.loadAnns(coco.getAnnIds(imgIds=7))
    assert (one["track_id"], two["track_id"]) == (3, 500)
    assert (coco.annToMask(one) == followed(7).masks[0]).all()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_supervision_reads_it(folder, tmp_path, clip):
    supervision = pytest.importorskip("supervision")
    export(open_run(folder), ["coco"], tmp_path, pytest.fail)
    found = supervision.DetectionDataset.from_coco(
        images_directory_path=str(clip),
        annotations_path=str(tmp_path / "coco.json"),
        force_masks=True,
    )
    assert found.classes == ["the cat", "never", "500"]
    assert len(found) == 4
    seen = found.annotations[str(clip / "7.png")]
    cat, other = followed(7).masks
    assert (seen.mask == [cat, other]).all()
    assert [found.classes[index] for index in seen.class_id] == ["the cat", "500"]
    assert seen.xyxy.tolist() == [[0, 2, 7, 3], [4, 6, 7, 8]]


def test_the_json_files_are_json(folder, tmp_path):
    written = export(open_run(folder), ["coco", "youtube-vis"], tmp_path, pytest.fail)
    for path in written:
        assert json.loads(path.read_text())["annotations"]
