"""The weights of a run as a file."""

import torch
from safetensors.torch import load_file, save_file

from training import export
from training.vmos.train import main


def test_a_run_is_exported_and_started_from(run, tmp_path, capsys):
    folder, options = run
    file = tmp_path / "new" / "mine.safetensors"
    assert export.main([str(folder), str(file)]) == 0
    assert "5591054 parameters, 10.7 MiB, step 0" in capsys.readouterr().out
    other = ["--run", str(tmp_path / "other"), *options[2:], "--size", "49", "--batch", "1"]
    assert main([*other, "--start", str(file), "--dry-run", "1", "--workers", "0"]) == 0
    assert "5,591,054 learn" in capsys.readouterr().out
    assert not (tmp_path / "other").exists()
    for start in (file, folder / "checkpoint.pt"):
        assert main([*other, "--start", str(start), "--config", "full"]) == 2
        assert "not a checkpoint of this VMOS configuration" in capsys.readouterr().err


def test_weights_are_mixed(run, tmp_path, capsys):
    folder, _ = run
    plain, other, mixed = (tmp_path / f"{name}.safetensors" for name in ("plain", "other", "mixed"))
    assert export.main([str(folder), str(plain)]) == 0
    tensors = load_file(plain)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, other)
    options = [str(folder), str(mixed), "--with", str(other), "--share"]
    assert export.main([*options, "0.25"]) == 0
    for name, tensor in load_file(mixed).items():
        torch.testing.assert_close(tensor, tensors[name] + 0.25, atol=2e-3, rtol=2e-3)
    assert export.main([*options, "2"]) == 2
    save_file({"other": torch.zeros(1)}, other)
    assert export.main([*options, "0.25"]) == 2
    assert "another network" in capsys.readouterr().err


def test_an_export_of_what_is_no_run(tmp_path, capsys):
    assert export.main([str(tmp_path), str(tmp_path / "x.safetensors")]) == 2
    assert "there is no checkpoint" in capsys.readouterr().err
