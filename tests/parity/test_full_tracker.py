"""The published HQTrack as a whole, with stand-in weights, on real frames."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest
import torch

from hqtrack.demo import missing_results
from hqtrack.evaluation.make_workspace import make_workspace
from hqtrack.video import open_sequence, read_image, write_labels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FRAMES = 10

STEPS_AT_480P = """
import resource, sys
from pathlib import Path
import torch
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from hqtrack.video import open_sequence, read_frames
from hqtrack.weights import load
from vmos import build_vmos

sequence = open_sequence(Path(sys.argv[1]))
model = build_vmos(state_dict=load(Path(sys.argv[2])))
segmenter = VideoObjectSegmenter(model, SegmenterConfig(long_term_gap=1))
images = read_frames(sequence.frames[: int(sys.argv[3])])
segmenter.add_reference(next(images), sequence.first_masks())
shapes = {segmenter.step(image).masks.shape for image in images}
assert shapes == {(1, 480, 854)}, shapes
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
    """Long-term memory grows on every frame here, to its six entries."""
    sequence = shared / "data" / "sequences" / "dog"
    weights = stand_ins / "save_step_42000.pth"
    ended = subprocess.run(
        [sys.executable, "-c", STEPS_AT_480P, str(sequence), str(weights), str(FRAMES)],
        capture_output=True,
        text=True,
        check=True,
    )
    peak = int(ended.stdout.split()[-1]) / 2**20
    assert 0.2 < peak < 3.0, f"{peak:.2f} GiB"


def test_hqtrack_through_the_toolkit(shared, stand_ins, tmp_path):
    """Three real frames, VMOS and HQ-SAM vit_tiny, `vot evaluate HQTrack`."""
    source = open_sequence(shared / "data" / "sequences" / "dog")
    folder = tmp_path / "in" / "dog"
    for part in ("color", "masks"):
        (folder / part).mkdir(parents=True)
    for index in range(3):
        name = source.frames[index].name
        (folder / "color" / name).write_bytes(source.frames[index].read_bytes())
        write_labels(folder / "masks" / f"{index + 1:08d}.png", source.labels(index))
    assert read_image(folder / "color" / "00000001.jpg").shape == (480, 854, 3)
    make_workspace(tmp_path / "workspace", [open_sequence(folder)])
    ended = subprocess.run(
        [sys.executable, "-m", "vot", "evaluate", "--workspace", "workspace", "HQTrack"],
        cwd=tmp_path,
        env={**os.environ, "HQTRACK_WEIGHTS": str(stand_ins), "HQTRACK_REFINER": "vit_tiny"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert missing_results(tmp_path / "workspace", ("HQTrack",)) == [], ended.stdout
