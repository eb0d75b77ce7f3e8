"""The command that trains HQ-SAM light, what it exports, and what is measured of it."""

import json

import numpy as np
import pytest
from PIL import Image as PillowImage
from safetensors import safe_open

from hqtrack.errors import InputError
from hqtrack.video.images import write_image
from training.export import export
from training.export import main as export_main
from training.hqsam.held_out import main as measure
from training.hqsam.in_tracker import main as measure_tracker
from training.hqsam.light import load_light, main, sources


def draw(images, masks, name, shift):
    labels = np.zeros((80, 110), np.uint8)
    labels[15:55, 20 + shift : 60 + shift] = 1
    image = np.random.default_rng(shift).integers(0, 80, (80, 110, 3)).astype(np.uint8)
    image[labels == 1] += 150
    for folder in (images, masks):
        folder.mkdir(parents=True, exist_ok=True)
    write_image(images / f"{name}.png", image)
    PillowImage.fromarray(labels).save(masks / f"{name}.png")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Stills, one of which is held out by its name, and two videos."""
    folder = tmp_path_factory.mktemp("data")
    for n in (34, 35, 36):
        draw(folder / "stills/images", folder / "stills/masks", f"p{n}", n - 34)
    for name in ("shown", "rhino"):
        place = folder / "videos" / name
        for n in range(3):
            draw(place / "color", place / "masks", f"{n + 1:08d}", 3 * n)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    run = tmp_path_factory.mktemp("run")
    options = ["--data", str(data / "stills=2"), str(data / "videos"), "--steps", "1"]
    options += ["--batch", "1", "--sample-every", "0", "--bf16", "off"]
    assert main(["--run", str(run), *options]) == 0
    return run


def test_what_is_held_out_is_not_learnt_from(data):
    stills, videos = sources([str(data / "stills=2"), str(data / "videos")], ["rhino"])
    assert [still.image.stem for still in stills.images] == ["p34", "p36"]
    assert (stills.share, videos.share) == (2, 1)
    assert {frame.image.parts[-3] for frame in videos.images} == {"shown"}
    with pytest.raises(InputError, match="nothing to learn from in"):
        sources([str(data / "videos")], ["rhino", "shown"])


def test_a_run_is_exported_with_16_bits(trained, tmp_path):
    told = export(trained, tmp_path / "light.safetensors")
    assert "5884280 parameters, 11.3 MiB, step 1" in told
    with safe_open(tmp_path / "light.safetensors", "pt") as file:
        assert json.loads(file.metadata()["configuration"])["variant"] == "light"
    exported = load_light(tmp_path / "light.safetensors").state_dict()
    for key, value in load_light(trained).state_dict().items():
        assert (exported[key] - value).abs().max() <= 1e-3 * value.abs().max() + 1e-6


def test_the_added_tensors_alone_go_on_from_a_run(data, trained, tmp_path):
    options = ["--data", str(data / "stills"), "--steps", "1", "--batch", "1", "--added-only"]
    options += ["--sample-every", "0", "--start", str(trained), "--bf16", "off"]
    assert main(["--run", str(tmp_path), *options]) == 0
    assert export_main([str(tmp_path), str(tmp_path / "both.safetensors")]) == 0
    assert (
        load_light(tmp_path)
        .mask_decoder.skip[0]
        .weight.equal(load_light(trained).mask_decoder.skip[0].weight)
    )


def test_a_place_without_weights(tmp_path, data, capsys):
    assert measure(["--weights", str(tmp_path), "--data", str(data / "stills")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err


def test_measures_of_what_is_held_out(trained, data, capsys):
    assert measure(["--weights", str(trained), "--data", str(data / "stills")]) == 0
    said = capsys.readouterr().out
    assert "stills, 1 objects" in said
    for row in ("GrabCut", "HQ token", "1 click", "5 corrective clicks"):
        assert row in said


def test_measures_in_the_tracker(trained, data, tmp_path, capsys):
    given = ["--weights", str(trained), "--data", str(data / "videos")]
    pictures = tmp_path / "changes.png"
    assert measure_tracker([*given, "--pictures", str(pictures)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("rhino: coarse ")
    assert "1 videos" in said
    assert ("there are no pictures" in said) != pictures.exists()
    assert measure_tracker([*given, "--videos", "nobody"]) == 2
