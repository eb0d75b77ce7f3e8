"""The published HQTrack as a whole, with stand-in weights, on real frames."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hqtrack.demo import missing_results
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.video import open_sequence, read_image, write_sequence

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

STEPS_AT_480P = """
import resource, sys
from pathlib import Path
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from hqtrack.video import open_sequence, read_frames
from hqtrack.weights import load
from vmos import build_vmos
from vmos.attention import LayerMemory

sequence = open_sequence(Path(sys.argv[1]))
model = build_vmos(state_dict=load(Path(sys.argv[2])))
segmenter = VideoObjectSegmenter(model, SegmenterConfig(long_term_gap=1))
images = read_frames(sequence.frames[:3])
segmenter.add_reference(next(images), sequence.first_masks())
(bank,) = segmenter._known_video().banks
reference = bank.short_term.memory
for frame in range(1, segmenter.config.long_term_size):
    bank.add(frame, tuple(LayerMemory(key.clone(), value.clone()) for key, value in reference))
for image in images:
    assert segmenter.step(image).masks.shape == (1, 480, 854)
    assert len(segmenter.frames_read[0].long_term) == 6
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory, shared, official_weights):
    """A folder with the checkpoints of VMOS and the smallest HQ-SAM, in the released layouts."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({"state_dict": official_weights}, folder / "save_step_42000.pth")
    place = shared / "parity" / "hqsam"
    spec = importlib.util.spec_from_file_location("hqsam_seeded", place / "seeded.py")
    seeded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(seeded)
    manifest = json.loads((place / "sam_hq_vit_tiny.json").read_text())["tensors"]
    arrays = seeded.seeded_state_dict(manifest, 0)
    weights = {key: torch.from_numpy(value) for key, value in arrays.items()}
    torch.save(weights, folder / "sam_hq_vit_tiny.pth")
    return folder


def test_released_vmos_tracks_480p_within_three_gigabytes(shared, stand_ins):
    """Memory is full from the first tracked frame: copies of the reference stand in for frames."""
    sequence = shared / "data" / "sequences" / "dog"
    weights = stand_ins / "save_step_42000.pth"
    ended = subprocess.run(
        [sys.executable, "-c", STEPS_AT_480P, str(sequence), str(weights)],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = (int(line) / 2**20 for line in ended.stdout.split())
    assert 0.2 < first <= second < 3.0, f"{first:.2f} GiB, {second:.2f} GiB"
    assert second - first < 0.2, "every frame takes more memory than the one before"


@pytest.fixture
def workspace(shared, tmp_path):
    """Three real frames, cut to a square of 480 pixels: VMOS would enlarge smaller ones."""
    source = open_sequence(shared / "data" / "sequences" / "dog")
    columns = slice(100, 580)
    images = np.stack([read_image(path)[:, columns] for path in source.frames[:3]])
    labels = np.stack([source.labels(index)[:, columns] for index in range(3)])
    assert labels.any(axis=(1, 2)).all()
    write_sequence(tmp_path / "in" / "dog", images, labels)
    # the trackers as they are shipped, and no hurry
    shipped = (ROOT / "trackers.ini").read_text()
    registry = tmp_path / "trackers.ini"
    paths = f"paths = {ROOT / 'tracker'}:{ROOT / 'models'}"
    assert shipped.count("paths = tracker:models") == shipped.count("timeout = ")
    registry.write_text(
        re.sub(r"timeout = \d+", "timeout = 3600", shipped.replace("paths = tracker:models", paths))
    )
    make_workspace(tmp_path / "workspace", [open_sequence(tmp_path / "in" / "dog")], registry)
    return tmp_path / "workspace"


@pytest.mark.usefixtures("sockets")
def test_hqtrack_through_the_toolkit(workspace, stand_ins):
    """VMOS and HQ-SAM vit_tiny, `vot evaluate HQTrack`."""
    ended = subprocess.run(
        [sys.executable, "-m", "vot", "evaluate", "--workspace", str(workspace), "HQTrack"],
        env={**os.environ, "HQTRACK_WEIGHTS": str(stand_ins), "HQTRACK_REFINER": "vit_tiny"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert missing_results(workspace, ("HQTrack",)) == [], ended.stdout
