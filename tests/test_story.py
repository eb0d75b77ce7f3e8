"""The story of a person who uses the application; `python -m tests.story` tells it at length."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.browser import programs

pytest.importorskip("starlette", reason="needs the extra app (pip install 'hqtrack[app]')")

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.skipif(None in programs(), reason="needs chromium and chromedriver")
def test_the_story_ends_well(tmp_path: Path) -> None:
    words = ["--frames", "12", "--pictures", str(tmp_path)]
    ended = subprocess.run(
        [sys.executable, "-m", "tests.story", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "equal those of the same steps in Python" in ended.stdout
    assert len(list(tmp_path.glob("app-*.jpg"))) == 10
