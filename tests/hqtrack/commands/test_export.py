"""The command that exports, from a run of `hqtrack run`."""

import pytest

from hqtrack.cli import main
from hqtrack.synthetic import generate
from hqtrack.video import write_sequence


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    write_sequence(folder / "two", *generate(seed=1, frames=3, objects=2, size=(48, 64)))
    video, mask = folder / "two" / "color", folder / "two" / "masks" / "00000001.png"
    arguments = ["run", str(video), "--mask", str(mask), "--preset", "light"]
    assert main([*arguments, "--output", str(folder / "run")]) == 0
    return folder / "run"


def test_it_writes_into_the_run_and_says_where(run, capsys):
    assert main(["export", str(run), "--format", "csv", "mots", "--format", "cutouts"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 frames of 1, 2:"
    assert lines[1:] == [
        str(run / "export" / name) for name in ("boxes.csv", "mots.txt", "cutouts")
    ]
    assert len(list((run / "export" / "cutouts" / "001").iterdir())) == 3


def test_the_video_may_have_moved(run, capsys, tmp_path):
    moved = run.parent / "two" / "moved"
    (run.parent / "two" / "color").rename(moved)
    try:
        arguments = ["export", str(run), "--format", "overlay", "--output", str(tmp_path)]
        assert main(arguments) == 2
        assert "there is no file or folder" in capsys.readouterr().err
        assert main([*arguments, "--video", str(moved)]) == 0
        assert (tmp_path / "overlay.mp4").stat().st_size > 0
    finally:
        moved.rename(run.parent / "two" / "color")


def test_mistakes_are_named(run, capsys):
    assert main(["export", str(run), "--format", "gif"]) == 2
    assert "there is no format gif" in capsys.readouterr().err
    assert main(["export", str(run.parent), "--format", "csv"]) == 2
    assert "there is no run in" in capsys.readouterr().err


def test_help_lists_the_formats(capsys):
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    assert "youtube-vis   youtube_vis.json" in capsys.readouterr().out
