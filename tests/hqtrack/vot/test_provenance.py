"""The tracker signs what it tracks."""

from pathlib import Path

from hqtrack.vot.provenance import image_key, read_made
from tests.helpers.workspaces import evaluate, small_workspace


def test_the_tracker_signs_each_video_it_starts(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path, (4, 3))
    evaluate(workspace)
    made = list(read_made(workspace / "logs"))
    assert sorted(one.image for one in made) == [f"s{k}/color/00000001.jpg" for k in (0, 1)]
    assert {one.by.tracker for one in made} == {"FirstMask"}
    assert image_key(Path("/a/b/c/d.jpg")) == "b/c/d.jpg"
